"""What every explanation of a run says in the same way: its reason, its cost, what it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egregora.amounts import dollars, span, took
from egregora.observe.runs import Row
from egregora.observe.telling import noun_of, number, why_changed

if TYPE_CHECKING:
    from egregora.observe.evidence import Known

__all__ = [
    "Said",
    "Step",
    "ago",
    "came_from",
    "cost_said",
    "far_said",
    "last_words",
    "marks_said",
    "reason_said",
    "runs_before",
    "seconds_since",
    "subject",
]


@dataclass(frozen=True)
class Step:
    """What to do next.

    Attributes:
        command: What to type, without `--site`; empty where it takes a hand.
        why: What for, or what has to be done before.
    """

    command: str
    why: str = ""


Said = tuple[str, list[str], list[Step], dict[str, list[str]]]
"""What happened, why, what to do next, and what else there is to say by heading; as in an `Explanation`."""


def subject(row: Row) -> str:
    """What the run is, at the beginning of a sentence."""
    return f"{row['stage']}, {row['label']}," if row["label"] else str(row["stage"])


def far_said(row: Row) -> str:
    """How far a run is, e.g. `56 of 60 windows`; empty where it hasn't said."""
    if row["progress_done"] is None:
        return ""
    of = f" of {row['progress_total']:,}" if row["progress_total"] is not None else ""
    return f"{row['progress_done']:,}{of} {row['progress_unit'] or ''}".rstrip()


def marks_said(row: Row) -> list[str]:
    """What is out of line with this run, as it was marked when it ended, and since which run."""
    return [
        mark["text"] + (f" (since run {mark['since'][:8]})" if mark["since"] not in ("", row["run_id"]) else "")
        for mark in json.loads(row["marks"] or "[]")
    ]


def came_from(known: Known) -> list[str]:
    """What a run read, and from which runs."""
    if not known.inputs:
        return ["an export" if known.row["stage"] == "parse" else "a table or file from outside"]
    return [
        f"{one['stage']}, {number(one['rows_out'] or 0, noun_of(one['stage']))} (run {known.named(one)})"
        for one in known.inputs
    ]


def reason_said(known: Known) -> list[str]:
    """Why it ran at all."""
    row = known.row
    reason = str(row["reason"] or "")
    changed = why_changed(known.changes, known.prefixes) if known.changes else []
    if row["parent_run_id"]:
        return ["it is a part of another run"]
    asked, _, retried = reason.partition("retry of ")
    again = [f"somebody retried run {retried[:8]}"] if retried else []
    reason = asked.rstrip(", ") if retried else reason
    if reason == "first run":
        return [f"it is the first run of {row['stage']} on record", *again]
    if reason == "forced":
        return (
            ["it was told to run again (--force); nothing else had changed", *again]
            if not changed
            else [
                "it was told to run again (--force)",
                *changed,
            ]
        )
    if reason == "checkpoint missing":
        return ["nothing had changed, but the result that was kept had been deleted", *again]
    if reason == "checkpoint corrupt":
        same = ""
        if known.since and known.since["output_hash"]:
            same = (
                "; it came out the same"
                if known.since["output_hash"] == row["output_hash"]
                else "; it came out otherwise"
            )
        return [f"its checkpoint was damaged: the file was set aside and the result made again{same}", *again, *changed]
    if reason.startswith("unknown: "):
        return [f"whether anything changed can't be told: {reason.removeprefix('unknown: ')}", *again]
    return [*changed, *_upstream(known), *again] or [f"{reason or 'why it ran is not on record'}"]


def _upstream(known: Known) -> list[str]:
    """Figures upstream that came up from nothing, or fell to nothing."""
    from egregora.pipeline.profile import figure_of, figure_text

    return [
        f"{stage}: {figure_of(name).meaning}: {figure_text(figure_of(name), old)} → {figure_text(figure_of(name), new)}"
        for stage, name, old, new in known.telling
    ]


def cost_said(known: Known) -> list[str]:
    """Time, model calls, tokens and money, and each model on a line."""
    row = known.row
    said = []
    if row["duration_seconds"] is not None:
        said.append(took(row["duration_seconds"]))
    if row["llm_calls"]:
        cost = "cost unknown" if row["cost_usd"] is None else dollars(row["cost_usd"])
        said.append(f"{number(row['llm_calls'], 'model call')}, {number(row['tokens'] or 0, 'token')}, {cost}")
    lines = ["; ".join(said)] if said else []
    return lines + _calls_said(known)


def _calls_said(known: Known) -> list[str]:
    lines = []
    for model, calls, tokens, cost, failed in known.calls:
        bad = f", {failed:,} of them failed" if failed else ""
        price = "price unknown" if cost is None else dollars(cost)
        lines.append(f"{model}: {number(calls, 'call')}{bad}, {number(tokens, 'token')}, {price}")
    lines += [f"{count:,} × {error}" for error, count in known.call_errors]
    return lines


def last_words(known: Known) -> list[str]:
    """The last three lines that it logged."""
    return [f"{level}: {message}" if level != "info" else message for level, message in known.logs[-3:]]


def runs_before(count: int) -> str:
    """With how many earlier runs it is compared."""
    return f"the {count} runs before" if count > 1 else "the run before"


def seconds_since(stored: datetime) -> float:
    """Seconds since a stored time; 0 if that is to come."""
    return max(0.0, (datetime.now(UTC).replace(tzinfo=None) - stored).total_seconds())


def ago(stored: datetime) -> str:
    """How long ago a stored time is."""
    return span(seconds_since(stored))
