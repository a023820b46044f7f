"""Which runs can be reached from others, over whose result was whose input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egregora.database.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

__all__ = ["DOWNWARDS", "UPWARDS", "reached"]

UPWARDS = ("child_run_id", "parent_run_id")
"""To the runs whose results were read."""
DOWNWARDS = UPWARDS[::-1]
"""To the runs that read."""

STEPS = 60
"""How far a lineage is followed; a pipeline of ours is six runs deep."""


def reached(con: duckdb.DuckDBPyConnection, start: Iterable[str], ends: tuple[str, str]) -> dict[str, int]:
    """The runs that can be reached from some, these included, with how many steps away they are.

    Args:
        con: A connection from `storage.reading()`.
        start: Run ids.
        ends: `UPWARDS` or `DOWNWARDS`.
    """
    here, there = ends
    listed = ", ".join(f"{literal(run_id)}::UUID" for run_id in start)
    rows = con.execute(
        f"WITH RECURSIVE found(id, steps) AS (SELECT unnest([{listed}]), 0 UNION "
        f"SELECT l.{there}, f.steps + 1 FROM found AS f JOIN lineage AS l ON l.{here} = f.id WHERE f.steps < {STEPS}) "
        "SELECT id, min(steps) FROM found GROUP BY id"
    ).fetchall()
    return {str(run_id): int(steps) for run_id, steps in rows}
