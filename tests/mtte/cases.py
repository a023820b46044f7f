"""What can go wrong, what somebody types then, and what they are told: the cases of `test_mtte.py` and of the table in
docs/observability/explain.md."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        name: Of the function in `test_mtte.py` that does it.
        did: What happened, as the one who did it would tell.
        command: What is typed to find out, without `--site`.
        says: What stands in the first five lines.
        next: The command that is named; `ID` stands for a run.
        mended: What is done before that is typed; empty where it is typed at once.
        status: How that ends: 0, or 1 where it is there to show what is wrong.
    """

    name: str
    did: str
    command: str
    says: tuple[str, ...]
    next: str
    mended: str = ""
    status: int = 0


CASES = (
    # -- exports
    Case(
        "bad_zip",
        "gave a file that is named .zip and is none",
        "egregora runs explain last",
        ("named .zip but is no zip archive",),
        "egregora write EXPORT",
        "the right file is put in its place",
    ),
    Case(
        "truncated_export",
        "gave a zip whose copying had broken off",
        "egregora runs explain last-failed",
        ("the export is damaged or cut off",),
        "egregora write EXPORT",
        "the chat is copied again",
    ),
    Case(
        "unknown_format",
        "gave some notes instead of an export",
        "egregora runs explain last",
        ("none of the known sources recognises its content",),
        "egregora write EXPORT",
        "the export is given",
    ),
    Case(
        "unknown_source",
        "named a source that isn't installed",
        "egregora runs explain parse",
        ("unknown source 'telegran'",),
        "egregora runs retry ID",
        "the name is taken out of egregora.toml",
    ),
    Case(
        "drifted_source",
        "updated a source plug-in, which leaves a column out now",
        "egregora runs explain last",
        ("the source pigeon gives no column text",),
        "egregora runs retry ID",
        "the plug-in is updated once more",
    ),
    Case(
        "wrong_timezone",
        "wrote with another timezone than before; all times are hours off",
        "egregora runs explain publish",
        ("parse.timezone: Europe/Lisbon → Asia/Tokyo",),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "wrong_date_order",
        "said that months come before days, which they don't in this chat",
        "egregora runs explain publish",
        ("parse.date_order: auto (the default) → mdy",),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "ambiguous_dates",
        "wrote a chat of a single day, which may be in April or in May",
        "egregora runs explain parse",
        ("day and month",),
        "egregora doctor EXPORT",
    ),
    Case(
        "grown_export",
        "exported again, with one message more; why does everything run?",
        "egregora runs explain publish",
        ("read another export: 1 message added",),
        "egregora runs diff ID ID --rows 5",
    ),
    # -- settings
    Case(
        "changed_setting",
        "changed the size of windows in egregora.toml; all posts are others",
        "egregora runs explain write",
        ("write.window: 7d (the default) → 3d",),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "empty_range",
        "set days from which there are no messages",
        "egregora runs explain last",
        ("no messages from 2031-01-01 on",),
        "egregora runs retry ID",
        "the days are corrected",
    ),
    Case(
        "unreadable_settings",
        "left a quotation mark out in egregora.toml",
        "egregora write EXPORT",
        ("egregora.toml is not valid TOML", "line 2"),
        "egregora write EXPORT",
        "the line is corrected",
    ),
    # -- privacy
    Case(
        "opted_out",
        "misses a post: who wrote most of it has opted out",
        "egregora runs explain write",
        ("people who asked to be left out: 0 → 1", "removed"),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "redacted_word",
        "added a word to also_redact; sentences read otherwise",
        "egregora runs explain publish",
        ("privacy.also_redact: [] (the default) → 1 secret",),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "refused_leak",
        "asked for a word to be taken out that the site itself writes",
        "egregora runs explain last",
        ("the site would give away",),
        "egregora privacy audit",
        status=1,
    ),
    # -- the machine
    Case(
        "killed",
        "killed the process while it read the export",
        "egregora runs explain last",
        ("interrupted", "killed, out of memory, or the machine went down"),
        "egregora runs retry ID",
    ),
    Case(
        "full_disk",
        "ran out of space",
        "egregora runs explain last",
        ("the checkpoint can't be written",),
        "egregora cache gc",
        "some space is made",
    ),
    Case(
        "no_permission",
        "let somebody else own the folder of a stage's results",
        "egregora runs explain last",
        ("the checkpoint can't be written", "permission denied"),
        "egregora runs retry ID",
        "the permission is given back",
    ),
    Case(
        "damaged_checkpoint",
        "has a disk that damaged a result; one stage runs although nothing changed",
        "egregora runs explain enrich",
        ("its checkpoint was damaged", "came out the same"),
        "egregora cache verify",
    ),
    Case(
        "damaged_catalog",
        "copied another file over the catalog",
        "egregora runs explain last",
        ("the catalog is damaged", "rebuilt from the journals"),
        "egregora doctor",
    ),
    Case(
        "foreign_page",
        "put a folder where a page of the site belongs",
        "egregora runs explain last",
        ("was not written by Egregora and is in the way",),
        "egregora write EXPORT",
        "it is moved away",
    ),
    # -- pipelines of one's own
    Case(
        "changed_helper",
        "changed a helper that a stage of their own imports",
        "egregora runs explain totals",
        ("module prices changed",),
        "egregora runs diff ID ID --rows 5",
    ),
    Case(
        "slower_stage",
        "has a stage that takes ten times as long since yesterday",
        "egregora runs explain totals",
        ("it took", "usual", "module prices changed"),
        "egregora runs diff ID ID",
    ),
    Case(
        "chained_exception",
        "has a stage that hides the cause behind an error of its own",
        "egregora runs explain last-failed",
        ("there is no key 'lemon' (KeyError), at prices.py:5 in price_of", "can't price the orders"),
        "egregora runs show ID",
    ),
    Case(
        "wrong_result",
        "has a stage that returns no table",
        "egregora runs explain last",
        ("the stage returned a list, not a table",),
        "egregora runs show ID",
    ),
    # -- models
    Case(
        "wrong_key",
        "set the key of another account",
        "egregora runs explain last",
        ("the key for", "was refused (401)"),
        "egregora runs retry ID",
        "the right key is set",
    ),
    Case(
        "rate_limit",
        "asked a model more often than the account may",
        "egregora runs explain last",
        ("is asked too often (429)",),
        "egregora runs retry ID",
        "some time has passed",
    ),
    Case(
        "large_window",
        "said that a model can take in more than it can",
        "egregora runs explain last",
        ("the question is too long for",),
        "egregora runs retry ID",
        "the right size is set",
    ),
    Case(
        "malformed_answer",
        "has a model that answers with nonsense",
        "egregora runs explain write",
        ("gave no answer in the form asked for",),
        "egregora runs retry ID",
        "another model is set",
    ),
    Case(
        "spent_budget",
        "set a limit on calls, which was reached",
        "egregora runs explain last",
        ("the limit of 2 calls is reached", "2 of 4 windows"),
        "egregora runs retry ID",
    ),
    Case(
        "tripled_cost",
        "pays three times as much for the same posts",
        "egregora runs explain write",
        ("it cost", "3.0 times as much as usual"),
        "egregora runs diff ID ID",
    ),
)
