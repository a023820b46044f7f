"""Which runs there are: the newest, what changed since, and everything about one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from egregora.database.journal import host_id, owner_host
from egregora.database.runs_schema import NO_REPLAY, RUNS
from egregora.database.sql import literal, uuid_begins
from egregora.errors import RunLookupError
from egregora.observe.profiles import Measured, measured

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from egregora.database.storage import StorageManager

__all__ = [
    "Children",
    "Details",
    "Recent",
    "Summary",
    "changed_runs",
    "count_runs",
    "describe_run",
    "figures",
    "find_run",
    "is_elsewhere",
    "known_stages",
    "matching_ids",
    "recent_runs",
    "run_prefixes",
    "runs_by_ids",
    "select_runs",
]

Row = dict[str, Any]
"""A row of `runs` by column name: times are naive and UTC, ids are text."""

PREFIX = 8
"""Hex digits of a run id that are shown, unless more are needed to tell it from others."""
MANY = 50_000
"""With more runs than this, beginnings of run ids are two digits longer instead of checked against all of them."""
FEW = 1_000
"""So many rows are fetched by their ids."""
LOG_LINES = 10
"""How many of a run's last log lines are given."""


@dataclass(frozen=True)
class Summary:
    """How many runs there are, of those that a list is about."""

    runs: int
    completed: int
    failed: int
    running: int
    from_checkpoints: int


@dataclass(frozen=True)
class Recent:
    """The newest runs.

    Attributes:
        rows: Newest first.
        prefixes: For each of their ids a beginning, of eight digits or more, that no other run's id has.
        summary: All runs in figures.
    """

    rows: list[Row]
    prefixes: dict[str, str]
    summary: Summary


def recent_runs(storage: StorageManager, *, limit: int, children: bool = False) -> Recent:
    """The newest runs, children of runs only if asked for.

    Raises:
        StorageError: the site's records can't be read.
    """
    wanted = "true" if children else "parent_run_id IS NULL"
    with storage.reading() as con:
        rows = select_runs(con, f"FROM runs WHERE {wanted} ORDER BY started_at DESC LIMIT {limit}")
        return Recent(rows, run_prefixes(con, rows), count_runs(con, wanted))


def changed_runs(
    storage: StorageManager, seen: Mapping[str, Row], *, children: bool = False
) -> tuple[list[Row], dict[str, str]]:
    """Runs that are not among those seen, or have another status by now; oldest first, with their prefixes.

    Looks back to the oldest run that was seen running, and a minute further than the newest seen, since processes don't
    write at the same moment.

    Raises:
        StorageError: the site's records can't be read.
    """
    since = max((row["started_at"] for row in seen.values()), default=_BEGINNING) - timedelta(minutes=1)
    since = min([since, *(row["started_at"] for row in seen.values() if row["status"] == "running")])
    first = min((row["started_at"] for row in seen.values()), default=_BEGINNING)
    wanted = "" if children else "AND parent_run_id IS NULL "
    with storage.reading() as con:
        found = select_runs(con, f"FROM runs WHERE started_at >= {literal(since)} {wanted}ORDER BY started_at")
        rows = [
            row
            for row in found
            if (seen[row["run_id"]]["status"] != row["status"] if row["run_id"] in seen else row["started_at"] >= first)
        ]
        return rows, run_prefixes(con, rows)


_BEGINNING = datetime(1971, 1, 1)  # noqa: DTZ001 - stored times have no zone


def select_runs(con: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    """Rows of `runs`, whole, of a query that begins at its FROM."""
    # First which, then what: sorting whole rows of a million runs takes ten times as long as sorting ids.
    ids = [str(found[0]) for found in con.execute(f"SELECT run_id {sql}").fetchall()]
    if not ids:
        return []
    few = len(ids) <= FEW
    if few:
        sql = f"FROM runs WHERE run_id IN ({', '.join(f'{literal(run_id)}::UUID' for run_id in ids)})"
    found = con.execute(f"SELECT {', '.join(RUNS.names)} {sql}").fetchall()
    of_ids = [RUNS.names.index(column.name) for column in RUNS.columns if column.type == "UUID"]
    rows = {}
    for values in found:
        row = list(values)
        for index in of_ids:
            row[index] = None if row[index] is None else str(row[index])
        rows[row[0]] = dict(zip(RUNS.names, row, strict=True))
    return [rows[run_id] for run_id in ids] if few else list(rows.values())


def count_runs(con: duckdb.DuckDBPyConnection, condition: str) -> Summary:
    """How many runs there are of those for which this holds."""
    kinds = ("completed", "failed", "running")
    each = ", ".join(f"count(*) FILTER (status = '{kind}')" for kind in kinds)
    figures = con.execute(
        f"SELECT count(*), {each}, count(*) FILTER (status = 'completed' AND source = 'checkpoint') "
        f"FROM runs WHERE {condition}"
    ).fetchone()
    assert figures is not None
    return Summary(*figures)


def run_prefixes(con: duckdb.DuckDBPyConnection, rows: list[Row]) -> dict[str, str]:
    """For each row's id the beginning that tells it from every other run's."""
    total = con.execute("SELECT count(*) FROM runs").fetchone()
    if total and total[0] > MANY:
        # Two digits more are enough, with near certainty, and a search through all ids would take longer than the rest.
        return {row["run_id"]: row["run_id"][: PREFIX + 3] for row in rows}
    if not rows:
        return {}
    alike = " OR ".join(sorted({uuid_begins("run_id", row["run_id"][:PREFIX]) for row in rows}))
    ids = _ids(con, f"FROM runs SELECT run_id WHERE {alike}")
    by_start: dict[str, list[str]] = {}
    for run_id in ids:
        by_start.setdefault(run_id[:PREFIX], []).append(run_id)
    return {row["run_id"]: _shortest(row["run_id"], by_start[row["run_id"][:PREFIX]]) for row in rows}


def _shortest(run_id: str, alike: list[str]) -> str:
    length = PREFIX
    while length < len(run_id) and sum(other.startswith(run_id[:length]) for other in alike) > 1:
        length += 1
    return run_id[:length]


def is_elsewhere(row: Row) -> bool:
    """Whether a run is at work on another machine, so that whether it still lives can't be told from here."""
    return bool(row["status"] == "running" and row["owner"] and owner_host(row["owner"]) != host_id())


# -- one run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Children:
    """A run's children in figures, and those of them that failed or still run, oldest first, ten at most."""

    total: int
    completed: int
    failed: int
    running: int
    notable: list[Row]


@dataclass(frozen=True)
class Details:
    """Everything that is known of a run.

    Attributes:
        row: Its row of `runs`.
        parents: The runs whose output it read.
        readers: The runs that read its output, oldest first.
        parent: The run that it is a child of.
        children: Its own children; None if it has none.
        measured: Its result in figures.
        logs: Its last log lines: time, level, message.
        log_count: How many there are in all.
        config: Canonical JSON of the configuration it read.
        modules: What made up its code: hashes by name.
        checkpoint: Its checkpoint's file, seen from the site's folder.
        checkpoint_there: Whether that file is there.
    """

    row: Row
    parents: list[Row]
    readers: list[Row]
    parent: Row | None
    children: Children | None
    measured: Measured
    logs: list[tuple[datetime, str, str]]
    log_count: int
    config: str | None
    modules: dict[str, str] = field(default_factory=dict)
    checkpoint: Path | None = None
    checkpoint_there: bool = False


def describe_run(storage: StorageManager, wanted: str) -> Details:
    """A run and what is around it.

    Args:
        storage: The site's records.
        wanted: See `find_run`.

    Raises:
        RunLookupError: there is no such run, or there are several.
        StorageError: the site's records can't be read.
    """
    from egregora.pipeline.checkpoint import checkpoint_path

    with storage.reading() as con:
        row = find_run(con, wanted)
        run_id = row["run_id"]
        parents = _ids(con, f"FROM lineage SELECT parent_run_id WHERE child_run_id = {literal(run_id)}")
        readers = _ids(con, f"FROM lineage SELECT child_run_id WHERE parent_run_id = {literal(run_id)}")
        logs = con.execute(
            f"FROM run_logs SELECT ts, level, message WHERE run_id = {literal(run_id)} ORDER BY ts"
        ).fetchall()
        config = con.execute(f"FROM configs SELECT config WHERE config_hash = {literal(row['config_hash'])}").fetchone()
        code = con.execute(f"FROM codes SELECT modules WHERE code_hash = {literal(row['code_hash'])}").fetchone()
        path = checkpoint_path(storage, row["stage"], row["input_fingerprint"]) if row["checkpoint_sha256"] else None
        return Details(
            row=row,
            parents=runs_by_ids(con, parents),
            readers=runs_by_ids(con, readers),
            parent=next(iter(runs_by_ids(con, [row["parent_run_id"]])), None),
            children=_children(con, run_id),
            measured=measured(con, row),
            logs=logs[-LOG_LINES:],
            log_count=len(logs),
            config=config[0] if config else None,
            modules=json.loads(code[0]) if code else {},
            checkpoint=path.relative_to(storage.directory.parent) if path else None,
            checkpoint_there=bool(path and path.exists()),
        )


def _ids(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return [str(found[0]) for found in con.execute(sql).fetchall()]


def runs_by_ids(con: duckdb.DuckDBPyConnection, ids: Sequence[str | None]) -> list[Row]:
    """Runs by their ids, oldest first."""
    known = [run_id for run_id in ids if run_id]
    if not known:
        return []
    listed = ", ".join(f"{literal(run_id)}::UUID" for run_id in known)
    return select_runs(con, f"FROM runs WHERE run_id IN ({listed}) ORDER BY started_at")


def _children(con: duckdb.DuckDBPyConnection, run_id: str) -> Children | None:
    mine = f"FROM runs WHERE parent_run_id = {literal(run_id)}"
    groups = dict(con.execute(f"SELECT status, count(*) {mine} GROUP BY status").fetchall())
    if not groups:
        return None
    notable = select_runs(con, f"{mine} AND status <> 'completed' ORDER BY started_at LIMIT 10")
    return Children(
        total=sum(groups.values()),
        completed=groups.get("completed", 0),
        failed=groups.get("failed", 0),
        running=groups.get("running", 0),
        notable=notable,
    )


# -- finding ----------------------------------------------------------------------------------------------------------

_COUNTED_BACK = re.compile(r"(?P<name>.+?)(?:~(?P<back>\d{1,9}))?")


def find_run(con: duckdb.DuckDBPyConnection, wanted: str) -> Row:
    """The run that a word means.

    Args:
        con: A connection from `storage.reading()`.
        wanted: A run id, the beginning of one, `last` (the newest run that is no child), `last-failed`, or the name of
            a stage for the newest run of it; with `~N` behind these, the N-th before that.

    Raises:
        RunLookupError: there is no such run, or there are several.
    """
    word = wanted.strip().lower()
    counted = _COUNTED_BACK.fullmatch(word)
    if counted:
        name, back = counted["name"], int(counted["back"] or 0)
        found = _newest(con, name, back)
        if found:
            return found
        if name in ("last", "last-failed"):
            raise _none_so_far_back(con, name, back)
    digits = word.replace("-", "")
    if re.fullmatch("[0-9a-f]{1,32}", digits):
        rows = select_runs(
            con,
            f"FROM runs WHERE {uuid_begins('run_id', digits)} ORDER BY started_at DESC LIMIT 6",
        )
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise RunLookupError(
                f"several run ids begin with '{wanted}'",
                hint=f"give more of it: {_listed(con, rows[:5])}{', …' if len(rows) > 5 else ''}",
                candidates=tuple(row["run_id"] for row in rows),
            )
    nearest = _nearest(con, word, digits)
    if not nearest:
        raise RunLookupError(f"no run '{wanted}': no runs yet", hint=FIRST_RUN)
    raise RunLookupError(
        f"no run '{wanted}'",
        hint=f"the nearest: {_listed(con, nearest)}; see the newest with: egregora runs tail",
        candidates=tuple(row["run_id"] for row in nearest),
    )


def _newest(con: duckdb.DuckDBPyConnection, name: str, back: int) -> Row | None:
    """The newest run, the newest failed one, or the newest of a stage, counted `back` from there.

    A replay is no run of its stage, nor what anybody looks for who looks for a failure.
    """
    kinds = {"last": "", "last-failed": f"AND status = 'failed' AND {NO_REPLAY}"}
    which = kinds.get(name, f"AND lower(stage) = {literal(name)} AND {NO_REPLAY}")
    rows = select_runs(
        con, f"FROM runs WHERE parent_run_id IS NULL {which} ORDER BY started_at DESC LIMIT 1 OFFSET {back}"
    )
    return rows[0] if rows else None


def _none_so_far_back(con: duckdb.DuckDBPyConnection, name: str, back: int) -> RunLookupError:
    """Why `last` or `last-failed` leads nowhere."""
    failed = "failed " if name == "last-failed" else ""
    if not _any_runs(con):
        return RunLookupError("no runs yet", hint=FIRST_RUN)
    if back == 0:
        return RunLookupError("no run has failed", hint="see all with: egregora runs tail")
    return RunLookupError(f"there are no {back + 1} {failed}runs", hint="see all with: egregora runs tail")


FIRST_RUN = "make the first with: egregora write EXPORT, or try: egregora demo"


def _any_runs(con: duckdb.DuckDBPyConnection) -> bool:
    return con.execute("FROM runs SELECT 1 LIMIT 1").fetchone() is not None


def _nearest(con: duckdb.DuckDBPyConnection, word: str, digits: str) -> list[Row]:
    """Runs that may have been meant: the newest of a stage of a similar name, else those with the most similar ids."""
    rows = select_runs(
        con,
        f"FROM runs WHERE jaro_winkler_similarity(lower(stage), {literal(word)}) > 0.85 "
        "AND parent_run_id IS NULL ORDER BY started_at DESC LIMIT 3",
    )
    if rows:
        return rows
    length = min(len(digits), 32)
    far = f"levenshtein(replace(run_id::VARCHAR, '-', '')[:{length}], {literal(digits[:32])})"
    near = _ids(con, f"FROM runs SELECT run_id ORDER BY {far}, started_at DESC LIMIT 3")
    return runs_by_ids(con, near)


def _listed(con: duckdb.DuckDBPyConnection, rows: list[Row]) -> str:
    prefixes = run_prefixes(con, rows)
    return ", ".join(f"{prefixes[row['run_id']]} ({row['stage']}, {row['status']})" for row in rows)


# -- for completion ---------------------------------------------------------------------------------------------------


def figures(storage: StorageManager, run_id: str) -> dict[str, float]:
    """The figures of a run's result by name; a run that was answered from a checkpoint has none of its own."""
    with storage.reading() as con:
        found = con.execute(f"FROM profiles SELECT name, value WHERE run_id = {literal(run_id)}").fetchall()
    return dict(found)


def matching_ids(storage: StorageManager, beginning: str) -> list[tuple[str, str]]:
    """The newest run ids with this beginning, at most thirty, each with a word about it."""
    digits = beginning.lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{0,32}", digits):
        return []
    with storage.reading() as con:
        begun = uuid_begins("run_id", digits)
        rows = select_runs(con, f"FROM runs WHERE parent_run_id IS NULL AND {begun} ORDER BY started_at DESC LIMIT 30")
        prefixes = run_prefixes(con, rows)
    # A shell drops suggestions that don't begin with what has been typed.
    return [
        (max(prefixes[row["run_id"]], row["run_id"][: len(beginning)], key=len), f"{row['stage']}, {row['status']}")
        for row in rows
    ]


def known_stages(storage: StorageManager) -> list[str]:
    """The names of all stages that have run."""
    with storage.reading() as con:
        return [found[0] for found in con.execute("FROM runs SELECT DISTINCT stage ORDER BY stage").fetchall()]
