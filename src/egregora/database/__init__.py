"""Where runs are kept: the declared tables, the journal, the catalog, and the questions asked of them."""

from __future__ import annotations

from typing import Any

from egregora.database.runs_schema import RUNS, RUNS_TABLE_DDL, create_runs_table, create_tables

__all__ = [
    "RUNS",
    "RUNS_TABLE_DDL",
    "RUNS_TABLE_SCHEMA",
    "StorageManager",
    "create_runs_table",
    "create_tables",
]


def __getattr__(name: str) -> Any:
    if name == "RUNS_TABLE_SCHEMA":
        return RUNS.ibis()
    if name == "StorageManager":
        from egregora.database.storage import StorageManager

        return StorageManager
    raise AttributeError(name)
