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
    # Children of a stage without a model have its fingerprint.
    level = "IS NULL" if row["parent_run_id"] is None else "IS NOT NULL"
    found = con.execute(
        f"FROM runs SELECT run_id, started_at WHERE parent_run_id {level} AND stage = {literal(row['stage'])} "
        f"AND source = 'executed' AND input_fingerprint = {literal(row['input_fingerprint'])} AND status = 'completed' "
        f"AND started_at <= {literal(row['started_at'])} ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    return (str(found[0]), found[1]) if found else (row["run_id"], row["started_at"])


def measured(con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> Measured:
    """A run's figures.

    Args:
        con: A connection from `storage.reading()`.
        row: Its row of `runs`.
    """
    from egregora.pipeline.profile import FAMILIES, FIGURES, ids_before, profiles_of, usual_figures

    maker, started = maker_of(con, row)
    child = row["parent_run_id"] is not None
    before = [] if child else ids_before(con, row["tenant_id"], row["stage"], started)
    found = profiles_of(con, [maker, *before])
    places = {name: place for place, name in enumerate([*FIGURES, *FAMILIES])}

    def place(name: str) -> tuple[int, str]:
        return places.get(name, places.get(name.partition(".")[0], len(places))), name

    figures = found[maker].figures if maker in found else {}
    return Measured(
        maker,
        {name: figures[name] for name in sorted(figures, key=place)},
        usual_figures([found[one] for one in before], row["config_hash"]),
    )
