"""`egregora runs watch`: an invocation while it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from egregora.database.storage import StorageManager
from egregora.observe.watching import Spent, Usual, look, usual
from egregora.pipeline.runner import record_run
from runs_rows import Shown, run_id, seed

BEFORE = "aaaaaaaa-0000-4000-8000-000000000001"
NOW = "aaaaaaaa-0000-4000-8000-000000000002"


def ago(seconds: float) -> str:
    """A stored time so many seconds before the present."""
    return str(datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds))


def earlier() -> list[dict[str, Any]]:
    """An invocation an hour ago: three stages, which took 2, 60 and 5 seconds."""
    return [
        {
            "stage": stage,
            "run_id": run_id(100 + n),
            "invocation_id": BEFORE,
            "duration_seconds": seconds,
            "started_at": ago(3600 - n * 100),
            "finished_at": ago(3599 - n * 100),
            "owner": None,
        }
        for n, (stage, seconds) in enumerate((("parse", 2.0), ("write", 60.0), ("rank", 5.0)))
    ]


def at_work(**fields: Any) -> list[dict[str, Any]]:
    """An invocation that writes: half of its windows are done, one failed, one is at work."""
    return [
        {
            "stage": "parse",
            "invocation_id": NOW,
            "started_at": ago(33),
            "finished_at": ago(31),
            "duration_seconds": 2.0,
        },
        {
            "invocation_id": NOW,
            "status": "running",
            "started_at": ago(30),
            "progress_done": 3,
            "progress_total": 6,
            "progress_unit": "windows",
            **fields,
        },
        *(
            {
                "run_id": run_id(10 + n),
                "parent_run_id": run_id(2),
                "label": f"window {n}",
                "invocation_id": NOW,
                "started_at": ago(30 - 8 * n),
                "status": status,
                "error": "rate limit" if status == "failed" else None,
            }
            for n, status in enumerate(("completed", "completed", "failed", "running"))
        ),
    ]


def call(run: str, cost: float | None) -> dict[str, Any]:
    return {
        "e": "call",
        "run_id": run,
        "ts": ago(10),
        "model": "m",
        "prompt_hash": "x",
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_usd": cost,
        "latency_ms": 5.0,
    }


def test_how_an_invocation_goes(storage: StorageManager) -> None:
    """Stages in order, children by status, calls of children in their stage's, what is left and what is to come."""
    seed(storage, earlier())
    storage.fold()
    seed(storage, at_work())
    storage.append([call(run_id(10), 0.25), call(run_id(11), None), call(run_id(2), 0.5)], sync=True)
    before = usual(storage, NOW)
    assert before == Usual({"parse": 2.0, "write": 60.0, "rank": 5.0}, ("parse", "write", "rank"))
    going = look(storage, None, before)
    assert going is not None
    parse, write = going.stages
    assert (going.invocation, going.ended, going.failed, going.to_come) == (NOW, False, False, ["rank"])
    assert (parse.row["status"], parse.children, parse.seconds_left) == ("completed", {}, None)
    assert write.children == {"completed": 2, "failed": 1, "running": 1}
    assert [child["label"] for child in write.notable] == ["window 3", "window 2"]
    assert going.spent == write.spent == Spent(3, 330, 0.75)
    assert write.seconds_left == pytest.approx(30, abs=5)
    assert going.seconds_left == pytest.approx(35, abs=5)


def test_what_is_left_without_progress(storage: StorageManager) -> None:
    """Without progress it is what the stage usually takes; without earlier runs, or after hits alone, it isn't told."""
    seed(storage, at_work(progress_done=None, progress_total=None))
    [_, write] = look(storage, NOW, Usual({"write": 70.0}, ())).stages  # type: ignore[union-attr]
    assert write.seconds_left == pytest.approx(40, abs=5)
    for seconds in ({}, {"write": 10.0}):
        going = look(storage, NOW, Usual(seconds, ()))
        assert going is not None
        assert (going.stages[1].seconds_left, going.seconds_left) == (None, None)


@pytest.mark.parametrize(("owner", "ended"), [("dead", True), ("alive", False)])
def test_between_two_stages(owner: str, ended: bool, storage: StorageManager) -> None:
    """While its process lives more may come for some seconds; without it the invocation has ended at once."""
    fields = {"owner": storage.owner if owner == "alive" else None}
    seed(storage, [{"invocation_id": NOW, "started_at": ago(2), "finished_at": ago(0), **fields}])
    going = look(storage)
    assert going is not None
    assert going.ended == ended


def test_a_frame(storage: StorageManager, shown: Shown) -> None:
    """A tree of stages: what is done, how far the rest is, the children that failed or run, the last log lines."""
    seed(storage, earlier())
    seed(storage, at_work())
    storage.append(
        [
            {"e": "log", "run_id": run_id(2), "ts": ago(9 - n), "level": "info", "message": f"line {n}"}
            for n in range(5)
        ],
        sync=True,
    )
    code, out, err = shown("runs", "watch", "--once", width=80)
    assert (code, err) == (0, "")
    lines = [re.sub(r" *(\d+\.\d\d s|\d+ s|\d\d:\d\d:\d\d)", " #", line).rstrip() for line in out.splitlines()]
    assert lines == [
        "Invocation aaaaaaaa  running for #, about # left",
        "  ✓  parse  5 rows #  617/s",
        "  ▸  write  ━━━━━━━━━━──────────  3/6 windows, # left #",
        "      4 children: 2 completed, 1 failed, 1 running",
        "      ✗ window 2: rate limit",
        "      ▸ window 3 #",
        "  ·  rank",
        "",
        " #  line 2",
        " #  line 3",
        " #  line 4",
    ]


@pytest.mark.parametrize("width", [30, 50, 80, 160])
def test_a_frame_fits(width: int, storage: StorageManager, shown: Shown) -> None:
    """Bars give way first; nothing is wider than the terminal, nothing hostile acts."""
    rows = at_work(progress_unit="\x1b[31mwindows")
    seed(storage, [*rows, {"invocation_id": NOW, "stage": "s" * 60, "status": "failed", "error": "long " * 40}])
    code, out, _ = shown("runs", "watch", "--once", width=width)
    assert code == 1
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= width


def test_an_earlier_invocation(storage: StorageManager, shown: Shown) -> None:
    """--invocation names another than the newest, and one that has ended is shown as it ended."""
    seed(storage, earlier())
    seed(storage, at_work())
    code, out, _ = shown("runs", "watch", "--once", "--invocation", "last~1")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["✓", "parse", "5", "rows", "2.00", "s", "617/s"],
        ["✓", "write", "5", "rows", "1", "min", "0", "s", "21/s"],
        ["✓", "rank", "5", "rows", "5.00", "s", "247/s"],
    ]
    assert out.splitlines()[0].startswith("Invocation aaaaaaaa  completed in ")
    assert shown("runs", "watch", "--invocation", "nosuch")[0] == 1


def test_how_far_an_invocation_went_is_told(storage: StorageManager, shown: Shown) -> None:
    """Of one that was killed between two stages no run tells; that it came only to `write` does."""
    rows = [{"stage": stage, "invocation_id": NOW, "started_at": ago(60)} for stage in ("parse", "write")]
    seed(storage, rows)
    assert shown("runs", "watch", "--once")[1].splitlines()[0].endswith(", up to write")
    seed(storage, [{"stage": "publish", "run_id": run_id(9), "invocation_id": NOW, "started_at": ago(30)}])
    assert "up to" not in shown("runs", "watch", "--once")[1].splitlines()[0]


def test_nothing_to_watch_yet(shown: Shown) -> None:
    """What to type."""
    assert "egregora write EXPORT" in shown("runs", "watch", "--once")[1]


# -- processes --------------------------------------------------------------------------------------------------------


def start(site: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "egregora", "runs", "watch", *words, "--site", str(site)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


PIPELINE = """
import sys, time, uuid
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import record_run
ERRORS = {"failed": "disk full"}
storage = StorageManager(sys.argv[1])
def run(stage, status):
    made = str(uuid.uuid4())
    fields = dict(invocation_id=storage.invocation_id, owner=storage.owner)
    record_run(storage, made, stage, "running", None, "sha256:0", **fields)
    time.sleep(0.8)
    record_run(storage, made, stage, status, ERRORS.get(status), "sha256:0", rows_out=7, duration_seconds=0.8)
run("parse", "completed")
run("write", sys.argv[2])
"""


@pytest.mark.parametrize(("outcome", "code"), [("completed", 0), ("failed", 1)])
def test_the_next_invocation_is_waited_for(
    outcome: str, code: int, storage: StorageManager, site: Path, python: Callable[..., Any]
) -> None:
    """What ended before isn't watched; the next is, to its end, which is the exit code. In a pipe events are lines."""
    seed(storage, [{"invocation_id": BEFORE, "owner": None, "status": "failed"}])
    storage.close()
    process = start(site)
    assert process.stderr is not None
    assert process.stderr.readline() == "Nothing runs. Waiting for the next write; Ctrl-C leaves.\n"
    python(PIPELINE, str(storage.db_path), outcome)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")
    said = [line[10:] for line in out.splitlines() if "started" not in line]
    assert said[:2] == [
        "parse  7 rows in 0.80 s",
        "write  7 rows in 0.80 s" if code == 0 else "write  failed: disk full",
    ]
    assert f"  {outcome} " in out.splitlines()[-1]


def test_rows_as_they_change(storage: StorageManager, site: Path) -> None:
    """With --json a program reads a row of `runs` for each change."""
    [run] = seed(storage, [{"invocation_id": NOW, "status": "running", "started_at": ago(1)}])
    process = start(site, "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["status"] == "running"
    record_run(storage, run, "write", "completed", None, "sha256:0")
    assert json.loads(process.stdout.readline())["status"] == "completed"
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_terminal_is_drawn_live(storage: StorageManager, site: Path) -> None:
    """On a terminal the tree is drawn again and again; Ctrl-C leaves without noise, and `watch && …` does no more."""
    [run] = seed(storage, [{"invocation_id": NOW, "status": "running", "started_at": ago(1)}])
    process = start(site, FORCE_COLOR="1", TERM="xterm", COLUMNS="80", LINES="24")
    assert process.stdout is not None

    def read_until(word: bytes) -> None:
        seen = b""
        deadline = time.monotonic() + 30
        while word not in seen and time.monotonic() < deadline:
            seen += os.read(process.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
        assert word in seen

    read_until(b"running")
    record_run(
        storage, run, "write", "running", None, "sha256:0", progress_done=2, progress_total=4, progress_unit="cups"
    )
    read_until(b"2/4 cups")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
