"""How runs do over time: how often, how fast, how dear, and what the hits saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.observe.query import ending, in_plain_words

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["GROUPS", "Stats", "statistics"]

GROUPS = ("stage", "day", "model")

TREND = 12
"""How many steps a trend has at most."""
DAYS = timedelta(days=29)
"""By day so many before today are counted, unless more are asked for."""
RECENT = 240
"""A trend is made of so many of the newest runs."""

EXECUTED = "status = 'completed' AND source IS DISTINCT FROM 'checkpoint'"
HIT = "status = 'completed' AND source = 'checkpoint'"


@dataclass(frozen=True)
class Stats:
    """Figures of runs in groups.

    Attributes:
        rows: A group each. By stage or day: `runs`, `failed`, `hits`, `p50_seconds` and `p95_seconds` of those that
            executed, `rows_per_second` (the larger of rows in and out), `seconds`, `tokens`, `cost_usd`,
            `saved_seconds` and `saved_usd` by the hits, `trend` (medians of seconds, oldest first). By model: `calls`,
            `failed`, `input_tokens`, `output_tokens`, `cost_usd`, `p50_ms`, `p95_ms`, `trend` (of milliseconds).
        seconds, cost_usd, saved_seconds, saved_usd: Of all groups; costs are None where none is known.
    """

    rows: list[dict[str, Any]]
    seconds: float
    cost_usd: float | None
    saved_seconds: float
    saved_usd: float | None


def statistics(storage: StorageManager, *, by: str = "stage", since: datetime | None = None) -> Stats:
    """Figures of the runs, without children: what those cost is in their parents; and without replays.

    Args:
        storage: The site's records.
        by: `stage`, in the order in which they first ran; `day` of whoever looks, newest first; `model`, the dearest
            first.
        since: Only of runs or calls that started then or later, UTC; for days the last thirty unless given.

    Raises:
        StorageError: the site's records can't be read.
    """
    began = "true" if since is None else f"{'ts' if by == 'model' else 'started_at'} >= {literal(since)}::TIMESTAMP"
    with storage.reading(unhurried=True) as con, in_plain_words(con):
        if by == "model":
            rows = ending(con, lambda: _by_model(con, began))
        elif by == "day":
            now = datetime.now(UTC).replace(tzinfo=None)
            rows = ending(con, lambda: _by_day(con, day_starts(since or now - DAYS, now), began))
        else:
            source = f"FROM runs WHERE parent_run_id IS NULL AND {NO_REPLAY} AND {began}"
            rows = ending(con, lambda: _groups(con, "stage", source, "arrived"))
    return Stats(
        rows,
        seconds=sum(row.get("seconds") or 0.0 for row in rows),
        cost_usd=_sum(row["cost_usd"] for row in rows),
        saved_seconds=sum(row.get("saved_seconds") or 0.0 for row in rows),
        saved_usd=_sum(row.get("saved_usd") for row in rows),
    )


def _by_day(con: duckdb.DuckDBPyConnection, starts: Sequence[datetime], began: str) -> list[dict[str, Any]]:
    # Days of whoever looks, so their beginnings are given: an hour is missing or twice there on two of them a year.
    listed = ", ".join(f"({literal(start)}::TIMESTAMP)" for start in starts)
    source = (
        f"FROM (FROM runs WHERE parent_run_id IS NULL AND {NO_REPLAY} AND {began} "
        f"AND started_at >= {literal(starts[0])}::TIMESTAMP "
        f"AND started_at < {literal(starts[-1])}::TIMESTAMP) AS runs "
        f"ASOF JOIN (VALUES {listed}) AS days(day) ON runs.started_at >= days.day WHERE true"
    )
    return _groups(con, "day", source, "grouped DESC")


def _groups(con: duckdb.DuckDBPyConnection, key: str, source: str, order: str) -> list[dict[str, Any]]:
    """Figures of runs, in groups by a column of `source`."""
    figures = con.execute(
        f"""
        SELECT {key} AS grouped, count(*), count(*) FILTER (status = 'failed'), count(*) FILTER ({HIT}),
               quantile_cont(duration_seconds, [0.5, 0.95]) FILTER ({EXECUTED}),
               sum(greatest(rows_in, rows_out)) FILTER ({EXECUTED} AND duration_seconds > 0)
               / sum(duration_seconds) FILTER ({EXECUTED} AND duration_seconds > 0),
               sum(duration_seconds), sum(tokens)::BIGINT, sum(cost_usd),
               arg_max(duration_seconds, started_at, {RECENT}) FILTER ({EXECUTED}), min(started_at) AS arrived
        {source} GROUP BY grouped ORDER BY {order}
        """
    ).fetchall()
    # On its own: with fingerprints in it the query above would take twice as long.
    saved = con.execute(
        f"""
        WITH hits AS (
            SELECT {key} AS grouped, input_fingerprint, count(*) AS times, sum(duration_seconds) AS spent {source}
            AND {HIT} GROUP BY ALL
        ), made AS (
            SELECT input_fingerprint, arg_max(duration_seconds, started_at) AS seconds,
                   arg_max(cost_usd, started_at) AS cost
            FROM runs WHERE parent_run_id IS NULL AND {NO_REPLAY} AND {EXECUTED} GROUP BY input_fingerprint
        )
        SELECT grouped, sum(times * seconds) - sum(spent) FILTER (seconds IS NOT NULL), sum(times * cost)
        FROM hits JOIN made USING (input_fingerprint) GROUP BY grouped
        """
    ).fetchall()
    by_hits = {group: (seconds, cost) for group, seconds, cost in saved}
    rows = []
    for group, runs, failed, hits, quantiles, rate, seconds, tokens, cost, recent, _ in figures:
        saved_seconds, saved_usd = by_hits.get(group, (None, None))
        p50, p95 = quantiles or (None, None)
        rows.append(
            {
                key: group,
                "runs": runs,
                "failed": failed,
                "hits": hits,
                "p50_seconds": p50,
                "p95_seconds": p95,
                "rows_per_second": rate,
                "seconds": seconds or 0.0,
                "tokens": tokens or 0,
                "cost_usd": cost,
                "saved_seconds": max(0.0, saved_seconds or 0.0),
                "saved_usd": saved_usd,
                "trend": trend(recent),
            }
        )
    return rows


def _by_model(con: duckdb.DuckDBPyConnection, began: str) -> list[dict[str, Any]]:
    found = con.execute(
        f"""
        SELECT model, count(*), count(error), sum(input_tokens)::BIGINT, sum(output_tokens)::BIGINT,
               sum(cost_usd) AS cost, quantile_cont(latency_ms, [0.5, 0.95]) FILTER (error IS NULL),
               arg_max(latency_ms, ts, {RECENT}) FILTER (error IS NULL)
        FROM llm_calls WHERE {began} GROUP BY model ORDER BY cost DESC NULLS LAST, model
        """
    ).fetchall()
    rows = []
    for model, calls, failed, sent, received, cost, quantiles, recent in found:
        p50, p95 = quantiles or (None, None)
        rows.append(
            {
                "model": model,
                "calls": calls,
                "failed": failed,
                "input_tokens": sent or 0,
                "output_tokens": received or 0,
                "cost_usd": cost,
                "p50_ms": p50,
                "p95_ms": p95,
                "trend": trend(recent),
            }
        )
    return rows


def trend(newest_first: Sequence[float | None] | None) -> list[float]:
    """Values as at most `TREND` medians of about as many each, oldest first."""
    values = [value for value in reversed(newest_first or ()) if value is not None]
    steps = min(TREND, len(values))
    edges = [len(values) * step // steps for step in range(steps + 1)] if steps else []
    return [median(values[start:end]) for start, end in pairwise(edges)]


def day_starts(since: datetime, now: datetime) -> list[datetime]:
    """When the days of whoever looks begin, UTC without zone: from the day of `since` to the end of that of `now`.

    Args:
        since, now: UTC without zone.
    """
    day, last = (at.replace(tzinfo=UTC).astimezone().date() for at in (since, now))
    starts = []
    while day <= last + timedelta(days=1):
        starts.append(datetime.fromisoformat(f"{day}T00:00:00").astimezone(UTC).replace(tzinfo=None))
        day += timedelta(days=1)
    return starts


def _sum(costs: Any) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
