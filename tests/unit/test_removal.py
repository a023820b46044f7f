"""Runs that are removed: what goes with them, what has to stay, and that they never come back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from egregora.database import storage as storage_module
from egregora.database.storage import StorageManager
from egregora.observe.removal import Removal, plan_gc_of_runs, plan_removal, remove
from egregora.testing import write_export
from runs_rows import Shown, run_id, seed

Ask = Callable[..., list[Any]]


def fingerprint(number: int) -> str:
    return f"sha256:{number:064x}"


def made(stage: str, number: int, **more: Any) -> dict[str, Any]:
    """A completed run that left a checkpoint, which needn't be there."""
    return {
        "stage": stage,
        "input_fingerprint": fingerprint(number),
        "output_hash": f"{number:064x}",
        "checkpoint_sha256": f"{number:064x}",
        "checkpoint_bytes": 10,
        **more,
    }


def ids(planned: Removal) -> list[int]:
    """The runs that go, without children, by the numbers that `seed` gave them."""
    return sorted(int(row["run_id"][-8:]) for row in planned.newest)


def reasons(planned: Removal) -> dict[int, str]:
    return {int(one.run_id[-8:]): one.why for one in planned.staying}


IN_USE = "it is the newest completed run of its stage, so its checkpoint is in use"


def test_runs_go_with_all_that_is_on_record_of_them(storage: StorageManager, ask: Ask) -> None:
    """Children, log lines, calls, figures, lineage, and the configuration and code that nobody else read."""
    one, two, child = run_id(1), run_id(2), run_id(3)
    seed(
        storage,
        [
            made("write", 1, config_hash="c1", code_hash="k1", parents=[run_id(9)]),
            made("write", 2, config_hash="c2", code_hash="k1"),
            {"parent_run_id": one, "label": "2024-W01"},
        ],
    )
    side: list[dict[str, Any]] = [{"e": "config", "config_hash": f"c{n}", "config": "{}"} for n in (1, 2)]
    side += [{"e": "code", "code_hash": "k1", "modules": "{}"}]
    for run in (one, two, child):
        side += [
            {"e": "log", "run_id": run, "ts": "2024-03-04 09:00:00", "level": "info", "message": "hello"},
            {"e": "call", "run_id": run, "ts": "2024-03-04 09:00:00", "model": "m", "prompt_hash": "p"},
            {"e": "profile", "run_id": run, "name": "people", "value": 3.0},
        ]
    storage.append(side, sync=True)
    storage.fold()

    planned = plan_removal(storage, [one])
    assert (ids(planned), planned.runs, planned.children, planned.logs, planned.calls) == ([1], 1, 1, 2, 2)
    remove(storage, planned)

    for table in ("runs", "run_logs", "llm_calls", "profiles"):
        assert [str(found) for found in ask(storage, f"SELECT run_id FROM {table}")] == [two], table
    assert ask(storage, "FROM lineage") == []
    assert ask(storage, "SELECT config_hash FROM configs") == ["c2"]
    assert ask(storage, "SELECT code_hash FROM codes") == ["k1"]


REMOVE = """
import sys
from pathlib import Path
from egregora.database.storage import StorageManager
from egregora.observe.removal import plan_removal, remove
storage = StorageManager(Path(sys.argv[1]))
remove(storage, plan_removal(storage, sys.argv[2:]))
"""
RECORD = """
import sys, uuid
from pathlib import Path
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import record_run
storage = StorageManager(Path(sys.argv[1]))
for run in sys.argv[2:]:
    record_run(storage, run, "write", "failed", "too bad", "sha256:00")
"""


def test_a_removed_run_does_not_come_back(
    storage: StorageManager, ask: Ask, python: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Not from the journals of those who made and removed it, folded, packed, or all that is left of the catalog."""
    storage.create()
    runs = [run_id(number) for number in (1, 2, 3)]
    python(RECORD, str(storage.db_path), *runs)
    python(REMOVE, str(storage.db_path), runs[1])
    left = "SELECT run_id::VARCHAR FROM runs ORDER BY 1"
    assert ask(storage, left) == sorted([runs[0], runs[2]])
    # Another process packs the journals of those that have ended.
    python(RECORD, str(storage.db_path), run_id(4))
    assert len(list(storage.journal_dir.glob("*.gz"))) >= 2
    storage.db_path.write_bytes(b"nonsense" * 1000)
    storage.fold()
    assert "set aside" in capfd.readouterr().err
    assert ask(storage, left) == sorted([runs[0], runs[2], run_id(4)])


def test_a_removal_counts_before_it_is_folded(storage: StorageManager, ask: Ask) -> None:
    """Whoever looks in the meantime doesn't see the run, nor what is said of it."""
    seed(storage, [made("write", 1), made("write", 2)])
    storage.fold()
    late = {"e": "log", "run_id": run_id(1), "ts": "2024-03-04 09:00:00", "level": "info", "message": "late"}
    storage.append([late, {"e": "removed", "run_ids": [run_id(1)]}, late], sync=True)
    assert [str(run) for run in ask(storage, "SELECT run_id FROM runs")] == [run_id(2)]
    assert ask(storage, "FROM run_logs") == []
    storage.fold()
    assert [str(run) for run in ask(storage, "SELECT run_id FROM runs")] == [run_id(2)]
    assert ask(storage, "FROM run_logs") == []


def test_a_removal_is_not_forgotten_before_what_it_removed(storage: StorageManager, python: Callable[..., Any]) -> None:
    """An old journal stays as long as there is one that began before it and isn't old, of whatever it may tell."""
    storage.create()
    for run in (1, 2, 3):
        python(RECORD, str(storage.db_path), run_id(run))
    storage.append([{"e": "removed", "run_ids": [run_id(1)]}])
    storage.fold()
    first, second, third = sorted(storage.journal_dir.glob("*.gz"), key=lambda path: path.name.rpartition("-")[2])
    old = first.stat().st_mtime - storage_module.KEEP_JOURNALS_S - 60
    os.utime(second, (old, old))
    storage.append([{"e": "removed", "run_ids": [run_id(1)]}])
    storage.fold()
    assert (first.exists(), second.exists(), third.exists()) == (True, True, True)
    os.utime(first, (old, old))
    storage.append([{"e": "removed", "run_ids": [run_id(1)]}])
    storage.fold()
    assert (first.exists(), second.exists(), third.exists()) == (False, False, True)


# -- what has to stay -------------------------------------------------------------------------------------------------

CHAIN = [
    # One invocation: 1 → 2; the next: 3, a hit of 1, → 4; then a failed one: 5 → 6.
    made("parse", 1),
    made("write", 2, parents=[run_id(1)]),
    made("parse", 1, source="checkpoint"),
    made("write", 4, parents=[run_id(3)]),
    made("parse", 5),
    {"stage": "write", "status": "failed", "parents": [run_id(5)]},
]


@pytest.mark.parametrize(
    ("wanted", "going", "staying"),
    [
        ([6], [6], {}),
        ([2], [2], {}),
        ([5], [], {5: IN_USE}),
        ([4], [], {4: IN_USE}),
        ([3], [], {3: f"run {run_id(4)[:8]}, which stays, was made from its result"}),
        # Its own reader may go; the hit that took its result stays, because of the one that read that.
        ([1, 2], [2], {1: f"run {run_id(3)[:8]}, which stays, took its result from it"}),
        ([1], [], {1: f"run {run_id(2)[:8]}, which stays, was made from its result"}),
        # Nobody who needs them stays.
        ([1, 2, 3, 6], [2, 6], {1: f"run {run_id(3)[:8]}, which stays, took its result from it",
                               3: f"run {run_id(4)[:8]}, which stays, was made from its result"}),
    ],
)  # fmt: skip
def test_what_others_need_stays(
    storage: StorageManager, wanted: list[int], going: list[int], staying: dict[int, str]
) -> None:
    """The newest of each stage, what runs that stay were made from, what they took; each with the run that needs it."""
    seed(storage, CHAIN)
    planned = plan_removal(storage, [run_id(number) for number in wanted])
    told = reasons(planned)
    assert ids(planned) == going
    assert sum(one.runs for one in planned.staying) == len(staying)
    assert told == {number: why for number, why in staying.items() if number in told}
    assert told or not staying


def test_a_chain_that_nobody_needs_goes_whole(storage: StorageManager) -> None:
    """With newer runs of both stages, hits and what they came from go together."""
    seed(storage, [*CHAIN, made("write", 7, parents=[run_id(5)])])
    assert ids(plan_removal(storage, [run_id(number) for number in (1, 2, 3, 4, 6)])) == [1, 2, 3, 4, 6]


def test_what_is_at_work_stays(storage: StorageManager) -> None:
    """A run at work, and what belongs to its invocation; and meanwhile no checkpoint is touched."""
    work = "0000aaaa-0000-0000-0000-000000000000"
    seed(
        storage,
        [
            made("enrich", 1),
            made("enrich", 2, invocation_id=work),
            made("enrich", 3),
            {"stage": "write", "status": "running", "invocation_id": work},
        ],
    )
    path = storage.checkpoint_dir / "enrich" / f"{1:064x}.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    planned = plan_removal(storage, [run_id(number) for number in (1, 2, 4)])
    assert (ids(planned), planned.files) == ([1], [])
    assert "left alone while a run is at work" in planned.waiting
    assert [(one.why, one.runs) for one in planned.staying] == [("a run of its invocation is at work", 2)]


def test_old_runs_go_but_for_the_last_of_each_stage(storage: StorageManager) -> None:
    """Both must hold: older than so long, and not among so many; and what these need stays, however old."""
    rows = [made("parse", 1), *(made("write", 2 + n, parents=[run_id(1)]) for n in range(4))]
    young = made("write", 9, started_at=storage_module.now(), parents=[run_id(1)])
    seed(storage, [*rows, young])
    month = timedelta(days=30)
    assert ids(plan_gc_of_runs(storage, older_than=month, keep_last=1)) == [2, 3, 4, 5]
    assert ids(plan_gc_of_runs(storage, older_than=month, keep_last=3)) == [2, 3]
    assert ids(plan_gc_of_runs(storage, older_than=timedelta(days=365 * 99), keep_last=1)) == []


# -- the commands -----------------------------------------------------------------------------------------------------


def test_rm_asks_shows_and_removes(storage: StorageManager, shown: Shown) -> None:
    """Nothing goes without a yes; what goes and what stays stands above the question."""
    seed(storage, CHAIN)
    words = ("runs", "rm", run_id(6), run_id(5))
    code, out, err = shown(*words, width=80)
    assert code == 1
    assert err == "error: this removes 1 run for good\nhint: say so with --yes\n"
    assert out == (
        "Going     Stage  Status  Started\n"
        f"{run_id(6)[:8]}  write  failed  2024-03-04 09:00:05 UTC\n"
        "and with them 0 log lines, 0 model calls\n"
        f"run {run_id(5)[:8]} (parse) stays: it is the newest completed run of its stage, so its\n"
        "checkpoint is in use\n"
    )
    assert shown(*words, "--yes")[1].endswith("Removed 1 run.\n")
    code, out, err = shown("runs", "rm", run_id(5), "--yes")
    assert (code, out) == (1, "")
    assert f"run {run_id(5)[:8]} has to stay" in err


def test_rm_takes_no_part_of_a_run(storage: StorageManager, shown: Shown) -> None:
    """A window goes with its stage, and the hint says how."""
    seed(storage, [made("write", 1), {"parent_run_id": run_id(1), "label": "w"}])
    code, _, err = shown("runs", "rm", run_id(2), "--yes")
    assert (code, f"egregora runs rm {run_id(1)[:8]}" in err) == (1, True)


def test_gc_says_what_it_would_do(storage: StorageManager, shown: Shown, ask: Ask) -> None:
    """A dry run removes nothing; programs get figures; ages are hours, days or weeks."""
    seed(storage, [made("write", n) for n in range(1, 15)])
    code, out, _ = shown("runs", "gc", "--keep-last", "2", "--dry-run")
    assert (code, out.splitlines()[1].split()[:2]) == (0, ["write", "12"])
    told = json.loads(shown("runs", "gc", "--keep-last", "2", "--dry-run", "--json")[1])
    assert (told["removed"], told["runs"], told["staying"]) == (False, 12, [])
    assert len(ask(storage, "FROM runs SELECT run_id")) == 14
    told = json.loads(shown("runs", "gc", "--keep-last", "2", "--yes", "--json")[1])
    assert (told["removed"], told["runs"]) == (True, 12)
    assert len(ask(storage, "FROM runs SELECT run_id")) == 2
    assert shown("runs", "gc")[:2] == (0, "Nothing to remove.\n")
    code, _, err = shown("runs", "gc", "--older-than", "soon")
    assert (code, "such as 12h, 30d or 8w" in err) == (2, True)


def test_checkpoints_go_with_the_last_run_that_describes_them(tmp_path: Path, shown: Shown, site: Path) -> None:
    """And what only they list; what is left is whole: the next write takes every stage from its checkpoint."""
    chat = write_export(tmp_path / "chat.zip", messages=200, people=3, days=20)
    write = ("write", str(chat), "--site", str(site))
    assert [shown(*write, "--window", size)[0] for size in ("7d", "3d", "7d")] == [0, 0, 0]
    folder = site / ".egregora"

    def files() -> set[str]:
        kept = [*(folder / "checkpoints").rglob("*.*"), *(folder / "blobs").iterdir()]
        return {path.relative_to(folder).as_posix() for path in kept}

    before = files()
    code, out, err = shown("runs", "rm", "write~1", "rank~1", "publish~1", "--yes")
    assert (code, err) == (0, "")
    gone = before - files()
    assert {name.split("/")[1] for name in gone if name.endswith(".parquet")} == {"write", "rank", "publish"}
    assert any(name.startswith("blobs/") for name in gone)
    assert f"{len(gone)} files (" in out
    assert shown("cache", "verify")[0] == 0
    assert shown(*write, "--window", "7d")[0] == 0
    rows = json.loads(shown("runs", "tail", "-n", "6", "--json")[1])
    assert {row["source"] for row in rows} == {"checkpoint"}
