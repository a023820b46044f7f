"""A run that completed, explained: what is out of line, why it ran at all, what it took, what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from egregora.amounts import dollars, took
from egregora.database.runs_schema import LAYOUT
from egregora.observe.explain_words import (
    Said,
    Step,
    ago,
    came_from,
    cost_said,
    last_words,
    marks_said,
    reason_said,
    runs_before,
    subject,
)
from egregora.observe.telling import noun_of, number, rows_said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egregora.observe.evidence import Figures, Known

__all__ = [
    "completed",
    "taken",
]


def taken(known: Known) -> Said:
    """What is told of a run whose result was taken from a checkpoint."""
    row = known.row
    said = f"{subject(row)} was taken from its checkpoint"
    maker = known.maker
    if maker is None:
        causes = ["nothing that goes into it had changed; the run that made it is no longer on record"]
        return said, causes, [Step(f"egregora runs lineage {known.named(row)}", "to see what it came from")], {}
    named = known.named(maker)
    made = f"run {named} made it ({ago(maker['started_at'])} ago)"
    causes = [f"its input, settings and code are the same as when {made}"]
    saved = [f"{took(maker['duration_seconds'])}"] if maker["duration_seconds"] is not None else []
    if maker["cost_usd"]:
        saved.append(dollars(maker["cost_usd"]))
    if saved:
        causes.append(f"that saved {' and '.join(saved)}")
    causes += [f"looks wrong: {text}" for text in marks_said(row)]
    facts = {"Made from": came_from(known)}
    return said, causes, [Step(f"egregora runs explain {named}", "why it was made")], facts


WARNINGS = 3
"""How many of a run's warnings are told; the others are mostly of the same kind."""


def _warnings(known: Known) -> list[str]:
    found = [f"warning: {message}" for level, message in known.logs if level == "warning"]
    more = len(found) - WARNINGS
    if more <= 0:
        return found
    return [*found[:WARNINGS], f"{number(more, 'more warning')}: egregora runs logs {known.named(known.row)}"]


def completed(known: Known) -> Said:
    """What is told of a run that executed and completed."""
    row = known.row
    within = "" if row["duration_seconds"] is None else f" in {took(row['duration_seconds'])}"
    said = f"{subject(row)} completed{within}"
    marks = marks_said(row)
    causes = [f"looks wrong: {text}" for text in marks]
    parts = [_out_of_line(known), _warnings(known)]
    # That a result was damaged or gone matters more than how long it took to make it again.
    damaged = (row["reason"] or "").startswith("checkpoint")
    for part in [reason_said(known), *parts] if damaged else [*parts, reason_said(known)]:
        causes += part
    facts = {
        "Result": _result(known),
        "Time": _time(known),
        "Cost": cost_said(known)[1:] if known.calls else [],
        "Made from": came_from(known),
        "Log": last_words(known),
    }
    return said, causes, _after_completion(known), facts


SLOWER = 2.5
"""A run is told to be slow if it took so many times what is usual, and at least half a second more."""

DEARER = 2.0


def _out_of_line(known: Known) -> list[str]:
    """Time and cost, where they are far from what is usual."""
    now = known.figures
    said = []
    marked = {mark["name"] for mark in json.loads(known.row["marks"] or "[]")}
    usual = now.usual_seconds
    if (
        "duration" not in marked
        and usual
        and now.seconds is not None
        and now.seconds >= SLOWER * usual
        and now.seconds - usual >= 0.5
    ):
        times = now.seconds / usual
        said.append(
            f"it took {took(now.seconds)}, {_times(times)} as long as usual ({took(usual)} in "
            f"{runs_before(now.earlier)}){_for_rows(now, times)}"
        )
        if known.parts and known.parts.slowest and known.parts.total > 1:
            slow = known.parts.slowest[0]
            said.append(f"its slowest part: {slow['label'] or slow['run_id'][:8]}, {took(slow['duration_seconds'])}")
    dear = now.usual_cost_usd
    if "cost" not in marked and dear and now.cost_usd is not None and now.cost_usd >= DEARER * dear:
        said.append(
            f"it cost {dollars(now.cost_usd)}, {_times(now.cost_usd / dear)} as much as usual ({dollars(dear)} in "
            f"{runs_before(now.earlier)}){_for_rows(now, now.cost_usd / dear)}"
        )
    return said


def _times(factor: float) -> str:
    return f"{factor:.1f} times" if factor < 9.95 else f"{factor:,.0f} times"


def _for_rows(now: Figures, factor: float) -> str:
    """Whether there was more to do."""
    if not now.rows_in or not now.usual_rows_in:
        return ""
    rows = now.rows_in / now.usual_rows_in
    if rows >= factor / 2:
        return f", for {_times(rows)} as many rows"
    return ", for about as many rows" if 0.8 <= rows <= 1.25 else ""


def _result(known: Known) -> list[str]:
    row = known.row
    if row["rows_out"] is None:
        # Laying out makes no rows.
        return []
    noun = noun_of(row["stage"])
    made = number(row["rows_out"], noun)
    if known.changes is None or known.changes.result is None or known.since is None:
        return [made]
    before = f"against run {known.named(known.since)}"
    if known.changes.result.same:
        return [f"{made}, the same as {before.replace('against', 'in')}"]
    return [f"{made}; {before}: {rows_said(known.changes.result, noun)}"]


def _time(known: Known) -> list[str]:
    now = known.figures
    lines = []
    if now.usual_seconds is not None and now.seconds is not None:
        lines.append(f"{took(now.seconds)}; usual is {took(now.usual_seconds)} ({runs_before(now.earlier)})")
    if known.parts and known.parts.total > 1:
        slow = [f"{one['label'] or one['run_id'][:8]} {took(one['duration_seconds'])}" for one in known.parts.slowest]
        lines.append(f"{number(known.parts.total, 'part')}; the slowest: {', '.join(slow)}")
    if known.parts and known.parts.dearest:
        dear = [f"{one['label'] or one['run_id'][:8]} {dollars(one['cost_usd'])}" for one in known.parts.dearest]
        lines.append(f"the dearest: {', '.join(dear)}")
    return lines


def _after_completion(known: Known) -> list[Step]:
    row, run = known.row, known.named(known.row)
    steps = []
    result = known.changes.result if known.changes else None
    if known.since and result is not None and not result.same:
        steps.append(Step(f"egregora runs diff {known.named(known.since)} {run} --rows 5", "which rows differ"))
    elif known.since and row["source"] == "executed":
        steps.append(Step(f"egregora runs diff {known.named(known.since)} {run}", "all that differs"))
    if row["stage"] == "parse" and (row["marks"] or any(level == "warning" for level, _ in known.logs)):
        steps.insert(0, Step("egregora doctor EXPORT", "how the export was understood"))
    if row["stage"] == LAYOUT and row["marks"]:
        steps = [Step("egregora privacy audit", "where it gives somebody away")]
    if row["reason"] == "checkpoint corrupt":
        steps.insert(0, Step("egregora cache verify", "whether the other files are whole"))
    steps += _undoing(known)
    return steps or [Step(f"egregora runs lineage {run}", "what it came from, and who read it")]


def _undoing(known: Known) -> Iterator[Step]:
    """How to have the settings of before again."""
    if known.changes is None:
        return
    found = [*known.changes.settings, *(one for begun in known.changes.beginnings for one in begun.settings)]
    keys = {change.key: change for change in found if change.default is not None and change.old is not None}
    if keys and not any("$" in (change.old or "") for change in keys.values()):
        back = [
            f"take {key} out of egregora.toml" if change.old == change.default else f"set {key} = {change.old} there"
            for key, change in keys.items()
        ]
        back[0] = back[0].replace(" there", " in egregora.toml")
        yield Step("egregora write EXPORT", f"to undo it, {', '.join(back)}, then")
