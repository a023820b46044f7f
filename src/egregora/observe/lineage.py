"""Which runs a run's input came from, and which runs read what it made, over any number of steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egregora.database.lineage import DOWNWARDS, UPWARDS, reached
from egregora.database.sql import literal
from egregora.observe.runs import Row, find_run, run_prefixes, runs_by_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Graph", "ancestors", "trace_lineage"]

LARGEST = 400
"""How many runs of a lineage are given, the nearest first."""


@dataclass(frozen=True)
class Graph:
    """Runs, and which one's output was whose input.

    Attributes:
        start: The runs from which it was followed.
        runs: Rows by run id.
        edges: Pairs of run ids: whose output, read by whom.
        left_out: How many runs more there are than are given.
        prefixes: Beginnings of the runs' ids, as they can be typed.
    """

    start: tuple[str, ...]
    runs: dict[str, Row]
    edges: tuple[tuple[str, str], ...]
    left_out: int = 0
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def inputs_of(self, run_id: str) -> list[Row]:
        """The runs whose output a run read, oldest first."""
        return self._sorted(source for source, reader in self.edges if reader == run_id)

    def readers_of(self, run_id: str) -> list[Row]:
        """The runs that read a run's output, oldest first."""
        return self._sorted(reader for source, reader in self.edges if source == run_id)

    def _sorted(self, ids: Iterable[str]) -> list[Row]:
        return sorted((self.runs[i] for i in ids if i in self.runs), key=lambda row: (row["started_at"], row["run_id"]))


def trace_lineage(storage: StorageManager, wanted: str, *, up: bool = True, down: bool = True) -> Graph:
    """What a run came from and what came of it.

    Args:
        storage: The site's records.
        wanted: See `find_run`.
        up: Whether to follow its inputs.
        down: Whether to follow who read its result.

    Raises:
        RunLookupError: there is no such run, or there are several.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        run_id = find_run(con, wanted)["run_id"]
        found: dict[str, int] = {run_id: 0}
        for wished, ends in ((up, UPWARDS), (down, DOWNWARDS)):
            if wished:
                found = reached(con, [run_id], ends) | found
        return _graph(con, (run_id,), found)


def ancestors(con: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> Graph:
    """All that went into these runs, themselves included."""
    start = tuple(dict.fromkeys(ids))
    return _graph(con, start, reached(con, start, UPWARDS))


def _graph(con: duckdb.DuckDBPyConnection, start: tuple[str, ...], found: dict[str, int]) -> Graph:
    nearest = sorted(found, key=lambda run_id: (found[run_id], run_id))[:LARGEST]
    listed = ", ".join(f"{literal(run_id)}::UUID" for run_id in nearest)
    edges = con.execute(
        f"FROM lineage SELECT DISTINCT parent_run_id, child_run_id WHERE child_run_id IN ({listed}) "
        f"AND parent_run_id IN ({listed}) ORDER BY ALL"
    ).fetchall()
    rows = {row["run_id"]: row for row in runs_by_ids(con, nearest)}
    pairs = tuple((str(source), str(reader)) for source, reader in edges)
    return Graph(start, rows, pairs, len(found) - len(nearest), run_prefixes(con, list(rows.values())))
