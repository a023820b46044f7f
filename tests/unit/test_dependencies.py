"""The calls of our dependencies that we rely on beyond their promises: when these pass without a bound, it can go."""

from __future__ import annotations

from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pytest
from filelock import FileLock, Timeout


def test_ibis_gets_along_with_duckdb_and_sqlglot(tmp_path: Path) -> None:
    """Tables can be made, listed, read, streamed and dropped; DuckDB 2.0 and sqlglot 30.30 broke some of it."""
    con = ibis.duckdb.connect()
    table = con.create_table("t", pa.table({"a": [1, 2]}))
    assert "t" in con.list_tables()
    assert con.sql("SELECT sum(a) AS s FROM t").to_pyarrow()["s"][0].as_py() == 3
    assert sum(batch.num_rows for batch in table.to_pyarrow_batches()) == 2
    table.to_parquet(tmp_path / "t.parquet")
    assert con.read_parquet(tmp_path / "t.parquet").count().to_pyarrow().as_py() == 2
    assert ibis.duckdb.from_connection(duckdb.connect()).create_table("u", pa.table({"a": [1]})).columns == ("a",)
    con.drop_table("t")
    assert "t" not in con.list_tables()


def test_an_expression_can_be_turned_into_sql_on_its_connection() -> None:
    """The query of an expression, in-memory tables in it included, runs on the backend's own connection."""
    con = ibis.duckdb.connect()
    joined = con.create_table("t", pa.table({"a": [1, 2]})).join(ibis.memtable(pa.table({"a": [2], "b": ["x"]})), "a")
    con._run_pre_execute_hooks(joined)
    assert con.con.execute(str(con.compile(joined))).fetchall() == [(2, "x")]


def test_a_memtable_of_its_own_is_computed_by_duckdb() -> None:
    """Without a backend, Ibis takes DuckDB."""
    assert ibis.memtable(pa.table({"a": [1]})).get_backend().name == "duckdb"


def test_describing_a_stream_does_not_use_it_up() -> None:
    """A reader's columns can be asked for before its only reading."""
    batches = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), iter([pa.record_batch({"a": [1, 2]})]))
    con = duckdb.connect()
    con.register("r", batches)
    assert con.execute("DESCRIBE FROM r").fetchall()[0][0] == "a"
    assert con.execute("SELECT sum(a) FROM r").fetchall() == [(3,)]


def test_the_sort_key_tells_rows_apart() -> None:
    """The functions that a table's hash is made of are there, and the constant behind them is needed."""
    con = duckdb.connect()
    row = con.execute(
        "SELECT md5_number(create_sort_key(1, 'ASC NULLS LAST', '', 'ASC NULLS LAST')), "
        "typeof(create_sort_key(1, 'ASC NULLS LAST'))"
    ).fetchone()
    assert row is not None
    assert (int, "BIGINT") == (type(row[0]), row[1])


def test_the_catalogs_storage_version_can_be_chosen(tmp_path: Path) -> None:
    """The file can be one that DuckDB 1.2 opens."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{tmp_path}/c.duckdb' AS c (STORAGE_VERSION 'v1.2.0')")
    con.execute("CREATE TABLE c.t AS SELECT 1 AS a")


def test_what_is_built_in_needs_no_download() -> None:
    """JSON, Parquet and time zones are in the wheel."""
    con = duckdb.connect(config={"autoinstall_known_extensions": False})
    con.execute("SELECT from_json('[1]', '[\"BIGINT\"]'), TIMESTAMPTZ '2024-01-01 00:00:00 America/Sao_Paulo'")


def test_a_lock_is_held_against_the_same_process_too(tmp_path: Path) -> None:
    """Two locks on one file exclude each other within a process, and the file stays."""
    first = FileLock(tmp_path / "l", preserve_lock_file=True, fallback_to_soft=False, thread_local=False)
    second = FileLock(tmp_path / "l", preserve_lock_file=True, fallback_to_soft=False, thread_local=False)
    with first, pytest.raises(Timeout):
        second.acquire(blocking=False)
    assert (tmp_path / "l").exists()
