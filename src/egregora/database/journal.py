"""The journal: each process appends what its runs do as JSON lines to a file of its own, and holds a lock for life.

Events, one JSON object a line, `e` telling which:

- `run`: fields of a row of `runs` (at its start all that is known, later what changed), with `parents` for lineage and
  `at`, when it was told, nanoseconds since 1970;
- `log`, `call`, `profile`: a row of `run_logs`, `llm_calls` or `profiles`;
- `config`, `code`: a row of `configs` or `codes`;
- `removed`: `run_ids` of runs that somebody removed. What journals tell of these, before and after, counts no more.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import platform
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["Journal", "host_id", "is_alive", "owner_host", "read_events"]


def host_id() -> str:
    """This machine in eight hex digits. Hashed, because people name their machines after themselves."""
    return hashlib.sha256(f"egregora host {platform.node()} {uuid.getnode()}".encode()).hexdigest()[:8]


def owner_host(owner: str) -> str:
    """The machine in an owner's name, as `host_id` gives it."""
    return owner.split("-", 1)[0]


def _lock(path: Path) -> FileLock:
    # preserve_lock_file: unlinking a lock file that somebody else has just opened gives two owners of one lock.
    # fallback_to_soft: a soft lock survives its owner, which is just what must not happen here.
    return FileLock(path, preserve_lock_file=True, fallback_to_soft=False, thread_local=False)


def is_alive(folder: Path, owner: str) -> bool:
    """Whether the process that writes the journal `owner` in `folder` lives.

    Only for journals of this machine, and only while holding the catalog's lock: two probes at once take each other for
    the owner.
    """
    path = folder / f"{owner}.lock"
    if not path.exists():
        return False
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        # Nobody may write here (a read-only copy), so nobody does.
        return False
    lock.release()
    return False


def read_events(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int, int]:
    """Read a journal's whole lines from byte `start` on.

    Returns:
        The events, the position behind the last whole line, and how many lines could not be read. A last line without
        its end is still being written and is left for the next time.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                data = packed.read()[start:]
        else:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
    except FileNotFoundError:
        return [], start, 0
    except (OSError, EOFError):
        return [], start, 1
    end = data.rfind(b"\n") + 1
    events: list[dict[str, Any]] = []
    unreadable = 0
    for line in data[:end].split(b"\n"):
        if not line:
            continue
        event = parse_event(line)
        if event is None:
            unreadable += 1
        else:
            events.append(event)
    return events, start + end, unreadable


def parse_event(line: bytes) -> dict[str, Any] | None:
    """A journal's line as an event, or None if it can't be one."""
    try:
        # JSON knows no NaN and no infinity, Python's reader does; DuckDB would refuse all lines for the sake of one.
        event = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and _is_event(event) else None


_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _is_event(event: dict[str, Any]) -> bool:
    """Whether a line can go into the catalog. One that can't must not hold up all that come after it."""
    kind = event.get("e")
    if kind in ("config", "code"):
        return isinstance(event.get("config_hash" if kind == "config" else "code_hash"), str)
    if kind == "removed":
        ids = event.get("run_ids")
        return isinstance(ids, list) and all(isinstance(i, str) and _RUN_ID.fullmatch(i) for i in ids)
    parents = event.get("parents", [])
    identities = (event.get("run_id"), *(parents if isinstance(parents, list) else (None,)))
    return kind in ("run", "log", "call", "profile") and all(
        isinstance(i, str) and _RUN_ID.fullmatch(i) for i in identities
    )


class Journal:
    """This process's journal in one folder. Opened at the first event. A forked child needs another one.

    Attributes:
        owner: Name of this process, as in `runs.owner`.
        path: The journal file.
        events: How many events have been appended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = 0
        self.owner = ""
        self.path = folder
        self._lines = threading.Lock()
        self._handle = -1
        self._alive: FileLock | None = None
        self._unwritten: list[bytes] = []
        self._torn = False
        self._warned = False

    def open(self) -> None:
        """Take this process's lock, then create the journal; nothing if that is done.

        Raises:
            OSError: the folder can't be written. Appending goes on in memory.
        """
        with self._lines:
            self._open()

    def _open(self) -> None:
        if self.owner:
            return
        self.owner = f"{host_id()}-{os.getpid()}-{time.time_ns() // 1000}"
        self.path = self.folder / f"{self.owner}.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._alive = _lock(self.folder / f"{self.owner}.lock")
        # The lock comes first: a journal without one is a dead process's.
        self._alive.acquire()
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)

    def append(self, events: Iterable[dict[str, Any]], *, sync: bool) -> None:
        """Append events, to the disk before returning if `sync`.

        What can't be written is kept in memory, written with the next events, and told once on stderr; the pipeline
        goes on.
        """
        # Half of a surrogate pair (from a file name, say) has no UTF-8: a question mark in a record, not a failed run.
        data = [
            json.dumps(
                {**event, "at": time.time_ns()} if event["e"] == "run" else event,
                ensure_ascii=False,
                separators=(",", ":"),
            ).encode(errors="replace")
            + b"\n"
            for event in events
        ]
        try:
            self.open()
        except (OSError, NotImplementedError) as error:
            self._keep(data, error)
            return
        with self._lines:
            self.events += len(data)
            pending = b"".join([*self._unwritten, *data])
            if self._torn:
                pending = b"\n" + pending
            self._unwritten = [*self._unwritten, *data]
            try:
                if self._handle < 0:
                    raise OSError("the journal is not open")
                written = os.write(self._handle, pending)
                if written < len(pending):
                    # The disk is full, most likely, and what is on it ends in half a line: the next record starts on a
                    # new one, with the half one whole again.
                    self._torn = True
                    self._unwritten = [pending[pending[:written].rfind(b"\n") + 1 :]]
                    raise OSError("no space left for the journal")
                self._torn = False
                self._unwritten = []
                if sync:
                    _sync(self._handle)
            except OSError as error:
                self._warn(error)

    def _keep(self, data: list[bytes], error: BaseException) -> None:
        with self._lines:
            self._unwritten.extend(data)
            self._warn(error)

    def _warn(self, error: BaseException) -> None:
        if not self._warned:
            self._warned = True
            reason = getattr(error, "strerror", None) or str(error)
            print(f"egregora: warning: runs can't be recorded on disk ({reason}); going on", file=sys.stderr)  # noqa: T201

    def unwritten(self) -> bytes:
        """Events that are only in memory, as JSON lines."""
        with self._lines:
            return b"".join(self._unwritten)

    def close(self) -> None:
        """Let go of the journal and its lock. What could not be written goes to stderr, so that it is not lost."""
        with self._lines:
            if self._unwritten:
                sys.stderr.write(b"".join(self._unwritten).decode(errors="replace"))
            if self._handle >= 0:
                os.close(self._handle)
            self._handle = -1
            self.owner = ""
            self._unwritten = []
            if self._alive is not None:
                with contextlib.suppress(OSError):
                    self._alive.release()
                self._alive = None


def _sync(handle: int) -> None:
    getattr(os, "fdatasync", os.fsync)(handle)


def journals(folder: Path) -> Iterator[Path]:
    """The journal files of a folder by name, packed ones included; of one process never both, but the plain one."""
    for path in sorted(folder.glob("*.jsonl*")):
        if path.name.endswith(".jsonl") or (path.name.endswith(".jsonl.gz") and not path.with_suffix("").exists()):
            yield path
