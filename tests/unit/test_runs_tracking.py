"""One tracked stage after the other: what is recorded, what hits, what runs again and why, what fails."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from pydantic import BaseModel, SecretStr

from egregora.database.columns import Column, TableSpec
from egregora.database.storage import StorageManager
from egregora.errors import ConfigError, ExportError, PrivacyError, SchemaError, StorageError
from egregora.pipeline.runner import record_run, run_stage, run_stage_with_tracking
from egregora.pipeline.stage import Files, Stage, StageContext
from egregora.pipeline.tracking import origin_of
from runs_rows import run_id

Ask = Callable[..., list[Any]]
ROWS = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
FILES = Files((Path(__file__),))
ran: list[str] = []


def keep(table: Any, config: Any, *, run_id: str) -> Any:
    ran.append(run_id)
    return table


def double(table: Any, config: Any, *, run_id: str) -> Any:
    ran.append(run_id)
    return table.mutate(a=table.a * 2)


def scaled(table: Any, config: Any, *, run_id: str) -> Any:
    return table.mutate(a=table.a * config["by"])


def read(table: Any, config: Any, *, run_id: str) -> Any:
    return pa.table({"size": [sum(path.stat().st_size for path in table.paths)]})


def sign(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
    return pa.table({"pass": [context.privacy_pass().run_id]})


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def run(
    storage: StorageManager, func: Any, table: Any = ROWS, config: Any = None, *, name: str = "s", **more: Any
) -> Any:
    return run_stage_with_tracking(name, func, table, {} if config is None else config, storage, **more)


def reasons(ask: Ask, storage: StorageManager, name: str = "s") -> list[Any]:
    return ask(
        storage,
        "SELECT source, reason FROM runs WHERE stage = ? AND parent_run_id IS NULL ORDER BY started_at",
        [name],
    )


def again(storage: StorageManager) -> StorageManager:
    """The next invocation."""
    storage.close()
    return StorageManager(storage.db_path)


# -- what is recorded


def test_a_completed_run_is_recorded_whole(storage: StorageManager, ask: Ask) -> None:
    """Identity, time, rows and every part of the fingerprint stand in its row."""
    made = run(storage, double, ibis.memtable(ROWS), config={"k": 1})
    assert made.order_by("a").to_pyarrow().to_pydict() == {"a": [2, 4, 6], "b": ["x", None, "z"]}
    with storage.reading() as con:
        cursor = con.execute("FROM runs")
        row = dict(zip([d[0] for d in cursor.description or ()], cursor.fetchone() or (), strict=True))
        codes = dict(con.execute("FROM codes").fetchall())
        configs = dict(con.execute("FROM configs").fetchall())
    assert tuple(row[n] for n in ("stage", "status", "source", "reason")) == ("s", "completed", "executed", "first run")
    assert tuple(row[n] for n in ("rows_in", "rows_out", "llm_calls", "tokens", "cost_usd")) == (3, 3, 0, 0, None)
    assert [ran[0]] == [str(row["run_id"])]
    assert row["input_fingerprint"].startswith("sha256:")
    assert configs[row["config_hash"]] == '{"k":1}'
    assert any(name.startswith("module ") for name in json.loads(codes[row["code_hash"]]))
    assert list(json.loads(row["input_parts"])) == ["table"]
    assert row["started_at"] <= row["finished_at"] <= datetime.now(UTC).replace(tzinfo=None)
    assert row["duration_seconds"] > 0
    assert storage.invocation_id == str(row["invocation_id"])
    assert storage.invocation_id.replace("-", "") == row["trace_id"]
    assert tuple(row[n] for n in ("tenant_id", "error", "error_type", "traceback", "parent_run_id")) == (
        "default",
        None,
        None,
        None,
        None,
    )
    origin = origin_of(made)
    assert origin is not None
    assert (row["output_hash"], 3, ran[0]) == (origin.output_hash, origin.rows, origin.run_id)


def test_the_row_is_there_while_the_stage_runs(storage: StorageManager, ask: Ask) -> None:
    """Somebody who looks from another place sees it running, with its input and its reason."""

    def look(table: Any, config: Any, *, run_id: str) -> Any:
        found.extend(ask(StorageManager(storage.db_path), "SELECT run_id, status, rows_in, reason FROM runs"))
        return table

    found: list[Any] = []
    run_stage_with_tracking("s", look, ROWS, {}, storage)
    assert [("running", 3, found[0][3])] == [row[1:] for row in found]


def test_lineage_follows_results_and_queries_on_them(storage: StorageManager, ask: Ask) -> None:
    """A run's parents are all runs whose results its input reads, however they were put together."""
    one = run(storage, keep, name="one")
    two = run(storage, double, ibis.memtable(ROWS), name="two")
    joined = one.join(two, one.a == two.a, rname="{name}_2").filter(lambda t: t.a > 0).select("a")
    run(storage, keep, joined, name="three")
    run(storage, keep, one, name="four", inputs={"more": two, "same": one})
    ids = dict(ask(storage, "SELECT stage, run_id FROM runs"))
    parents = {
        (ids["three"], ids["one"]),
        (ids["three"], ids["two"]),
        (ids["four"], ids["one"]),
        (ids["four"], ids["two"]),
    }
    assert parents == set(ask(storage, "FROM lineage"))
    storage.fold()
    assert parents == set(ask(storage, "FROM lineage"))


def test_what_a_stage_says_is_kept_redacted(storage: StorageManager, ask: Ask) -> None:
    """Log lines lose addresses, absolute paths and control characters; progress stands in the row."""

    def talk(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        context.log("mail zoe@example.org in /home/zoe/secret/file.txt \x1b[31mred\u202e")
        context.log("careful", "warning")
        context.progress(1, 3, "windows")
        context.progress(2, 3, "windows")
        context.progress(3, 3, "windows")
        return table

    heard: list[Any] = []
    storage.listener = lambda who, event: heard.append((who.stage, event["e"]))
    run(storage, talk)
    (first, second) = ask(storage, "SELECT level, message FROM run_logs ORDER BY ts")
    assert first[0] == "info"
    assert not any(word in first[1] for word in ("zoe", "home", "\x1b", "\u202e"))
    assert second == ("warning", "careful")
    assert ask(storage, "SELECT progress_done, progress_total, progress_unit FROM runs") == [(3, 3, "windows")]
    assert {("s", "run"), ("s", "log")} == set(heard)


def test_model_calls_are_summed_and_an_unknown_price_stays_unknown(storage: StorageManager, ask: Ask) -> None:
    """Failed attempts count; a parent has the sum of its children; NULL is not 0."""

    def call(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        def one(of: StageContext, cost: float | None, **more: Any) -> None:
            of.count_call(
                model="m",
                prompt_hash="p",
                input_tokens=10,
                output_tokens=more.pop("output", 5),
                cost_usd=cost,
                latency_ms=1.5,
                **more,
            )

        with context.child("w1", rows_in=2) as child:
            one(child, 0.25)
            one(child, 0.5, error="busy, tell zoe@example.org", output=None)
            child.rows_out = 1
        with context.child("w2") as child:
            one(child, config["cost"])
        return table

    run(storage, call, config={"cost": 0.25}, name="priced")
    run(storage, call, config={"cost": None}, name="unpriced")
    rows = (
        "SELECT label, llm_calls, tokens, cost_usd, rows_in, rows_out, status FROM runs WHERE stage = ? "
        "ORDER BY label NULLS FIRST"
    )
    assert ask(storage, rows, ["priced"]) == [
        (None, 3, 40, 1.0, 3, 3, "completed"),
        ("w1", 2, 25, 0.75, 2, 1, "completed"),
        ("w2", 1, 15, 0.25, None, None, "completed"),
    ]
    assert [row[:4] for row in ask(storage, rows, ["unpriced"])] == [
        (None, 3, 40, None),
        ("w1", 2, 25, 0.75),
        ("w2", 1, 15, None),
    ]
    assert ask(storage, "SELECT count(*), count(error), count(*) FILTER (cost_usd IS NULL) FROM llm_calls") == [
        (6, 2, 1)
    ]
    assert not [text for text in ask(storage, "SELECT error FROM llm_calls WHERE error IS NOT NULL") if "zoe" in text]


def test_children_stand_below_their_parent(storage: StorageManager, ask: Ask) -> None:
    """They share its stage, fingerprint and invocation; one that fails says so, and its parent unless it is caught."""

    def work(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        with pytest.raises(ZeroDivisionError), context.child("caught"):
            raise ZeroDivisionError
        with context.child("fatal"):
            raise KeyError("k")

    with pytest.raises(KeyError):
        run(storage, work)
    rows = ask(
        storage,
        "SELECT c.label, c.status, c.error_type, c.stage, c.input_fingerprint = p.input_fingerprint, "
        "c.invocation_id = p.invocation_id FROM runs c JOIN runs p ON c.parent_run_id = p.run_id ORDER BY c.label",
    )
    assert rows == [
        ("caught", "failed", "ZeroDivisionError", "s", True, True),
        ("fatal", "failed", "KeyError", "s", True, True),
    ]
    assert ask(storage, "SELECT status, error_type FROM runs WHERE parent_run_id IS NULL") == [("failed", "KeyError")]


def test_inputs_reach_the_stage_and_count(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """Further inputs are hashed by name, and found in the context."""

    def use(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        return pa.table({"n": [context.inputs["more"].num_rows, len(context.inputs["files"].paths)]})

    (tmp_path / "f").write_text("1")
    files = Files((tmp_path / "f",))
    made = run(storage, use, inputs={"more": ROWS, "files": files})
    assert sorted(made.to_pyarrow()["n"].to_pylist()) == [1, 3]
    run(storage, use, inputs={"files": files, "more": ROWS})
    run(storage, use, inputs={"more": ROWS.slice(1), "files": files})
    (tmp_path / "f").write_text("2")
    run(storage, use, inputs={"more": ROWS.slice(1), "files": files})
    assert [reason for _, reason in reasons(ask, storage)] == [
        "first run",
        "unchanged",
        "input changed",
        "input changed",
    ]


# -- hits, and why not


def test_the_second_time_nothing_runs(storage: StorageManager, ask: Ask) -> None:
    """In this process and in the next, the checkpoint is taken; its run points to the same result."""
    for _ in range(2):
        run(storage, keep)
    storage = again(storage)
    made = run(storage, keep)
    assert len(ran) == 1
    assert reasons(ask, storage) == [
        ("executed", "first run"),
        ("checkpoint", "unchanged"),
        ("checkpoint", "unchanged"),
    ]
    assert ROWS.to_pylist() == made.to_pyarrow().to_pylist()
    assert ask(storage, "SELECT count(DISTINCT output_hash), min(rows_out), count(started_at) FROM runs") == [(1, 3, 3)]
    storage.close()


def test_a_hit_never_reads_its_input(storage: StorageManager) -> None:
    """A result that came from a checkpoint carries its hash, so its rows may even be gone."""
    first = run(storage, keep, name="one")
    run(storage, double, first, name="two")
    origin = origin_of(first)
    assert origin is not None
    origin.path.unlink()
    ran.clear()
    made = run(storage, double, first, name="two")
    assert ran == []
    assert sorted(made.to_pyarrow()["a"].to_pylist()) == [2, 4, 6]


def test_every_part_of_the_fingerprint_is_named_when_it_changed(storage: StorageManager, ask: Ask) -> None:
    """Input, configuration, code, several of them, and back to what was before."""
    steps: list[tuple[Any, Any, Any, str]] = [
        (keep, ROWS, {"k": 1}, "first run"),
        (keep, ROWS.slice(1), {"k": 1}, "input changed"),
        (keep, ROWS.slice(1), {"k": 2}, "config changed"),
        (double, ibis.memtable(ROWS.slice(1)), {"k": 2}, "code changed"),
        (keep, ROWS, {"k": 3}, "input changed, config changed, code changed"),
    ]
    for func, table, config, _ in steps:
        run(storage, func, table, config)
    assert [("executed", reason) for *_, reason in steps] == reasons(ask, storage)
    run(storage, keep, ROWS, {"k": 1})
    (first,) = ask(storage, "SELECT run_id FROM runs WHERE reason = 'first run'")
    assert ("checkpoint", f"unchanged since {first}") == reasons(ask, storage)[-1]
    storage = again(storage)
    run(storage, keep, ROWS.slice(1), {"k": 1})
    run(storage, keep, ROWS, {"k": 1})
    assert f"unchanged since {first}" == reasons(ask, storage)[-1][1]
    storage.close()


def test_stages_of_another_name_or_tenant_are_others(storage: StorageManager, ask: Ask) -> None:
    """The stage's name is part of the fingerprint; a tenant has a history of its own."""
    run(storage, keep, name="one")
    run(storage, keep, name="two")
    other = StorageManager(storage.db_path, tenant_id="other")
    run(other, keep, name="one")
    assert len(ran) == 3
    assert reasons(ask, storage, "two") == [("executed", "first run")]


def test_only_declared_keys_count(storage: StorageManager, ask: Ask) -> None:
    """A change of a key that a stage doesn't read changes nothing; reading an undeclared one fails."""

    class Settings(BaseModel):
        by: int = 2
        other: int = 0
        token: SecretStr = SecretStr("Zorro")

    for config in (Settings(), Settings(other=1), Settings(by=3)):
        run(storage, scaled, ibis.memtable(ROWS), config, config_keys=("by", "token"))
    assert [reason for _, reason in reasons(ask, storage)] == ["first run", "unchanged", "config changed"]
    with pytest.raises(KeyError, match="does not declare"):
        run(storage, scaled, ibis.memtable(ROWS), Settings(), config_keys=("other",))
    with pytest.raises(ConfigError):
        run(storage, scaled, ibis.memtable(ROWS), Settings(), config_keys=("nothing",))
    assert not [text for text in ask(storage, "SELECT config FROM configs") if "Zorro" in text]
    assert ask(storage, "SELECT status FROM runs ORDER BY started_at") == [
        "completed",
        "completed",
        "completed",
        "failed",
        "failed",
    ]


def test_a_forced_run_runs(storage: StorageManager, ask: Ask) -> None:
    """And its checkpoint takes the old one's place; the next time it hits."""
    run(storage, keep)
    run(storage, keep, force=True)
    run(storage, keep)
    assert reasons(ask, storage) == [("executed", "first run"), ("executed", "forced"), ("checkpoint", "unchanged")]
    assert not list(storage.checkpoint_dir.rglob("*.corrupt*"))


def test_a_failed_run_is_tried_again(storage: StorageManager, ask: Ask) -> None:
    """A failure is no result."""

    def fail(table: Any, config: Any, *, run_id: str) -> Any:
        if flag:
            raise RuntimeError
        return table

    flag: list[int] = [1]
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run(storage, fail)
    flag.clear()
    run(storage, fail)
    assert ask(storage, "SELECT status FROM runs ORDER BY started_at") == ["failed", "failed", "completed"]


def test_early_cut_off(storage: StorageManager, ask: Ask) -> None:
    """Other code with the same output: what follows hits."""
    after = functools.partial(keep)
    run(storage, after, run(storage, keep, name="one"), name="two")

    def same(table: Any, config: Any, *, run_id: str) -> Any:
        return (
            table.slice(1).combine_chunks()
            if config.get("less")
            else pa.concat_tables([table.slice(1), table.slice(0, 1)])
        )

    run(storage, after, run(storage, same, name="one"), name="two")
    run(storage, after, run(storage, same, config={"less": 1}, name="one"), name="two")
    assert [reason for _, reason in reasons(ask, storage, "two")] == ["first run", "unchanged", "input changed"]


def checkpoint(storage: StorageManager) -> Path:
    (path,) = storage.checkpoint_dir.rglob("*.parquet")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def flip_footer_unseen(path: Path) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-12:-4] = b"\xff" * 8
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "checkpoint missing"),
        (lambda path: path.write_bytes(b""), "checkpoint corrupt"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "checkpoint corrupt"),
        (flip, "checkpoint corrupt"),
    ],
    ids=["missing", "empty", "truncated", "flipped"],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_a_harmed_checkpoint_is_a_miss(storage: StorageManager, ask: Ask, harm: Any, reason: str, fresh: bool) -> None:
    """It is set aside, made anew, and hits from then on; nothing is ever read from it."""
    run(storage, keep)
    path = checkpoint(storage)
    harm(path)
    storage = again(storage) if fresh else storage
    made = run(storage, keep)
    assert ROWS.to_pylist() == made.to_pyarrow().to_pylist()
    run(storage, keep)
    assert [("executed", reason), ("checkpoint", "unchanged")] == reasons(ask, storage)[1:]
    assert (reason == "checkpoint corrupt") == bool(list(path.parent.glob("*.corrupt-*")))
    storage.close()


def test_a_footer_that_was_harmed_unseen_is_found(storage: StorageManager, ask: Ask, python: Any) -> None:
    """Even with the size and the time that it had, a file that can't be opened is no result."""
    script = f"""
        import pyarrow as pa
        from egregora.database.storage import StorageManager
        from egregora.pipeline.runner import run_stage_with_tracking
        import stranger
        storage = StorageManager({str(storage.db_path)!r})
        made = run_stage_with_tracking("s", stranger.stage, pa.table({{"a": [1]}}), {{}}, storage)
        print(made.to_pyarrow().to_pydict())
        """
    (storage.directory.parents[1] / "stranger.py").write_text("def stage(table, config, *, run_id): return table")
    python(script)
    flip_footer_unseen(checkpoint(storage))
    assert python(script).stdout.strip() == "{'a': [1]}"
    assert [reason for _, reason in reasons(ask, storage)] == ["first run", "checkpoint corrupt"]


def put(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
    return pa.table({"blob": [context.put_blob(b"picture", "png"), context.put_blob(b"other", "png")]})


@pytest.mark.parametrize(
    "harm",
    [
        lambda directory: next((directory / "blobs").glob("*.png")).unlink(),
        lambda directory: next((directory / "blobs").glob("*.png")).write_bytes(b"cut"),
        lambda directory: next(directory.rglob("*.blobs.json")).write_text("{"),
        lambda directory: next(directory.rglob("*.blobs.json")).write_text("[1]"),
        lambda directory: next(directory.rglob("*.blobs.json")).write_text('{"x": "y"}'),
    ],
)
def test_a_checkpoint_whose_files_are_gone_is_a_miss(storage: StorageManager, ask: Ask, harm: Any) -> None:
    """Blobs belong to the result."""
    run(storage, put)
    run(storage, put)
    harm(storage.directory)
    run(storage, put)
    run(storage, put)
    assert [reason for _, reason in reasons(ask, storage)] == [
        "first run",
        "unchanged",
        "checkpoint corrupt",
        "unchanged",
    ]


def test_a_copied_site_hits(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """A copy has other times, so its content decides, once."""
    run(storage, keep)
    storage.close()
    copy = tmp_path / "copy of [a] site" / "year=2024"
    shutil.copytree(storage.directory, copy, copy_function=shutil.copyfile)
    for path in copy.rglob("*.parquet"):
        os.utime(path, (1, 1))
    moved = StorageManager(copy / "egregora.duckdb")
    for _ in range(2):
        made = run(moved, keep)
    assert reasons(ask, moved)[-1] == ("checkpoint", "unchanged")
    assert ask(moved, "SELECT DISTINCT checkpoint_mtime_ns FROM runs WHERE source = 'checkpoint'") == [1_000_000_000]
    assert list(made.columns) == ["a", "b"]
    made = run(moved, double, made, name="two")
    assert list(made.columns) == ["a", "b"]
    moved.close()


def test_a_checkpoint_that_another_process_made_anew_is_no_corrupt_one(storage: StorageManager, ask: Ask) -> None:
    """Of several runs with one fingerprint, the file is that of the one that wrote it last."""
    run(storage, keep)
    other = StorageManager(storage.db_path)
    run(other, keep, force=True)
    run(storage, keep)
    assert [reason for _, reason in reasons(ask, storage)] == ["first run", "forced", "unchanged"]


@pytest.mark.parametrize(
    "broken",
    [
        {"config": {"f": object()}},
        {"config": {1: 2}},
        {"func": functools.partial(keep, object())},
        {"table": [1, 2]},
        {"table": pa.RecordBatchReader.from_batches(ROWS.schema, [])},
        {"table": ibis.table({"a": "int64"}, name="nowhere")},
        {"distributions": ("no-such-thing",)},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_what_can_not_be_identified_runs_every_time(storage: StorageManager, ask: Ask, broken: dict[str, Any]) -> None:
    """Fail closed: a fingerprint that is never met again, with the reason and a warning."""

    def small(table: Any, *arguments: Any, run_id: str) -> Any:
        ran.append(run_id)
        return ROWS

    func = functools.partial(small, object()) if "func" in broken else small
    for _ in range(2):
        run_stage_with_tracking(
            "s",
            func,
            broken.get("table", ROWS),
            broken.get("config", {}),
            storage,
            distributions=broken.get("distributions", ()),
        )
    assert len(ran) == 2
    rows = ask(storage, "SELECT input_fingerprint, reason FROM runs")
    assert len({fingerprint for fingerprint, _ in rows}) == 2
    assert all(fingerprint.startswith("unknown:") and reason.startswith("unknown: ") for fingerprint, reason in rows)
    assert ask(storage, "SELECT level, count(*) FROM run_logs GROUP BY level") == [("warning", 2)]


def test_a_configuration_that_holds_itself_is_unknown(storage: StorageManager, ask: Ask) -> None:
    """It ends, and runs."""
    config: dict[str, Any] = {}
    config["self"] = config
    run(storage, keep, ROWS, config)
    assert reasons(ask, storage) == [("executed", "unknown: it refers to itself")]


def test_results_of_unknown_runs_do_not_mix(storage: StorageManager) -> None:
    """Two runs at the same moment keep their own results."""
    made = [run(storage, keep, pa.table({"a": [number]}), {"f": object()}) for number in range(5)]
    assert [table.to_pyarrow()["a"].to_pylist() for table in made] == [[0], [1], [2], [3], [4]]


def test_while_somebody_holds_the_catalog_stages_run(storage: StorageManager, ask: Ask) -> None:
    """Nothing can be reused then, and the reason says so; afterwards all is there."""
    run(storage, keep)
    storage = again(storage)
    con = duckdb.connect(str(storage.db_path))
    run(storage, keep)
    con.close()
    run(storage, keep)
    storage.fold()
    found = reasons(ask, storage)
    assert [source for source, _ in found] == ["executed", "executed", "checkpoint"]
    assert found[1][1].startswith("unknown: the catalog is held open")
    storage.close()


def test_a_hit_while_somebody_holds_the_catalog(storage: StorageManager, ask: Ask) -> None:
    """What was read before is enough; what would have to be looked up is run."""
    run(storage, keep)
    run(storage, keep, config={"k": 1})
    # Not just folded: a fold that a timer has begun would hold the file too.
    storage.close()
    con = duckdb.connect(str(storage.db_path))
    run(storage, keep, config={"k": 1})
    run(storage, keep)
    con.close()
    assert [reason for _, reason in reasons(ask, storage)] == [
        "first run",
        "config changed",
        "unchanged",
        "config changed",
    ]


# -- failures


def test_a_failure_is_recorded_and_raised(storage: StorageManager, ask: Ask) -> None:
    """Class, redacted message, and frames without where they lie on this machine."""

    def fail(table: Any, config: Any, *, run_id: str) -> Any:
        try:
            {}["zoe@example.org"]
        except KeyError as error:
            raise ValueError("no /home/zoe/deep/file for zoe@example.org") from error

    with pytest.raises(ValueError, match="zoe"):
        run(storage, fail)
    ((status, error, kind, traceback, rows_in, rows_out),) = ask(
        storage, "SELECT status, error, error_type, traceback, rows_in, rows_out FROM runs"
    )
    assert (status, kind, rows_in, rows_out) == ("failed", "ValueError", 3, None)
    assert "zoe" not in error + traceback
    assert str(Path(__file__).parent) not in traceback
    assert "test_runs_tracking.py:" in traceback
    assert "in fail" in traceback
    assert traceback.index("KeyError") < traceback.index("ValueError")
    assert not any(line.split(":")[0].startswith("/") for line in traceback.splitlines())


@pytest.mark.parametrize(
    "raw", [pa.table({"author_raw": ["Zorro"]}), ibis.memtable(pa.table({"author_raw": ["Zorro"]})), "files"]
)
def test_before_names_are_protected_messages_are_withheld(
    storage: StorageManager, ask: Ask, tmp_path: Path, raw: Any
) -> None:
    """Only our own errors, which never hold text of a chat, are told; the class of others is."""
    (tmp_path / "f").write_text("x")
    table = Files((tmp_path / "f",)) if isinstance(raw, str) else raw

    def stumble(table: Any, config: Any, *, run_id: str) -> Any:
        raise ValueError("Zorro said: meet me")

    def refuse(table: Any, config: Any, *, run_id: str) -> Any:
        raise ExportError("line 7 is odd", hint="look at it")

    for func in (stumble, refuse):
        with pytest.raises((ValueError, ExportError)):
            run(storage, func, table)
    with pytest.raises(ValueError):
        run(storage, stumble, inputs={"more": table})
    found = ask(storage, "SELECT error, hint, traceback FROM runs ORDER BY started_at")
    assert "Zorro" not in str(found)
    assert "ValueError" in found[0][0]
    assert found[1][:2] == ("line 7 is odd", "look at it")


def test_stopping_from_the_keyboard_is_recorded(storage: StorageManager, ask: Ask) -> None:
    """Control-C is an interruption, not an error of the stage."""

    def stop(table: Any, config: Any, *, run_id: str) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(storage, stop)
    assert ask(storage, "SELECT status, error_type, error, traceback FROM runs") == [
        ("failed", "interrupted", "interrupted from the keyboard", None)
    ]


def test_an_error_that_goes_round_in_circles_ends(storage: StorageManager, ask: Ask) -> None:
    """Causes may point at each other, and messages may hold what has no UTF-8."""

    def circle(table: Any, config: Any, *, run_id: str) -> Any:
        one, two = ValueError("one \udcff"), ValueError("two")
        one.__cause__, two.__cause__ = two, one
        raise one

    with pytest.raises(ValueError):
        run(storage, circle)
    assert ask(storage, "SELECT error FROM runs") == ["one ?"]


def test_a_missing_export_is_a_failed_run(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """The stage itself says what is wrong, and the row says why."""
    with pytest.raises(FileNotFoundError):
        run(storage, read, Files((tmp_path / "Chat with Zorro.zip",)))
    ((status, error, reason),) = ask(storage, "SELECT status, error, reason FROM runs")
    assert (status, reason) == ("failed", "unknown: export 1 can't be read (No such file or directory)")
    assert "Zorro" not in error
    storage.close()
    for path in storage.directory.rglob("*"):
        assert not path.is_file() or b"Zorro" not in path.read_bytes()


@pytest.mark.parametrize("result", [None, [1], {"a": [1]}])
def test_what_is_no_table_is_no_result(storage: StorageManager, ask: Ask, result: Any) -> None:
    """A stage returns a table."""
    with pytest.raises(SchemaError, match="not a table"):
        run(storage, lambda table, config, run_id: result)
    assert ask(storage, "SELECT status FROM runs") == ["failed"]


def test_a_site_that_can_not_be_written_is_explained(tmp_path: Path) -> None:
    """Before anything has run."""
    (tmp_path / "site").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        run(StorageManager(tmp_path / "site" / ".egregora" / "egregora.duckdb"), keep)
    assert ran == []


def test_a_journal_that_can_not_be_written_stops_nothing(storage: StorageManager, capsys: Any, ask: Ask) -> None:
    """Runs are kept in memory, seen from this process, and given to stderr at its end."""
    storage.create()
    storage.journal_dir.write_text("a file in the folder's place")
    run(storage, keep)
    run(storage, keep)
    assert reasons(ask, storage) == [("executed", "first run"), ("checkpoint", "unchanged")]
    storage.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert {"completed", "running"} == {line["status"] for line in lines if line["e"] == "run"}


# -- the pass


def test_a_pass_needs_a_completed_privacy_run(storage: StorageManager) -> None:
    """Executed or hit, directly or through further stages and queries."""
    for _ in range(2):
        private = run(storage, keep, name="privacy")
        origin = origin_of(private)
        assert origin is not None
        later = run(storage, double, private, name="enrich")
        for table in (private, later, later.filter(later.a > 0), private.join(later, "a")):
            found = run(storage, sign, table, force=True).to_pyarrow()["pass"].to_pylist()
            assert [origin.run_id] == found


def test_without_it_there_is_no_pass(storage: StorageManager) -> None:
    """Raw tables, raw tables joined in, raw SQL, further raw inputs, files, failed privacy runs: refused."""
    raw = run(storage, keep, name="parse")
    private = run(storage, keep, raw, name="privacy")
    con = storage.backend
    con.create_table("secret", ROWS)
    tables = [
        ROWS,
        ibis.memtable(ROWS),
        raw,
        raw.filter(raw.a > 0),
        private.join(raw, "a", rname="{name}_r"),
        private.union(ibis.memtable(ROWS)),
        private.join(con.table("secret"), "a", rname="{name}_r"),
        con.sql("SELECT * FROM secret"),
        private.join(con.sql("SELECT * FROM secret"), "a", rname="{name}_r"),
        private.alias("p").sql("SELECT p.a FROM p JOIN secret USING (a)"),
        Files(()),
    ]
    for table in tables:
        with pytest.raises(PrivacyError):
            run(storage, sign, table)
    with pytest.raises(PrivacyError):
        run(storage, sign, private, inputs={"more": raw})
    assert run(storage, sign, private, inputs={"exports": Files(())}) is not None
    with pytest.raises(PrivacyError):
        StageContext(storage.directory).privacy_pass()


def test_two_privacy_runs_are_as_good_as_one(storage: StorageManager) -> None:
    """Every part went through one, if not through the same."""
    one = run(storage, keep, name="privacy")
    two = run(storage, keep, ROWS.slice(1), name="privacy")
    passes = run(storage, sign, one.union(two)).to_pyarrow()["pass"].to_pylist()
    assert passes[0] in {origin.run_id for origin in map(origin_of, (one, two)) if origin}


# -- record_run


def test_record_run_inserts_and_updates(storage: StorageManager, ask: Ask) -> None:
    """First insert, then update what is given; times are UTC whatever their zone."""
    run_id = str(uuid.uuid4())
    started = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    record_run(
        storage, run_id.upper(), "s", "running", None, "sha256:x", rows_in=3, started_at=started, label=Path("w")
    )
    rows = "SELECT run_id, status, rows_in, rows_out, started_at, label, error FROM runs"
    expected = (uuid.UUID(run_id), "running", 3, None, datetime(2024, 1, 1, 10), "w", None)
    assert [expected] == ask(storage, rows)
    record_run(storage, run_id, "s", "failed", "at zoe@example.org", "sha256:x", rows_out=None, rows_in=4)
    ((_, status, rows_in, _, started_at, label, error),) = ask(storage, rows)
    assert ("failed", 4, datetime(2024, 1, 1, 10), "w") == (status, rows_in, started_at, label)
    assert "zoe" not in error
    record_run(storage, run_id.replace("-", ""), "s", "completed", None, "sha256:x", rows_out=4)
    assert ask(storage, "SELECT status, rows_out FROM runs") == [("completed", 4)]
    storage.fold()
    assert ask(storage, "SELECT status, rows_out FROM runs") == [("completed", 4)]


def test_record_run_of_what_has_ended_needs_no_beginning(storage: StorageManager, ask: Ask) -> None:
    """A row that is told of only at its end began when it ended."""
    record_run(storage, str(uuid.uuid4()), "s", "completed", None, "sha256:x")
    assert ask(storage, "SELECT started_at = finished_at FROM runs") == [True]


@pytest.mark.parametrize(
    ("arguments", "metrics", "error"),
    [
        ({"status": "done"}, {}, TypeError),
        ({}, {"rows": 3}, TypeError),
        ({"run_id": "1"}, {}, ValueError),
    ],
)
def test_record_run_refuses_what_it_does_not_know(
    storage: StorageManager, ask: Ask, arguments: dict[str, Any], metrics: dict[str, Any], error: type[Exception]
) -> None:
    """Neither a fourth status, nor a column that isn't there, nor an id that is none."""
    given = {
        "run_id": str(uuid.uuid4()),
        "stage": "s",
        "status": "running",
        "error": None,
        "fingerprint": "x",
        **arguments,
    }
    with pytest.raises(error):
        record_run(storage, **given, **metrics)
    assert ask(storage, "FROM runs") == []


# -- stages as data


def test_a_stage_is_cast_to_its_declared_table(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """`run_stage` takes name, function, keys and schema from the stage."""
    spec = TableSpec("t", "t", (Column("size", "BIGINT", "bytes", False),))
    (tmp_path / "export").write_text("12345")
    made = run_stage(Stage("read", read, spec, (), ("duckdb",)), Files((tmp_path / "export",)), {}, storage)
    assert made.table.to_pyarrow()["size"].to_pylist() == [5]
    assert ask(storage, "SELECT stage, rows_in, rows_out FROM runs") == [("read", 1, 1)]


class Instance:
    """A stage may be an instance."""

    def __call__(self, table: Any, config: Any, *, run_id: str) -> Any:
        return table


def test_code_without_a_folder_has_no_commit(storage: StorageManager, ask: Ask) -> None:
    """An instance, or a function of an installed package, is of no repository; a partial is of its function's."""
    run(storage, Instance(), name="instance")
    run(storage, functools.partial(keep), name="partial")
    run(storage, keep, name="plain")
    refs = dict(ask(storage, "SELECT stage, code_ref FROM runs"))
    assert refs["instance"] == "unknown"
    assert refs["partial"] == refs["plain"]


def test_results_stay_on_the_backend_of_their_input(storage: StorageManager) -> None:
    """So that both can be joined; other engines' tables come to ours."""
    con = ibis.duckdb.connect()
    table = con.create_table("t", ROWS)
    made = run(storage, double, table)
    assert made.join(table, made.b == table.b, how="left", rname="{name}_t").count().to_pyarrow().as_py() == 3
    derived = run(storage, double, table.filter(table.a > 1), name="derived")
    assert derived.get_backend() is con
    assert run(storage, keep, name="ours").get_backend() is storage.backend
    other = ibis.duckdb.connect().create_table("t", ROWS)
    mixed = run(storage, keep, name="mixed", inputs={"other": other})
    assert mixed.get_backend() is storage.backend


PAIRS = TableSpec(
    "pairs", "Invented pairs.", (Column("name", "VARCHAR", "a name", False), Column("count", "BIGINT", "how many"))
)


def batches(*columns: dict[str, pa.Array]) -> pa.RecordBatchReader:
    made = [pa.RecordBatch.from_pydict(column) for column in columns]
    return pa.RecordBatchReader.from_batches(made[0].schema, iter(made))


@pytest.mark.parametrize(
    ("reader", "rows"),
    [
        (
            lambda: batches({"count": pa.array([1, 2], pa.int32()), "name": pa.array(["a", "b"]).dictionary_encode()}),
            [{"name": "a", "count": 1}, {"name": "b", "count": 2}],
        ),
        (lambda: batches({"name": pa.array([], pa.string()), "count": pa.array([], pa.int64())}), []),
        (
            lambda: batches(
                {"name": pa.array(["a"]).dictionary_encode(), "count": pa.array([1])},
                {"name": pa.array(["b"]).dictionary_encode(), "count": pa.array([None], pa.int64())},
            ),
            [{"name": "a", "count": 1}, {"name": "b", "count": None}],
        ),
    ],
    ids=["cast and ordered", "empty", "different dictionaries"],
)
def test_a_reader_is_streamed_into_its_declared_columns(
    storage: StorageManager, reader: Callable[[], pa.RecordBatchReader], rows: list[dict[str, Any]]
) -> None:
    """What arrives in batches, dictionaries and other widths is kept as it is declared."""
    made = run_stage(Stage("pairs", lambda table, config, *, run_id: reader(), PAIRS), FILES, {}, storage)
    assert made.table.to_pyarrow().to_pylist() == rows
    assert made.origin.rows == len(rows)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (lambda: batches({"name": pa.array(["a"])}), "lacks the column count"),
        (
            lambda: batches({"name": pa.array(["a"]), "count": pa.array([1]), "more": pa.array([1])}),
            "has the column more",
        ),
        (lambda: batches({"name": pa.array(["a"]), "count": pa.array(["many"])}), "doesn't fit"),
        (lambda: batches({"name": pa.array([None], pa.string()), "count": pa.array([1])}), "holds NULLs"),
    ],
    ids=["missing", "extra", "type", "null"],
)
def test_a_reader_that_isnt_as_declared_is_refused(
    storage: StorageManager, reader: Callable[[], pa.RecordBatchReader], said: str
) -> None:
    """A streamed result keeps the same contract as a table, and leaves no file behind."""
    with pytest.raises(SchemaError, match=said):
        run_stage(Stage("pairs", lambda table, config, *, run_id: reader(), PAIRS), FILES, {}, storage)
    assert list((storage.checkpoint_dir / "pairs").iterdir()) == []


@pytest.mark.parametrize("output", [None, PAIRS], ids=["as it is", "declared"])
def test_what_a_reader_raises_is_what_is_recorded(storage: StorageManager, ask: Ask, output: TableSpec | None) -> None:
    """An error in the middle of a stream is the stage's own error, not that of whoever reads it."""

    def broken(table: Any, config: Any, *, run_id: str) -> pa.RecordBatchReader:
        def rows() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"name": ["a"], "count": [1]})
            raise ExportError("cut off in line 2", hint="export again")

        return pa.RecordBatchReader.from_batches(pa.schema([("name", pa.string()), ("count", pa.int64())]), rows())

    with pytest.raises(ExportError, match="cut off"):
        run_stage(Stage("broken", broken, output), FILES, {}, storage)
    assert ask(storage, "SELECT error_type, error, hint FROM runs") == [
        ("ExportError", "cut off in line 2", "export again")
    ]


def test_the_hint_stands_apart_and_fits_every_site(storage: StorageManager, ask: Ask) -> None:
    """The next thing to type is a column of its own, from wherever in the chain it is known, without a path."""

    def wrap(table: Any, config: Any, *, run_id: str, context: Any) -> Any:
        try:
            with context.child("a window"):
                raise ExportError("odd", hint="run: egregora cache gc --site '/home/zorro/my blog'; then again")
        except ExportError as error:
            raise RuntimeError("the stage gave up") from error

    with pytest.raises(RuntimeError):
        run(storage, wrap)
    assert ask(storage, "SELECT error, hint FROM runs ORDER BY started_at") == [
        ("the stage gave up", "run: egregora cache gc; then again"),
        ("odd", "run: egregora cache gc; then again"),
    ]
    record_run(storage, run_id(9), "s", "failed", "odd", "sha256:0", hint="look")
    record_run(storage, run_id(9), "s", "completed", None, "sha256:0")
    assert ask(storage, f"SELECT hint FROM runs WHERE run_id = '{run_id(9)}'") == [None]


def test_results_are_bound_only_when_they_are_needed(tmp_path: Path) -> None:
    """Stages that all hit never import ibis; it alone takes longer than they do."""
    (tmp_path / "steps.py").write_text(
        "import pyarrow as pa\n"
        "def first(files, config, *, run_id):\n    return pa.table({'n': [1, 2]})\n"
        "def second(table, config, *, run_id):\n    return table.to_pyarrow()\n"
    )
    script = (
        "import sys\nfrom pathlib import Path\nimport steps\n"
        "from egregora.database.storage import StorageManager\n"
        "from egregora.pipeline.runner import run_stage\nfrom egregora.pipeline.stage import Files, Stage\n"
        f"storage = StorageManager({str(tmp_path / 'site' / 'egregora.duckdb')!r})\n"
        "files = Files((Path('steps.py'),))\n"
        "one = run_stage(Stage('one', steps.first, None), files, {}, storage)\n"
        "two = run_stage(Stage('two', steps.second, None), one, {}, storage)\n"
        "print(two.origin.rows, 'ibis' in sys.modules)\n"
    )
    (tmp_path / "script.py").write_text(script)
    said = [
        subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["2 True", "2 False"]
