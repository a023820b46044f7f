"""`egregora runs`: what people and programs see of runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.cli.site import site_for_writing
from egregora.database.runs_schema import RUNS
from egregora.database.storage import StorageManager
from egregora.errors import StorageError
from egregora.pipeline.runner import record_run, run_stage_with_tracking
from runs_rows import MORNING, Shown, run_id, seed

# -- tail -------------------------------------------------------------------------------------------------------------


def test_no_runs_yet_says_what_to_type(shown: Shown) -> None:
    """An empty site is no error, and the way on is named."""
    code, out, err = shown("runs", "tail")
    assert (code, err) == (0, "")
    assert "No runs yet" in out
    assert "egregora write EXPORT" in out
    assert shown("runs", "tail", "--json")[1] == "[]\n"


def test_the_newest_runs_come_first(storage: StorageManager, shown: Shown) -> None:
    """Of a thousand runs ten are listed, newest first; -n lists more, and the summary counts all of them."""
    ids = seed(
        storage,
        [
            {"status": "failed" if n % 100 == 3 else "completed", "source": "checkpoint" if n % 4 == 0 else "executed"}
            for n in range(1000)
        ],
    )
    code, out, _ = shown("runs", "tail")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:11]] == [run[:8] for run in ids[:-11:-1]]
    assert out.splitlines()[-1] == "1,000 runs: 990 completed (250 from checkpoints), 10 failed, 0 running"
    rows = json.loads(shown("runs", "tail", "-n", "1000", "--json")[1])
    assert [row["run_id"] for row in rows] == ids[::-1]


def test_a_row_shows_what_matters(storage: StorageManager, shown: Shown) -> None:
    """Run id, stage, status, source, start, rows in and out, and the duration with two decimals; blanks are dashes."""
    seed(
        storage,
        [
            {"stage": "parse", "rows_in": 1, "rows_out": 1_234_567, "duration_seconds": 61.005},
            {"stage": "privacy", "status": "failed", "source": None, "error": "disk full", "duration_seconds": 0.004},
        ],
    )
    lines = shown("runs", "tail")[1].splitlines()
    assert lines[0].split() == [
        "Run",
        "Stage",
        "Status",
        "Source",
        "Started",
        "(UTC)",
        "Rows",
        "in",
        "Rows",
        "out",
        "Duration",
    ]
    assert lines[1].split() == [
        run_id(2)[:8],
        *["privacy", "failed", "–", "2024-03-04", "09:00:01", "–", "–", "0.00", "s"],
    ]
    assert lines[2].split() == [
        run_id(1)[:8],
        *["parse", "completed", "executed", "2024-03-04", "09:00:00", "1", "1,234,567", "61.01", "s"],
    ]
    assert lines[4] == "2 runs: 1 completed (0 from checkpoints), 1 failed, 0 running"
    assert lines[5] == f"why it failed: egregora runs explain {run_id(2)[:8]}"


def test_json_has_the_tables_columns(storage: StorageManager, shown: Shown, ask: Callable[..., list[Any]]) -> None:
    """`--json` gives the row as it is stored: every column, in the table's order, ids as text, times ISO with zone."""
    run = run_id(1)
    record_run(storage, run, "parse", "failed", "boom", "sha256:0", rows_in=3, cost_usd=0.25, started_at=MORNING)
    code, out, err = shown("runs", "tail", "--json")
    [row] = json.loads(out)
    assert (code, err) == (0, "")
    assert tuple(row) == RUNS.names
    assert (row["run_id"], row["started_at"], row["rows_in"], row["rows_out"], row["cost_usd"], row["error"]) == (
        run,
        "2024-03-04T09:00:00+00:00",
        3,
        None,
        0.25,
        "boom",
    )
    assert tuple(ask(storage, "DESCRIBE SELECT * FROM runs")[n][0] for n in range(len(RUNS.names))) == RUNS.names
    assert json.loads(shown("runs", "show", "last", "--json")[1]) == {**row, "profile": {}}


def test_children_are_listed_on_demand(storage: StorageManager, shown: Shown) -> None:
    """Runs of single windows stay out of the list and of its summary until they are asked for."""
    seed(
        storage,
        [{}, {"parent_run_id": run_id(1), "label": "2024-03-04"}, {"parent_run_id": run_id(1), "status": "failed"}],
    )
    assert "1 run: 1 completed" in shown("runs", "tail")[1]
    out = shown("runs", "tail", "--children", width=160)[1]
    assert "3 runs: 2 completed (0 from checkpoints), 1 failed, 0 running" in out
    assert "  2024-03-04\n" in out


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 300])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_the_terminal(
    width: int, colour: bool, storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long names, large numbers and runs at work are shortened, never wrapped; wide terminals show the reason too."""
    if colour:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    seed(
        storage,
        [
            {
                "stage": "a-stranger's-stage-with-a-name-that-is-long",
                "rows_in": 10**9,
                "rows_out": 10**9,
                "reason": "x " * 200,
            },
            {"status": "running", "progress_done": 57, "progress_total": 60, "progress_unit": "windows"},
            {"status": "running", "progress_done": 1_000, "progress_unit": "messages", "stage": "漢字の段階"},
            {"status": "running", "owner": "feedbeef-1-1", "label": "elsewhere"},
            {"started_at": str(datetime.now(UTC).replace(tzinfo=None)), "status": "failed", "error": "disk full"},
            {"started_at": str(datetime.now(UTC).replace(tzinfo=None, month=1, day=1, hour=0))},
        ],
    )
    code, out, _ = shown("runs", "tail", width=width)
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 1 + 6 + 1 + 2
    assert all(len(line) <= width for line in lines[:7])
    if width >= 60:
        assert "57/60" in out
    if width >= 160:
        assert "57/60 windows" in out
        assert "1,000 messages" in out
        assert "running on another machine" in out
        assert "disk full" in out
        assert "x x x" in out


def test_status_has_its_colour(storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Green is done, red is failed, yellow is at work; NO_COLOR and pipes have none."""
    seed(storage, [{}, {"status": "failed"}, {"status": "running"}])
    assert "\x1b" not in shown("runs", "tail", width=80)[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = shown("runs", "tail", width=80)[1]
    assert "\x1b[32mcompleted" in out
    assert "\x1b[31mfailed" in out
    assert "\x1b[33mrunning" in out
    monkeypatch.setenv("NO_COLOR", "1")
    out = shown("runs", "tail", width=80)[1]
    assert not any(f"\x1b[{colour}m" in out for colour in (31, 32, 33, 36))


def test_ids_are_long_enough_to_be_taken(storage: StorageManager, shown: Shown) -> None:
    """Where eight digits begin several ids more are shown, and `show` takes what `tail` prints."""
    alike = ["aaaaaaaa-1111-4111-8111-111111111111", "aaaaaaaa-1112-4111-8111-111111111111"]
    seed(storage, [{"run_id": alike[0]}, {"run_id": alike[1]}, {}])
    for line, whole in zip(shown("runs", "tail")[1].splitlines()[1:4], [run_id(3), alike[1], alike[0]], strict=True):
        prefix = line.split()[0]
        assert json.loads(shown("runs", "show", prefix, "--json")[1])["run_id"] == whole
    assert shown("runs", "tail", "-n", "2")[1].splitlines()[2].split()[0] == "aaaaaaaa-1112"


def test_ids_of_a_large_site_are_longer(storage: StorageManager, shown: Shown) -> None:
    """With a great many runs two more digits do instead of a search through all ids."""
    import duckdb

    seed(storage, [{}])
    storage.fold()
    with duckdb.connect(str(storage.db_path)) as con:
        con.execute(
            "INSERT INTO runs BY NAME SELECT gen_random_uuid() run_id, 'x' stage, 'completed' status, "
            "'sha256:' input_fingerprint, TIMESTAMP '2020-01-01' started_at FROM range(60000)"
        )
    out = shown("runs", "tail", "-n", "1")[1]
    assert out.splitlines()[1].split()[0] == run_id(1)[:11]
    assert "60,001 runs" in out


def test_hostile_text_stays_text(storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escape sequences, bidi characters and markup in names and errors reach no terminal."""
    hostile = "\x1b[2J\u202eevil[red]\r\n"
    [run] = seed(
        storage,
        [
            {
                "stage": hostile,
                "label": hostile,
                "status": "failed",
                "error": hostile,
                "error_type": hostile,
                "traceback": hostile,
            }
        ],
    )
    storage.append([{"e": "log", "run_id": run, "ts": str(MORNING), "level": hostile, "message": hostile}])
    for colour in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", colour)
        monkeypatch.setenv("TERM", "xterm")
        for words in (("tail",), ("show", "last"), ("show", hostile)):
            _, out, err = shown("runs", *words, width=200)
            assert not any(bad in out + err for bad in ("\x1b[2J", "\u202e", "\r")), words
            assert "evil[red]" in out + err, words


def test_a_run_whose_process_died_has_failed(site: Path, shown: Shown, python: Callable[..., Any]) -> None:
    """A killed process leaves no run that says "running" for ever."""
    python(
        f"""
        import os, signal
        from egregora.database.storage import StorageManager
        from egregora.pipeline.runner import record_run
        storage = StorageManager({str(site / ".egregora" / "egregora.duckdb")!r})
        record_run(storage, "{run_id(1)}", "write", "running", None, "sha256:0")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        check=False,
    )
    out = shown("runs", "tail")[1]
    assert "failed" in out
    assert "0 completed (0 from checkpoints), 1 failed, 0 running" in out
    assert "the process ended before the run did" in shown("runs", "show", "last")[1]


# -- show -------------------------------------------------------------------------------------------------------------


def double(table: Any, config: dict[str, Any], *, run_id: str, context: Any) -> Any:
    """A stranger's stage: rows as they are, with some talk about it."""
    for number in range(12):
        context.log(f"line {number}", "warning" if number == 11 else "info")
    with context.child("first half", rows_in=2) as child:
        child.rows_out = 2
    if config["break"]:
        with context.child("second half"):
            raise ValueError("the second half is\nbroken")
    return table.mutate(b=table.a * config["factor"])


def test_show_says_everything(storage: StorageManager, shown: Shown) -> None:
    """Every column of the row is in it, and what is around the run: inputs, readers, children, log, config, code."""
    table = ibis.memtable(pa.table({"a": [1, 2, 3]}))
    config = {"factor": 2, "break": False, "deep": {"key": "value"}, "none": {}}
    first = run_stage_with_tracking("double", double, table, config, storage)
    run_stage_with_tracking("again", double, first, config, storage, config_keys=("factor", "break"))
    run_stage_with_tracking("double", double, table, config, storage)

    code, out, err = shown("runs", "show", "last")
    assert (code, err) == (0, "")
    assert "double  completed from its checkpoint in " in out
    rows = json.loads(shown("runs", "tail", "--json")[1])
    hit, again, made = rows
    code, out, _ = shown("runs", "show", made["run_id"])
    row = json.loads(shown("runs", "show", made["run_id"], "--json")[1])
    figures = {
        name: {"value": value, "usual": None} for name, value in (("rows", 3.0), ("nulls.a", 0.0), ("nulls.b", 0.0))
    }
    assert row == {**made, "profile": figures}
    for column in RUNS.columns:
        value = row[column.name]
        # These are shown in words.
        if column.name in (
            "started_at",
            "finished_at",
            "input_parts",
            "checkpoint_mtime_ns",
            "checkpoint_bytes",
            "duration_seconds",
        ):
            continue
        if value is not None:
            assert str(value) in out, column.name
    assert f"{again['run_id'][:8]}  again, 3 rows" in out
    assert "1: 1 completed, 0 failed, 0 running" in out
    assert "(2 earlier lines)" in out
    assert "warning: line 11" in out
    assert 'deep.key = "value"' in out
    assert "factor = 2" in out
    assert "none = {}" in out
    assert "module" in out
    assert f".egregora/checkpoints/double/{row['input_fingerprint'][7:]}.parquet\n" in out
    assert "(this machine, process " in out
    assert " UTC" in out
    _, out, _ = shown("runs", "show", again["run_id"])
    assert f"{made['run_id'][:8]}  double, 3 rows" in out
    assert hit["reason"] == "unchanged"


def test_show_of_a_failure_begins_with_the_error(storage: StorageManager, shown: Shown) -> None:
    """What went wrong comes first, with its frames; children that failed are named, each with its own row."""
    with pytest.raises(ValueError, match="broken"):
        run_stage_with_tracking(
            "double", double, ibis.memtable(pa.table({"a": [1]})), {"factor": 1, "break": True}, storage
        )
    record_run(storage, run_id(5), "later", "completed", None, "sha256:0")
    code, out, _ = shown("runs", "show", "last-failed")
    assert code == 0
    lines = out.splitlines()
    assert "double  failed after" in lines[0]
    assert lines[2] == "Error"
    assert lines[3].split(maxsplit=1) == ["Error", r"the second half is\nbroken"]
    assert lines[4].split() == ["Error", "type", "ValueError"]
    assert "2: 1 completed, 1 failed, 0 running" in out
    [child] = [line for line in lines if "second half:" in line]
    _, out, _ = shown("runs", "show", child.split()[0], width=80)
    assert "second half" in out
    assert "(double, failed)" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_show_of_a_run_at_work(storage: StorageManager, shown: Shown) -> None:
    """How far it is, and for how long it has been at work; of one on another machine only that it is there."""
    now = str(datetime.now(UTC).replace(tzinfo=None))
    mine, other = seed(
        storage,
        [
            {
                "status": "running",
                "progress_done": 57,
                "progress_total": 60,
                "progress_unit": "windows",
                "started_at": now,
            },
            {"status": "running", "owner": "feedbeef-1-1", "progress_done": 3},
        ],
    )
    _, out, _ = shown("runs", "show", mine)
    assert "write  running 57/60 windows, for " in out
    assert "57 of 60 windows" in out
    assert out.splitlines()[0].endswith(" s so far")
    _, out, _ = shown("runs", "show", other)
    assert out.splitlines()[0].endswith("running on another machine")
    assert "feedbeef-1-1 (another machine, process 1)" in out


def test_show_of_a_run_of_which_little_is_known(storage: StorageManager, shown: Shown) -> None:
    """A stranger's row with the least that a row must have; what isn't known is a dash. A config may be no mapping."""
    [bare] = seed(
        storage, [{"owner": None, "duration_seconds": None, "config_hash": "c", "checkpoint_sha256": "0" * 64}]
    )
    storage.append([{"e": "config", "config_hash": "c", "config": "[1]"}])
    code, out, _ = shown("runs", "show", bare, width=80)
    assert code == 0
    assert "Owner            –" in out
    assert "[1]" in out
    assert "(no longer there)" in out.replace("\n" + " " * 19, " ")


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("last", 4),
        ("LAST", 4),
        ("last~1", 3),
        ("last~3", 1),
        ("last-failed", 2),
        ("last-failed~0", 2),
        ("rank", 4),
        ("write~1", 2),
        (run_id(2), 2),
        (run_id(2).upper(), 2),
        (run_id(2)[:6], 2),
        (run_id(1)[:10], 1),
    ],
)
def test_a_run_is_found_by(wanted: str, number: int, storage: StorageManager, shown: Shown) -> None:
    """`last`, `last-failed`, a stage, so many before, the id or its beginning, in any case; children don't count."""
    seed(storage, [{}, {"status": "failed"}, {}, {"stage": "rank"}, {"parent_run_id": run_id(4)}])
    assert json.loads(shown("runs", "show", wanted, "--json")[1])["run_id"] == run_id(number)


def test_an_unknown_run_names_the_nearest(storage: StorageManager, shown: Shown) -> None:
    """A mistyped id or stage is answered with runs that may have been meant."""
    ids = seed(storage, [{"stage": "parse"}, {"stage": "write"}])
    typed = ids[0][:7] + ("0" if ids[0][7] != "0" else "1")
    code, out, err = shown("runs", "show", typed)
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == f"error: no run '{typed}'"
    assert err.splitlines()[1].startswith(f"hint: the nearest: {ids[0][:8]} (parse, completed), {ids[1][:8]} (write")
    assert f"the nearest: {ids[1][:8]} (write, completed);" in shown("runs", "show", "wirte")[2]
    assert shown("runs", "show", "last~2")[2].startswith("error: there are no 3 runs\n")
    assert "no run 'x'y'" in shown("runs", "show", "x'y")[2]


def test_an_ambiguous_beginning_lists_the_candidates(storage: StorageManager, shown: Shown) -> None:
    """Exit 1, with ids that are long enough to choose from; beyond five there are more."""
    seed(storage, [{"run_id": f"abcdef0{n}-0000-4000-8000-000000000000"} for n in range(2)])
    code, out, err = shown("runs", "show", "abc")
    assert (code, out) == (1, "")
    assert err == (
        "error: several run ids begin with 'abc'\n"
        "hint: give more of it: abcdef01 (write, completed), abcdef00 (write, completed)\n"
    )
    seed(storage, [{"run_id": f"abcdef1{n}-0000-4000-8000-000000000000"} for n in range(5)])
    assert shown("runs", "show", "abc")[2].endswith(", …\n")


def test_nothing_to_show(storage: StorageManager, shown: Shown) -> None:
    """Without runs, or without failed ones, the way on is named."""
    for wanted in ("last", "last-failed", "abc"):
        code, _, err = shown("runs", "show", wanted)
        assert code == 1
        assert "no runs yet" in err
        assert "egregora write EXPORT" in err
    seed(storage, [{}])
    assert (
        shown("runs", "show", "last-failed")[2] == "error: no run has failed\nhint: see all with: egregora runs tail\n"
    )


def test_usage_errors_exit_with_2(shown: Shown) -> None:
    """Words that make no command are told apart from what went wrong."""
    for words in (("show",), ("tail", "-n", "0"), ("tail", "-n", "many"), ("nothing",), ("tail", "--unknown")):
        assert shown("runs", *words)[0] == 2, words


@pytest.mark.parametrize("words", [("runs", "tail"), ("runs", "show")])
def test_help_has_examples(words: tuple[str, ...], shown: Shown) -> None:
    """`--help` shows what to type, within 80 columns."""
    code, out, _ = shown(*words, "--help", width=80)
    assert code == 0
    assert f"Examples:\n  egregora {' '.join(words)}" in out
    assert all(len(line) <= 80 for line in out.splitlines())


# -- the site ---------------------------------------------------------------------------------------------------------


def test_the_site_is_found(
    storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--site goes before EGREGORA_SITE, which goes before the nearest folder upwards."""
    seed(storage, [{}])
    site = storage.directory.parent
    other = tmp_path / "other"
    (other / ".egregora").mkdir(parents=True)
    (site / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(site / "deep" / "down")
    monkeypatch.setenv("EGREGORA_SITE", str(other))
    assert "1 run:" in shown("runs", "tail", "--site", str(site))[1]
    assert "No runs yet" in shown("runs", "tail")[1]
    monkeypatch.delenv("EGREGORA_SITE")
    assert "1 run:" in shown("runs", "tail")[1]


def test_no_site_is_told_with_the_way_on(shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit 1, one line, one hint, no traceback."""
    monkeypatch.delenv("EGREGORA_SITE")
    monkeypatch.chdir(tmp_path)
    code, out, err = shown("runs", "tail")
    assert (code, out) == (1, "")
    assert err == (
        "error: no site here\n"
        "hint: run this inside a site's folder, or give --site DIR; to make one: egregora init DIR\n"
    )
    code, _, err = shown("runs", "tail", "--site", "nowhere")
    assert code == 1
    assert err.startswith("error: nowhere is no site")
    assert shown("runs", "tail", "--site", ".")[2].startswith("error: this folder is no site")


def test_a_site_to_write_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write --site DIR` makes the folder; a file in its place, or no folder named and none here, is an error."""
    monkeypatch.delenv("EGREGORA_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert site_for_writing("new") == Path("new")
    monkeypatch.setenv("EGREGORA_SITE", "~/blog")
    monkeypatch.setenv("HOME", "/home/ana")
    assert site_for_writing(None) == Path("/home/ana/blog")
    Path("taken").touch()
    with pytest.raises(StorageError, match="is a file"):
        site_for_writing(Path("taken"))
    monkeypatch.delenv("EGREGORA_SITE")
    with pytest.raises(StorageError, match="no site here"):
        site_for_writing(None)


# -- processes --------------------------------------------------------------------------------------------------------


def start(site: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "egregora", *words, "--site", str(site)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_follow_writes_what_changes(storage: StorageManager, site: Path) -> None:
    """In a pipe each run is a line when it starts and when it ends, oldest first; Ctrl-C ends it without noise."""
    seed(storage, [{"stage": "old"}, {"stage": "new", "status": "running"}])
    process = start(site, "runs", "tail", "-f", "-n", "1")
    assert process.stdout is not None
    assert process.stdout.readline().split()[1:3] == ["new", "running"]
    record_run(storage, run_id(2), "new", "completed", None, "sha256:0", rows_out=7)
    assert process.stdout.readline().split()[1:3] == ["new", "completed"]
    record_run(storage, run_id(9), "newest", "failed", "boom", "sha256:0")
    assert process.stdout.readline().split()[1:3] == ["newest", "failed"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")


def test_follow_as_json_is_a_row_a_line(storage: StorageManager, site: Path) -> None:
    """A program reads rows as they change."""
    process = start(site, "runs", "tail", "-f", "--json")
    assert process.stdout is not None
    record_run(storage, run_id(1), "write", "running", None, "sha256:0")
    row = json.loads(process.stdout.readline())
    assert (tuple(row), row["run_id"], row["status"]) == (RUNS.names, run_id(1), "running")
    record_run(storage, run_id(1), "write", "completed", None, "sha256:0")
    assert json.loads(process.stdout.readline())["status"] == "completed"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", "")
    # Who asks a process to end (systemd, docker stop, timeout) is told by the code that it did for that.
    assert process.returncode == 143


def test_follow_on_a_terminal_is_live(storage: StorageManager, site: Path) -> None:
    """On a terminal the list is drawn again and again until Ctrl-C."""
    seed(storage, [{"stage": "first"}])
    process = start(site, "runs", "tail", "-f", FORCE_COLOR="1", TERM="xterm", COLUMNS="80", LINES="24")
    assert process.stdout is not None

    def read_until(word: bytes) -> bytes:
        seen = b""
        while word not in seen:
            seen += os.read(process.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
        return seen

    assert b"second" not in read_until(b"first")
    seed(storage, [{"stage": "second", "run_id": run_id(7), "status": "failed"}])
    assert b"first" in read_until(b"why it failed")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def test_tail_loads_little(storage: StorageManager, site: Path, python: Callable[..., Any]) -> None:
    """`runs tail` stays instant: the program's import, and the whole command, load none of the heavy libraries."""
    seed(storage, [{}, {"status": "failed"}])
    storage.fold()
    storage.close()
    heavy = ["ibis", "pyarrow", "pandas", "numpy", "pydantic", "jinja2", "PIL", "phonenumbers", "sqlglot", "rich.table"]
    script = f"""
        import sys
        import egregora.cli
        assert not set(sys.modules) & {{*{heavy!r}, "duckdb"}}
        assert egregora.cli.main(["runs", "tail"]) == 0
        loaded = set(sys.modules) & set({heavy!r})
        assert not loaded, loaded
        """
    assert "2 runs" in python(script, EGREGORA_SITE=str(site)).stdout


def test_a_reader_that_leaves_is_no_error(storage: StorageManager, site: Path) -> None:
    """`egregora runs tail | head -1`."""
    seed(storage, [{} for _ in range(2000)])
    process = start(site, "runs", "tail", "-n", "2000", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(20)


# -- completion -------------------------------------------------------------------------------------------------------


def complete(monkeypatch: pytest.MonkeyPatch, shown: Shown, *words: str) -> list[str]:
    """What a shell offers for the last of these words."""
    monkeypatch.setenv("_EGREGORA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("egregora", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    code, out, err = shown()
    assert (code, err) == (0, "")
    return out.split()


def test_the_shell_completes_runs(
    storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Run ids by their beginning, and the words that stand for runs. Nothing is said where nothing can be known."""
    seed(storage, [{"run_id": f"abcdef0{n}-0000-4000-8000-000000000000"} for n in range(2)])
    assert complete(monkeypatch, shown, "runs", "show", "abcdef01") == ["abcdef01"]
    assert complete(monkeypatch, shown, "runs", "show", "abcdef00-00") == ["abcdef00-00"]
    offered = ["last", "last~1", "last-failed", "write", "abcdef01", "abcdef00"]
    assert complete(monkeypatch, shown, "runs", "show", "") == offered
    assert complete(monkeypatch, shown, "runs", "logs", "wr") == ["write"]
    assert complete(monkeypatch, shown, "runs", "show", "la") == ["last", "last~1", "last-failed"]
    monkeypatch.delenv("EGREGORA_SITE")
    monkeypatch.chdir(tmp_path)
    assert complete(monkeypatch, shown, "runs", "show", "a") == []


@pytest.mark.parametrize("form", ["--site {}", "--site={}"])
def test_hints_are_for_the_site_that_was_named(form: str, storage: StorageManager, site: Path, shown: Shown) -> None:
    """What an error says to type works where the command was typed."""
    seed(storage, [{}])
    words = form.format(site).split(" ", 1)
    assert shown("runs", "show", "last~9", *words)[2].endswith(f"egregora runs tail --site {site}\n")
    assert shown("runs", "show", "last~9")[2].endswith("egregora runs tail\n")


def test_a_failed_run_leads_to_its_cause_on_the_site_that_was_named(storage: StorageManager, shown: Shown) -> None:
    """What `tail` and `logs` say to type works as it stands: it names the site if the command did."""
    site = str(storage.directory.parent)
    record_run(storage, run_id(2), "privacy", "failed", "boom", "sha256:0", started_at=MORNING)
    command = f"egregora runs explain {run_id(2)[:8]}"
    named = f"{command} --site {shlex.quote(site)}"
    for words in (("tail",), ("logs", "last")):
        assert shown("runs", *words)[1].splitlines()[-1].endswith(command)
        assert shown("runs", *words, "--site", site)[1].splitlines()[-1].endswith(named)
