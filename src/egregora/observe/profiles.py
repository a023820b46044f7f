"""A run's figures beside what is usual for its stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egregora.database.sql import literal

if TYPE_CHECKING:
    import duckdb

__all__ = ["Measured", "maker_of", "measured"]


@dataclass(frozen=True)
class Measured:
    """What is known of a run's result in figures.

    Attributes:
        maker: The run that was measured, which for a hit is the one that made its checkpoint.
        figures: Value by name, in the order in which they are declared, the stage's own behind them.
        usual: The median of earlier runs of the same configuration by name, where there are enough of them.
    """

    maker: str
    figures: dict[str, float]
    usual: dict[str, float]


def maker_of(con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> tuple[str, Any]:
    """The run that made a run's result, and when that started: itself, unless its result came from a checkpoint."""
    if row["source"] != "checkpoint":
        return row["run_id"], row["started_at"]
    found = con.execute(
        f"FROM runs SELECT run_id, started_at WHERE stage = {literal(row['stage'])} AND source = 'executed' "
        f"AND input_fingerprint = {literal(row['input_fingerprint'])} AND status = 'completed' "
        f"AND started_at <= {literal(row['started_at'])} ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    return (str(found[0]), found[1]) if found else (row["run_id"], row["started_at"])


def measured(con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> Measured:
    """A run's figures.

    Args:
        con: A connection from `storage.reading()`.
        row: Its row of `runs`.
    """
    from egregora.pipeline.profile import FAMILIES, FIGURES, recent_profiles, usual_figures

    maker, started = maker_of(con, row)
    found = dict(con.execute(f"FROM profiles SELECT name, value WHERE run_id = {literal(maker)}").fetchall())
    if not found:
        return Measured(maker, {}, {})
    places = {name: place for place, name in enumerate([*FIGURES, *FAMILIES])}

    def place(name: str) -> tuple[int, str]:
        return places.get(name, places.get(name.partition(".")[0], len(places))), name

    before: list[Any] = []
    if row["parent_run_id"] is None:
        earlier = recent_profiles(con, row["tenant_id"], stage=row["stage"], before=started)
        before = earlier.get(row["stage"], [])
    return Measured(
        maker, {name: found[name] for name in sorted(found, key=place)}, usual_figures(before, row["config_hash"])
    )
