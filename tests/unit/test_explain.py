"""`egregora runs explain`: the cause at the top, then what to type, from what is on record."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.database.storage import StorageManager
from egregora.errors import ExportError, commands_in
from egregora.pipeline.runner import run_stage_with_tracking
from runs_rows import MORNING, Shown, run_id, seed


def explained(shown: Shown, *words: str, width: int = 80) -> list[str]:
    """The lines of an explanation."""
    code, out, err = shown("runs", "explain", *words, width=width)
    assert (code, err) == (0, "")
    assert all(len(line) <= width or "egregora " in line for line in out.splitlines())
    return out.splitlines()


def under(lines: list[str], heading: str) -> str:
    """What stands beside a heading, in a line."""
    start = next(number for number, line in enumerate(lines) if line.startswith(heading))
    found = [lines[start].removeprefix(heading).strip()]
    for line in lines[start + 1 :]:
        if not line.startswith(" "):
            break
        found.append(line.strip())
    return " ".join(found)


def fail(table: Any, config: Any, *, run_id: str, context: Any) -> Any:
    """A stage whose second half stumbles over something in a chain of errors."""
    with context.child("first half"):
        pass
    with context.child("second half"):
        try:
            {"a": 1}[config["key"]]
        except KeyError as error:
            raise RuntimeError("can't price the order") from error
    return table


def test_a_failure_says_its_first_cause(storage: StorageManager, shown: Shown) -> None:
    """The first exception of the chain, in which part and at which line; then what came of it, and what to type."""
    table = ibis.memtable(pa.table({"n": [1]}))
    run_stage_with_tracking("price", fail, table, {"key": "a"}, storage)
    with pytest.raises(RuntimeError):
        run_stage_with_tracking("price", fail, table, {"key": "b"}, storage)
    lines = explained(shown, "last-failed")
    assert lines[0].startswith("price failed after ")
    why = under(lines, "Why")
    assert why.startswith("Second half: there is no key 'b' (KeyError), at test_explain.py:")
    assert "in fail So it gave up: can't price the order (RuntimeError) 1 of 2 parts, 1 failed" in why
    assert under(lines, "Next").startswith("egregora runs show ")
    assert "a setting changed: key: a → b" in under(lines, "Changed")
    assert "of these, 1" not in "".join(lines)


def test_a_hint_is_the_next_thing_to_type(storage: StorageManager, shown: Shown) -> None:
    """The command that an error names comes first, for the site that was named; the retry of it follows."""
    seed(storage, [{"stage": "enrich", "status": "failed", "error": "the disk is full", "error_type": "StorageError"}])
    folder = str(storage.directory.parent)
    lines = explained(shown, "last", "--site", folder)
    assert f"egregora runs retry {run_id(1)[:8]} --site {folder}" in lines[2]
    storage.append([{"e": "run", "run_id": run_id(1), "hint": "free some space, or run: egregora cache gc"}], sync=True)
    found = json.loads(shown("runs", "explain", "last", "--site", folder, "--json")[1])
    assert [step["command"] for step in found["next"]] == [
        f"egregora cache gc --site {shlex.quote(folder)}",
        f"egregora runs retry {run_id(1)[:8]} --site {shlex.quote(folder)}",
    ]
    assert found["causes"] == ["the disk is full"]


@pytest.mark.parametrize(
    ("hint", "commands"),
    [
        ("free some space, or run: egregora cache gc", ["egregora cache gc"]),
        (
            "see where with: egregora privacy audit; then add words to also_redact in egregora.toml",
            ["egregora privacy audit"],
        ),
        (
            "make the first with: egregora write EXPORT, or try: egregora demo",
            ["egregora write EXPORT", "egregora demo"],
        ),
        ("upgrade with: pip install --upgrade egregora", []),
        ("correct egregora.toml", []),
        ("check: egregora cache verify --discard.", ["egregora cache verify --discard"]),
    ],
)
def test_commands_are_found_in_hints(hint: str, commands: list[str]) -> None:
    """What is to be typed, and nothing that only looks like it."""
    assert commands_in(hint) == commands


def test_an_interruption(storage: StorageManager, shown: Shown) -> None:
    """Since when it is dead, how far it had come, what is kept, and how to go on."""
    seed(
        storage,
        [
            {"stage": "enrich", "invocation_id": run_id(99)},
            {
                "stage": "write",
                "status": "failed",
                "error": "the process ended before the run did",
                "error_type": "interrupted",
                "invocation_id": run_id(99),
                "progress_done": 40,
                "progress_total": 60,
                "progress_unit": "windows",
                "finished_at": str(MORNING + timedelta(seconds=21)),
            },
        ],
    )
    lines = explained(shown, "last")
    assert lines[0].startswith("write was interrupted after 20.00 s, ")
    assert "killed, out of memory, or the machine went down" in under(lines, "Why")
    assert "40 of 60 windows" in under(lines, "Why")
    assert under(lines, "Next").startswith(f"egregora runs retry {run_id(2)[:8]}")
    assert "enrich" in under(lines, "Kept")


def test_a_run_at_work(storage: StorageManager, shown: Shown) -> None:
    """How far, how long still, what it does, in which process."""
    started = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=30)
    seed(
        storage,
        [
            {
                "stage": "write",
                "status": "running",
                "started_at": str(started),
                "progress_done": 40,
                "progress_total": 60,
                "progress_unit": "windows",
            },
            {
                "stage": "write",
                "status": "running",
                "started_at": str(started),
                "parent_run_id": run_id(1),
                "label": "2024-03-04..2024-03-10",
            },
        ],
    )
    storage.append(
        [{"e": "log", "run_id": run_id(1), "ts": str(started), "level": "info", "message": "asking the model"}]
    )
    lines = explained(shown, run_id(1))
    assert lines[0].startswith("write has been running for 3")
    why = under(lines, "Why")
    assert "It has done 40 of 60 windows; about 1" in why
    assert "At work: 2024-03-04..2024-03-10, for 3" in why
    assert "It last said: asking the model" in why
    assert "on this machine" in under(lines, "Where")
    assert under(lines, "Next").startswith("egregora runs watch")


def test_time_left_from_earlier_runs(storage: StorageManager, shown: Shown) -> None:
    """Without a total the earlier runs' durations tell; and elsewhere nothing can be told."""
    started = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=10)
    seed(
        storage,
        [
            *({"stage": "s", "duration_seconds": 60.0} for _ in range(3)),
            {"stage": "s", "status": "running", "started_at": str(started)},
        ],
    )
    assert "About 4" in under(explained(shown, "s"), "Why")
    seed(storage, [{"run_id": run_id(77), "status": "running", "started_at": str(started), "owner": "feedbeef-1-1"}])
    assert "on another machine" in explained(shown, run_id(77))[0]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"duration_seconds": 12.0},
            "It took 12.00 s, 10 times as long as usual (1.20 s in the 4 runs before), for about as many rows",
        ),
        (
            {"duration_seconds": 12.0, "rows_in": 12_340},
            "It took 12.00 s, 10 times as long as usual (1.20 s in the 4 runs before), for 10 times as many rows",
        ),
        ({"duration_seconds": 1.3}, ""),
        (
            {"duration_seconds": 12.0, "reason": "checkpoint corrupt"},
            "Its checkpoint was damaged: the file was set aside and the result made again It took 12.00 s, 10 times as",
        ),
        (
            {"duration_seconds": 1.2, "cost_usd": 0.06},
            "It cost $0.0600, 3.0 times as much as usual ($0.0200 in the 4 runs before), for about as many rows",
        ),
    ],
)
def test_what_took_longer_or_cost_more_than_usual(
    storage: StorageManager, shown: Shown, row: dict[str, Any], says: str
) -> None:
    """Against the median of earlier executed runs of the stage; what had more to do is told to have had."""
    seed(
        storage,
        [
            *({"stage": "s", "duration_seconds": 1.2, "cost_usd": 0.02} for _ in range(4)),
            {"stage": "s", "duration_seconds": 0.0, "source": "checkpoint"},
            {"stage": "s", "reason": "input changed", **row},
        ],
    )
    # A damaged result matters more than how long it took to make it again.
    why = under(explained(shown, "last"), "Why")
    assert why.startswith(says)
    assert ("usual" in why) == bool(says)


def test_a_hit_says_who_made_it_and_what_it_saved(storage: StorageManager, shown: Shown) -> None:
    """Unchanged since which run, and what that run took. A checkpoint's file leads to the run that made it."""
    table = ibis.memtable(pa.table({"n": [1]}))
    for _ in range(2):
        run_stage_with_tracking("same", lambda t, c, *, run_id: t, table, {}, storage)
    lines = explained(shown, "last")
    assert lines[0].startswith("same was taken from its checkpoint, ")
    with storage.reading() as con:
        maker = str(con.execute("SELECT run_id FROM runs WHERE source = 'executed'").fetchone()[0])  # type: ignore[index]
    assert f"run {maker[:8]} made it" in under(lines, "Why")
    assert " s ago) That saved " in under(lines, "Why")
    assert under(lines, "Next").startswith(f"egregora runs explain {maker[:8]}")
    [path] = (storage.checkpoint_dir / "same").glob("*.parquet")
    for name in (str(path), f"{path.name}.corrupt-17"):
        assert f"(run {maker[:8]})" in explained(shown, name, width=200)[0]
    code, _, err = shown("runs", "explain", "f" * 64 + ".parquet")
    assert (code, err.splitlines()[0]) == (1, "error: no run on record made this checkpoint")


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("first run", "It is the first run of s on record"),
        ("forced", "It was told to run again (--force); nothing else had changed"),
        ("checkpoint missing", "Nothing had changed, but the result that was kept had been deleted"),
        ("checkpoint corrupt", "Its checkpoint was damaged: the file was set aside and the result made again"),
        ("unknown: it refers to itself", "Whether anything changed can't be told: it refers to itself"),
        (
            f"forced, retry of {run_id(1)}",
            f"It was told to run again (--force); nothing else had changed Somebody retried run {run_id(1)[:8]}",
        ),
    ],
)
def test_every_reason_has_words(storage: StorageManager, shown: Shown, reason: str, says: str) -> None:
    """Why a completed run ran at all, in a plain sentence."""
    seed(storage, [{"stage": "s", "reason": reason}])
    assert under(explained(shown, "last"), "Why") == says


def test_marks_and_warnings_come_first(storage: StorageManager, shown: Shown) -> None:
    """What looks wrong with a completed run stands before why it ran."""
    seed(storage, [{"stage": "parse", "reason": "first run"}])
    storage.append(
        [{"e": "log", "run_id": run_id(1), "ts": str(MORNING), "level": "warning", "message": "day and month: a guess"}]
    )
    lines = explained(shown, "last")
    assert lines[1].startswith("Why        Warning: day and month: a guess")
    assert "egregora doctor EXPORT" in under(lines, "Next")


def test_pages_that_were_laid_out_although_they_give_somebody_away(storage: StorageManager, shown: Shown) -> None:
    """What to type next is what says where."""
    mark = {"name": "leaks", "text": "the site gives away name t…", "value": 1.0, "usual": None, "since": run_id(2)}
    seed(storage, [{"stage": "layout", "rows_out": None, "marks": json.dumps([mark])} for _ in range(2)])
    lines = explained(shown, "last")
    assert under(lines, "Why").startswith("Looks wrong: the site gives away name t…")
    assert under(lines, "Next") == "egregora privacy audit  (where it gives somebody away)"
    assert not any(line.startswith("Result") for line in lines)


def leave_out(table: Any, config: Any, *, run_id: str, context: Any) -> Any:
    """A stage that leaves out who asked for it, and says how many did, and how many links there were."""
    context.profile("opted_out", len(config["out"]))
    context.profile("links", 0.5 - len(config["out"]) / 10)
    return table.filter(~table["author"].isin(config["out"]))


def test_who_opted_out_besides_others_is_told(storage: StorageManager, shown: Shown) -> None:
    """From one to two is as telling as from none to one; of other figures only what comes from or falls to nothing."""
    table = ibis.memtable(pa.table({"author": ["a", "b", "c"]}))
    for out in (["a"], ["a", "b"]):
        left = run_stage_with_tracking("leave_out", leave_out, table, {"out": out}, storage)
        run_stage_with_tracking("count", lambda table, config, *, run_id: table.count().as_table(), left, {}, storage)
    why = under(explained(shown, "count"), "Why")
    assert "Leave_out: people who asked to be left out: 1 → 2" in why
    assert "links" not in why


def test_what_was_given_on_the_command_line_is_told_of_a_failure(storage: StorageManager, shown: Shown) -> None:
    """It stands in no file, and a retry takes it again."""
    given = json.dumps({"write.from_date": {"given": {"$date": "2099-01-01"}, "file": None}})
    seed(storage, [{"status": "failed", "error": "no messages", "error_type": "ExportError", "given": given}])
    said = under(explained(shown, "last"), "Given")
    assert said.startswith("write.from_date = 2099-01-01, on the command line: a retry takes it again")


def test_a_clock_that_was_turned_back_is_told(storage: StorageManager, shown: Shown) -> None:
    """Until it has come to where it was, `last` is not what was done last."""
    now = datetime.now(UTC).replace(tzinfo=None)
    seed(storage, [{"started_at": str(now + timedelta(hours=2, minutes=9))}, {"started_at": str(now)}])
    assert under(explained(shown, "last"), "Clock").startswith(
        "it starts in 2 hours, so the clock has been turned back since"
    )
    assert not any(line.startswith("Clock") for line in explained(shown, "last~1"))


def test_hostile_text_stays_text(storage: StorageManager, shown: Shown) -> None:
    """Nothing of a record reaches the terminal as more than text."""
    hostile = "\x1b[2J\u202eevil[red]\r\n"
    seed(
        storage,
        [
            {
                "stage": hostile,
                "label": hostile,
                "status": "failed",
                "error": hostile,
                "error_type": hostile,
                "traceback": hostile,
                "hint": f"egregora {hostile}",
            }
        ],
    )
    _, out, _ = shown("runs", "explain", "last", width=200)
    assert "evil[red]" in out
    assert not any(bad in out for bad in ("\x1b", "\u202e", "\r"))


def test_an_egregora_error_is_told_as_it_is(storage: StorageManager, shown: Shown) -> None:
    """Errors with a hint are plain words already: no class, no line of code."""

    def stumble(table: Any, config: Any, *, run_id: str) -> Any:
        raise ExportError("line 7 is odd", hint="look at it")

    with pytest.raises(ExportError):
        run_stage_with_tracking("odd", stumble, ibis.memtable(pa.table({"n": [1]})), {}, storage)
    lines = explained(shown, "last")
    assert lines[1] == "Why        Line 7 is odd"
    assert "look at it" in under(lines, "Next")


def test_a_killed_stage_of_ones_own_has_nothing_to_mend(storage: StorageManager, shown: Shown) -> None:
    """Of a process that was killed there is no error to look at: run the program again."""
    row = {"stage": "per_city", "status": "failed", "error": "the process ended", "error_type": "interrupted"}
    seed(storage, [row])
    following = under(explained(shown, "last"), "Next")
    assert following.startswith(f"egregora runs show {run_id(1)[:8]}")
    assert "run your program again, what is done is kept" in following
    assert "mended" not in following
