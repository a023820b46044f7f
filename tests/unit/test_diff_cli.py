"""`egregora runs diff` and `runs lineage`: what differs, and what came from what."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.database.ir_schema import PAGES, RAW_MESSAGES
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import run_stage, run_stage_with_tracking
from egregora.pipeline.stage import Files, Stage
from runs_rows import Shown, seed

FILE = Files((Path(__file__),))


def publish(storage: StorageManager, *pages: dict[str, Any]) -> None:
    """A run of `publish` that makes these pages."""
    made = pa.Table.from_pylist([{"path": "a.html", "blob": "a", "bytes": 1, "kind": "page", **page} for page in pages])
    run_stage(Stage("publish", lambda table, config, *, run_id: made, PAGES), FILE, {}, storage)


def test_diff_says_what_differs(storage: StorageManager, shown: Shown) -> None:
    """Changed parts, rows by kind, figures; which rows on demand, of each kind as many as of the others."""
    publish(storage, {}, *({"path": f"old{n}.html"} for n in range(5)))
    publish(storage, {"bytes": 2}, *({"path": f"new{n}.html"} for n in range(3)))
    code, out, err = shown("runs", "diff", "publish", width=80)
    assert (code, err) == (0, "")
    assert re.search(r"Changed +that can't be told: ", out)
    assert re.search(r"Result +3 files added, 5 removed and 1 changed \(in bytes\)\n", out)
    assert re.search(r"Rows out +6 → 4\n", out)
    last = out.splitlines()[-1]
    assert re.fullmatch(r"which rows: egregora runs diff [0-9a-f]{8} [0-9a-f]{8} --rows 10", last)
    _, out, _ = shown("runs", *last.split("egregora runs ")[1].split(), "--rows", "5", width=80)
    assert [line[:12] for line in out.splitlines()[-5:]] == [
        "- old0.html ",
        "- old1.html ",
        "+ new0.html ",
        "+ new1.html ",
        "~ a.html  by",
    ]
    found = json.loads(shown("runs", "diff", "last~1", "last", "--rows", "9", "--json")[1])
    assert found["figures"]["rows_out"] == [6, 4]
    assert found["rows"][-1] == {"change": "changed", "key": "a.html", "columns": {"bytes": [1, 2]}}
    assert len(found["rows"]) == 9
    assert found["result"]["columns"] == {"bytes": 1}


def test_nothing_differs(storage: StorageManager, shown: Shown) -> None:
    """A hit has everything of the run that made it."""
    table = ibis.memtable(pa.table({"n": [1, 2]}))
    for _ in range(2):
        run_stage_with_tracking("s", lambda t, c, *, run_id: t, table, {}, storage)
    out = shown("runs", "diff", "s")[1]
    assert "nothing: the same input, settings and code" in out
    assert "the same 2 rows" in out
    assert "which rows" not in out


def test_raw_rows_are_shown_without_text(storage: StorageManager, shown: Shown) -> None:
    """Of rows from before the privacy stage: id, place, kind and time; of what changed, that it did."""
    row = {
        **dict.fromkeys(RAW_MESSAGES.names, "Zorro"),
        "event_id": "e1",
        "seq": 0,
        "ts": 0,
        "edited": False,
        "kind": "text",
        "media_type": None,
    }
    for rows in ([row], [{**row, "text": "Zorro rides"}, {**row, "event_id": "e2", "seq": 1}]):
        made = pa.Table.from_pylist(rows, schema=RAW_MESSAGES.arrow())
        run_stage(Stage("parse", lambda t, c, *, run_id, made=made: made, RAW_MESSAGES), FILE, {}, storage)
    _, out, _ = shown("runs", "diff", "parse", "--rows", "5", width=200)
    assert "+ e2  seq 1, ts 1970-01-01 00:00:00, kind text, media_type –, edited False" in out
    assert "~ e1  text differs" in out
    assert "Zorro" not in out + shown("runs", "diff", "parse", "--rows", "5", "--json")[1]


def test_runs_of_different_stages(storage: StorageManager, shown: Shown) -> None:
    """It is said that they are, and what both have is compared."""
    table = ibis.memtable(pa.table({"n": [1, 2], "m": [1, 1]}))
    first = run_stage_with_tracking("one", lambda t, c, *, run_id: t, table, {"a": 1, "b": 2}, storage)
    run_stage_with_tracking("two", lambda t, c, *, run_id: t.select("n").head(1), first, {"a": 3}, storage)
    _, out, _ = shown("runs", "diff", "one", "two")
    assert "runs of different stages: only what both have is compared" in out
    assert re.search(r"Settings +a: 1 → 3\n", out)
    assert re.search(r"Result +1 row removed; columns that went: m\n", out)


def test_nothing_to_compare_with(storage: StorageManager, shown: Shown) -> None:
    """The first run of a stage has none before it; what to type is said."""
    seed(storage, [{"stage": "rank"}])
    code, _, err = shown("runs", "diff", "rank")
    assert code == 1
    assert "no run of rank has completed before it" in err
    assert "egregora runs diff" in err


def chain(storage: StorageManager) -> None:
    """load → left and right → join; the second time all from their checkpoints."""
    table = ibis.memtable(pa.table({"n": [1, 2]}))
    for _ in range(2):
        load = run_stage_with_tracking("load", lambda t, c, *, run_id: t, table, {}, storage)
        left = run_stage_with_tracking("left", lambda t, c, *, run_id: t, load, {}, storage)
        right = run_stage_with_tracking("right", lambda t, c, *, run_id: t, load, {}, storage)
        run_stage_with_tracking("join", lambda t, c, *, run_id: t, left, {}, storage, inputs={"other": right})


def test_lineage_as_a_tree(storage: StorageManager, shown: Shown) -> None:
    """Up and down from where one stands; what occurs twice is followed once; hits are marked."""
    chain(storage)
    code, out, _ = shown("runs", "lineage", "join", width=80)
    lines = [re.sub(r"[0-9a-f]{8}|\d+\.\d\d s", "·", line) for line in out.splitlines()]
    assert code == 0
    assert lines == [
        "join  ·  completed, 2 rows, from its checkpoint",
        "came from",
        "├── left  ·  completed, 2 rows, from its checkpoint",
        "│   └── load  ·  completed, 2 rows, from its checkpoint",
        "└── right  ·  completed, 2 rows, from its checkpoint",
        "    └── load  ·  completed, 2 rows, from its checkpoint (see above)",
        "read by",
        "└── no run",
    ]
    lines = [
        re.sub(r"[0-9a-f]{8}|\d+\.\d\d s", "·", line)
        for line in shown("runs", "lineage", "load~1", "--down")[1].splitlines()
    ]
    assert lines == [
        "load  ·  completed, 2 rows, ·",
        "read by",
        "├── left  ·  completed, 2 rows, ·",
        "│   └── join  ·  completed, 2 rows, ·",
        "└── right  ·  completed, 2 rows, ·",
        "    └── join  ·  completed, 2 rows, · (see above)",
    ]
    assert "a table or file from outside" in shown("runs", "lineage", "load", "--up")[1]


def test_lineage_for_programs(storage: StorageManager, shown: Shown) -> None:
    """JSON has runs and edges; Mermaid a node a run, whatever it is called."""
    chain(storage)
    found = json.loads(shown("runs", "lineage", "left", "--json")[1])
    stages = {row["run_id"]: row["stage"] for row in found["runs"]}
    assert sorted((stages[edge["from"]], stages[edge["to"]]) for edge in found["edges"]) == [
        ("left", "join"),
        ("load", "left"),
    ]
    assert stages[found["start"]] == "left"
    [hostile] = seed(storage, [{"stage": 'a"]-->b<script>'}])
    out = shown("runs", "lineage", hostile, "--format", "mermaid")[1]
    assert out.startswith("graph LR\n")
    assert out.count('"') == 2
    assert "<script" not in out
    assert shown("runs", "lineage", "last", "--format", "dot")[0] == 2


@pytest.mark.parametrize("words", [("lineage", "hub"), ("lineage", "hub", "--format", "mermaid")])
def test_a_large_lineage_is_bounded(storage: StorageManager, shown: Shown, words: tuple[str, ...]) -> None:
    """Of a result that thousands read the nearest are shown, and how many more there are."""
    [hub, *readers] = seed(storage, [{"stage": "hub"}, *({"stage": "reader"} for _ in range(2000))])
    for reader in readers:
        storage.append([{"e": "run", "run_id": reader, "parents": [hub]}])
    out = shown("runs", *words)[1]
    assert out.count("reader") == 399
    assert ("1,601 more runs" in out) == (len(words) == 2)
