"""Whether this machine and this site are in order: what `egregora doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, available_timezones

from egregora.database.journal import host_id, is_alive, journals, owner_host
from egregora.errors import EgregoraError, StorageError

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager

__all__ = ["Finding", "look_at_export", "look_at_exports_together", "look_at_machine", "look_at_site"]

NEEDED = {"duckdb": (1, 5), "ibis-framework": (12, 0)}
"""Distributions that decide whether anything works, with the version from which on."""
LITTLE_SPACE = 10**9
"""Free bytes below which `doctor` warns."""
NOT_UNDERSTOOD = 0.01
"""Share of an export's lines above which `doctor` warns of those that were not understood."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: `ok`, `warn` (works, but not as it should) or `fail`.
        said: What was found.
        hint: What to do about it; empty where there is nothing.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    hint: str = ""


def look_at_machine() -> Iterator[Finding]:
    """Python, the packages that matter, time zones."""
    yield Finding(
        "Python", "ok", f"{platform.python_version()} ({platform.python_implementation()}, {platform.system()})"
    )
    for name, least in NEEDED.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "fail", "not installed", f"pip install {name}")
            continue
        numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
        if numbers[:1] != least[:1] or numbers < least:
            wanted = f"{least[0]}.{least[1]} or newer, below {least[0] + 1}"
            yield Finding(name, "warn", found, f"tested with {wanted}: pip install --upgrade egregora")
        else:
            yield Finding(name, "ok", found)
    zones = len(available_timezones())
    try:
        ZoneInfo("America/Sao_Paulo")
        yield Finding("time zones", "ok", f"{zones} known")
    except (OSError, KeyError, ValueError):
        yield Finding("time zones", "fail", "none known", "pip install tzdata")


def look_at_site(storage: StorageManager) -> Iterator[Finding]:
    """The site's folder, key, catalog, journals, checkpoints, and the space that is left."""
    folder = storage.directory
    if os.access(folder, os.W_OK):
        yield Finding("site folder", "ok", f"{folder.parent} can be written")
    else:
        yield Finding("site folder", "warn", f"{folder.parent} can't be written", "you can look at runs, but not write")
    yield from _settings(folder.parent)
    yield from _secrets(storage)
    yield from _catalog(storage)
    yield from _journals(storage)
    yield from _checkpoints(storage)
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_SPACE:
        yield Finding("disk", "warn", said, "make room, for instance with: egregora cache gc")
    else:
        yield Finding("disk", "ok", said)


def _settings(site: Path) -> Iterator[Finding]:
    from egregora.config import load_config

    path = site / "egregora.toml"
    if not path.exists():
        yield Finding("settings", "ok", "no egregora.toml: the defaults hold")
        return
    try:
        load_config(path)
    except EgregoraError as error:
        yield Finding("settings", "fail", str(error), error.hint)
    else:
        yield Finding("settings", "ok", "egregora.toml can be read")


def _secrets(storage: StorageManager) -> Iterator[Finding]:
    """The key, and whether other accounts of this machine can read it or what holds names."""
    key = storage.directory / "key"
    if not key.exists():
        yield Finding("key", "ok", "none yet; the first run makes it")
    elif not _is_key(key):
        yield Finding("key", "fail", "it can't be read", f"restore {storage.directory.name}/key from a backup")
    elif _is_open(key):
        yield Finding("key", "warn", "other accounts can read it", f"chmod 600 {key}")
    else:
        yield Finding("key", "ok", "there, and closed to other accounts")
    exposed = [path for path in (storage.directory, *storage.checkpoint_dir.glob("*/*.parquet")) if _is_open(path)]
    if os.name == "posix" and _is_open(storage.directory) and exposed:
        yield Finding(
            "privacy of records",
            "warn",
            "other accounts of this machine can look into the site's records, which may hold names",
            f"chmod -R go= {storage.directory}",
        )
    else:
        yield Finding("privacy of records", "ok", "closed to other accounts")


def _is_key(path: Path) -> bool:
    try:
        return len(bytes.fromhex(path.read_text(encoding="ascii"))) > 0
    except (OSError, ValueError):
        return False


def _is_open(path: Path) -> bool:
    """Whether other accounts may read it. Windows has no such bits."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _catalog(storage: StorageManager) -> Iterator[Finding]:
    damaged = sorted(storage.directory.glob("*.damaged-*"))
    try:
        with storage.reading() as con:
            row = con.execute("SELECT count(*), (FROM cat.schema_version SELECT max(version)) FROM runs").fetchone()
    except StorageError as error:
        yield Finding("catalog", "fail", str(error), error.hint or "try again")
        return
    assert row is not None
    size = storage.db_path.stat().st_size if storage.db_path.exists() else 0
    said = f"{row[0]:,} run{'' if row[0] == 1 else 's'}, {size / 1e6:,.1f} MB, tables of version {row[1]}"
    newly = sorted(set(storage.directory.glob("*.damaged-*")) - set(damaged))
    if newly:
        what = f"it was damaged and is set aside as {newly[0].name}; the journals gave back {said}"
        yield Finding("catalog", "fail", what, "keep that file until nothing is missing")
    else:
        yield Finding("catalog", "ok", said)
    if damaged:
        yield Finding(
            "damaged catalogs", "warn", f"{len(damaged)} set aside earlier", "delete them when nothing is missing"
        )


def _journals(storage: StorageManager) -> Iterator[Finding]:
    """Who writes, how much of it is not in the catalog yet, and what can't be read."""
    from egregora.database.journal import read_events

    try:
        with storage.reading() as con:
            taken = {owner: (done, bad) for owner, done, bad in con.execute("FROM cat.journals SELECT *").fetchall()}
            # Asked while the catalog's lock is held, as `is_alive` needs.
            paths = list(journals(storage.journal_dir))
            alive = sum(
                path.suffix != ".gz"
                and owner_host(path.name) == host_id()
                and is_alive(storage.journal_dir, path.name.split(".", 1)[0])
                for path in paths
            )
            waiting = unreadable = 0
            for path in paths:
                done, bad = taken.get(path.name.split(".", 1)[0], (0, 0))
                unreadable += bad
                if path.suffix != ".gz" and path.stat().st_size > done:
                    waiting += path.stat().st_size - done
                    unreadable += read_events(path, done)[2]
    except StorageError as error:
        yield Finding("journals", "fail", str(error), error.hint or "try again")
        return
    said = f"{len(paths)}, {alive} of them of a process at work, {waiting:,} bytes not in the catalog yet"
    if unreadable:
        yield Finding(
            "journals",
            "warn",
            f"{said}; {unreadable:,} lines can't be read",
            "a crash cut them off; the runs around them are whole",
        )
    else:
        yield Finding("journals", "ok", said)


def _checkpoints(storage: StorageManager) -> Iterator[Finding]:
    """By size and time only; `cache verify` reads them."""
    from egregora.observe.checkpoints import kept_checkpoints
    from egregora.pipeline.checkpoint import has_blobs

    try:
        kept = kept_checkpoints(storage)
    except StorageError as error:
        yield Finding("checkpoints", "fail", str(error), error.hint or "try again")
        return
    broken = [one for one in kept if one.recorded_bytes not in (None, one.bytes) or not has_blobs(storage, one.path)]
    size = sum(one.bytes for one in kept) / 1e6
    if broken:
        yield Finding(
            "checkpoints",
            "warn",
            f"{len(broken)} of {len(kept)} are damaged, the first one of {broken[0].stage}",
            "the next run makes them again; see all with: egregora cache verify",
        )
    else:
        yield Finding("checkpoints", "ok", f"{len(kept)}, {size:,.1f} MB, whole as far as size tells")


def look_at_export(path: Path, site: Path | None) -> Iterator[Finding]:
    """What a source makes of an export: the format it decided on, and from what. Nothing of it holds text of the chat.

    Raises:
        EgregoraError: it can't be read, or no source knows it.
    """
    from egregora.config import load_config
    from egregora.sources import choose_source
    from egregora.sources.archive import open_archive

    settings = load_config((site or Path()) / "egregora.toml").parse
    with open_archive(path) as archive:
        source = choose_source(archive, settings.source)
        files = len(archive.members)
        yield Finding("source", "ok", f"{source.title}; {files:,} file{'' if files == 1 else 's'}")
        reading = source.read(archive, settings)
        messages = sum(batch.num_rows for batch in reading.batches)
        for name, said in reading.decided.items():
            doubtful = name == "ambiguous" and said != "no"
            hint = "if that is wrong, say it: --date-order dmy, mdy or ymd" if doubtful else ""
            yield Finding(name, "warn" if doubtful else "ok", said, hint)
        state: Literal["ok", "fail"] = "ok" if messages else "fail"
        yield Finding("messages", state, f"{messages:,}", "" if messages else "check that it is a chat's export")
        for name, number in reading.counts.items():
            if name == "not understood" and number > reading.counts["lines"] * NOT_UNDERSTOOD:
                hint = "text before the chat, or lines of another format that were taken for text: is it one export?"
                yield Finding(name, "warn", f"{number:,}", hint)
            else:
                yield Finding(name, "ok", f"{number:,}")


def look_at_exports_together(paths: Sequence[Path], site: Path | None) -> Iterator[Finding]:
    """What several exports have in common: how many chats they are of, and which messages come once only.

    Raises:
        EgregoraError: one can't be read.
    """
    from egregora.config import load_config
    from egregora.pipeline.stage import Files, StageContext
    from egregora.stages.parse import parse

    figures: dict[str, float] = {}

    class Listening(StageContext):
        def profile(self, name: str, value: float) -> None:
            figures[name] = value

    messages, chats = 0, set[str]()
    folder = site or Path()
    config = load_config(folder / "egregora.toml")
    for batch in parse(Files(tuple(paths)), config, run_id="", context=Listening(folder)):
        messages += len(batch)
        chats.update(batch.column("thread_id").unique().to_pylist())
    yield Finding("chats", "ok", f"{len(chats):,}")
    yield Finding("messages", "ok", f"{messages:,}")
    same = int(figures["merged_duplicates"])
    yield Finding("overlap", "ok", f"{same:,} are in several exports, and kept once" if same else "none")
