"""The tables beside `runs`, and `runs` itself: declared once, and DuckDB agrees."""

from __future__ import annotations

from pathlib import Path

import duckdb
import ibis
import pytest

import egregora.database as database
from egregora.database.columns import Column, TableSpec
from egregora.database.ir_schema import ENRICHED, MESSAGES, PAGES, POSTS, RANKED, RAW_MESSAGES
from egregora.database.runs_schema import RUNS, SCHEMA_VERSION, TABLES, create_runs_table, create_tables
from egregora.errors import StorageError

SPECIFIED = (
    "run_id",
    "stage",
    "status",
    "error",
    "input_fingerprint",
    "code_ref",
    "config_hash",
    "started_at",
    "finished_at",
    "rows_in",
    "rows_out",
    "duration_seconds",
    "llm_calls",
    "tokens",
    "trace_id",
)
DATA = (RAW_MESSAGES, MESSAGES, ENRICHED, POSTS, RANKED, PAGES)


def test_the_specified_columns_come_first() -> None:
    """The fifteen columns of the specification, by these names and in this order, then ours."""
    assert RUNS.names[:15] == SPECIFIED


def test_runs_is_keyed_by_its_run_id() -> None:
    """A run id stands in one row only."""
    con = duckdb.connect()
    create_runs_table(con)
    insert = (
        "INSERT INTO runs (run_id, stage, status, input_fingerprint, started_at) "
        "VALUES (?, 'a', 'running', 'x', now()::TIMESTAMP)"
    )
    con.execute(insert, ["11111111-1111-1111-1111-111111111111"])
    with pytest.raises(duckdb.ConstraintException):
        con.execute(insert, ["11111111-1111-1111-1111-111111111111"])


def test_a_table_can_be_created_twice() -> None:
    """Creating what exists changes nothing."""
    con = duckdb.connect()
    create_runs_table(con)
    create_tables(con)
    create_tables(con)
    assert con.execute("FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]


@pytest.mark.parametrize("spec", [*TABLES, *DATA], ids=lambda spec: f"{spec.name}-{len(spec.columns)}")
def test_duckdb_reports_what_is_declared(spec: TableSpec) -> None:
    """Names, types and NULLs of every table are as declared, in DuckDB and in Ibis."""
    con = duckdb.connect()
    con.execute(spec.ddl("made"))
    found = con.execute("DESCRIBE made").fetchall()
    assert [(c.name, c.type, "YES" if c.nullable else "NO") for c in spec.columns] == [
        (name, kind.replace('"', ""), null) for name, kind, null, *_ in found
    ]
    backend = ibis.duckdb.connect()
    backend.raw_sql(spec.ddl("made"))
    assert {n: t.copy(nullable=True) for n, t in spec.ibis().items()} == {
        n: t.copy(nullable=True) for n, t in backend.table("made").schema().items()
    }
    assert list(spec.names) == spec.arrow().names


@pytest.mark.parametrize("spec", [*TABLES, *DATA], ids=lambda spec: f"{spec.name}-{len(spec.columns)}")
def test_every_column_has_a_meaning(spec: TableSpec) -> None:
    """Tables and columns say what they are."""
    assert spec.meaning
    assert [c.name for c in spec.columns if not c.meaning] == []
    assert [c.name for c in RUNS.columns if not c.heading and c.name.startswith(("run", "stage", "status"))] == []


def test_a_column_is_found_by_its_name() -> None:
    """Asking for a column that isn't there is a bug of the asker."""
    assert Column("edited", "BOOLEAN", MESSAGES.column("edited").meaning, False) == MESSAGES.column("edited")
    with pytest.raises(KeyError):
        MESSAGES.column("author_raw")


def test_the_package_offers_schema_ddl_and_storage() -> None:
    """What the specification imports from `egregora.database` is there."""
    assert list(RUNS.names) == list(database.RUNS_TABLE_SCHEMA.names)
    assert RUNS.ddl() == database.RUNS_TABLE_DDL
    assert database.StorageManager.__name__ == "StorageManager"
    from egregora.database import runs_schema

    assert database.RUNS_TABLE_SCHEMA == runs_schema.RUNS_TABLE_SCHEMA
    for module in (database, runs_schema):
        with pytest.raises(AttributeError):
            module.NOTHING  # noqa: B018


def test_an_error_keeps_its_hint() -> None:
    """Every error of ours says what to do next."""
    assert StorageError("it is broken", hint="mend it").hint == "mend it"


def test_an_older_client_can_open_the_catalog(tmp_path: Path, storage) -> None:
    """The catalog is written in the storage format of DuckDB 1.2."""
    storage.create()
    storage.fold()
    con = duckdb.connect(str(storage.db_path), read_only=True)
    tags = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'egregora'").fetchone()
    assert tags is not None
    assert "v1.2.0" in str(tags[0])
