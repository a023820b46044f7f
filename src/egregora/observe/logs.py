"""What a run logged, and its children."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from egregora.database.sql import literal
from egregora.observe.runs import Row, find_run, select_runs

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["LEVELS", "LogLine", "Logs", "lines_since", "read_logs"]

LEVELS = ("info", "warning")
"""From the least to the most urgent."""
LATE = timedelta(seconds=10)
"""Lines of several processes may come this much out of order."""


@dataclass(frozen=True)
class LogLine:
    """A line that a run logged.

    Attributes:
        ts: When, UTC.
        level: One of `LEVELS`.
        message: The line, redacted.
        run_id: The run that logged it.
        label: What that run worked on, if it is a child.
    """

    ts: datetime
    level: str
    message: str
    run_id: str
    label: str | None


@dataclass(frozen=True)
class Logs:
    """What a run logged.

    Attributes:
        row: The run, as it is now.
        lines: Oldest first.
        by_children: How many more lines there are that its children logged, if those weren't asked for.
    """

    row: Row
    lines: list[LogLine]
    by_children: int


def read_logs(
    storage: StorageManager,
    wanted: str,
    *,
    children: bool = False,
    level: str = LEVELS[0],
    seen: Collection[LogLine] = (),
) -> Logs:
    """What a run logged, oldest first.

    Args:
        storage: The site's records.
        wanted: See `find_run`.
        children: Whether what its children logged is wanted too.
        level: The least urgent that is wanted.
        seen: Lines that are known already, and not wanted again.

    Raises:
        RunLookupError: there is no such run, or there are several.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        row = find_run(con, wanted)
        run_id = f"{literal(row['run_id'])}::UUID"
        mine = f"run_id = {run_id}"
        # A child's lines can't be older than its parent: whole months of other runs' are passed over.
        theirs = (
            f"run_id IN (FROM runs SELECT run_id WHERE parent_run_id = {run_id} "
            f"AND started_at >= {literal(row['started_at'])}::TIMESTAMP)"
        )
        lines = lines_since(con, f"({mine} OR {theirs})" if children else mine, level=level, seen=seen)
        more = 0 if children else _count(con, theirs, level)
        return Logs(row, lines, more)


def lines_since(
    con: duckdb.DuckDBPyConnection, which: str, *, level: str = LEVELS[0], seen: Collection[LogLine] = (), last: int = 0
) -> list[LogLine]:
    """Log lines, oldest first.

    Args:
        con: A connection from `storage.reading()`.
        which: A condition on `run_logs`.
        level: The least urgent that is wanted.
        seen: Lines that are known already, and not wanted again.
        last: Only so many of the newest; 0 for all.
    """
    condition = f"{which} AND {_urgent(level)}"
    if seen:
        known = set(seen)
        condition += f" AND ts >= {literal(max(line.ts for line in known) - LATE)}::TIMESTAMP"
    order = f"ORDER BY ts DESC LIMIT {last}" if last else "ORDER BY ts"
    found = con.execute(
        f"FROM run_logs SELECT ts, level, message, run_id::VARCHAR WHERE {condition} {order}"
    ).fetchall()
    ids = ", ".join(f"{literal(run_id)}::UUID" for run_id in {line[3] for line in found})
    labels = (
        {row["run_id"]: row["label"] for row in select_runs(con, f"FROM runs WHERE run_id IN ({ids})")} if ids else {}
    )
    lines = [
        LogLine(ts, level, message, run_id, labels.get(run_id))
        for ts, level, message, run_id in (found[::-1] if last else found)
    ]
    return [line for line in lines if line not in known] if seen else lines


def _count(con: duckdb.DuckDBPyConnection, which: str, level: str) -> int:
    found = con.execute(f"FROM run_logs SELECT count(*) WHERE {which} AND {_urgent(level)}").fetchone()
    assert found is not None
    return int(found[0])


def _urgent(level: str) -> str:
    return "true" if level == LEVELS[0] else f"level IN ({', '.join(map(literal, LEVELS[LEVELS.index(level) :]))})"
