"""What differs between two runs: settings, code, inputs, rows, and where upstream it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.database.ir_schema import PAGES
from egregora.database.storage import StorageManager
from egregora.observe.changes import (
    Changes,
    RowChanges,
    SettingChange,
    compare_rows,
    compare_runs,
    differing_rows,
)
from egregora.observe.lineage import trace_lineage
from egregora.pipeline.fingerprint import dotted_settings
from egregora.pipeline.runner import run_stage, run_stage_with_tracking
from egregora.pipeline.stage import Files, Stage


def load(files: Any, config: Any, *, run_id: str) -> pa.Table:
    """Numbers, a line each."""
    return pa.table({"n": [int(line) for path in files.paths for line in path.read_text().split()]})


def scale(table: Any, config: Any, *, run_id: str) -> Any:
    return table.mutate(n=table.n * config["by"])


def total(table: Any, config: Any, *, run_id: str) -> Any:
    return table.agg(total=table.n.sum(), rows=table.count())


def chain(storage: StorageManager, export: Path, **config: Any) -> None:
    """Three stages: numbers from a file, scaled, summed."""
    settings = {"by": 2, "colour": "green", "deep": {"key": 1}, **config}
    numbers = run_stage_with_tracking("load", load, Files((export,)), settings, storage, config_keys=())
    scaled = run_stage_with_tracking("scale", scale, numbers, settings, storage, config_keys=("by", "deep"))
    run_stage_with_tracking("total", total, scaled, settings, storage, config_keys=())


def told(found: Changes) -> list[tuple[str, str]]:
    """Where it began: stages and kinds."""
    return [(begun.new["stage"], begun.kind) for begun in found.beginnings]


def test_a_changed_setting_is_followed_up_to_the_stage_that_read_it(storage: StorageManager, tmp_path: Path) -> None:
    """The last stage's input changed because two stages before another value was read; both values are told."""
    export = tmp_path / "numbers.txt"
    export.write_text("1 2 3")
    chain(storage, export)
    chain(storage, export, by=3, colour="red")
    found = compare_runs(storage, "total~1", "total")
    assert (found.parts, found.settings, found.code) == (("input",), (), ())
    assert told(found) == [("scale", "config")]
    assert found.beginnings[0].settings == (SettingChange("by", "2", "3"),)
    [part] = found.inputs
    assert (part.name, part.old and part.old["stage"], part.new and part.new["stage"]) == ("table", "scale", "scale")
    assert part.rows == RowChanges((), 3, 3, 2, 2, 0)
    assert found.result == RowChanges((), 1, 1, 1, 1, 0)
    own = compare_runs(storage, "scale~1", "scale")
    assert (own.parts, own.settings, told(own)) == (("config",), (SettingChange("by", "2", "3"),), [])


def test_an_input_that_grew_is_followed_up_to_the_export(storage: StorageManager, tmp_path: Path) -> None:
    """One line more in the file: a row more for each stage, and the beginning is the stage that read it."""
    export = tmp_path / "numbers.txt"
    export.write_text("1 2 3 3")
    chain(storage, export)
    export.write_text("1 2 3 3 3")
    chain(storage, export)
    found = compare_runs(storage, "total~1", "total")
    assert told(found) == [("load", "outside")]
    assert found.inputs[0].rows == RowChanges((), 4, 5, 1, 0, 0)
    load_run = compare_runs(storage, "load~1", "load")
    assert told(load_run) == [("load", "outside")]
    assert (load_run.inputs[0].old, load_run.inputs[0].new) == (None, None)
    assert differing_rows(storage, load_run.old, load_run.new, 5) == [
        {"change": "added", "key": None, "columns": {"n": 3}}
    ]


def test_the_same_run_twice_differs_in_nothing(storage: StorageManager, tmp_path: Path) -> None:
    """A hit has the parts and the result of the run that made it."""
    export = tmp_path / "numbers.txt"
    export.write_text("1 2")
    chain(storage, export)
    chain(storage, export)
    found = compare_runs(storage, "total~1", "total")
    assert (found.parts, found.settings, found.code, found.inputs, found.beginnings) == ((), (), (), (), ())
    assert found.result is not None
    assert found.result.same


def test_changed_code_names_the_modules(storage: StorageManager, tmp_path: Path) -> None:
    """Another function of another version: what was bound to it, where it lies, which distribution."""
    table = ibis.memtable(pa.table({"n": [1]}))
    run_stage_with_tracking("s", total, table, {}, storage, distributions=("duckdb",))
    run_stage_with_tracking("s", scale, table, {"by": 1}, storage, distributions=("pyarrow",))
    found = compare_runs(storage, "s~1", "s")
    assert found.parts == ("config", "code")
    names = {(change.kind, change.name, change.how) for change in found.code}
    assert {
        ("distribution", "duckdb", "removed"),
        ("distribution", "pyarrow", "added"),
        ("function", "", "changed"),
    } <= (names)
    versions = {change.name: (change.old, change.new) for change in found.code if change.kind == "distribution"}
    assert versions == {
        "duckdb": (__import__("importlib.metadata").metadata.version("duckdb"), None),
        "pyarrow": (None, pa.__version__),
    }


PAGE_ROWS = [
    {"path": "index.html", "blob": "a.html", "bytes": 1, "kind": "page"},
    {"path": "gone.html", "blob": "b.html", "bytes": 2, "kind": "page"},
    {"path": "same.html", "blob": "c.html", "bytes": 3, "kind": "page"},
]


def test_rows_of_a_declared_table_are_told_by_their_key(storage: StorageManager) -> None:
    """A page with another content is changed, and which columns differ is counted; the order of rows is nothing."""
    for rows in (PAGE_ROWS, [PAGE_ROWS[2], {**PAGE_ROWS[0], "bytes": 9}, {**PAGE_ROWS[1], "path": "new.html"}]):
        made = pa.Table.from_pylist(rows)
        stage = Stage("publish", lambda table, config, *, run_id, made=made: made, PAGES)
        run_stage(stage, Files((Path(__file__),)), {}, storage)
    found = compare_runs(storage, "publish~1", "publish")
    assert found.result == RowChanges(("path",), 3, 3, 1, 1, 1, {"bytes": 1})
    assert differing_rows(storage, found.old, found.new, 9) == [
        {"change": "removed", "key": "gone.html", "columns": {"blob": "b.html", "bytes": 2, "kind": "page"}},
        {"change": "added", "key": "new.html", "columns": {"blob": "b.html", "bytes": 2, "kind": "page"}},
        {"change": "changed", "key": "index.html", "columns": {"bytes": [1, 9]}},
    ]
    assert len(differing_rows(storage, found.old, found.new, 2)) == 2


def test_other_columns_are_told(storage: StorageManager) -> None:
    """Columns that came, went or changed their type; rows are compared by what both have."""
    tables = [pa.table({"a": [1], "b": ["x"], "c": [1]}), pa.table({"a": [1], "b": [7], "d": [1.5]})]
    for made in tables:
        run_stage_with_tracking("s", lambda t, c, *, run_id: t, ibis.memtable(made), {}, storage)
    found = compare_runs(storage, "s~1", "s").result
    assert found == RowChanges((), 1, 1, 0, 0, 0, {}, ("d",), ("c",), ("b",))
    assert not found.same


def test_what_is_gone_or_damaged_is_not_compared(storage: StorageManager) -> None:
    """Without both checkpoints nothing is said of rows; what the records tell is told all the same."""
    for number in (1, 2):
        run_stage_with_tracking("s", total, ibis.memtable(pa.table({"n": [number]})), {}, storage)
    for path in (storage.checkpoint_dir / "s").iterdir():
        path.write_bytes(b"PAR1 damaged PAR1")
    found = compare_runs(storage, "s~1", "s")
    assert (found.parts, found.result) == (("input",), None)
    for path in (storage.checkpoint_dir / "s").iterdir():
        path.unlink()
    assert compare_rows(storage, found.old, found.new) is None
    assert differing_rows(storage, found.old, found.new, 3) == []


def test_values_that_json_lacks_are_told_as_text(storage: StorageManager) -> None:
    """Times with a zone, fractions that are no numbers, lists: all can be shown."""
    for fraction in (float("nan"), 2.5):
        rows = pa.table({"f": [fraction], "t": pa.array([0], pa.timestamp("us", "UTC")), "l": [[1]]})
        run_stage_with_tracking("s", lambda t, c, *, run_id: t, ibis.memtable(rows), {}, storage)
    found = compare_runs(storage, "s~1", "s")
    rows = differing_rows(storage, found.old, found.new, 5)
    assert [(row["change"], row["columns"]["f"], row["columns"]["l"]) for row in rows] == [
        ("removed", "nan", "[1]"),
        ("added", "2.5", "[1]"),
    ]


@pytest.mark.parametrize(
    ("config", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": {}}, {"a.b.c": 1, "d": {}}),
        ({"key": {"$secret": "ab"}}, {"key": {"$secret": "ab"}}),
        ([1, 2], {"config": [1, 2]}),
    ],
)
def test_settings_are_dotted(config: Any, flat: dict[str, Any]) -> None:
    """Sections become dotted keys; what stands for a value stays one."""
    assert dotted_settings(config) == flat


def test_lineage_goes_both_ways(storage: StorageManager, tmp_path: Path) -> None:
    """Up to what went in, down to who read it, or one of the two."""
    export = tmp_path / "numbers.txt"
    export.write_text("1 2")
    chain(storage, export)

    def stages(**which: bool) -> list[str]:
        return sorted(row["stage"] for row in trace_lineage(storage, "scale", **which).runs.values())

    assert stages() == ["load", "scale", "total"]
    assert stages(down=False) == ["load", "scale"]
    assert stages(up=False) == ["scale", "total"]
    graph = trace_lineage(storage, "scale")
    assert [row["stage"] for row in graph.inputs_of(graph.start[0])] == ["load"]
    assert [row["stage"] for row in graph.readers_of(graph.start[0])] == ["total"]
