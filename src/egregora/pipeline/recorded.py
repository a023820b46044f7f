"""What the record holds of an earlier run that it takes to run it again: what went in, and from which runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.sql import literal
from egregora.errors import StorageError
from egregora.pipeline.checkpoint import checkpoint_path, is_intact
from egregora.pipeline.runner import PRIVACY_STAGE
from egregora.pipeline.tracking import Origin, Result

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Ancestor", "ancestors", "kept_result", "recorded_parts"]

DEEPEST = 100
"""Lineage is followed up this far; a pipeline of ours is six runs deep."""


@dataclass(frozen=True)
class Ancestor:
    """A run whose result another one read, perhaps through others.

    Attributes:
        run_id, stage, output_hash, rows: As in `runs`.
        input_parts: Hash of each part of its input by name.
        privacy_run_id: The privacy run that all of its result went through, if any.
        files: Completed runs of its stage with the same result, newest first, with what they recorded of its file.
    """

    run_id: str
    stage: str
    output_hash: str
    rows: int
    input_parts: Mapping[str, str]
    privacy_run_id: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)


def recorded_parts(text: str | None) -> dict[str, str]:
    """The column `input_parts`: the hash of each part of a run's input by name."""
    return {str(name): str(value) for name, value in json.loads(text).items()} if text else {}


_UP = """
WITH RECURSIVE up(run_id, depth) AS (
    SELECT parent_run_id, 1 FROM lineage WHERE child_run_id = {run}
    UNION
    SELECT parent_run_id, depth + 1 FROM lineage JOIN up ON child_run_id = up.run_id WHERE depth < {deepest}
)
SELECT run_id::VARCHAR, stage, output_hash, rows_out, input_parts FROM runs
WHERE run_id IN (SELECT run_id FROM up) AND output_hash IS NOT NULL ORDER BY started_at
"""
_FILES = ("run_id", "input_fingerprint", "checkpoint_bytes", "checkpoint_mtime_ns", "checkpoint_sha256")


def ancestors(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Ancestor]:
    """The runs whose results a run read, directly or through others, by id, oldest first.

    Args:
        con: A connection from `storage.reading()`.
        run_id: The run.
    """
    rows = con.execute(_UP.format(run=literal(run_id), deepest=DEEPEST)).fetchall()
    if not rows:
        return {}
    listed = ", ".join(literal(row[0]) for row in rows)
    edges = con.execute(
        "SELECT child_run_id::VARCHAR, parent_run_id::VARCHAR FROM lineage "
        f"WHERE child_run_id IN ({listed}) ORDER BY ALL"
    ).fetchall()
    parents: dict[str, list[str]] = {}
    for child, parent in edges:
        parents.setdefault(child, []).append(parent)
    stages = {row[0]: row[1] for row in rows}
    return {
        run_id: Ancestor(
            run_id,
            stage,
            output_hash,
            rows_out,
            recorded_parts(parts),
            _privacy_run(run_id, stages, parents),
            _files(con, stage, output_hash),
        )
        for run_id, stage, output_hash, rows_out, parts in rows
    }


def _privacy_run(run_id: str, stages: Mapping[str, str], parents: Mapping[str, list[str]]) -> str | None:
    """The privacy run that a run is, or that all that it read went through; as the runner has it."""
    if stages.get(run_id) == PRIVACY_STAGE:
        return run_id
    found = [_privacy_run(parent, stages, parents) for parent in parents.get(run_id, ())]
    return found[0] if found and all(found) else None


def _files(con: duckdb.DuckDBPyConnection, stage: str, output_hash: str) -> list[dict[str, Any]]:
    rows = con.execute(
        f"SELECT {', '.join(_FILES)} FROM runs WHERE stage = {literal(stage)} AND output_hash = {literal(output_hash)} "
        "AND status = 'completed' AND checkpoint_sha256 IS NOT NULL AND parent_run_id IS NULL "
        "ORDER BY started_at DESC LIMIT 16"
    ).fetchall()
    return [dict(zip(_FILES, row, strict=True)) for row in rows]


def kept_result(storage: StorageManager, run: Ancestor) -> Result:
    """A run's result, read from a checkpoint that holds just that.

    Raises:
        StorageError: no checkpoint of it is left.
    """
    for maker in run.files:
        path = checkpoint_path(storage, run.stage, maker["input_fingerprint"])
        if is_intact(path, maker):
            origin = Origin(run.run_id, run.output_hash, run.rows, path, run.privacy_run_id)
            backend: Callable[[], Any] = lambda: storage.backend  # noqa: E731
            return Result(origin, maker["input_fingerprint"], backend, raw=_is_raw(path))
    raise StorageError(
        f"the result of {run.stage} that went into it is no longer kept (run {run.run_id[:8]})",
        hint="run everything with: egregora write EXPORT",
    )


def _is_raw(path: Path) -> bool:
    import pyarrow.parquet as pq

    return "author_raw" in pq.read_schema(path).names
