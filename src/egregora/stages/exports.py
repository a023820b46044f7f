"""Where the exports lay that were read last: known to parse's private folder alone, for a file's name is the group's.

Everything else that is recorded knows an export by the hash of its content only, as in `runs.input_parts`.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from egregora.errors import ExportError
from egregora.pipeline.checkpoint import checkpoint_path
from egregora.pipeline.fingerprint import hash_files
from egregora.pipeline.stage import Files

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager

__all__ = ["find_exports", "remember_exports"]

REMEMBERED = 1000
"""For so many contents it is known where they lay; the ones seen longest ago are forgotten."""


def _register(storage: StorageManager) -> Path:
    return checkpoint_path(storage, "parse", "sha256:").with_name("exports.json")


def _seen(register: Path) -> dict[str, list[str]]:
    """Absolute paths by the hash of their content, the ones seen last at the end."""
    try:
        seen = json.loads(register.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        return {}
    return seen if isinstance(seen, dict) else {}


def remember_exports(storage: StorageManager, files: Files) -> None:
    """Note where these exports lie. Where that can't be done nothing is lost but being found again."""
    with contextlib.suppress(ExportError, OSError):
        digest = hash_files(files)
        register = _register(storage)
        seen = _seen(register)
        paths = [os.fspath(path.absolute()) for path in files.paths]
        if seen.get(digest) == paths and next(reversed(seen)) == digest:
            return
        seen.pop(digest, None)
        seen[digest] = paths
        register.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = register.with_name(f".new-{uuid.uuid4().hex}.json")
        # Of two processes that write at once one entry may be lost; the next write brings it back.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(dict(list(seen.items())[-REMEMBERED:]), file, ensure_ascii=False, indent=1)
        temporary.replace(register)


TELL = "say where it lies with: egregora write EXPORT --up-to parse"


def find_exports(storage: StorageManager, digest: str) -> Files:
    """The exports with this content, as they lie on the disk now.

    Args:
        storage: The site's records.
        digest: Hash of their content, as in `runs.input_parts`.

    Raises:
        ExportError: it isn't known where they lie, they are gone, or hold something else by now; without their names.
    """
    paths = _seen(_register(storage)).get(digest)
    if not paths:
        raise ExportError("it is not on record where the export of that run lies", hint=TELL)
    files = Files(tuple(map(Path, paths)))
    if not all(path.exists() for path in files.paths):
        raise ExportError("the export of that run is no longer where it was", hint=TELL)
    if hash_files(files) != digest:
        raise ExportError(
            "the export of that run has other content by now",
            hint="to read it as it is: egregora write EXPORT; or put the old one back",
        )
    return files
