"""An invocation as it may be on record, whose every text wants to break out of the page."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from egregora.database.storage import StorageManager
from runs_rows import run_id, seed

EVIL = (
    "</title></style><script>document.title='broken'</script>"
    "<img src=https://example.org/x onerror=alert(1)>'\"\u202e{{7*7}}"
)
INVOCATION = "abcdef01-0000-0000-0000-000000000000"
BEGAN = datetime(2024, 3, 4, 9, 0, 0)


def at(seconds: float) -> str:
    """A stored time, so long after the beginning."""
    return str(BEGAN + timedelta(seconds=seconds))


def run(stage: str, start: float, seconds: float, **more: Any) -> dict[str, Any]:
    """A run of the invocation."""
    return {
        "stage": stage,
        "started_at": at(start),
        "finished_at": at(start + seconds),
        "duration_seconds": seconds,
        "invocation_id": INVOCATION,
        "reason": "input changed",
        **more,
    }


def hostile_invocation(storage: StorageManager, windows: int = 40, at_once: int = 8) -> list[str]:
    """Record a failed invocation of that kind with so many windows, so many at a time, and return its runs' ids."""
    marks = [{"name": "links", "value": 3, "usual": [900, 1100], "since": None, "text": f"links: 3 {EVIL}"}]
    rows = [
        run("parse", 0, 2, config_hash="c", code_hash="k"),
        run("enrich", 2, 3, parents=[run_id(1)], marks=json.dumps(marks), source="checkpoint"),
        run(f"write {EVIL}", 5, 60, parents=[run_id(2), run_id(1)], status="failed", error=f"nonsense {EVIL}",
            error_type="EgregoraError", traceback=f"a.py:1 in {EVIL}\nb.py:2 in c", hint=f"try {EVIL}", config_hash="c",
            progress_done=3, progress_total=windows, progress_unit="windows", llm_calls=2, tokens=30),
    ]  # fmt: skip
    for number in range(windows):
        start = 5 + (number // at_once) * 60 / (windows / at_once + 1)
        more: dict[str, Any] = {"parent_run_id": run_id(3), "label": f"{EVIL} {number}", "llm_calls": 1}
        if number % 20 == 7:
            more |= {"status": "failed", "error": f"no {EVIL}"}
        rows.append(run(f"write {EVIL}", start, 60 / (windows / at_once + 1), **more))
    ids = seed(storage, rows)
    side: list[dict[str, Any]] = [
        {
            "e": "config",
            "config_hash": "c",
            "config": json.dumps({"write": {"window": EVIL}, "site_key": {"$secret": "ab"}}),
        },
        {"e": "code", "code_hash": "k", "modules": json.dumps({"module a": "1", "distribution duckdb": "1.5"})},
        {"e": "profile", "run_id": run_id(2), "name": EVIL, "value": 0.25},
    ]
    for number, level in enumerate(("info", "warning")):
        side.append(
            {"e": "log", "run_id": run_id(3), "ts": at(6 + number), "level": level, "message": f"{level} {EVIL}"}
        )
        side.append({"e": "call", "run_id": run_id(4 + number), "ts": at(7), "model": f"m {EVIL}", "prompt_hash": "p",
                     "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.25, "latency_ms": 500.0})  # fmt: skip
    storage.append(side, sync=True)
    return ids
