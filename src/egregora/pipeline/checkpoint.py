"""Checkpoints: a stage's result as one Parquet file, named by the fingerprint of all that went into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.sql import literal
from egregora.errors import SchemaError, StorageError
from egregora.pipeline.fingerprint import as_sql, hash_relation, memory_cursor

if TYPE_CHECKING:
    import duckdb
    import ibis

    from egregora.database.columns import TableSpec
    from egregora.database.storage import StorageManager

__all__ = ["Checkpoint", "bind", "checkpoint_path", "is_intact", "set_aside", "stream_rows", "write_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as its run's row describes it.

    Attributes:
        rows: Rows in it.
        output_hash: Content address of the rows, whatever their order and the file's bytes.
        size: Bytes of the file.
        mtime_ns: Its time of change, nanoseconds since 1970.
        sha256: Hash of its bytes.
        nulls: How many each column holds that may hold some.
        times: First and last of each column of times, seconds since 1970.
    """

    rows: int
    output_hash: str
    size: int
    mtime_ns: int
    sha256: str
    nulls: Mapping[str, int]
    times: Mapping[str, tuple[float, float]]

    def columns(self) -> dict[str, Any]:
        """As columns of `runs`."""
        return {
            "rows_out": self.rows,
            "output_hash": self.output_hash,
            "checkpoint_bytes": self.size,
            "checkpoint_mtime_ns": self.mtime_ns,
            "checkpoint_sha256": self.sha256,
        }


SPACE = "free some space, or run: egregora cache gc"
PERMISSIONS = "change the permissions of the site's folder"


def checkpoint_path(storage: StorageManager, stage: str, fingerprint: str) -> Path:
    """Where the checkpoint of this fingerprint lies, whether or not it is there."""
    return storage.checkpoint_dir / _folder(stage) / f"{fingerprint.partition(':')[2]}.parquet"


def _folder(stage: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", stage):
        return stage
    # A stranger's stage may be called anything; its folder may not.
    return "stage-" + hashlib.sha256(stage.encode()).hexdigest()[:16]


def blobs_path(checkpoint: Path) -> Path:
    """Where a checkpoint's list of blobs lies: JSON, blob id → bytes. Not there when it has none."""
    return checkpoint.with_suffix(".blobs.json")


def write_checkpoint(
    storage: StorageManager,
    path: Path,
    result: Any,
    output: TableSpec | None,
    blobs: Mapping[str, int],
) -> Checkpoint:
    """Write a stage's result: to a temporary name, synced, hashed, renamed.

    Args:
        storage: Whose in-memory DuckDB reads Arrow results.
        path: The checkpoint's file.
        result: `ibis.Table`, `pyarrow.Table` or `pyarrow.RecordBatchReader`, which is streamed.
        output: The declared table that the rows are cast to; None: as they are.
        blobs: Blob ids that belong to the result, with their sizes.

    Raises:
        SchemaError: a declared column is missing or holds NULLs that it mustn't, there is one too many, or a type can't
            be kept by Parquet.
        StorageError: the disk is full or the folder can't be written.
    """
    import duckdb

    from egregora.pipeline.profile import COLUMNS

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".new-{uuid.uuid4().hex}.parquet")
        try:
            con, same_as = _write_rows(storage, temporary, result, output)
            temporary.chmod(0o600)
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            measure = len(output.columns) if output else COLUMNS
            found = hash_relation(con, _reading(temporary), measure=measure, same_as=same_as)
            for column in output.columns if output else ():
                # What must be there in every row is no figure of the result.
                if not column.nullable and found.nulls.pop(column.name):
                    raise SchemaError(
                        f"the column {column.name} of {output.name if output else 'the result'} holds NULLs",
                        hint="every row needs a value there",
                    )
            temporary.replace(path)
            # Until the run's row is closed nobody takes the file for a result, so its list may come after it.
            if blobs:
                listing = path.with_name(f".new-{uuid.uuid4().hex}.json")
                listing.write_text(json.dumps(dict(sorted(blobs.items()))), encoding="utf-8")
                listing.replace(blobs_path(path))
            else:
                blobs_path(path).unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
        status = path.stat()
    except OSError as error:
        # Arrow puts a sentence of its own around what the system says.
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StorageError(
            f"the checkpoint can't be written ({reason})",
            hint="free some space, or run: egregora cache gc"
            if full
            else "change the permissions of the site's folder",
        ) from error
    except duckdb.IOException as error:
        if temporary.name not in str(error) and "No space" not in str(error):
            # What could not be read is the stage's input, not written here.
            raise
        denied = "Permission denied" in str(error)
        full = "No space" in str(error)
        reason = os.strerror(errno.EACCES if denied else errno.ENOSPC) if denied or full else "the disk may be full"
        raise StorageError(
            f"the checkpoint can't be written ({reason})",
            hint=PERMISSIONS if denied else SPACE,
        ) from error
    return Checkpoint(found.rows, found.digest, status.st_size, status.st_mtime_ns, sha256, found.nulls, found.times)


def _write_rows(
    storage: StorageManager, path: Path, result: Any, output: TableSpec | None
) -> tuple[duckdb.DuckDBPyConnection, bytes | None]:
    """Write the rows to a Parquet file; a connection that can read it, and what settles the columns, if known."""
    import duckdb
    import pyarrow as pa

    raised: list[Exception] = []
    if isinstance(result, pa.RecordBatchReader):
        if output is not None:
            stream_rows(path, result, output)
            return duckdb.connect(), None
        result = _watched(result, raised)
    if isinstance(result, pa.Table) and output is not None and _is_small_as_declared(result, output):
        # A child's result, mostly: asking DuckDB to copy a few rows takes several times as long.
        stream_rows(path, result.to_reader(), output)
        return memory_cursor(), b"parquet " + output.arrow().serialize().to_pybytes()
    con, sql = _source(storage, result)
    select = _select(con, sql, output, result)
    try:
        con.execute(f"COPY ({select}) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error:
        # What a stage raises while its reader is read comes back as DuckDB's own error, with its text in it.
        if raised:
            raise raised[0] from None
        raise
    return con, None


SMALL = 1_000
"""Rows up to which a table that is as declared is written as it is."""


def _is_small_as_declared(table: Any, output: TableSpec) -> bool:
    declared = output.arrow()
    return len(table) <= SMALL and table.schema.names == declared.names and table.schema.types == declared.types


def _watched(reader: Any, raised: list[Exception]) -> Any:
    """A reader that notes what its source raises."""
    import pyarrow as pa

    def batches() -> Iterator[Any]:
        try:
            yield from reader
        except Exception as error:
            # Whatever it is: it goes on, and is kept because DuckDB doesn't let it through as it was.
            raised.append(error)
            raise

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


ROW_GROUP = 65_536
"""Rows that are gathered before they are written, so that a million rows need no more memory than these."""


def stream_rows(path: Path, reader: Any, output: TableSpec) -> None:
    """Write a reader's rows to a Parquet file as they come, cast to the declared table.

    Arrow's own writer: DuckDB's holds several times as many rows at a time.

    Raises:
        SchemaError: a column is missing, is one too many, or holds what its declared type doesn't.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_columns(reader.schema.names, output)
    declared = output.arrow()
    # Columns of few different values may come, and stay, as dictionaries: to a reader of the file they are the same.
    kept = {
        field.name
        for field in reader.schema
        if pa.types.is_dictionary(field.type) and field.type.value_type == declared.field(field.name).type
    }
    schema = pa.schema([reader.schema.field(f.name) if f.name in kept else f.with_nullable(True) for f in declared])
    # Least and greatest texts of a group help no reader of ours, and cost a sixth of the writing.
    told = [field.name for field in declared if pa.types.is_primitive(field.type)]
    # Whole numbers mostly count and ids are of one length: so written they take a tenth less time and space.
    encodings = {
        f.name: "DELTA_BINARY_PACKED" if pa.types.is_integer(f.type) else "DELTA_LENGTH_BYTE_ARRAY"
        for f in schema
        if pa.types.is_integer(f.type) or (pa.types.is_string(f.type) and f.name.endswith("_id"))
    }
    options = {
        "compression": "zstd",
        "use_dictionary": sorted(kept),
        "write_statistics": told,
        "column_encoding": encodings,
    }
    # A group is written while the next one is made.
    with pq.ParquetWriter(path, schema, **options) as writer, ThreadPoolExecutor(1) as pool:
        writing: Future[None] | None = None
        gathered: list[Any] = []
        rows = 0
        for batch in reader:
            gathered.append(batch.select(schema.names))
            rows += len(batch)
            if rows >= ROW_GROUP:
                if writing:
                    writing.result()
                writing = pool.submit(_write_group, writer, gathered, schema)
                gathered, rows = [], 0
        if writing:
            writing.result()
        if rows:
            _write_group(writer, gathered, schema)


def _write_group(writer: Any, gathered: list[Any], schema: Any) -> None:
    import pyarrow as pa

    table = pa.Table.from_batches(gathered)
    try:
        writer.write_table(table.unify_dictionaries().cast(schema), row_group_size=len(table))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"the result doesn't fit its declared columns ({error})", hint="correct the stage") from None


def check_columns(found: Iterable[str], output: TableSpec) -> None:
    """Refuse a result whose columns aren't the declared ones.

    Raises:
        SchemaError: one is missing or one too many.
    """
    names = list(found)
    missing = [name for name in output.names if name not in names]
    extra = [name for name in names if name not in output.names]
    if missing or extra:
        wrong = f"lacks the column {missing[0]}" if missing else f"has the column {extra[0]}, which is not declared"
        raise SchemaError(f"the result {wrong} (table {output.name})", hint="correct the stage or the declaration")


def _source(storage: StorageManager, result: Any) -> tuple[duckdb.DuckDBPyConnection, str]:
    import pyarrow as pa

    if isinstance(result, (pa.Table, pa.RecordBatchReader)):
        names = [name.casefold() for name in result.schema.names]
        if not names or len(set(names)) < len(names):
            wrong = "has no columns" if not names else "has column names that differ in case only"
            raise SchemaError(f"the result {wrong}, which a checkpoint can't keep", hint="correct the stage")
        con = storage.backend.con.cursor()
        con.register("stage_result", result)
        return con, "FROM stage_result"
    if not hasattr(result, "op"):
        raise SchemaError(
            f"the stage returned a {type(result).__qualname__}, not a table",
            hint="return an ibis.Table, a pyarrow.Table or a pyarrow.RecordBatchReader",
        )
    try:
        return as_sql(result)
    except _no_backend() as error:
        # A table that lives in memory only: any backend will do.
        if "backend" not in str(error).lower():
            raise
        con = storage.backend.con.cursor()
        con.register("stage_result", storage.backend.to_pyarrow(result))
        return con, "FROM stage_result"


def _no_backend() -> type[BaseException]:
    from ibis.common.exceptions import IbisError

    found: type[BaseException] = IbisError
    return found


def _select(con: duckdb.DuckDBPyConnection, sql: str, output: TableSpec | None, result: Any) -> str:
    """The query with every column cast to what the checkpoint keeps."""
    found = {row[0]: row[1] for row in con.execute(f"DESCRIBE {sql}").fetchall()}
    if output is not None:
        check_columns(found, output)
        casts = [f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' for c in output.columns]
    else:
        casts = [_kept(name, kind, result) for name, kind in found.items()]
    return f"SELECT {', '.join(casts)} FROM ({sql})"


_NOT_KEPT = re.compile(
    r"HUGEINT|UUID|ENUM|UNION|\[\d+\]|\bBIT\b|INTERVAL|TIME WITH TIME ZONE|TIMESTAMP_(S|MS)\b|BIGNUM|VARINT|VARIANT"
    r"|GEOMETRY|\"NULL\"|^NULL$"
)
_CASTS = {"UUID": "VARCHAR", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}


def _kept(name: str, kind: str, result: Any) -> str:
    """A column as Parquet keeps it; what it doesn't keep is cast where that loses nothing, else refused."""
    quoted = '"' + name.replace('"', '""') + '"'
    plain = re.sub(r"TIMESTAMP WITH TIME ZONE", "", kind)
    if not _NOT_KEPT.search(plain):
        return quoted
    target = _CASTS.get(kind, "VARCHAR" if kind.startswith("ENUM(") and not kind.endswith("]") else "")
    if kind == "HUGEINT" and _ibis_type(result, name) in ("int64", "!int64"):
        # DuckDB sums integers as HUGEINT where Ibis says int64; a sum that doesn't fit fails here, loudly.
        target = "BIGINT"
    if not target:
        raise SchemaError(
            f"the column {name} has the type {kind}, which Parquet doesn't keep",
            hint=f'cast it, e.g. table.{name}.cast("string")',
        )
    return f"CAST({quoted} AS {target}) AS {quoted}"


def _ibis_type(result: Any, name: str) -> str:
    """A column's type as Ibis sees it; empty for what isn't an Ibis table."""
    return str(result.schema()[name]) if hasattr(result, "op") else ""


def bind(backend: Any, path: Path, fingerprint: str) -> ibis.Table:
    """A checkpoint as a table of an Ibis backend on DuckDB. Reads no rows."""
    known = fingerprint.startswith("sha256:")
    name = f"checkpoint_{fingerprint[7:31] if known else uuid.uuid4().hex}"
    backend.con.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {_reading(path)}')
    return backend.table(name)


def _reading(path: Path) -> str:
    # A folder called `year=2024` somewhere above would give every table a column of that name.
    return f"FROM read_parquet({literal(path)}, hive_partitioning = false)"


def is_intact(path: Path, row: Mapping[str, Any]) -> bool:
    """Whether the file is the one that the run's row describes: by size and time; if only the time differs, by hash."""
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != row["checkpoint_bytes"]:
        return False
    if status.st_mtime_ns == row["checkpoint_mtime_ns"]:
        return _is_parquet(path)
    return bool(file_sha256(path) == row["checkpoint_sha256"])


def _is_parquet(path: Path) -> bool:
    """Whether a file ends as Parquet does; one that was lost in a power cut is full of zeros."""
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return file.read() == b"PAR1"


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_blobs(path: Path) -> dict[str, int]:
    """The blobs that belong to a checkpoint, with their sizes."""
    try:
        listed = json.loads(blobs_path(path).read_text(encoding="utf-8"))
        return {str(name): int(size) for name, size in listed.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        # Unreadable means not to be trusted: the checkpoint counts as damaged.
        return {"": -1}


def has_blobs(storage: StorageManager, path: Path) -> bool:
    """Whether every blob of a checkpoint is there in its full size."""
    folder = storage.directory / "blobs"
    for name, size in read_blobs(path).items():
        try:
            if (folder / name).stat().st_size != size:
                return False
        except OSError:
            return False
    return True


def set_aside(path: Path) -> None:
    """Move a damaged checkpoint out of the way, for whoever wants to look at it."""
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.name}.corrupt-{time.time_ns()}"))
