"""How an invocation goes: its stages, how far they are, what is left to do, and what it has cost so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from egregora.database.journal import host_id, is_alive, owner_host
from egregora.database.sql import literal
from egregora.observe.invocations import find_invocation, newest_invocations
from egregora.observe.logs import LogLine, lines_since
from egregora.observe.runs import Row, select_runs

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Going", "Spent", "StageGoing", "Usual", "look", "usual"]

NOTABLE = 5
"""So many failed and running children of a stage are given."""
LOG_LINES = 3
"""So many of the last log lines are given."""
BETWEEN = timedelta(seconds=3)
"""An invocation whose process lives may be between two stages for this long."""
LATELY = 20
"""What is usual is the median of so many of the newest runs."""


@dataclass(frozen=True)
class Spent:
    """What model calls cost so far.

    Attributes:
        calls, tokens: How many.
        cost_usd: US dollars, of the calls whose price is known; None if it is of none.
    """

    calls: int = 0
    tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True)
class StageGoing:
    """A stage of an invocation.

    Attributes:
        row: Its run.
        children: How many children it has by status.
        notable: Those that failed or run, the newest first, `NOTABLE` at most.
        spent: On model calls, its children's included.
        seconds_left: How long it will take still, as far as that can be told.
    """

    row: Row
    children: dict[str, int]
    notable: list[Row]
    spent: Spent
    seconds_left: float | None


@dataclass(frozen=True)
class Going:
    """An invocation as it is just now.

    Attributes:
        invocation: Its id.
        stages: In the order in which they started.
        to_come: Stages that will most likely follow, from the invocation before.
        logs: The last log lines, oldest first.
        spent: On model calls.
        seconds_left: How long it will take still, as far as that can be told.
        ended: Whether nothing more is to come.
        failed: Whether a stage failed.
    """

    invocation: str
    stages: list[StageGoing]
    to_come: list[str]
    logs: list[LogLine]
    spent: Spent
    seconds_left: float | None
    ended: bool
    failed: bool

    @property
    def started_at(self) -> datetime:
        """When its first stage started, UTC."""
        return min((stage.row["started_at"] for stage in self.stages), default=datetime.now(UTC).replace(tzinfo=None))


@dataclass(frozen=True)
class Usual:
    """How invocations went before.

    Attributes:
        seconds: What each stage took when it executed.
        order: The stages of the invocation before, in their order.
    """

    seconds: dict[str, float]
    order: tuple[str, ...]


def usual(storage: StorageManager, invocation: str) -> Usual:
    """How invocations went before this one. Asked once: it doesn't change while that runs.

    Raises:
        StorageError: the site's records can't be read.
    """
    other = f"parent_run_id IS NULL AND invocation_id IS DISTINCT FROM {literal(invocation)}::UUID"
    with storage.reading() as con:
        seconds = con.execute(
            "SELECT stage, median(seconds) FROM (SELECT stage, "
            f"unnest(arg_max(duration_seconds, started_at, {LATELY})) AS seconds FROM runs "
            f"WHERE {other} AND status = 'completed' AND source IS DISTINCT FROM 'checkpoint' GROUP BY stage) "
            "GROUP BY stage"
        ).fetchall()
        before = con.execute(
            f"SELECT invocation_id::VARCHAR FROM runs WHERE {other} AND invocation_id IS NOT NULL "
            "ORDER BY started_at DESC LIMIT 1"
        ).fetchone()
        stages = con.execute(
            "SELECT stage FROM runs WHERE parent_run_id IS NULL "
            f"AND invocation_id = {literal(before[0] if before else None)}::UUID "
            "GROUP BY stage ORDER BY min(started_at)"
        ).fetchall()
    return Usual(dict(seconds), tuple(stage for (stage,) in stages))


def look(storage: StorageManager, wanted: str | None = None, before: Usual | None = None) -> Going | None:
    """An invocation as it is just now; None if there is none yet.

    Args:
        storage: The site's records.
        wanted: See `find_invocation`. None: the one at work, else the newest.
        before: What is usual, if what is left is to be told.

    Raises:
        RunLookupError: there is no such invocation, or there are several.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        invocation = _at_work(con) if wanted is None else find_invocation(con, wanted)
        if invocation is None:
            return None
        mine = f"invocation_id = {literal(invocation)}::UUID"
        rows = select_runs(con, f"FROM runs WHERE {mine} AND parent_run_id IS NULL ORDER BY started_at")
        if not rows:
            return None
        # Nothing of it is older than its first stage: what other runs left is passed over without being read.
        first = f"{literal(rows[0]['started_at'])}::TIMESTAMP"
        counts = con.execute(
            f"SELECT parent_run_id::VARCHAR, status, count(*) FROM runs WHERE {mine} AND started_at >= {first} "
            "AND parent_run_id IS NOT NULL GROUP BY ALL"
        ).fetchall()
        notable = select_runs(
            con,
            f"FROM runs WHERE {mine} AND started_at >= {first} AND parent_run_id IS NOT NULL AND status <> 'completed' "
            f"QUALIFY row_number() OVER (PARTITION BY parent_run_id, status ORDER BY started_at DESC) <= {NOTABLE} "
            "ORDER BY started_at DESC",
        )
        spent = con.execute(
            "SELECT coalesce(parent_run_id, runs.run_id)::VARCHAR, count(*), "
            "sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::BIGINT, sum(llm_calls.cost_usd) "
            f"FROM llm_calls JOIN (FROM runs WHERE {mine} AND started_at >= {first}) AS runs USING (run_id) "
            f"WHERE ts >= {first} GROUP BY 1"
        ).fetchall()
        logs = lines_since(
            con,
            f"ts >= {first} AND run_id IN (FROM runs SELECT run_id WHERE {mine} AND started_at >= {first})",
            last=LOG_LINES,
        )
        alive = _process_lives(storage, rows)
    costs = {run_id: Spent(calls, tokens, cost) for run_id, calls, tokens, cost in spent}
    stages = [
        StageGoing(
            row,
            {status: number for parent, status, number in counts if parent == row["run_id"]},
            [child for child in notable if child["parent_run_id"] == row["run_id"]],
            costs.get(row["run_id"], Spent()),
            _stage_left(row, before),
        )
        for row in rows
    ]
    ended = _has_ended(rows, alive)
    to_come = [] if ended or before is None else _to_come(rows, before)
    return Going(
        invocation,
        stages,
        to_come,
        logs,
        _sum(list(costs.values())),
        None if ended or before is None else _left(stages, to_come, before),
        ended,
        any(row["status"] == "failed" for row in rows),
    )


def _at_work(con: duckdb.DuckDBPyConnection) -> str | None:
    running = con.execute(
        "SELECT invocation_id::VARCHAR FROM runs WHERE status = 'running' AND parent_run_id IS NULL "
        "AND invocation_id IS NOT NULL ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    return running[0] if running else next(iter(newest_invocations(con, 1)), None)


def _process_lives(storage: StorageManager, rows: list[Row]) -> bool:
    """Whether the process that made these runs may make more. Hold the catalog's lock."""
    owner = rows[-1]["owner"]
    if not owner:
        return False
    return owner_host(owner) != host_id() or is_alive(storage.journal_dir, owner)


def _has_ended(rows: list[Row], alive: bool) -> bool:
    if any(row["status"] == "running" for row in rows):
        return False
    last = max((row["finished_at"] or row["started_at"] for row in rows), default=datetime.min)  # noqa: DTZ901
    return not alive or datetime.now(UTC).replace(tzinfo=None) - last > BETWEEN


def _stage_left(row: Row, before: Usual | None) -> float | None:
    """Seconds that a running stage will take still: as it has gone so far, else as it went before."""
    if row["status"] != "running":
        return None
    elapsed = max(0.0, (datetime.now(UTC).replace(tzinfo=None) - row["started_at"]).total_seconds())
    done, total = row["progress_done"], row["progress_total"]
    if done and total:
        return float(elapsed * max(0, total - done) / done)
    usually = before.seconds.get(row["stage"]) if before else None
    return None if usually is None or usually < elapsed else usually - elapsed


def _to_come(rows: list[Row], before: Usual) -> list[str]:
    """What followed before on the stage that is the last one here."""
    seen = {row["stage"] for row in rows}
    last = rows[-1]["stage"]
    behind = before.order[before.order.index(last) + 1 :] if last in before.order else ()
    return [stage for stage in behind if stage not in seen]


def _left(stages: list[StageGoing], to_come: list[str], before: Usual) -> float | None:
    """Seconds until the end; None if that can't be told, as when all so far were hits and the next may be one too."""
    running = [stage for stage in stages if stage.row["status"] == "running"]
    executed = [stage for stage in stages if stage.row["source"] != "checkpoint"]
    known = [*(stage.seconds_left for stage in running), *(before.seconds.get(stage) for stage in to_come)]
    if not executed or any(seconds is None for seconds in known):
        return None
    return sum(seconds for seconds in known if seconds is not None)


def _sum(parts: list[Spent]) -> Spent:
    costs = [part.cost_usd for part in parts if part.cost_usd is not None]
    return Spent(sum(p.calls for p in parts), sum(p.tokens for p in parts), sum(costs) if costs else None)
