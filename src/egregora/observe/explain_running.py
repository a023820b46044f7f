"""A run at work, explained: how far it is, how long still, what it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egregora.amounts import took
from egregora.database.journal import host_id, owner_host
from egregora.observe.explain_words import Said, Step, cost_said, far_said, reason_said, seconds_since, subject
from egregora.observe.runs import Row, is_elsewhere

if TYPE_CHECKING:
    from egregora.observe.evidence import Known

__all__ = [
    "running",
]


def running(known: Known) -> Said:
    """What is told of a run at work."""
    row = known.row
    if is_elsewhere(row):
        said = f"{subject(row)} is running on another machine, or was when last heard of"
        causes = ["whether it still lives can't be told from here: look there"]
    else:
        said = f"{subject(row)} has been running for {took(seconds_since(row['started_at']))}"
        causes = [_how_far(known)]
    if known.parts:
        causes.append(known.parts.said())
        causes += [
            f"at work: {one['label'] or one['run_id'][:8]}, for {took(seconds_since(one['started_at']))}"
            for one in known.parts.at_work
        ]
    if known.logs:
        causes.append(f"it last said: {known.logs[-1][1]}")
    facts = {
        "Reason": reason_said(known),
        "Where": [_machine(row)],
        "Cost": cost_said(known),
    }
    return said, causes, [Step("egregora runs watch", "to follow it")], facts


def _how_far(known: Known) -> str:
    row = known.row
    far = far_said(row)
    passed = seconds_since(row["started_at"])
    left: float | None = None
    done, total = row["progress_done"], row["progress_total"]
    if done and total and done < total:
        left = passed * (total - done) / done
    elif not total and known.figures.usual_seconds:
        left = known.figures.usual_seconds - passed
    if left is None:
        return f"it has done {far}" if far else "how far it is, it hasn't said"
    if left < 0:
        more = f"longer than usual ({took(known.figures.usual_seconds or 0)})"
        return f"it has done {far}, and takes {more}" if far else f"it takes {more}"
    return f"{f'it has done {far}; ' if far else ''}about {took(left)} are left"


def _machine(row: Row) -> str:
    if not row["owner"]:
        return "an unknown process"
    process = row["owner"].split("-")[1] if row["owner"].count("-") == 2 else "unknown"
    where = "on this machine" if owner_host(row["owner"]) == host_id() else "on another machine"
    return f"process {process} {where}"
