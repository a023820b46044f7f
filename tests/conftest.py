"""Shared by all tests: a site's records in a temporary folder, and a Python process to run a script in.

Its place puts `tests/` on the path, so that every test can import what lies here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egregora.cli import main
from egregora.database.storage import StorageManager
from runs_rows import Shown

# A shell that starts the tests in the background has SIGINT ignored, and every process inherits that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageManager]:
    """The records of a site that doesn't exist yet."""
    made = StorageManager(tmp_path / "site" / ".egregora" / "egregora.duckdb")
    yield made
    made.close()


@pytest.fixture
def ask() -> Callable[..., list[Any]]:
    """`ask(storage, sql)`: the rows of a query on a site's records; of one column, its values."""

    def rows(storage: StorageManager, sql: str, parameters: list[Any] | None = None) -> list[Any]:
        with storage.reading() as con:
            found = con.execute(sql, parameters or []).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    return rows


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python(source, *arguments)`: a script run in a process of its own, in the test's folder."""

    def run(source: str, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def site(storage: StorageManager, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site, named by EGREGORA_SITE."""
    storage.create()
    folder = storage.directory.parent
    monkeypatch.setenv("EGREGORA_SITE", str(folder))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def shown(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """`shown("runs", "tail", width=80)`: exit status, standard output and standard error of a command."""

    def command(*words: str, width: int | None = None) -> tuple[int, str, str]:
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return command
