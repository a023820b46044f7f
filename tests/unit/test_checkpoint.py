"""Checkpoints: the stage's result comes back as it was, or a `SchemaError` says why it can't."""

from __future__ import annotations

import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest

from egregora.database.columns import Column, TableSpec
from egregora.database.storage import StorageManager
from egregora.errors import SchemaError, StorageError
from egregora.pipeline.checkpoint import bind, checkpoint_path, has_blobs, is_intact, write_checkpoint

PRINT = "sha256:" + "0" * 64


def keep(storage: StorageManager, result: Any, output: TableSpec | None = None, name: str = "s") -> Any:
    path = checkpoint_path(storage, name, PRINT)
    write_checkpoint(storage, path, result, output, {})
    return bind(storage.backend, path, PRINT)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT unnest([1, NULL]) AS a",
        "SELECT 9223372036854775807 AS a, '-9223372036854775808'::BIGINT AS b, 18446744073709551615::UBIGINT AS c",
        "SELECT 1::TINYINT AS a, 2::UTINYINT AS b, 3::SMALLINT AS c,4::USMALLINT AS d",
        "SELECT 5::INTEGER AS e, 6::UINTEGER AS f",
        "SELECT 0.1::FLOAT AS a, 0.1::DOUBLE AS b, -0.0::DOUBLE AS c, 'nan'::DOUBLE AS d, 'inf'::DOUBLE AS e",
        "SELECT 1.23::DECIMAL(4, 2) AS a, 12345678901234567890.5::DECIMAL(38, 1) AS b",
        "SELECT '' AS a, NULL::VARCHAR AS b, 'ü\n' || chr(0) AS c, '\\x00\\xff'::BLOB AS d, true AS e",
        "SELECT DATE '2024-02-29' AS a, TIMESTAMP '2024-01-01 00:00:00.000001' AS b, TIME '23:59:59.999999' AS c",
        "SELECT TIMESTAMPTZ '2024-01-01 00:00:00.5+02' AS a, TIMESTAMP_NS '2024-01-01 00:00:00.000000001' AS b",
        "SELECT 'infinity'::TIMESTAMP AS a, '-infinity'::TIMESTAMP AS b",
        "SELECT [1, NULL] AS a, []::INT[] AS b, NULL::INT[] AS c, [[1], [], NULL] AS d",
        "SELECT {'x': 1, 'y': ['a', NULL]} AS a, NULL::STRUCT(x INT) AS b, {'x': NULL::INT} AS c",
        "SELECT MAP {'a': 1, 'b': NULL} AS a, [{'x': [{'y': DATE '2024-01-01'}]}] AS b",
        "SELECT '{\"a\": 1}'::JSON AS a",
        'SELECT 1 AS "a b", 2 AS "c""d", 3 AS "select", 5 AS "ü"',
        "SELECT 1 AS a WHERE false",
        "SELECT range AS a FROM range(5000)",
    ],
)
def test_a_result_comes_back_as_it_was(storage: StorageManager, sql: str) -> None:
    """Values, NULLs, nesting, types and the order of rows."""
    con = storage.backend.con
    con.execute(f"CREATE TABLE made AS {sql}")
    # As text, because DuckDB's client fetches times with zone only with a package that we don't need.
    expected = con.execute("SELECT m::VARCHAR FROM made AS m").fetchall()
    types = con.execute("DESCRIBE made").fetchall()
    bound = keep(storage, storage.backend.table("made"))
    query = f'FROM "{bound.op().name}"'
    assert expected == con.execute(f"SELECT m::VARCHAR {query} AS m").fetchall()
    assert [row[:2] for row in types] == [row[:2] for row in con.execute(f"DESCRIBE {query}").fetchall()]


def test_what_is_cast_loses_nothing(storage: StorageManager) -> None:
    """Ids and enumerations become text, seconds microseconds, and a sum of integers an integer again."""
    con = storage.backend
    con.raw_sql(
        "CREATE TABLE made AS SELECT '11111111-1111-1111-1111-111111111111'::UUID AS id, 'x'::ENUM('x', 'y,z') AS e, "
        "TIMESTAMP_S '2024-01-01 00:00:01' AS s, TIMESTAMP_MS '2024-01-01 00:00:00.001' AS ms, 3 AS n"
    )
    table = con.table("made")
    found = keep(storage, table).to_pyarrow().to_pylist()[0]
    assert found["id"] == "11111111-1111-1111-1111-111111111111"
    assert found["e"] == "x"
    assert (str(found["s"]), str(found["ms"])) == ("2024-01-01 00:00:01", "2024-01-01 00:00:00.001000")
    summed = keep(storage, table.aggregate(total=table.n.sum()), name="sum")
    assert {name: str(kind) for name, kind in summed.schema().items()} == {"total": "int64"}
    assert summed.to_pyarrow()["total"].to_pylist() == [3]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1::HUGEINT AS bad",
        "SELECT 1::UHUGEINT AS bad",
        "SELECT [1::HUGEINT] AS bad",
        "SELECT {'x': uuid()} AS bad",
        "SELECT [uuid()] AS bad",
        "SELECT MAP {'a': 'x'::ENUM('x')} AS bad",
        "SELECT ['x'::ENUM('x')] AS bad",
        "SELECT [1, 2]::INT[2] AS bad",
        "SELECT [[1, 2]::INT[2]] AS bad",
        "SELECT union_value(x := 1)::UNION(x INT, y INT) AS bad",
        "SELECT INTERVAL 1 MONTH AS bad",
        "SELECT '101'::BIT AS bad",
        "SELECT '10:00:00+02'::TIMETZ AS bad",
        "SELECT 123456789012345678901234567890::BIGNUM AS bad",
        "SELECT [TIMESTAMP_S '2024-01-01 00:00:00'] AS bad",
    ],
)
def test_what_parquet_does_not_keep_is_refused(storage: StorageManager, sql: str) -> None:
    """Never silently changed: the error names the column, and no file is left."""
    storage.backend.raw_sql(f"CREATE VIEW made AS {sql}")
    con = storage.backend.con
    with pytest.raises(SchemaError, match="bad") as caught:
        write_checkpoint(storage, checkpoint_path(storage, "s", PRINT), _Sql(storage), None, {})
    assert caught.value.hint
    assert con.execute("SELECT 1").fetchall()
    assert list(storage.checkpoint_dir.rglob("*.parquet")) == []


def _Sql(storage: StorageManager) -> Any:  # noqa: N802
    """`made` as a table, whether or not Ibis knows its types."""
    try:
        return storage.backend.table("made")
    except Exception:  # noqa: BLE001
        pytest.skip("Ibis does not know this type")


def test_a_sum_that_does_not_fit_fails_loudly(storage: StorageManager) -> None:
    """Rather than wrap around or become a fraction."""
    table = storage.backend.create_table("made", pa.table({"n": [2**63 - 1, 2**63 - 1]}))
    with pytest.raises(duckdb.ConversionException):
        keep(storage, table.aggregate(total=table.n.sum()))
    assert list(storage.checkpoint_dir.rglob("*.parquet")) == []


SPEC = TableSpec("t", "t", (Column("n", "BIGINT", "n", False), Column("d", "DOUBLE", "d"), Column("u", "VARCHAR", "u")))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"n": [1], "d": [1.0]}, "lacks the column u"),
        ({"n": [1], "d": [1.0], "u": ["x"], "v": [1]}, "has the column v, which is not declared"),
        ({"n": [None], "d": [1.0], "u": ["x"]}, "column n of t holds NULLs"),
        ({"n": [1, None], "d": [1.0, None], "u": ["x", None]}, "column n of t holds NULLs"),
        ({"a": [1], "A": [2]}, "differ in case only"),
        ({}, "has no columns"),
    ],
)
def test_what_is_not_as_declared_is_refused(storage: StorageManager, table: dict[str, Any], says: str) -> None:
    """A missing or further column, a NULL where none may be, names that DuckDB can't tell apart."""
    with pytest.raises(SchemaError, match=says):
        keep(storage, pa.table(table), SPEC)
    assert [path for path in storage.checkpoint_dir.rglob("*") if path.is_file()] == []


def test_a_declared_table_is_cast(storage: StorageManager) -> None:
    """Order and types of columns are those that are declared, whichever kind of table the stage returns."""
    arrow = pa.table({"u": ["x"], "d": [1], "n": pa.array([2], pa.int8())})
    con = ibis.duckdb.connect()
    reader = pa.RecordBatchReader.from_batches(arrow.schema, iter(arrow.to_batches()))
    for result in (
        arrow,
        reader,
        ibis.memtable(arrow),
        con.create_table("t", arrow),
        storage.backend.create_table("t", arrow),
    ):
        found = keep(storage, result, SPEC)
        assert found.to_pyarrow().to_pylist() == [{"n": 2, "d": 1.0, "u": "x"}]
        assert [str(kind) for kind in found.schema().types] == ["int64", "float64", "string"]
    with pytest.raises(duckdb.ConversionException):
        keep(storage, pa.table({"n": ["x"], "d": [1.0], "u": ["x"]}), SPEC)


def test_arrow_types_come_through(storage: StorageManager) -> None:
    """Dictionaries, large strings, decimals and empty tables."""
    arrow = pa.table(
        {
            "dictionary": pa.array(["x", "y", "x"]).dictionary_encode(),
            "large": pa.array(["a", None, "c"], pa.large_string()),
            "decimal": pa.array([Decimal("1.5"), None, Decimal("2.5")], pa.decimal128(5, 1)),
            "time": pa.array([1, 2, 3], pa.timestamp("s")),
        }
    )
    found = keep(storage, arrow).to_pyarrow()
    assert found["dictionary"].to_pylist() == ["x", "y", "x"]
    assert found["large"].to_pylist() == ["a", None, "c"]
    assert [Decimal("1.5"), None, Decimal("2.5")] == found["decimal"].to_pylist()
    assert keep(storage, arrow.slice(0, 0)).count().to_pyarrow().as_py() == 0


def test_the_content_has_one_address_whatever_the_file(storage: StorageManager) -> None:
    """Order of rows and threads change the file, not the output's hash."""
    path = checkpoint_path(storage, "s", PRINT)
    table = pa.table({"a": list(range(1000))})
    one = write_checkpoint(storage, path, table, None, {})
    other = write_checkpoint(storage, path, table.take(pa.array(range(999, -1, -1))), None, {})
    assert one.output_hash == other.output_hash
    assert one.sha256 != other.sha256
    assert is_intact(path, other.columns())
    assert not is_intact(path, one.columns())
    assert not is_intact(path.with_name("none"), one.columns())


def test_checkpoints_are_for_their_owner_alone(storage: StorageManager) -> None:
    """Mode 0600 in a folder of 0700; a strange stage's name is no path."""
    for name in ("parse", "../../up", "a/b", "", "ü", ".", "..", "x" * 300):
        path = checkpoint_path(storage, name, PRINT)
        write_checkpoint(storage, path, pa.table({"a": [1]}), None, {})
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
        assert storage.checkpoint_dir == path.resolve().parents[1]
        assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("folder", ["x [2024]", "a*b", "it's", "year=2024", "ü ñ", 'quo"te'])
def test_the_sites_folder_may_be_called_anything(tmp_path: Path, folder: str) -> None:
    """Patterns, quotes and partitions in its name are only a name."""
    storage = StorageManager(tmp_path / folder / "egregora.duckdb")
    found = keep(storage, pa.table({"a": [1]}))
    assert found.to_pyarrow().to_pylist() == [{"a": 1}]
    storage.fold() if storage.create() else None
    storage.fold()
    with storage.reading() as con:
        assert con.execute("FROM runs").fetchall() == []


def test_the_list_of_blobs_goes_with_the_result(storage: StorageManager) -> None:
    """A result that has none any more needs none."""
    path = checkpoint_path(storage, "s", PRINT)
    table = pa.table({"a": [1]})
    write_checkpoint(storage, path, table, None, {"x.png": 3})
    assert not has_blobs(storage, path)
    (storage.directory / "blobs").mkdir()
    (storage.directory / "blobs" / "x.png").write_bytes(b"abc")
    assert has_blobs(storage, path)
    (storage.directory / "blobs" / "x.png").unlink()
    write_checkpoint(storage, path, table, None, {})
    assert has_blobs(storage, path)


FULL = """
    import resource, signal, sys
    import pyarrow as pa
    from pathlib import Path
    from egregora.database.storage import StorageManager
    from egregora.errors import StorageError
    from egregora.pipeline.checkpoint import checkpoint_path, write_checkpoint
    import os
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    storage = StorageManager(Path("site/egregora.duckdb").absolute())
    table = pa.table({"a": [os.urandom(32) for _ in range(50000)]})
    path = checkpoint_path(storage, "s", "sha256:0")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        write_checkpoint(storage, path, table, None, {})
    except StorageError as error:
        print(error, "|", error.hint, "|", list(path.parent.iterdir()))
"""


def test_a_full_disk_is_explained(python: Any) -> None:
    """And leaves nothing behind."""
    said, hint, left = python(FULL).stdout.strip().split(" | ")
    assert "can't be written" in said
    assert "free some space" in hint
    assert left == "[]"


def test_a_folder_that_can_not_be_written_is_explained(storage: StorageManager) -> None:
    """A file where the stage's folder should be."""
    storage.create()
    storage.checkpoint_dir.write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        keep(storage, pa.table({"a": [1]}))


def test_an_input_that_is_gone_is_not_called_a_full_disk(storage: StorageManager, tmp_path: Path) -> None:
    """What the stage reads is another matter than what is written."""
    duckdb.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/in.parquet'")
    table = storage.backend.read_parquet(tmp_path / "in.parquet")
    (tmp_path / "in.parquet").unlink()
    with pytest.raises(duckdb.IOException):
        keep(storage, table)
