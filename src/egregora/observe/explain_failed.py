"""A run that failed or was interrupted, explained: the first cause, what changed, what is kept, what to type."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from egregora import errors
from egregora.amounts import took
from egregora.database.runs_schema import LAYOUT
from egregora.errors import commands_in
from egregora.observe.explain_words import Said, Step, ago, cost_said, far_said, last_words, subject
from egregora.observe.runs import Row
from egregora.observe.telling import NOUNS, number, value_said, why_changed

if TYPE_CHECKING:
    from egregora.observe.evidence import Known

__all__ = [
    "failed",
]


def failed(known: Known) -> Said:
    """What is told of a run that failed or was interrupted."""
    row = known.row
    interrupted = row["error_type"] == "interrupted"
    after = "" if row["duration_seconds"] is None else f" after {took(row['duration_seconds'])}"
    if interrupted:
        lasted = _between(row["started_at"], row["finished_at"])
        after = after or (f" after {took(lasted)}" if lasted is not None else "")
    said = f"{subject(row)} was interrupted{after}" if interrupted else f"{subject(row)} failed{after}"
    causes = _interruption(known) if interrupted else _error(known)
    facts = {
        "Changed": _since_last_good(known),
        "Given": _given(row),
        "Cost": cost_said(known),
        "Kept": _kept(known),
        "Log": last_words(known),
    }
    steps = _after_failure(known, interrupted)
    if known.newer:
        facts["Since then"] = [f"{row['stage']} has completed again: run {known.named(known.newer)}"]
    return said, causes, steps, facts


def _interruption(known: Known) -> list[str]:
    row = known.row
    if row["error"] == "interrupted from the keyboard":
        causes = ["it was stopped from the keyboard (Ctrl-C), or asked to end"]
    else:
        causes = ["its process ended in the middle of the work: killed, out of memory, or the machine went down"]
    far = far_said(row)
    if known.parts:
        causes.append(f"it had done {known.parts.said()}")
    elif far:
        causes.append(f"it had done {far}")
    return causes


def _between(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, (end - start).total_seconds())


@dataclass(frozen=True)
class _Link:
    """One exception of a chain, as it stands in a traceback column."""

    kind: str
    message: str
    frames: tuple[tuple[str, str], ...]


_FRAME = re.compile(r"(\S.*:\d+) in (\S+)")


def _links(text: str | None) -> list[_Link]:
    """The chain of exceptions, the first cause first."""
    links: list[_Link] = []
    frames: list[tuple[str, str]] = []
    for line in (text or "").split("\n"):
        frame = _FRAME.fullmatch(line)
        if frame:
            frames.append((frame[1], frame[2]))
            continue
        kind, colon, message = line.partition(": ")
        if frames or not links:
            if colon and re.fullmatch(r"[\w.<>]+", kind):
                links.append(_Link(kind, message, tuple(frames)))
                frames = []
        elif colon and re.fullmatch(r"[A-Z]\w+(Error|Exception|Warning|Interrupt|Exit)", kind):
            # An exception that was never raised has no frames.
            links.append(_Link(kind, message, ()))
    return links


_PLAIN_WORDS = {
    "KeyError": "there is no key {}",
    "FileNotFoundError": "a file is not there: {}",
    "ModuleNotFoundError": "a package is missing: {}",
    "PermissionError": "no permission: {}",
    "MemoryError": "it ran out of memory {}",
    "OutOfMemoryException": "it ran out of memory: {}",
    "RecursionError": "it calls itself without end: {}",
    "ConnectionError": "no connection: {}",
    "TimeoutError": "it waited too long {}",
}


def _is_plain(kind: str) -> bool:
    """Whether an exception of this class is one of Egregora's own, which are told as they are."""
    return isinstance(getattr(errors, kind, None), type)


def _in_words(kind: str, message: str) -> str:
    """An exception in plain words; Egregora's own are that already."""
    message = message.strip().split("\n")[0]
    if _is_plain(kind):
        return message
    if message.startswith(f"{kind}; "):
        return message
    plain = _PLAIN_WORDS.get(kind, "{}").format(message).strip().rstrip(":").strip()
    return f"{plain} ({kind})" if plain else kind


def _error(known: Known) -> list[str]:
    """The first cause of the failure, and what came of it."""
    row = known.row
    child = known.parts.first_failed if known.parts else None
    links = _links((child or row)["traceback"])
    last = _in_words(row["error_type"] or "", row["error"] or "")
    # What somebody has put into plain words says more than what was raised below it.
    cause = next((link for link in links if _is_plain(link.kind)), links[0] if links else None)
    first = _in_words(cause.kind, cause.message) if cause else last
    at = f"{child['label']}: " if child and child["label"] else ""
    place = _place(cause, known.modules) if cause else ""
    causes = [f"{at}{first}{f', at {place}' if place else ''}"]
    if last and last not in first and first not in last:
        causes.append(f"so it gave up: {last}")
    if known.parts and known.parts.completed < (known.parts.planned or known.parts.total):
        causes.append(known.parts.said())
    return causes


def _place(link: _Link, modules: frozenset[str]) -> str:
    """The file and line of the stage's own code in which something was raised; empty for Egregora's own errors."""
    if _is_plain(link.kind):
        return ""
    own = [frame for frame in link.frames if PurePath(frame[0].rpartition(":")[0]).stem in modules]
    chosen = own[-1] if own else link.frames[-1] if link.frames else None
    return f"{chosen[0]} in {chosen[1]}" if chosen else ""


def _since_last_good(known: Known) -> list[str]:
    if known.row["stage"] == LAYOUT:
        return []
    if known.since is None or known.changes is None:
        return [f"no run of {known.row['stage']} has completed before"]
    good = f"since the last good run ({known.named(known.since)}, {ago(known.since['started_at'])} old)"
    said = why_changed(known.changes, known.prefixes)
    if not said:
        return [f"nothing {good}: the same input, settings and code"]
    return [f"{good}:", *said]


def _given(row: Row) -> list[str]:
    """Settings that are in no file, and which a retry takes again."""
    return [
        f"{name} = {value_said(json.dumps(one['given']))}, on the command line: a retry takes it again, unless it is "
        "changed in egregora.toml"
        for name, one in json.loads(row["given"] or "{}").items()
    ]


def _kept(known: Known) -> list[str]:
    done = [one["stage"] for one in known.siblings if one["status"] == "completed"]
    lines = []
    if done:
        lines.append(f"the results of {', '.join(done)}: they are taken as they are the next time")
    if known.parts and known.parts.kept:
        lines.append(f"{number(known.parts.kept, 'part')} of this stage, which won't run again")
    return lines


def _is_ours(row: Row) -> bool:
    return row["stage"] in NOUNS


def _after_failure(known: Known, interrupted: bool) -> list[Step]:
    row = known.row
    run = known.named(row)
    hint = row["hint"] or ""
    again = Step(f"egregora runs retry {run}") if _is_ours(row) and not row["parent_run_id"] else None
    if row["stage"] == LAYOUT:
        again = Step("egregora write EXPORT")
    if interrupted:
        return [replace(again, why="to go on from there")] if again else [_own_program(row, run, interrupted)]
    told = commands_in(hint)
    if told:
        steps = [Step(told[0], hint)]
    elif row["stage"] == "parse" and row["error_type"] == "ExportError":
        steps = [Step("egregora write EXPORT", f"{hint or 'mend the export'}, then")]
    elif again and hint:
        steps = [replace(again, why=f"{hint}, then")]
    else:
        steps = [again] if again else [_own_program(row, run)]
    if told and again and told[0] != again.command:
        steps.append(replace(again, why="then"))
    return steps


def _own_program(row: Row, run: str, interrupted: bool = False) -> Step:
    if interrupted:
        # There is no error to mend.
        return Step(f"egregora runs show {run}", "all that is on record; run your program again, what is done is kept")
    hint = f"{row['hint']}; " if row["hint"] else ""
    return Step(
        f"egregora runs show {run}",
        f"{hint}the whole error; once it is mended run your program again, what is done is kept",
    )
