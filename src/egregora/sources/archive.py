"""An export as one thing, whether it is a zip, a single text or an unpacked folder: members in order, streamed reads.

Nothing is ever extracted: members are read as streams, by number. So a name such as `../../etc/passwd` can't do harm;
members with such names are left out of the list all the same, and so are absolute names, links, folders, encrypted
members and the `__MACOSX` and dot files that computers add. Sizes that an archive declares are not believed: bytes are
counted while they are read.

Messages of errors hold neither names nor text of what is inside.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from egregora.errors import ExportError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Archive", "Member", "open_archive"]

MAX_MEMBERS = 200_000
"""More members than this are taken for an attack; exports with media have some ten thousand."""
MAX_TOTAL_BYTES = 64 << 30
"""What all members may declare together, in bytes."""
MAX_TEXT_BYTES = 4 << 30
"""What may be read from one member, in bytes. Forty million messages of chat text."""
MAX_RATIO = 400
"""How many bytes may come out of one byte of a zip's member. Chat text reaches about 20, monotonous text 100."""
RATIO_FREE_BYTES = 16 << 20
"""Below this size the ratio doesn't matter."""

_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError)
"""What `zipfile` lets escape from damaged archives. `NotImplementedError` and `RuntimeError` are its words for an
unknown method and a missing password."""


@dataclass(frozen=True)
class Member:
    """A file in an export.

    Attributes:
        index: Its number: its place in `Archive.members`.
        name: File name without folders. Data: never printed or logged.
        path: Name with folders, `/` between parts.
        size: Bytes, as declared.
    """

    index: int
    name: str
    path: str
    size: int


class Archive:
    """An opened export. Use it as a context manager.

    Attributes:
        path: What was opened.
        kind: `zip`, `text` or `folder`.
        members: What can be read, in the order of the archive (folders: of the paths). The order defines
            `Member.index`, which `attrs` of a message refers to.
        refused: How many members were left out because of their name or kind.
        encrypted: How many members are protected by a password.
        notes: What a source found out when it was asked to detect, kept for when it reads.
    """

    def __init__(self, path: Path, kind: str, zipped: zipfile.ZipFile | None = None) -> None:
        self.path = path
        self.kind = kind
        self.members: tuple[Member, ...] = ()
        self.refused = 0
        self.encrypted = 0
        self.notes: dict[str, object] = {}
        self._zip = zipped
        self._entries: list[Any] = []

    @property
    def name(self) -> str:
        """File name without extension; for a folder its name. May be the chat's title, so it is data too."""
        return self.path.name if self.kind == "folder" else self.path.stem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()

    @contextmanager
    def open(self, index: int) -> Iterator[IO[bytes]]:
        """The bytes of a member as a stream that counts what it gives.

        Raises:
            ExportError: on opening or later on reading: the member is damaged, protected or too large.
        """
        try:
            if self._zip is not None:
                info = self._entries[index]
                limit = max(RATIO_FREE_BYTES, info.compress_size * MAX_RATIO)
                file: IO[bytes] = self._zip.open(info)
            else:
                limit = MAX_TEXT_BYTES
                file = Path(self._entries[index]).open("rb")  # noqa: SIM115 - closed below
        except _BROKEN:
            raise _damaged() from None
        with file:
            yield _Counted(file, min(limit, MAX_TEXT_BYTES))  # type: ignore[misc]

    def read(self, index: int, limit: int) -> bytes | None:
        """All bytes of a member, or None if there are more than `limit`.

        Raises:
            ExportError: it is damaged or protected.
        """
        with self.open(index) as file:
            data = file.read(limit + 1)
        return data if len(data) <= limit else None


class _Counted:
    """A readable stream that turns every damage into an `ExportError` and stops at a limit."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        try:
            data = self._file.read(wanted)
            while 0 < len(data) < wanted and (more := self._file.read(wanted - len(data))):
                data += more
        except _BROKEN:
            raise _damaged() from None
        self._left -= len(data)
        if self._left < 0:
            raise _bomb()
        return data


def open_archive(path: Path) -> Archive:
    """Open a zip, a text or a folder, whatever its extension says.

    Raises:
        ExportError: it is missing, empty, damaged, protected, or inflates out of all proportion.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _open_folder(path)
        if not stat.S_ISREG(mode):
            raise ExportError("the export is neither a file nor a folder", hint="give a .zip, a .txt or a folder")
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise ExportError("there is no such file or folder", hint="check the path to the export") from None
    except OSError as error:
        raise ExportError(f"the export can't be read: {error.strerror}", hint="check its permissions") from None
    if not start:
        raise ExportError("the export is empty (0 bytes)", hint="export the chat again") from None
    if start[:2] == b"PK":
        return _open_zip(path)
    if path.suffix.lower() == ".zip":
        raise ExportError("the export is named .zip but is no zip archive", hint="export the chat again") from None
    archive = Archive(path, "text")
    archive.members = (Member(0, path.name, path.name, path.stat().st_size),)
    archive._entries = [path]
    return archive


def _open_zip(path: Path) -> Archive:
    try:
        zipped = zipfile.ZipFile(path)
    except _BROKEN:
        raise _damaged() from None
    archive = Archive(path, "zip", zipped)
    try:
        _list_zip(archive, zipped)
    except ExportError:
        zipped.close()
        raise
    return archive


def _list_zip(archive: Archive, zipped: zipfile.ZipFile) -> None:
    infos = zipped.infolist()
    if not infos:
        raise ExportError("the zip is empty", hint="export the chat again")
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise _bomb()
    members: list[Member] = []
    unknown = 0
    for info in infos:
        if info.is_dir():
            continue
        if not _is_safe(info.filename) or stat.S_ISLNK(info.external_attr >> 16):
            archive.refused += 1
        elif _is_clutter(info.filename):
            continue
        elif info.flag_bits & _ENCRYPTED:
            archive.encrypted += 1
        elif info.compress_type not in _METHODS:
            unknown += 1
        else:
            members.append(Member(len(members), PurePosixPath(info.filename).name, info.filename, info.file_size))
            archive._entries.append(info)
    archive.members = tuple(members)
    if members:
        return
    if archive.encrypted:
        raise ExportError("the zip is protected by a password", hint="unpack it with the password and give the folder")
    if unknown:
        raise ExportError("the zip is compressed in a way that can't be read", hint="unpack it and give the folder")
    if archive.refused:
        raise ExportError("the zip holds only members with unsafe names", hint="give the zip as the app exported it")
    raise ExportError("the zip holds no files", hint="export the chat again")


def _open_folder(path: Path) -> Archive:
    archive = Archive(path, "folder")
    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(path, followlinks=False):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in files:
            file = Path(folder, name)
            relative = file.relative_to(path).as_posix()
            if _is_clutter(relative):
                continue
            if file.is_symlink() or not file.is_file():
                archive.refused += 1
                continue
            found.append((relative, file))
            if len(found) > MAX_MEMBERS:
                raise ExportError("the folder holds too many files", hint="give the folder of one export only")
    found.sort()
    archive.members = tuple(
        Member(i, file.name, relative, file.stat().st_size) for i, (relative, file) in enumerate(found)
    )
    archive._entries = [file for _, file in found]
    if not found:
        raise ExportError("the folder holds no files", hint="give the folder that holds the chat's text")
    return archive


def _is_clutter(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1].lower() in ("thumbs.db", "desktop.ini")


def _is_safe(name: str) -> bool:
    """Whether a member's name stays inside the archive, on any system."""
    parts = name.replace("\\", "/").split("/")
    return bool(parts[-1]) and ".." not in parts and parts[0] != "" and not (len(parts[0]) == 2 and parts[0][1] == ":")


def _damaged() -> ExportError:
    return ExportError("the export is damaged or cut off: it can't be unpacked", hint="export or copy the chat again")


def _bomb() -> ExportError:
    return ExportError(
        "the export inflates out of all proportion, as an archive made to fill a machine does",
        hint="unpack it yourself if you trust it, and give the folder",
    )
