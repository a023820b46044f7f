"""The site's folder: written from blobs, kept in step with the pages, and nobody else's files touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from egregora.errors import BlobError, StorageError

__all__ = ["LaidOut", "lay_out"]

_VERSION = 1


@dataclass(frozen=True)
class LaidOut:
    """How many files a layout wrote, removed and found as they should be."""

    written: int
    removed: int
    unchanged: int


def lay_out(pages: Iterable[tuple[str, str, int]], *, blobs: Path, folder: Path, manifest: Path) -> LaidOut:
    """Make `folder` hold the pages. Running it again changes nothing; a page that was deleted or edited comes back.

    Only files that the manifest lists are overwritten or removed, so what somebody else put into the folder stays. A
    file is taken for unchanged where size and time of change are those that the manifest remembers; else its bytes
    decide. Nothing is written before everything is known to be there and nothing to be in the way.

    Args:
        pages: Path below the folder (`/` between parts), blob id (`<sha256>.<ext>`), size in bytes.
        blobs: The folder of the blobs.
        folder: The folder of the site, made if missing.
        manifest: Where the list of what was laid out is kept, outside `folder`.

    Raises:
        BlobError: a blob is missing or damaged.
        StorageError: a path leads out of the folder, a file that isn't ours is in the way, or nothing can be written.
    """
    wanted = {path: (blob, size) for path, blob, size in pages}
    try:
        return _lay_out(wanted, blobs, folder, manifest)
    except OSError as error:
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the folder's permissions"
        raise StorageError(f"the site folder can't be written: {error.strerror}", hint=hint) from error


def _lay_out(wanted: dict[str, tuple[str, int]], blobs: Path, folder: Path, manifest: Path) -> LaidOut:
    for path in wanted:
        _refuse_outside(path)
    ours = _read_manifest(manifest)
    folder.mkdir(parents=True, exist_ok=True)

    kept: dict[str, list[Any]] = {}
    to_write: list[str] = []
    real_folders: set[Path] = {folder}
    for path, (blob, size) in wanted.items():
        target = folder / path
        _refuse_detour(target.parent, folder, real_folders)
        entry = ours.get(path)
        found = _status(target)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise _in_the_way(path)
        if found is not None and stat.S_ISREG(found.st_mode) and found.st_size == size:
            known = entry is not None and entry == [blob, size, found.st_mtime_ns]
            if known or _hash(target) == _promised(blob):
                kept[path] = [blob, size, found.st_mtime_ns]
                continue
        if found is not None and entry is None:
            raise _in_the_way(path)
        to_write.append(path)

    stale = [path for path in ours if path not in wanted]
    if not to_write and not stale:
        if kept != ours:
            _write_manifest(manifest, kept)
        return LaidOut(0, 0, len(kept))

    for path in to_write:
        _refuse_missing(blobs / wanted[path][0], wanted[path][1])
    # Said before it is done: if this stops half-way, the next layout still knows which files are ours.
    _write_manifest(manifest, {**ours, **kept, **{path: [*wanted[path], 0] for path in to_write}})
    for path in to_write:
        blob, size = wanted[path]
        data = (blobs / blob).read_bytes()
        if len(data) != size or hashlib.sha256(data).hexdigest() != _promised(blob):
            raise BlobError(
                f"the file {blob[:12]}… in the site's blobs is damaged", hint="run again with --force publish"
            )
        kept[path] = [blob, size, _write(folder / path, data)]
    removed = sum(_remove(folder, path, ours[path], real_folders) for path in stale)
    _write_manifest(manifest, kept)
    return LaidOut(len(to_write), removed, len(kept) - len(to_write))


def _refuse_outside(path: str) -> None:
    """A path has plain parts only: nothing absolute, no `..`, nothing that Windows would take for a drive or stream."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or any(char in part for char in "\\:\0") for part in parts):
        raise StorageError("a page's path leads out of the site folder", hint="run again with --force publish")


def _refuse_detour(parent: Path, folder: Path, real_folders: set[Path]) -> None:
    """No folder on the way to a page may be a link (it could lead anywhere) or a file."""
    if parent in real_folders:
        return
    _refuse_detour(parent.parent, folder, real_folders)
    found = _status(parent)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise _in_the_way(parent.relative_to(folder).as_posix())
    real_folders.add(parent)


def _refuse_missing(blob: Path, size: int) -> None:
    found = _status(blob)
    if found is None or found.st_size != size:
        state = "missing from" if found is None else "of another size in"
        raise BlobError(
            f"the file {blob.name[:12]}… is {state} the site's blobs", hint="run again with --force publish"
        )


def _in_the_way(path: str) -> StorageError:
    return StorageError(
        f"'{path}' in the site folder was not written by Egregora and is in the way of a page",
        hint="move it elsewhere, or write the site to another folder",
    )


def _promised(blob: str) -> str:
    """The hash in a blob id."""
    return blob.partition(".")[0]


def _status(path: Path) -> os.stat_result | None:
    """What stands at the path itself, no link followed; None for nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(target: Path, data: bytes) -> int:
    """Put a file in place at once, and say its time of change in ns. A link at its place is replaced, not followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # One name for each page, so that what an interrupted layout left behind is used up by the next.
    temporary = target.with_name(f".{target.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        # "x": a link that appears under this name in between is an error, not a way out of the folder.
        with temporary.open("xb") as file:
            file.write(data)
        changed = temporary.stat().st_mtime_ns
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return changed


def _remove(folder: Path, path: str, entry: list[Any], real_folders: set[Path]) -> int:
    """Remove a page that is no more, if the file is still the one that we wrote, and folders that it leaves empty."""
    target = folder / path
    _refuse_detour(target.parent, folder, real_folders)
    found = _status(target)
    if found is None or not stat.S_ISREG(found.st_mode):
        return 0
    blob, size, changed = entry
    if found.st_size != size or (found.st_mtime_ns != changed and _hash(target) != _promised(blob)):
        return 0
    target.unlink()
    for part in PurePosixPath(path).parents:
        if part.name and not any((folder / part).iterdir()):
            (folder / part).rmdir()
            real_folders.discard(folder / part)
    return 1


def _read_manifest(manifest: Path) -> dict[str, list[Any]]:
    """What the last layout wrote: path → [blob id, size, time of change in ns]. Unreadable counts as none."""
    try:
        stored = json.loads(manifest.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(stored, dict) or stored.get("version") != _VERSION:
        return {}
    files: dict[str, list[Any]] = stored["files"]
    for path in files:
        _refuse_outside(path)
    return files


def _write_manifest(manifest: Path, files: dict[str, list[Any]]) -> None:
    manifest.parent.mkdir(parents=True, exist_ok=True)
    temporary = manifest.with_name(f"{manifest.name}.part")
    text = json.dumps({"version": _VERSION, "files": dict(sorted(files.items()))}, indent=0, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(manifest)
