"""`egregora runs logs` and `runs stats`: what runs said, and how they do over time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from egregora.amounts import dollars, took
from egregora.cli import render
from egregora.database.storage import StorageManager
from egregora.observe.stats import day_starts, statistics, trend
from egregora.pipeline.runner import record_run
from runs_rows import MORNING, Shown, run_id, seed


def say(storage: StorageManager, run: str, *lines: tuple[int, str, str]) -> None:
    """Log lines: seconds after the morning, level, message."""
    storage.append(
        [
            {"e": "log", "run_id": run, "ts": str(MORNING + timedelta(seconds=at)), "level": level, "message": message}
            for at, level, message in lines
        ],
        sync=True,
    )


def family(storage: StorageManager) -> tuple[str, str]:
    """A run that logged two lines, and a child of it that logged one between them, folded and not."""
    parent, child = seed(storage, [{}, {"parent_run_id": run_id(1), "label": "2024-03-04"}])
    say(storage, parent, (1, "info", "begun"))
    storage.fold()
    say(storage, parent, (3, "warning", "too \x1b[31mlong"))
    say(storage, child, (2, "info", "in a window"))
    return parent, child


# -- logs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ((), ["09:00:01  begun", r"09:00:03  warning: too \x1b[31mlong", "its children logged 1 line, see --children"]),
        (("--level", "warning"), [r"09:00:03  warning: too \x1b[31mlong"]),
        (
            ("--children",),
            ["09:00:01  begun", "09:00:02  2024-03-04: in a window", r"09:00:03  warning: too \x1b[31mlong"],
        ),
    ],
)
def test_what_a_run_logged(words: tuple[str, ...], lines: list[str], storage: StorageManager, shown: Shown) -> None:
    """In the order of time, with the children's lines if asked for, escaped; an id is under it all."""
    parent, _ = family(storage)
    code, out, err = shown("runs", "logs", parent, *words)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{parent[:8]}  write  started 2024-03-04 09:00:00 UTC", *lines]


def test_logs_for_programs(storage: StorageManager, shown: Shown) -> None:
    """A JSON array of lines, each with the run that logged it."""
    _, child = family(storage)
    lines = json.loads(shown("runs", "logs", "write", "--children", "--json")[1])
    assert [line["message"] for line in lines] == ["begun", "in a window", "too \x1b[31mlong"]
    assert lines[1] == {
        "run_id": child,
        "label": "2024-03-04",
        "ts": "2024-03-04T09:00:02+00:00",
        "level": "info",
        "message": "in a window",
    }


def test_a_run_that_logged_nothing(storage: StorageManager, shown: Shown) -> None:
    """That nothing was logged is said; of a failure also what it was, and what to type next."""
    [run] = seed(storage, [{"status": "failed", "error": "disk full", "duration_seconds": 2.5}])
    assert shown("runs", "logs", "last-failed")[1].splitlines()[1:] == [
        "Nothing was logged.",
        "failed after 2.50 s: disk full",
        f"why: egregora runs explain {run[:8]}",
    ]
    assert shown("runs", "logs", "nosuch")[0] == 1
    assert shown("runs", "logs", "last", "--level", "loud")[0] == 2


@pytest.mark.parametrize("width", [30, 80])
def test_long_lines_go_on_below_themselves(width: int, storage: StorageManager, shown: Shown) -> None:
    """Nothing is wider than the terminal, and nothing is lost."""
    [run] = seed(storage, [{}])
    say(storage, run, (0, "info", "word " * 40))
    lines = shown("runs", "logs", "last", width=width)[1].splitlines()[1:]
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == ["09:00:00", *["word"] * 40]


@pytest.mark.parametrize("as_json", [False, True])
def test_logs_are_followed_until_the_run_ends(as_json: bool, storage: StorageManager, site: Path) -> None:
    """Lines come as they are logged, each once; when the run has ended so does the command."""
    [run] = seed(storage, [{"status": "running"}])
    say(storage, run, (1, "info", "first"))
    process = subprocess.Popen(
        [sys.executable, "-m", "egregora", "runs", "logs", "write", "-f", *(["--json"] if as_json else [])],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    assert process.stdout is not None

    def message(line: str) -> str:
        return json.loads(line)["message"] if as_json else line.split()[-1].strip()

    if not as_json:
        assert process.stdout.readline().startswith(run[:8])
    assert message(process.stdout.readline()) == "first"
    say(storage, run, (2, "info", "second"))
    assert message(process.stdout.readline()) == "second"
    storage.fold()
    record_run(storage, run, "write", "completed", None, "sha256:0", duration_seconds=4.0)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "" if as_json else "completed after 4.00 s\n")


# -- stats ------------------------------------------------------------------------------------------------------------


def history(storage: StorageManager) -> None:
    """Two days: a first run, a failure, a slower run, and two hits on the first."""
    seed(
        storage,
        [
            {
                "stage": "parse",
                "input_fingerprint": "sha256:p",
                "duration_seconds": 10.0,
                "rows_in": 1,
                "rows_out": 500,
            },
            {"input_fingerprint": "sha256:a", "duration_seconds": 4.0, "rows_in": 400, "tokens": 100, "cost_usd": 0.5},
            {"parent_run_id": run_id(2), "label": "a window", "duration_seconds": 99.0, "cost_usd": 99.0},
            {
                "status": "failed",
                "input_fingerprint": "sha256:b",
                "duration_seconds": 1.0,
                "tokens": 10,
                "cost_usd": 0.1,
            },
            {"input_fingerprint": "sha256:b", "duration_seconds": 8.0, "rows_in": 400, "tokens": 100},
            {"input_fingerprint": "sha256:a", "source": "checkpoint", "duration_seconds": 0.5},
            {
                "input_fingerprint": "sha256:a",
                "source": "checkpoint",
                "duration_seconds": 0.5,
                "started_at": "2024-03-05 09:00:00",
            },
        ],
    )


def test_figures_of_stages(storage: StorageManager) -> None:
    """Failures, hits, times, rates, costs of whole runs; a hit saves what its maker took, less what it took itself."""
    history(storage)
    found = statistics(storage)
    assert found.rows == [
        {
            "stage": "parse",
            "runs": 1,
            "failed": 0,
            "hits": 0,
            "p50_seconds": 10.0,
            "p95_seconds": 10.0,
            "rows_per_second": 50.0,
            "seconds": 10.0,
            "tokens": 0,
            "cost_usd": None,
            "saved_seconds": 0.0,
            "saved_usd": None,
            "trend": [10.0],
        },
        {
            "stage": "write",
            "runs": 5,
            "failed": 1,
            "hits": 2,
            "p50_seconds": 6.0,
            "p95_seconds": pytest.approx(7.8),
            "rows_per_second": pytest.approx(800 / 12),
            "seconds": 14.0,
            "tokens": 210,
            "cost_usd": 0.6,
            "saved_seconds": 7.0,
            "saved_usd": 1.0,
            "trend": [4.0, 8.0],
        },
    ]
    assert (found.seconds, found.cost_usd, found.saved_seconds, found.saved_usd) == (24.0, 0.6, 7.0, 1.0)


def test_a_hit_saves_also_what_was_made_before(storage: StorageManager) -> None:
    """With --since only later runs count, but the run that made a checkpoint may be older."""
    history(storage)
    found = statistics(storage, since=MORNING + timedelta(hours=12))
    assert [(row["stage"], row["runs"], row["saved_seconds"]) for row in found.rows] == [("write", 1, 3.5)]


def test_figures_of_days(storage: StorageManager, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are the viewer's, newest first."""
    history(storage)

    def days() -> list[tuple[datetime, int]]:
        return [(row["day"], row["runs"]) for row in statistics(storage, by="day", since=MORNING).rows]

    assert days() == [(datetime(2024, 3, 5), 1), (datetime(2024, 3, 4), 5)]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert days() == [(datetime(2024, 3, 4, 15), 1), (datetime(2024, 3, 3, 15), 5)]


def test_days_are_as_long_as_they_are(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where clocks are set forward a day has 23 hours."""
    monkeypatch.setenv("TZ", "Europe/Lisbon")
    time.tzset()
    starts = day_starts(datetime(2024, 3, 30, 12), datetime(2024, 3, 31, 12))
    assert starts == [datetime(2024, 3, 30), datetime(2024, 3, 31), datetime(2024, 3, 31, 23)]


def test_figures_of_models(storage: StorageManager, shown: Shown) -> None:
    """Every attempt counts, failed ones by their number only; an unknown price is not nothing."""
    [run] = seed(storage, [{}])
    calls = [
        ("dear", 0.5, 100.0, None),
        ("dear", 0.5, 300.0, None),
        ("dear", 0.0, 9.0, "rate limit"),
        ("own", None, 50.0, None),
    ]
    storage.append(
        [
            {
                "e": "call",
                "run_id": run,
                "ts": str(MORNING),
                "model": model,
                "prompt_hash": "x",
                "input_tokens": 1000,
                "output_tokens": 10,
                "cost_usd": cost,
                "latency_ms": latency,
                "error": error,
            }
            for model, cost, latency, error in calls
        ],
        sync=True,
    )
    assert statistics(storage, by="model").rows[1] == {
        "model": "own",
        "calls": 1,
        "failed": 0,
        "input_tokens": 1000,
        "output_tokens": 10,
        "cost_usd": None,
        "p50_ms": 50.0,
        "p95_ms": 50.0,
        "trend": [50.0],
    }
    lines = shown("runs", "stats", "--by", "model")[1].splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["Model", "Calls", "Failed", "Tokens", "in", "Out", "Cost", "p50", "p95", "Trend"],
        ["dear", "3", "33", "%", "3.0k", "30", "$1.00", "0.20", "s", "0.29", "s", "▃█"],
        ["own", "1", "–", "1.0k", "10", "–", "0.05", "s", "0.05", "s", "█"],
    ]
    assert lines[-1] == "dear is slowest: half of its calls take more than 0.20 s. dear alone cost $1.00."
    assert shown("runs", "stats", "--by", "model", "--since", "1h")[1] == "No model was called since 1h.\n"


def test_stats_end_with_a_line_of_words(storage: StorageManager, shown: Shown) -> None:
    """What takes longest, what costs most, what the hits saved."""
    history(storage)
    assert shown("runs", "stats", width=200)[1].splitlines()[-1] == (
        "write took longest: 14.00 s of 24.00 s (58 %). write alone cost $0.6000. Hits saved 7.00 s and $1.00."
    )


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_stats_fit(width: int, storage: StorageManager, shown: Shown) -> None:
    """Where there is little room the columns that matter least go first; stage, runs and failures stay."""
    history(storage)
    code, out, _ = shown("runs", "stats", width=width)
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:2] == ["Stage", "Runs"]
    if width >= 80:
        assert "Trend" in lines[0]
    if width == 200:
        assert lines[0].split()[1:] == [
            "Runs",
            "Failed",
            "Hits",
            "p50",
            "p95",
            "Rows/s",
            "Tokens",
            "Cost",
            "Saved",
            "Trend",
        ]


def test_stats_for_programs(storage: StorageManager, shown: Shown) -> None:
    """One JSON object: the groups and the sums."""
    history(storage)
    found = json.loads(shown("runs", "stats", "--json", "--by", "day", "--since", "2024-03-01")[1])
    assert list(found) == ["by", "rows", "seconds", "cost_usd", "saved_seconds", "saved_usd"]
    assert [row["day"] for row in found["rows"]] == ["2024-03-05T00:00:00+00:00", "2024-03-04T00:00:00+00:00"]


def test_no_stats_yet(shown: Shown) -> None:
    """What to type, or that nothing happened then."""
    assert "egregora write EXPORT" in shown("runs", "stats")[1]
    assert shown("runs", "stats", "--since", "2h")[1] == "No runs since 2h.\n"
    assert shown("runs", "stats", "--by", "day")[1] == "No runs in the last thirty days; see --since.\n"
    assert shown("runs", "stats", "--by", "month")[0] == 2


@pytest.mark.parametrize(
    ("newest_first", "steps"),
    [
        (None, []),
        ([], []),
        ([3.0, None, 1.0], [1.0, 3.0]),
        (list(map(float, range(24, 0, -1))), [n + 0.5 for n in range(1, 24, 2)]),
    ],
)
def test_a_trend_has_few_steps(newest_first: list[float | None] | None, steps: list[float]) -> None:
    """Oldest first, medians of about as many values each, what is unknown left out."""
    assert trend(newest_first) == steps


@pytest.mark.parametrize(
    ("say", "value", "text"),
    [
        (took, 0.256, "0.26 s"),
        (took, 59.994, "59.99 s"),
        (took, 61.9, "1 min 1 s"),
        (took, 7384, "2 h 3 min"),
        (took, 270000, "3 d 3 h"),
        (dollars, None, "–"),
        (dollars, 0.00123, "$0.0012"),
        (dollars, 1234.5, "$1,234.50"),
        (dollars, 0.0, "$0.00"),
        (render.short_count, None, "–"),
        (render.short_count, 0, "0"),
        (render.short_count, 4.26, "4.3"),
        (render.short_count, 999, "999"),
        (render.short_count, 1234, "1.2k"),
        (render.short_count, 999_999, "1.0M"),
        (render.short_count, 123_456_789, "123M"),
        (render.sparkline, [], ""),
        (render.sparkline, [0.0, 0.0], "▁▁"),
        (render.sparkline, [0.0, 1.0, 2.0], "▁▅█"),
    ],
)
def test_figures_are_short(say: Callable[[Any], str], value: Any, text: str) -> None:
    """Times in two units, money, counts and trends."""
    assert say(value) == text
