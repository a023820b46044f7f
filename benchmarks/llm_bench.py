"""Asking a model about sixty windows, against a scripted server on loopback; `run.py` starts it.

    python benchmarks/llm_bench.py eight|each|replay BASE_URL FOLDER

Prints seconds of three ways through, as JSON: eight at a time; one at a time, for each call that comes to others, with
the same call by a bare HTTP client beside it; and again in another site, from the replies on record.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from egregora.config import Config
from egregora.database.columns import Column, TableSpec
from egregora.database.storage import StorageManager
from egregora.llm import MODEL_KEYS, ask
from egregora.pipeline.runner import run_stage_with_tracking
from egregora.pipeline.stage import StageContext

WINDOWS, MORE = 60, 240
TEXT = "m12 Comic Wren 09:14: we could meet at the lake on Saturday, if the weather holds\n" * 60
"""About what a week of a small group has."""


TITLES = TableSpec("titles", "Titles.", (Column("label", "VARCHAR", "which"), Column("title", "VARCHAR", "title")))


class Post(BaseModel):
    """A post."""

    title: str = Field(max_length=80)


def protect(table: Any, config: Any, *, run_id: str) -> Any:
    """Stands for the privacy stage."""
    return table


def one(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """One window."""
    (label,) = table["label"].to_pylist()
    said = ask(
        context.privacy_pass(),
        context,
        purpose="write a window",
        instructions="Write a title.",
        prompt=f"Window {label}\n{TEXT}",
        output=Post,
    )
    return pa.table({"label": [label], "title": [said.title]})


def each(table: Any, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """All windows."""
    rows = table.order_by("label").to_pyarrow()
    jobs = [
        functools.partial(
            context.child_result, f"window {number}", one, rows.slice(number, 1), config_keys=MODEL_KEYS, output=TITLES
        )
        for number in range(len(rows))
    ]
    return pa.concat_tables(context.run_children(jobs, config.llm.concurrency))


def write(site: Path, windows: int = WINDOWS, **llm: Any) -> float:
    """Seconds that the stage takes."""
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    table = pa.table({"label": [f"{number:03}" for number in range(windows)]})
    protected = run_stage_with_tracking("privacy", protect, table, {}, storage)
    config = Config.model_validate({"llm": {"model": "openai:gpt-4o-mini", **llm}})
    began = time.perf_counter()
    run_stage_with_tracking("write", each, protected, config, storage, config_keys=("llm",))
    seconds = time.perf_counter() - began
    storage.close()
    return seconds


def bare(base_url: str) -> float:
    """Seconds of one call by a bare HTTP client, on a connection that is open."""
    import httpx2

    schema = {"name": "final_result", "parameters": Post.model_json_schema()}
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Write a title."}, {"role": "user", "content": TEXT}],
        "tools": [{"type": "function", "function": schema}],
    }
    taken = []
    with httpx2.Client() as client:
        for _ in range(WINDOWS):
            began = time.perf_counter()
            client.post(f"{base_url}/chat/completions", json=body).raise_for_status()
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    how, base_url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.environ.setdefault("OPENAI_API_KEY", "none")
    if how == "eight":
        figures = {"seconds": write(folder / "eight", base_url=base_url, replay="record")}
    elif how == "each":
        # What is paid once and not for each call: imports, the connection, the tables of prices.
        write(folder / f"first-{time.monotonic_ns()}", base_url=base_url, concurrency=1)
        few = write(folder / f"few-{time.monotonic_ns()}", base_url=base_url, concurrency=1)
        more = write(folder / f"more-{time.monotonic_ns()}", MORE, base_url=base_url, concurrency=1)
        figures = {"call": (more - few) / (MORE - WINDOWS), "bare": bare(base_url)}
    else:
        site = folder / f"replay-{time.monotonic_ns()}"
        (site / ".egregora").mkdir(parents=True)
        (folder / "eight" / ".egregora" / "replies").rename(site / ".egregora" / "replies")
        figures = {"seconds": write(site, replay="replay")}
        (site / ".egregora" / "replies").rename(folder / "eight" / ".egregora" / "replies")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
