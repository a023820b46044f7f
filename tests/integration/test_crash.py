"""Killed, forked, crowded: whatever becomes of the writers, every run is there once."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from egregora.database.storage import StorageManager
from egregora.errors import StorageError
from egregora.pipeline.runner import record_run

Ask = Callable[..., list[Any]]

WRITER = """
import sys, uuid
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import record_run
storage = StorageManager(sys.argv[1])
for number in range(int(sys.argv[2])):
    run_id = str(uuid.uuid4())
    record_run(storage, run_id, "s", "running", None, "sha256:x", rows_in=number)
    print("begun", run_id, flush=True)
    storage.append([{"e": "log", "run_id": run_id, "ts": "2024-01-01", "level": "info", "message": "x"}], sync=True)
    print("logged", run_id, flush=True)
    record_run(storage, run_id, "s", "completed", None, "sha256:x", rows_out=number)
    print("ended", run_id, flush=True)
"""


def start(source: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_writers_lose_nothing_and_count_nothing_twice(storage: StorageManager, ask: Ask) -> None:
    """What a writer said that it had written is there once, in the catalog, whoever was killed while folding."""
    said: dict[str, set[str]] = {"begun": set(), "logged": set(), "ended": set()}
    deadline = time.monotonic() + 5
    chance = random.Random(1)
    writers: list[subprocess.Popen[str]] = []
    killed = 0

    def hear(writer: subprocess.Popen[str]) -> None:
        out, err = writer.communicate(timeout=60)
        assert "Traceback" not in err, err
        for line in out.splitlines():
            kind, _, run_id = line.partition(" ")
            if len(run_id) == 36:
                said[kind].add(run_id)

    # On a busy machine a round takes seconds.
    while time.monotonic() < deadline or killed < 5:
        while len(writers) < 3:
            writers.append(start(WRITER, str(storage.db_path), "100000"))
        time.sleep(chance.uniform(0.4, 1.0))
        victim = writers.pop(0)
        victim.kill()
        killed += 1
        hear(victim)
        try:
            with storage.reading() as con:
                (found,) = con.execute("SELECT count(*) FROM runs").fetchone() or (0,)
            assert len(said["begun"]) <= found
        except StorageError as error:
            assert "in use" in str(error)  # noqa: PT017
    for writer in writers:
        writer.kill()
        hear(writer)
    assert len(said["ended"]) > 20

    def whole() -> None:
        rows = {str(run_id): status for run_id, status in ask(storage, "SELECT run_id, status FROM runs")}
        assert said["begun"] <= rows.keys()
        # A word may have been written and not said; at most one for each that was killed.
        assert len(rows) - len(said["begun"]) <= killed + 3
        assert {"completed", "failed"} >= set(rows.values())
        assert {run_id for run_id, status in rows.items() if status == "completed"} >= said["ended"]
        assert sum(status == "failed" for status in rows.values()) <= killed + 3
        logs = ask(storage, "SELECT run_id FROM run_logs")
        assert len(logs) == len(set(logs))
        assert {str(run_id) for run_id in logs} >= said["logged"]

    whole()
    storage.fold()
    whole()
    assert list(storage.journal_dir.glob("*.jsonl")) == []
    os.truncate(storage.db_path, 100)
    whole()
    storage.fold()
    whole()


def test_a_reader_sees_running_and_completed_exactly(storage: StorageManager, ask: Ask) -> None:
    """At any moment: what has begun and not ended runs, what has ended is completed, once each."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STEPS), str(storage.db_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for step in range(40):
        process.stdout.readline()
        begun, ended = step // 2 + 1, (step + 1) // 2
        counts = dict(ask(storage, "SELECT status, count(*) FROM runs GROUP BY status"))
        assert {k: v for k, v in {"running": begun - ended, "completed": ended}.items() if v} == counts
        process.stdin.write("\n")
        process.stdin.flush()
        if step % 20 == 9:
            time.sleep(0.5)
    process.kill()
    process.communicate()
    counts = dict(ask(storage, "SELECT status, count(*) FROM runs GROUP BY status"))
    assert "running" not in counts
    assert counts["completed"] in (20, 21)


STEPS = """
    import sys, uuid
    from egregora.database.storage import StorageManager
    from egregora.pipeline.runner import record_run
    storage = StorageManager(sys.argv[1])
    while True:
        run_id = str(uuid.uuid4())
        for status in ("running", "completed"):
            record_run(storage, run_id, "s", status, None, "sha256:x")
            print(flush=True)
            sys.stdin.readline()
"""

STAGE = """
    import os, signal, sys, time
    import pyarrow as pa
    from egregora.database.storage import StorageManager
    from egregora.pipeline.runner import run_stage_with_tracking
    import slow
    storage = StorageManager(sys.argv[1])
    run_stage_with_tracking("slow", slow.stage, pa.table({"a": [1]}), {}, storage)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_stage_is_interrupted_and_runs_again(
    storage: StorageManager, ask: Ask, tmp_path: Path, how: int
) -> None:
    """It runs as long as its process lives, is interrupted at once when that dies, and leaves no half result."""
    (tmp_path / "slow.py").write_text(
        "import time, sys\ndef stage(table, config, *, run_id):\n    print('in', flush=True)\n"
        "    time.sleep(float(sys.argv[2]))\n    return table\n"
    )

    def begin(seconds: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(STAGE), str(storage.db_path), seconds],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = begin("30")
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    assert ask(storage, "SELECT status, error_type FROM runs") == [("running", None)]
    storage.fold()
    assert ask(storage, "SELECT status, error_type FROM runs") == [("running", None)]
    process.send_signal(how)
    process.communicate(timeout=20)
    assert ask(storage, "SELECT status, error_type FROM runs") == [("failed", "interrupted")]
    assert list(storage.checkpoint_dir.rglob("*.parquet")) == []
    process = begin("0")
    process.communicate(timeout=30)
    assert ask(storage, "SELECT status, reason FROM runs ORDER BY started_at") == [
        ("failed", "first run"),
        ("completed", "first run"),
    ]
    assert list(storage.checkpoint_dir.rglob(".new-*")) == []


def _track(queue: Any, storage: StorageManager) -> None:
    import pyarrow as pa

    from egregora.pipeline.runner import run_stage_with_tracking

    made = run_stage_with_tracking("forked", _same, pa.table({"a": [1, 2]}), {}, storage)
    queue.put((storage.owner, made.count().to_pyarrow().as_py()))


def _same(table: Any, config: Any, *, run_id: str) -> Any:
    return table


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_journal_of_its_own(storage: StorageManager, ask: Ask) -> None:
    """Parent and child write side by side; that one ends says nothing of the other."""
    record_run(storage, str(uuid.uuid4()), "parent", "running", None, "sha256:x")
    assert storage.backend.con.execute("SELECT 1").fetchall()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_track, args=(queue, storage))
    child.start()
    owner, rows = queue.get(timeout=30)
    child.join(timeout=30)
    assert not child.is_alive()
    assert rows == 2
    assert owner != storage.owner
    expected = [("forked", "completed"), ("parent", "running")]
    assert expected == ask(storage, "SELECT stage, status FROM runs ORDER BY stage")
    # A stranger asks: the parent's lock outlived the child's end.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LOOK,
            str(storage.db_path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [list(row) for row in expected] == json.loads(done.stdout)


LOOK = """
import sys, json
from egregora.database.storage import StorageManager
with StorageManager(sys.argv[1]).reading() as con:
    print(json.dumps(con.execute("SELECT stage, status FROM runs ORDER BY stage").fetchall()))
"""
FORKED = """
    import os, sys, time, uuid
    from egregora.database.storage import StorageManager
    from egregora.pipeline.runner import record_run
    storage = StorageManager(sys.argv[1])
    record_run(storage, str(uuid.uuid4()), "parent", "running", None, "sha256:x")
    if os.fork() == 0:
        record_run(storage, str(uuid.uuid4()), "child", "running", None, "sha256:x")
        print(os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_lives_on_does_not_keep_its_parent_alive(storage: StorageManager, ask: Ask) -> None:
    """The lock of a killed parent is free, though its child was born with it open."""
    process = start(FORKED, str(storage.db_path))
    assert process.stdout is not None
    child = int(process.stdout.readline())
    rows = "SELECT stage, status FROM runs ORDER BY stage"
    try:
        assert ask(storage, rows) == [("child", "running"), ("parent", "running")]
        process.kill()
        process.wait()
        for _ in range(2):
            assert ask(storage, rows) == [("child", "running"), ("parent", "failed")]
            storage.fold()
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()
    deadline = time.monotonic() + 5
    while ("child", "running") in ask(storage, rows) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ask(storage, rows) == [("child", "failed"), ("parent", "failed")]


def test_processes_that_begin_at_once_share_a_site(tmp_path: Path, ask: Ask) -> None:
    """They make one folder, one key and one catalog, and all their runs are in it."""
    path = tmp_path / "site" / ".egregora" / "egregora.duckdb"
    source = WRITER + "\nprint(storage.site_key().hex())\n"
    writers = [start(source, str(path), "15") for _ in range(4)]
    keys = set()
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert writer.returncode == 0, err
        assert err == ""
        keys.add(out.splitlines()[-1])
    assert len(keys) == 1
    storage = StorageManager(path)
    assert ask(storage, "SELECT status, count(*) FROM runs GROUP BY status") == [("completed", 60)]
    assert ask(storage, "SELECT count(*) FROM run_logs") == [60]


def test_what_is_only_in_memory_is_told_at_the_end(tmp_path: Path) -> None:
    """A process whose journal can't be written gives its events to stderr, and ends well."""
    directory = tmp_path / ".egregora"
    directory.mkdir()
    (directory / "journal").write_text("")
    writer = start(WRITER, str(directory / "egregora.duckdb"), "3")
    _, err = writer.communicate(timeout=60)
    assert writer.returncode == 0
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert len(lines) == 9
    assert err.count("warning: runs can't be recorded on disk") == 1


@pytest.mark.parametrize("delay", [0.39, 0.4, 0.41, 0.42, 0.43, 0.45])
def test_a_process_that_ends_while_a_timer_folds_ends_well(tmp_path: Path, delay: float) -> None:
    """The end of the process waits for the fold, instead of tearing DuckDB's threads apart."""
    script = (
        "import time, uuid\n"
        "from egregora.database.storage import StorageManager\n"
        "from egregora.pipeline.runner import record_run\n"
        f"storage = StorageManager({str(tmp_path / 'egregora.duckdb')!r})\n"
        "record_run(storage, str(uuid.uuid4()), 'one', 'completed', None, 'sha256:1')\n"
        "record_run(storage, str(uuid.uuid4()), 'two', 'completed', None, 'sha256:2')\n"
        f"time.sleep({delay})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    con = duckdb.connect(str(tmp_path / "egregora.duckdb"), read_only=True)
    assert con.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    con.close()
