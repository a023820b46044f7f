"""Which runs can be removed from the record, what goes with them, and who still needs the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from egregora.database.sql import literal
from egregora.errors import RunLookupError
from egregora.observe.checkpoints import NEEDED, NEWEST, Leftover, delete, is_at_work, with_what_they_list
from egregora.observe.report import REPORTS
from egregora.observe.runs import Row, find_run, select_runs

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Going", "Removal", "Staying", "plan_gc_of_runs", "plan_removal", "remove"]


@dataclass(frozen=True)
class Going:
    """Runs of one stage that go: how many, with how many children, and when the oldest and the newest started."""

    stage: str
    runs: int
    children: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True)
class Staying:
    """Runs that were to go and stay, and why.

    Attributes:
        why: The reason, in words that go for one of them.
        runs: How many stay for such a reason.
        run_id, stage: That one: the newest of them.
        because_of: The run that needs it; None where nobody in particular does.
    """

    why: str
    runs: int
    run_id: str
    stage: str
    because_of: str | None


@dataclass(frozen=True)
class Removal:
    """What a removal takes away, and what it leaves.

    Attributes:
        newest: The newest runs that go and are no children, ten at most.
        going: All that go, by stage.
        logs, calls: How many log lines and model calls go with them.
        staying: Runs that were to go and can't.
        files: Checkpoints that no other run describes, with the files that only they list.
        waiting: Why files are left alone for now; empty if they aren't.
        which: The condition that says which runs are meant, to ask again before they go.
    """

    newest: list[Row]
    going: list[Going]
    logs: int
    calls: int
    staying: list[Staying]
    files: list[Leftover]
    waiting: str
    which: str

    @property
    def runs(self) -> int:
        """How many runs go, without their children."""
        return sum(one.runs for one in self.going)

    @property
    def children(self) -> int:
        """How many children go with them."""
        return sum(one.children for one in self.going)


_WHY = {
    "at work": "a run of its invocation is at work",
    "in use": "it is the newest completed run of its stage, so its checkpoint is in use",
    "parts": "what it has made of its parts is kept for the next run",
    "read": "run {needer}, which stays, was made from its result",
    "taken": "run {needer}, which stays, took its result from it",
}
"""Why a run stays, from the most to the least telling."""


def plan_removal(storage: StorageManager, wanted: Sequence[str]) -> Removal:
    """What removing these runs, with their children, takes away.

    Args:
        storage: The site's records.
        wanted: See `find_run`.

    Raises:
        RunLookupError: there is no such run, or it is a child of one.
        StorageError: the site's records can't be read.
    """
    with storage.reading(unhurried=True) as con:
        rows = [find_run(con, word) for word in wanted]
        for row in rows:
            if row["parent_run_id"]:
                raise RunLookupError(
                    f"run {row['run_id'][:8]} is a part of run {row['parent_run_id'][:8]}, and goes with it",
                    hint=f"egregora runs rm {row['parent_run_id'][:8]}",
                )
        listed = ", ".join(f"{literal(row['run_id'])}::UUID" for row in rows)
        return _plan(storage, con, f"run_id IN ({listed})")


def plan_gc_of_runs(storage: StorageManager, *, older_than: timedelta, keep_last: int) -> Removal:
    """What removing old runs takes away.

    Args:
        storage: The site's records.
        older_than: Runs that started longer ago than this go,
        keep_last: except for so many of each stage, the newest.

    Raises:
        StorageError: the site's records can't be read.
    """
    before = (datetime.now(UTC) - older_than).strftime("%Y-%m-%d %H:%M:%S.%f")
    kept = (
        f"SELECT unnest(max_by(run_id, started_at, {keep_last})) FROM runs WHERE parent_run_id IS NULL "
        "GROUP BY stage, tenant_id"
    )
    with storage.reading(unhurried=True) as con:
        return _plan(storage, con, f"started_at < {literal(before)}::TIMESTAMP AND run_id NOT IN ({kept})")


def remove(storage: StorageManager, planned: Removal) -> Removal:
    """Remove what was planned, as far as it may still go, and return what was.

    Raises:
        StorageError: the catalog or a file can't be written.
    """
    with storage.reading(unhurried=True) as con:
        # Somebody may have taken a long time to say yes.
        now = _plan(storage, con, planned.which)
        ids = [found[0] for found in con.execute("SELECT run_id::VARCHAR FROM going ORDER BY 1").fetchall()]
    storage.remove_runs(ids)
    # The record goes first: a run without its checkpoint looks damaged, a checkpoint without a run is just a leftover.
    delete(now.files)
    # Pages that were opened tell of these runs, too. They are made again when somebody opens them.
    delete(Leftover(page, 0, "a report") for page in storage.directory.glob(f"{REPORTS}/*.html"))
    return now


def _plan(storage: StorageManager, con: duckdb.DuckDBPyConnection, which: str) -> Removal:
    """The plan for runs for which a condition holds. What goes stands in the table `going` of the connection then."""
    con.execute(f"CREATE TEMP TABLE wanted AS SELECT run_id FROM runs WHERE parent_run_id IS NULL AND {which}")
    # What is at work, then what is in use, then what runs that stay are made of, and what those are made of.
    for statement in _TABLES:
        con.execute(statement)
    by_stage = con.execute(
        "SELECT stage, count(*) FILTER (parent_run_id IS NULL), count(*) FILTER (parent_run_id IS NOT NULL), "
        "min(started_at), max(started_at) FROM runs SEMI JOIN going USING (run_id) GROUP BY stage ORDER BY 4"
    ).fetchall()
    staying = con.execute(
        "SELECT why, count(*), arg_max({'id': run_id::VARCHAR, 'stage': stage, 'by': because_of::VARCHAR}, started_at) "
        "FROM kept JOIN runs USING (run_id) GROUP BY why ORDER BY 2 DESC"
    ).fetchall()
    newest = select_runs(
        con,
        "FROM runs WHERE run_id IN (SELECT run_id FROM going) AND parent_run_id IS NULL "
        "ORDER BY started_at DESC LIMIT 10",
    )
    logs, calls = (
        con.execute(f"SELECT count(*) FROM {table} SEMI JOIN going USING (run_id)").fetchall()[0][0]
        for table in ("run_logs", "llm_calls")
    )
    paths = _checkpoints(storage, con)
    waiting = ""
    if paths and is_at_work(con):
        paths, waiting = [], "checkpoints are left alone while a run is at work; later: egregora cache gc"
    return Removal(
        newest=newest,
        going=[Going(*found) for found in by_stage],
        logs=logs,
        calls=calls,
        staying=[
            Staying(_WHY[why].format(needer=(one["by"] or "")[:8]), number, one["id"], one["stage"], one["by"])
            for why, number, one in staying
        ],
        files=with_what_they_list(storage, paths, "only runs that go describe it") if paths else [],
        waiting=waiting,
        which=which,
    )


_TABLES = (
    # Each wanted run with all that is below it.
    """
    CREATE TEMP TABLE member AS
    WITH RECURSIVE below(run_id, top) AS (
        SELECT run_id, run_id FROM wanted
        UNION ALL SELECT r.run_id, b.top FROM runs AS r JOIN below AS b ON r.parent_run_id = b.run_id
    ) FROM below
    """,
    # Which run needs which wanted one: it read its result, or took its checkpoint.
    """
    CREATE TEMP TABLE needs AS
    SELECT coalesce(who.top, l.child_run_id) AS run_id, m.top AS needed, true AS has_read
    FROM lineage AS l JOIN member AS m ON m.run_id = l.parent_run_id
    LEFT JOIN member AS who ON who.run_id = l.child_run_id
    WHERE l.child_run_id IN (SELECT run_id FROM runs)
    UNION ALL
    SELECT coalesce(who.top, hit.run_id), m.top, false
    FROM (
        SELECT stage, input_fingerprint, arg_max(run_id, started_at) AS maker FROM runs
        WHERE status = 'completed' AND source = 'executed' AND checkpoint_sha256 IS NOT NULL
        GROUP BY stage, input_fingerprint
    ) AS made
    JOIN member AS m ON m.run_id = made.maker
    JOIN runs AS hit USING (stage, input_fingerprint) LEFT JOIN member AS who ON who.run_id = hit.run_id
    WHERE hit.source = 'checkpoint' AND coalesce(who.top, hit.run_id) <> m.top
    """,
    f"""
    CREATE TEMP TABLE kept AS
    WITH RECURSIVE first AS (
        SELECT top AS run_id, 'at work' AS why, NULL::UUID AS because_of
        FROM member SEMI JOIN (
            FROM runs
            WHERE status = 'running' OR invocation_id IN (SELECT invocation_id FROM runs WHERE status = 'running')
        ) USING (run_id)
        UNION
        SELECT run_id, 'in use', NULL FROM ({NEWEST}) WHERE run_id IN (SELECT run_id FROM wanted)
        UNION
        SELECT top, 'parts', NULL FROM member JOIN runs USING (run_id)
        WHERE run_id <> top AND checkpoint_sha256 IS NOT NULL AND top IN ({NEEDED})
    ), stays(run_id, why, because_of) AS (
        FROM first
        UNION
        SELECT needed, CASE WHEN has_read THEN 'read' ELSE 'taken' END, needs.run_id
        FROM needs WHERE run_id NOT IN (SELECT run_id FROM wanted)
        UNION
        SELECT needed, CASE WHEN has_read THEN 'read' ELSE 'taken' END, needs.run_id
        FROM needs JOIN stays ON stays.run_id = needs.run_id
    ), told AS (
        SELECT run_id, {{'why': why, 'by': because_of}} AS reason, list_position({[*_WHY]}, why) AS rank FROM stays
    )
    SELECT run_id, arg_min(reason, rank).why AS why, arg_min(reason, rank).by AS because_of FROM told GROUP BY run_id
    """,
    "CREATE TEMP TABLE going AS SELECT run_id FROM member WHERE top NOT IN (SELECT run_id FROM kept)",
)


def _checkpoints(storage: StorageManager, con: duckdb.DuckDBPyConnection) -> list[Path]:
    """The checkpoints on the disk that runs that go describe, and no others."""
    from egregora.pipeline.checkpoint import checkpoint_path

    names = ", ".join(literal(path.stem) for path in sorted(storage.checkpoint_dir.glob("*/*.parquet")))
    if not names:
        return []
    found = con.execute(
        "SELECT stage, input_fingerprint FROM runs LEFT JOIN (SELECT run_id, true AS goes FROM going) USING (run_id) "
        f"WHERE substr(input_fingerprint, strpos(input_fingerprint, ':') + 1) IN ({names}) "
        "AND status = 'completed' AND checkpoint_sha256 IS NOT NULL "
        "GROUP BY stage, input_fingerprint HAVING bool_and(coalesce(goes, false))"
    ).fetchall()
    paths = {checkpoint_path(storage, stage, fingerprint) for stage, fingerprint in found}
    return sorted(path for path in paths if path.exists())
