"""Which runs a question is about, and the list of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from egregora.database.runs_schema import RUNS
from egregora.database.sql import literal
from egregora.errors import StorageError
from egregora.observe.invocations import find_invocation
from egregora.observe.query import checked_expression, ending, in_plain_words, lines_of
from egregora.observe.runs import Recent, count_runs, run_prefixes, select_runs

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["NEWEST_FIRST", "Order", "Selection", "export_runs", "runs_like"]


@dataclass(frozen=True)
class Selection:
    """Which runs: those for which everything holds that is given.

    Attributes:
        stages, statuses, sources: Any of these.
        since, until: Started at or after, and before; UTC.
        invocation: As for `find_invocation`.
        label: The label of a child, `*` and `?` as in file names.
        where: A condition in SQL.
        children: Whether children of runs count; they do anyway where a label is asked for.
    """

    stages: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    invocation: str | None = None
    label: str | None = None
    where: str | None = None
    children: bool = False

    def condition(self, con: duckdb.DuckDBPyConnection) -> str:
        """The condition in SQL.

        Raises:
            EgregoraError: there is no such invocation, or `where` is no condition.
        """
        parts = ["true"] if self.children or self.label is not None else ["parent_run_id IS NULL"]
        for column, values in (("stage", self.stages), ("status", self.statuses), ("source", self.sources)):
            if values:
                parts.append(f"{column} IN ({', '.join(map(literal, values))})")
        if self.since is not None:
            parts.append(f"started_at >= {literal(self.since)}::TIMESTAMP")
        if self.until is not None:
            parts.append(f"started_at < {literal(self.until)}::TIMESTAMP")
        if self.invocation is not None:
            parts.append(f"invocation_id = {literal(find_invocation(con, self.invocation))}::UUID")
        if self.label is not None:
            parts.append(f"label GLOB {literal(self.label)}")
        if self.where is not None:
            parts.append(checked_expression(con, self.where))
        return " AND ".join(parts)


@dataclass(frozen=True)
class Order:
    """By which column of `runs` they stand; rows without a value come last."""

    column: str
    descending: bool = False

    @property
    def sql(self) -> str:
        """What stands behind ORDER BY."""
        down = " DESC" if self.descending else ""
        return f"{self.column}{down} NULLS LAST" + ("" if self.column == "started_at" else ", started_at DESC")


NEWEST_FIRST = Order("started_at", descending=True)


def runs_like(
    storage: StorageManager, selection: Selection, *, order: Order = NEWEST_FIRST, limit: int | None = None
) -> Recent:
    """The runs of a selection, and all of them in figures.

    Args:
        storage: The site's records.
        selection: Which runs.
        order: How they stand.
        limit: How many at most.

    Raises:
        EgregoraError: the selection can't be understood.
        StorageError: the site's records can't be read.
    """
    with storage.reading(unhurried=True) as con, in_plain_words(con):
        condition = selection.condition(con)
        cut = "" if limit is None else f" LIMIT {limit}"

        def ask() -> Recent:
            rows = select_runs(con, f"FROM runs WHERE {condition} ORDER BY {order.sql}{cut}")
            return Recent(rows, run_prefixes(con, rows), count_runs(con, condition))

        return ending(con, ask)


def export_runs(
    storage: StorageManager,
    selection: Selection,
    form: str,
    target: Path | BinaryIO,
    *,
    columns: Sequence[str] = RUNS.names,
    order: Order | None = None,
    limit: int | None = None,
) -> int:
    """Write the runs of a selection for other programs. Returns how many.

    Args:
        storage, selection, limit: See `runs_like`.
        form: `json` for an object a line or `csv` for RFC 4180, both UTF-8 with times as ISO 8601;
            `parquet` in the declared types, with ids as text, to a file only.
        target: A file, which is made whole or not at all, or a stream.
        columns: Of `runs`, in the order in which they are to stand.
        order: How they stand. None: newest first if there is a limit, else as they were recorded, which takes no
            memory.

    Raises:
        EgregoraError: see `runs_like`.
        StorageError: the file can't be written.
    """
    if not isinstance(target, Path):
        return _write_lines(storage, selection, form, target, columns, order, limit)
    write = _write_parquet if form == "parquet" else _write_lines
    temporary = target.with_name(f".{target.name}.new")
    try:
        with temporary.open("wb") as file:
            rows = write(storage, selection, form, file, columns, order, limit)
        temporary.replace(target)
    except OSError as error:
        raise StorageError(
            f"{target} can't be written ({error.strerror or error})", hint="choose another file with -o FILE"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def _write_lines(
    storage: StorageManager,
    selection: Selection,
    form: str,
    stream: BinaryIO,
    columns: Sequence[str],
    order: Order | None,
    limit: int | None,
) -> int:
    # The line with the headings is no row.
    rows = -1 if form == "csv" else 0
    with storage.reading(unhurried=True) as con, in_plain_words(con):
        source = _source(con, selection, order, limit)
        for lines in lines_of(con, source, [(name, RUNS.column(name).type) for name in columns], form):
            stream.write("".join(lines).encode())
            rows += len(lines)
    return rows


def _write_parquet(
    storage: StorageManager,
    selection: Selection,
    form: str,
    stream: BinaryIO,
    columns: Sequence[str],
    order: Order | None,
    limit: int | None,
) -> int:
    import pyarrow.parquet as pq

    # Not every reader of Parquet takes its UUIDs.
    kept = [replace(c, type="VARCHAR") if c.type == "UUID" else c for c in map(RUNS.column, columns)]
    wanted = replace(RUNS, columns=tuple(kept)).arrow()
    fields = ", ".join(f"{column.name}::{column.type} AS {column.name}" for column in kept)
    rows = 0
    with storage.reading(unhurried=True) as con, in_plain_words(con):
        batches = con.execute(f"SELECT {fields} {_source(con, selection, order, limit)}").to_arrow_reader(100_000)
        with pq.ParquetWriter(stream, wanted, compression="zstd") as file:
            for batch in batches:
                file.write_batch(batch.cast(wanted))
                rows += batch.num_rows
    return rows


def _source(con: duckdb.DuckDBPyConnection, selection: Selection, order: Order | None, limit: int | None) -> str:
    """The runs of an export, as a query that begins at its FROM."""
    condition = selection.condition(con)
    if order is None and limit is None:
        return f"FROM runs WHERE {condition}"
    order = order or NEWEST_FIRST
    if limit is None:
        return f"FROM runs WHERE {condition} ORDER BY {order.sql}"
    # First which, then what: sorting whole rows takes ten times as long as sorting ids.
    con.execute(
        f"CREATE TEMP TABLE chosen AS SELECT run_id, started_at FROM runs WHERE {condition} "
        f"ORDER BY {order.sql} LIMIT {limit}"
    )
    first, last = con.execute("SELECT min(started_at), max(started_at) FROM chosen").fetchone() or (None, None)
    return (
        f"FROM runs WHERE started_at BETWEEN {literal(first)}::TIMESTAMP AND {literal(last)}::TIMESTAMP "
        f"AND run_id IN (SELECT run_id FROM chosen) ORDER BY {order.sql}"
    )
