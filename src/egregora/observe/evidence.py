"""All that the records tell of a run, read at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.observe.changes import Changes, changes_between, completed_before
from egregora.observe.runs import Row, run_prefixes, runs_by_ids, select_runs

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "Figures",
    "Known",
    "Parts",
]


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
class Known:
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
    def of(cls, con: duckdb.DuckDBPyConnection, row: Row) -> Known:
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
