"""Why a run is as it is: what happened, why, its cost, what is kept, what to type next. From recorded facts only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from egregora import errors
from egregora.amounts import dollars, span, took
from egregora.database.journal import host_id, owner_host
from egregora.database.runs_schema import LAYOUT, NO_REPLAY
from egregora.database.sql import literal
from egregora.errors import RunLookupError
from egregora.observe.changes import Changes, changes_between, completed_before, with_rows
from egregora.observe.runs import Row, find_run, is_elsewhere, run_prefixes, runs_by_ids, select_runs
from egregora.observe.telling import NOUNS, noun_of, number, rows_said, value_said, why_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Explanation", "Figures", "Parts", "Step", "commands_in", "explain"]


@dataclass(frozen=True)
class Step:
    """What to do next.

    Attributes:
        command: What to type, without `--site`; empty where it takes a hand.
        why: What for, or what has to be done before.
    """

    command: str
    why: str = ""


@dataclass(frozen=True)
class Figures:
    """What a run took, against earlier executed runs of its stage.

    Attributes:
        seconds, rows_in, cost_usd: Of the run.
        earlier: How many earlier runs it is compared with.
        usual_seconds, usual_rows_in, usual_cost_usd: Their medians; None where there are none.
    """

    seconds: float | None
    rows_in: int | None
    cost_usd: float | None
    earlier: int = 0
    usual_seconds: float | None = None
    usual_rows_in: float | None = None
    usual_cost_usd: float | None = None


@dataclass(frozen=True)
class Parts:
    """A run's children.

    Attributes:
        total: How many have begun.
        completed, failed, running: How many of them.
        kept: How many have a result of their own, which is taken again.
        planned: How many there were to be; None where that isn't known.
        unit: What they are, e.g. `windows`.
        first_failed: The first that failed.
        at_work: Those that run, three at most.
        slowest, dearest: The three that took longest, and cost most.
    """

    total: int
    completed: int
    failed: int
    running: int
    kept: int
    planned: int | None
    unit: str
    first_failed: Row | None
    at_work: list[Row]
    slowest: list[Row]
    dearest: list[Row]

    def said(self) -> str:
        """`56 of 60 windows, 1 failed, 3 not started`."""
        of = self.planned if self.planned is not None else self.total
        waiting = of - self.total
        tail = [
            f"{count:,} {what}"
            for count, what in ((self.failed, "failed"), (self.running, "at work"), (waiting, "not started"))
            if count > 0
        ]
        return ", ".join([f"{self.completed:,} of {of:,} {self.unit}", *tail])


@dataclass(frozen=True)
class Explanation:
    """A run, explained.

    Attributes:
        row: Its row of `runs`.
        said: What happened, in a sentence without its end.
        causes: Why, the most important first; never empty.
        next: What to do now; the first is what to type. Never empty.
        facts: What else there is to say, by heading.
        since: The run that it is compared with: the newest completed one of the stage before it.
        changes: What differs from that.
        figures: What it took, against what is usual.
        parts: Its children; None if it has none.
        prefixes: Beginnings of the ids of the runs that are mentioned.
    """

    row: Row
    said: str
    causes: tuple[str, ...]
    next: tuple[Step, ...]
    facts: dict[str, tuple[str, ...]]
    since: Row | None
    changes: Changes | None
    figures: Figures
    parts: Parts | None
    prefixes: dict[str, str] = field(default_factory=dict)


def explain(storage: StorageManager, wanted: str) -> Explanation:
    """Explain a run.

    Args:
        storage: The site's records.
        wanted: See `find_run`; or a checkpoint's file, for the run that made it.

    Raises:
        RunLookupError: there is no such run, or there are several.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        known = _Known.of(con, _wanted_run(con, wanted))
    if known.changes is not None and known.row["status"] != "running":
        known = replace(known, changes=with_rows(storage, known.changes))
    return _told(known)


# -- what is known ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """All that the records tell of a run, read at once."""

    row: Row
    since: Row | None
    changes: Changes | None
    figures: Figures
    parts: Parts | None
    logs: list[tuple[str, str]]
    calls: list[tuple[str, int, int, float | None, int]]
    call_errors: list[tuple[str, int]]
    siblings: list[Row]
    inputs: list[Row]
    maker: Row | None
    modules: frozenset[str]
    telling: list[tuple[str, str, float, float]]
    newer: Row | None
    prefixes: dict[str, str]

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection, row: Row) -> _Known:
        since = completed_before(con, row)
        changes = changes_between(con, since, row) if since else None
        inputs = _inputs(con, row)
        maker = _maker(con, row)
        siblings = _siblings(con, row)
        parts = _parts(con, row)
        newer = _newer(con, row)
        mentioned = [row, since, maker, newer, *inputs, *siblings]
        mentioned += [parts.first_failed, *parts.at_work, *parts.slowest, *parts.dearest] if parts else []
        if changes:
            mentioned += [run for begun in changes.beginnings for run in (begun.old, begun.new)]
        unique = {run["run_id"]: run for run in mentioned if run}
        code = con.execute(f"FROM codes SELECT modules WHERE code_hash = {literal(row['code_hash'])}").fetchone()
        return cls(
            row=row,
            since=since,
            changes=changes,
            figures=_figures(con, row),
            parts=parts,
            logs=con.execute(
                f"FROM run_logs SELECT level, message WHERE run_id = {literal(row['run_id'])} ORDER BY ts"
            ).fetchall(),
            calls=_calls(con, row),
            call_errors=_call_errors(con, row),
            siblings=siblings,
            inputs=inputs,
            maker=maker,
            modules=frozenset(
                name.partition(" ")[2].rpartition(".")[2] or name
                for name in (json.loads(code[0]) if code else {})
                if name.startswith("module ")
            ),
            telling=_telling(con, changes) if changes else [],
            newer=newer,
            prefixes=run_prefixes(con, list(unique.values())),
        )

    def named(self, run: Row) -> str:
        """A run's id as it can be typed."""
        return self.prefixes[run["run_id"]]


_CHECKPOINT_NAME = re.compile(r"([0-9a-f]{64})\.(?:parquet|blobs\.json)")


def _wanted_run(con: duckdb.DuckDBPyConnection, wanted: str) -> Row:
    """The run that a word means; of a checkpoint's file the one that made it."""
    path = PurePath(wanted.strip())
    found = _CHECKPOINT_NAME.match(path.name)
    if found is None:
        return find_run(con, wanted)
    rows: list[Row] = select_runs(
        con,
        f"FROM runs WHERE input_fingerprint = {literal('sha256:' + found[1])} AND checkpoint_sha256 IS NOT NULL "
        "ORDER BY source = 'executed' DESC, started_at DESC LIMIT 1",
    )
    if not rows:
        raise RunLookupError(
            "no run on record made this checkpoint", hint="see what is kept, and by which run: egregora cache ls"
        )
    return rows[0]


def _inputs(con: duckdb.DuckDBPyConnection, row: Row) -> list[Row]:
    found = con.execute(f"FROM lineage SELECT parent_run_id WHERE child_run_id = {literal(row['run_id'])}").fetchall()
    return runs_by_ids(con, [str(one[0]) for one in found])


def _maker(con: duckdb.DuckDBPyConnection, row: Row) -> Row | None:
    """The run that made the result which a hit took."""
    if row["source"] != "checkpoint":
        return None
    rows = select_runs(
        con,
        f"FROM runs WHERE stage = {literal(row['stage'])} AND status = 'completed' AND source = 'executed' "
        f"AND input_fingerprint = {literal(row['input_fingerprint'])} AND output_hash = {literal(row['output_hash'])} "
        f"AND started_at <= {literal(row['started_at'])} ORDER BY started_at DESC LIMIT 1",
    )
    return rows[0] if rows else None


def _newer(con: duckdb.DuckDBPyConnection, row: Row) -> Row | None:
    """A newer completed run of the same stage, of a run that failed."""
    if row["status"] != "failed" or row["parent_run_id"]:
        return None
    rows = select_runs(
        con,
        f"FROM runs WHERE stage = {literal(row['stage'])} AND status = 'completed' AND parent_run_id IS NULL "
        f"AND {NO_REPLAY} AND started_at > {literal(row['started_at'])} ORDER BY started_at LIMIT 1",
    )
    return rows[0] if rows else None


def _siblings(con: duckdb.DuckDBPyConnection, row: Row) -> list[Row]:
    """The runs of the same invocation that are no children, oldest first, without the run itself."""
    if row["invocation_id"] is None:
        return []
    rows = select_runs(
        con,
        f"FROM runs WHERE invocation_id = {literal(row['invocation_id'])} AND parent_run_id IS NULL "
        "ORDER BY started_at LIMIT 100",
    )
    return [one for one in rows if one["run_id"] != row["run_id"]]


def _parts(con: duckdb.DuckDBPyConnection, row: Row) -> Parts | None:
    mine = f"FROM runs WHERE parent_run_id = {literal(row['run_id'])}"
    counted = con.execute(
        "SELECT count(*), count_if(status = 'completed'), count_if(status = 'failed'), count_if(status = 'running'), "
        f"count_if(status = 'completed' AND checkpoint_sha256 IS NOT NULL) {mine}"
    ).fetchone()
    if counted is None or not counted[0]:
        return None
    total, completed, failed, running, kept = counted
    planned = row["progress_total"] if row["progress_total"] and row["progress_total"] >= total else None
    first = select_runs(con, f"{mine} AND status = 'failed' ORDER BY finished_at LIMIT 1")
    return Parts(
        total=total,
        completed=completed,
        failed=failed,
        running=running,
        kept=kept,
        planned=planned,
        unit=row["progress_unit"] if planned is not None and row["progress_unit"] else "parts",
        first_failed=first[0] if first else None,
        at_work=select_runs(con, f"{mine} AND status = 'running' ORDER BY started_at LIMIT 3"),
        slowest=select_runs(con, f"{mine} AND duration_seconds > 0 ORDER BY duration_seconds DESC, run_id LIMIT 3"),
        dearest=select_runs(con, f"{mine} AND cost_usd > 0 ORDER BY cost_usd DESC, run_id LIMIT 3"),
    )


COMPARED_WITH = 20
"""With how many earlier runs of its stage a run's time and cost are compared."""


def _figures(con: duckdb.DuckDBPyConnection, row: Row) -> Figures:
    child = "parent_run_id IS NULL" if row["parent_run_id"] is None else "parent_run_id IS NOT NULL"
    found = con.execute(
        "SELECT count(*), median(duration_seconds), median(rows_in), median(cost_usd) FROM ("
        f"FROM runs WHERE stage = {literal(row['stage'])} AND {child} AND status = 'completed' "
        f"AND source = 'executed' AND tenant_id IS NOT DISTINCT FROM {literal(row['tenant_id'])} "
        f"AND started_at < {literal(row['started_at'])} ORDER BY started_at DESC LIMIT {COMPARED_WITH})"
    ).fetchone()
    assert found is not None
    return Figures(row["duration_seconds"], row["rows_in"], row["cost_usd"], *found)


def _own_calls(row: Row) -> str:
    """The calls of a run and of its children."""
    run = literal(row["run_id"])
    return f"FROM llm_calls WHERE run_id = {run} OR run_id IN (SELECT run_id FROM runs WHERE parent_run_id = {run})"


def _calls(con: duckdb.DuckDBPyConnection, row: Row) -> list[tuple[str, int, int, float | None, int]]:
    """Model, attempts, tokens, cost and failed attempts."""
    if not row["llm_calls"] and row["status"] != "running":
        return []
    return con.execute(
        "SELECT model, count(*), coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0)::BIGINT, "
        f"CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END, count(error) {_own_calls(row)} "
        "GROUP BY model ORDER BY count(*) DESC, model"
    ).fetchall()


def _call_errors(con: duckdb.DuckDBPyConnection, row: Row) -> list[tuple[str, int]]:
    if not row["llm_calls"]:
        return []
    return con.execute(
        f"SELECT error, count(*) FROM ({_own_calls(row)}) WHERE error IS NOT NULL "
        "GROUP BY error ORDER BY count(*) DESC, error LIMIT 3"
    ).fetchall()


def _telling(con: duckdb.DuckDBPyConnection, changes: Changes) -> list[tuple[str, str, float, float]]:
    """Figures of the runs upstream that came up from nothing, fell to nothing, or are always told if they change:
    stage, name, old and new value.

    A hit shares the figures of the run that made the result.
    """
    from egregora.pipeline.profile import figure_of

    found = []
    for old, new in changes.path:
        before, after = _profile(con, old), _profile(con, new)
        for name in sorted({*before, *after}) if before and after else ():
            was, now = before.get(name, 0.0), after.get(name, 0.0)
            if was != now and "." not in name and (figure_of(name).told or not was or not now):
                found.append((new["stage"], name, was, now))
    # Of four at most, those first that are always told.
    return sorted(found, key=lambda one: not figure_of(one[1]).told)[:4]


def _profile(con: duckdb.DuckDBPyConnection, row: Row) -> dict[str, float]:
    return dict(
        con.execute(
            "FROM profiles SELECT name, value WHERE run_id = (FROM runs SELECT run_id WHERE "
            f"stage = {literal(row['stage'])} AND input_fingerprint = {literal(row['input_fingerprint'])} "
            "AND status = 'completed' AND source = 'executed' ORDER BY started_at DESC LIMIT 1)"
        ).fetchall()
    )


# -- in words ---------------------------------------------------------------------------------------------------------


def _told(known: _Known) -> Explanation:
    row = known.row
    if row["status"] == "running":
        said, causes, steps, facts = _running(known)
    elif row["status"] == "failed":
        said, causes, steps, facts = _failed(known)
    elif row["source"] == "checkpoint":
        said, causes, steps, facts = _taken(known)
    else:
        said, causes, steps, facts = _completed(known)
    facts["Clock"] = _clock(row["started_at"])
    return Explanation(
        row=row,
        said=said,
        causes=tuple(causes),
        next=tuple(steps),
        facts={heading: tuple(lines) for heading, lines in facts.items() if lines},
        since=known.since,
        changes=known.changes,
        figures=known.figures,
        parts=known.parts,
        prefixes=known.prefixes,
    )


def _clock(started: datetime) -> list[str]:
    """What it means that a run is still to start."""
    ahead = (started - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    if ahead < 60:
        return []
    return [
        f"it starts in {span(ahead)}, so the clock has been turned back since; what is called last goes by these times"
    ]


_Said = tuple[str, list[str], list[Step], dict[str, list[str]]]


def _subject(row: Row) -> str:
    """What the run is, at the beginning of a sentence."""
    return f"{row['stage']}, {row['label']}," if row["label"] else str(row["stage"])


def _failed(known: _Known) -> _Said:
    row = known.row
    interrupted = row["error_type"] == "interrupted"
    after = "" if row["duration_seconds"] is None else f" after {took(row['duration_seconds'])}"
    if interrupted:
        lasted = _between(row["started_at"], row["finished_at"])
        after = after or (f" after {took(lasted)}" if lasted is not None else "")
    said = f"{_subject(row)} was interrupted{after}" if interrupted else f"{_subject(row)} failed{after}"
    causes = _interruption(known) if interrupted else _error(known)
    facts = {
        "Changed": _since_last_good(known),
        "Given": _given(row),
        "Cost": _cost(known),
        "Kept": _kept(known),
        "Log": _last_words(known),
    }
    steps = _after_failure(known, interrupted)
    if known.newer:
        facts["Since then"] = [f"{row['stage']} has completed again: run {known.named(known.newer)}"]
    return said, causes, steps, facts


def _interruption(known: _Known) -> list[str]:
    row = known.row
    if row["error"] == "interrupted from the keyboard":
        causes = ["it was stopped from the keyboard (Ctrl-C), or asked to end"]
    else:
        causes = ["its process ended in the middle of the work: killed, out of memory, or the machine went down"]
    far = _far(row)
    if known.parts:
        causes.append(f"it had done {known.parts.said()}")
    elif far:
        causes.append(f"it had done {far}")
    return causes


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


def _error(known: _Known) -> list[str]:
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


def _since_last_good(known: _Known) -> list[str]:
    if known.row["stage"] == LAYOUT:
        return []
    if known.since is None or known.changes is None:
        return [f"no run of {known.row['stage']} has completed before"]
    good = f"since the last good run ({known.named(known.since)}, {_ago(known.since['started_at'])} old)"
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


def _cost(known: _Known) -> list[str]:
    row = known.row
    said = []
    if row["duration_seconds"] is not None:
        said.append(took(row["duration_seconds"]))
    if row["llm_calls"]:
        cost = "cost unknown" if row["cost_usd"] is None else dollars(row["cost_usd"])
        said.append(f"{number(row['llm_calls'], 'model call')}, {number(row['tokens'] or 0, 'token')}, {cost}")
    lines = ["; ".join(said)] if said else []
    return lines + _calls_said(known)


def _calls_said(known: _Known) -> list[str]:
    lines = []
    for model, calls, tokens, cost, failed in known.calls:
        bad = f", {failed:,} of them failed" if failed else ""
        price = "price unknown" if cost is None else dollars(cost)
        lines.append(f"{model}: {number(calls, 'call')}{bad}, {number(tokens, 'token')}, {price}")
    lines += [f"{count:,} × {error}" for error, count in known.call_errors]
    return lines


def _kept(known: _Known) -> list[str]:
    done = [one["stage"] for one in known.siblings if one["status"] == "completed"]
    lines = []
    if done:
        lines.append(f"the results of {', '.join(done)}: they are taken as they are the next time")
    if known.parts and known.parts.kept:
        lines.append(f"{number(known.parts.kept, 'part')} of this stage, which won't run again")
    return lines


def _last_words(known: _Known) -> list[str]:
    return [f"{level}: {message}" if level != "info" else message for level, message in known.logs[-3:]]


_COMMAND = re.compile(r"egregora(?: (?:'[^']*'|[A-Za-z0-9_./=~\-]+))+")


def commands_in(text: str) -> list[str]:
    """The commands that a hint tells to type."""
    return [found.rstrip(".") for found in _COMMAND.findall(text)]


def _is_ours(row: Row) -> bool:
    return row["stage"] in NOUNS


def _after_failure(known: _Known, interrupted: bool) -> list[Step]:
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


def _running(known: _Known) -> _Said:
    row = known.row
    if is_elsewhere(row):
        said = f"{_subject(row)} is running on another machine, or was when last heard of"
        causes = ["whether it still lives can't be told from here: look there"]
    else:
        said = f"{_subject(row)} has been running for {took(_since(row['started_at']))}"
        causes = [_how_far(known)]
    if known.parts:
        causes.append(known.parts.said())
        causes += [
            f"at work: {one['label'] or one['run_id'][:8]}, for {took(_since(one['started_at']))}"
            for one in known.parts.at_work
        ]
    if known.logs:
        causes.append(f"it last said: {known.logs[-1][1]}")
    facts = {
        "Reason": _reason(known),
        "Where": [_machine(row)],
        "Cost": _cost(known),
    }
    return said, causes, [Step("egregora runs watch", "to follow it")], facts


def _how_far(known: _Known) -> str:
    row = known.row
    far = _far(row)
    passed = _since(row["started_at"])
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


def _far(row: Row) -> str:
    if row["progress_done"] is None:
        return ""
    of = f" of {row['progress_total']:,}" if row["progress_total"] is not None else ""
    return f"{row['progress_done']:,}{of} {row['progress_unit'] or ''}".rstrip()


def _taken(known: _Known) -> _Said:
    row = known.row
    said = f"{_subject(row)} was taken from its checkpoint"
    maker = known.maker
    if maker is None:
        causes = ["nothing that goes into it had changed; the run that made it is no longer on record"]
        return said, causes, [Step(f"egregora runs lineage {known.named(row)}", "to see what it came from")], {}
    named = known.named(maker)
    made = f"run {named} made it ({_ago(maker['started_at'])} ago)"
    causes = [f"its input, settings and code are the same as when {made}"]
    saved = [f"{took(maker['duration_seconds'])}"] if maker["duration_seconds"] is not None else []
    if maker["cost_usd"]:
        saved.append(dollars(maker["cost_usd"]))
    if saved:
        causes.append(f"that saved {' and '.join(saved)}")
    causes += [f"looks wrong: {text}" for text in _marks(row)]
    facts = {"Made from": _came_from(known)}
    return said, causes, [Step(f"egregora runs explain {named}", "why it was made")], facts


def _came_from(known: _Known) -> list[str]:
    if not known.inputs:
        return ["an export" if known.row["stage"] == "parse" else "a table or file from outside"]
    return [
        f"{one['stage']}, {number(one['rows_out'] or 0, noun_of(one['stage']))} (run {known.named(one)})"
        for one in known.inputs
    ]


def _completed(known: _Known) -> _Said:
    row = known.row
    within = "" if row["duration_seconds"] is None else f" in {took(row['duration_seconds'])}"
    said = f"{_subject(row)} completed{within}"
    marks = _marks(row)
    causes = [f"looks wrong: {text}" for text in marks]
    parts = [_out_of_line(known), [f"warning: {message}" for level, message in known.logs if level == "warning"]]
    # That a result was damaged or gone matters more than how long it took to make it again.
    damaged = (row["reason"] or "").startswith("checkpoint")
    for part in [_reason(known), *parts] if damaged else [*parts, _reason(known)]:
        causes += part
    facts = {
        "Result": _result(known),
        "Time": _time(known),
        "Cost": _cost(known)[1:] if known.calls else [],
        "Made from": _came_from(known),
        "Log": _last_words(known),
    }
    return said, causes, _after_completion(known), facts


def _marks(row: Row) -> list[str]:
    """What is out of line with this run, as it was marked when it ended, and since which run."""
    return [
        mark["text"] + (f" (since run {mark['since'][:8]})" if mark["since"] not in ("", row["run_id"]) else "")
        for mark in json.loads(row["marks"] or "[]")
    ]


SLOWER = 2.5
"""A run is told to be slow if it took so many times what is usual, and at least half a second more."""
DEARER = 2.0


def _out_of_line(known: _Known) -> list[str]:
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
            f"{_runs_before(now.earlier)}){_for_rows(now, times)}"
        )
        if known.parts and known.parts.slowest and known.parts.total > 1:
            slow = known.parts.slowest[0]
            said.append(f"its slowest part: {slow['label'] or slow['run_id'][:8]}, {took(slow['duration_seconds'])}")
    dear = now.usual_cost_usd
    if "cost" not in marked and dear and now.cost_usd is not None and now.cost_usd >= DEARER * dear:
        said.append(
            f"it cost {dollars(now.cost_usd)}, {_times(now.cost_usd / dear)} as much as usual ({dollars(dear)} in "
            f"{_runs_before(now.earlier)}){_for_rows(now, now.cost_usd / dear)}"
        )
    return said


def _times(factor: float) -> str:
    return f"{factor:.1f} times" if factor < 9.95 else f"{factor:,.0f} times"


def _runs_before(count: int) -> str:
    return f"the {count} runs before" if count > 1 else "the run before"


def _for_rows(now: Figures, factor: float) -> str:
    """Whether there was more to do."""
    if not now.rows_in or not now.usual_rows_in:
        return ""
    rows = now.rows_in / now.usual_rows_in
    if rows >= factor / 2:
        return f", for {_times(rows)} as many rows"
    return ", for about as many rows" if 0.8 <= rows <= 1.25 else ""


def _reason(known: _Known) -> list[str]:
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


def _upstream(known: _Known) -> list[str]:
    """Figures upstream that came up from nothing, or fell to nothing."""
    from egregora.pipeline.profile import figure_of, figure_text

    return [
        f"{stage}: {figure_of(name).meaning}: {figure_text(figure_of(name), old)} → {figure_text(figure_of(name), new)}"
        for stage, name, old, new in known.telling
    ]


def _result(known: _Known) -> list[str]:
    row = known.row
    noun = noun_of(row["stage"])
    made = number(row["rows_out"] or 0, noun)
    if known.changes is None or known.changes.result is None or known.since is None:
        return [made]
    before = f"against run {known.named(known.since)}"
    if known.changes.result.same:
        return [f"{made}, the same as {before.replace('against', 'in')}"]
    return [f"{made}; {before}: {rows_said(known.changes.result, noun)}"]


def _time(known: _Known) -> list[str]:
    now = known.figures
    lines = []
    if now.usual_seconds is not None and now.seconds is not None:
        lines.append(f"{took(now.seconds)}; usual is {took(now.usual_seconds)} ({_runs_before(now.earlier)})")
    if known.parts and known.parts.total > 1:
        slow = [f"{one['label'] or one['run_id'][:8]} {took(one['duration_seconds'])}" for one in known.parts.slowest]
        lines.append(f"{number(known.parts.total, 'part')}; the slowest: {', '.join(slow)}")
    if known.parts and known.parts.dearest:
        dear = [f"{one['label'] or one['run_id'][:8]} {dollars(one['cost_usd'])}" for one in known.parts.dearest]
        lines.append(f"the dearest: {', '.join(dear)}")
    return lines


def _after_completion(known: _Known) -> list[Step]:
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


def _undoing(known: _Known) -> Iterator[Step]:
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


# -- figures in words -------------------------------------------------------------------------------------------------


def _since(stored: datetime) -> float:
    return max(0.0, (datetime.now(UTC).replace(tzinfo=None) - stored).total_seconds())


def _ago(stored: datetime) -> str:
    return span(_since(stored))


def _between(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, (end - start).total_seconds())
