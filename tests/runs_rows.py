"""Rows of `runs` as a test wants them, and the type of the fixture `shown`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from egregora.database.storage import StorageManager

Shown = Callable[..., tuple[int, str, str]]

MORNING = datetime(2024, 3, 4, 9, 0, 0)


def run_id(number: int, start: str = "") -> str:
    """An id whose first digits are `start` and whose last are the number."""
    return str(uuid.UUID((start + f"{number * 7919 % 16**8:08x}")[:8].ljust(24, "0") + f"{number:08x}"))


def seed(storage: StorageManager, rows: list[dict[str, Any]]) -> list[str]:
    """Record runs, a second apart, as other processes would have: in one go. Returns their ids."""
    events = []
    for number, row in enumerate(rows):
        event = {
            "e": "run",
            "run_id": run_id(number + 1),
            "stage": "write",
            "status": "completed",
            "input_fingerprint": "sha256:" + "ab" * 32,
            "started_at": str(MORNING + timedelta(seconds=number)),
            "source": "executed",
            "tenant_id": "default",
            "owner": storage.owner,
            **row,
        }
        if event["status"] == "completed":
            event = {"rows_in": 1234, "rows_out": 5, "duration_seconds": 3.2, **event}
        events.append({name: value for name, value in event.items() if value is not None})
    storage.append(events, sync=True)
    return [event["run_id"] for event in events]
