"""An export opens whatever it lies in, and a hostile or broken one gives one clear line."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from egregora.errors import ExportError
from egregora.sources import archive as archives
from egregora.sources.archive import open_archive
from egregora.testing import zip_bytes, zip_of


def names(path: Path) -> list[str]:
    with open_archive(path) as archive:
        return [member.path for member in archive.members]


def test_zip_lists_files_in_its_own_order_with_numbers(tmp_path: Path) -> None:
    """A member's number is its place among the files; folders and clutter don't count."""
    path = zip_of(
        tmp_path / "a.zip",
        [("x/", ""), ("x/b.txt", "b"), ("__MACOSX/x/._b.txt", "junk"), ("x/.DS_Store", "junk"), ("x/a.jpg", "a")],
    )
    with open_archive(path) as archive:
        assert [(m.index, m.name, m.path, m.size) for m in archive.members] == [
            (0, "b.txt", "x/b.txt", 1),
            (1, "a.jpg", "x/a.jpg", 1),
        ]
        assert archive.read(1, 10) == b"a"
        assert (archive.kind, archive.name) == ("zip", "a")


def test_folder_and_text_are_exports_too(tmp_path: Path) -> None:
    """An unpacked folder lists its files by path; a text is its own only member."""
    (tmp_path / "f" / "sub").mkdir(parents=True)
    (tmp_path / "f" / "b.txt").write_text("b")
    (tmp_path / "f" / "sub" / "a.jpg").write_bytes(b"a")
    assert names(tmp_path / "f") == ["b.txt", "sub/a.jpg"]
    assert names(tmp_path / "f" / "b.txt") == ["b.txt"]


def test_folder_does_not_follow_links(tmp_path: Path) -> None:
    """A link in a folder is refused, wherever it points."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "chat.txt").write_text("x")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with open_archive(folder) as archive:
        assert [m.name for m in archive.members] == ["chat.txt"]
        assert archive.refused == 1


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "C:/evil.txt", "..\\evil.txt", "\\\\host\\evil.txt"]
)
def test_unsafe_names_are_left_out(tmp_path: Path, name: str) -> None:
    """A member that would land outside is never listed, so never read; the rest of the zip is fine."""
    with open_archive(zip_of(tmp_path / "a.zip", [(name, "evil"), ("ok.txt", "ok")])) as archive:
        assert [m.name for m in archive.members] == ["ok.txt"]
        assert archive.refused == 1


def test_zip_symlink_is_left_out(tmp_path: Path) -> None:
    """A member that is a symbolic link is refused."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("ok.txt", "ok")
    path = tmp_path / "a.zip"
    path.write_bytes(out.getvalue())
    with open_archive(path) as archive:
        assert ([m.name for m in archive.members], archive.refused) == (["ok.txt"], 1)


def encrypted() -> bytes:
    data = bytearray(zip_bytes({"chat.txt": "secret " * 20}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        data[place] |= 1
    return bytes(data)


def unknown_method() -> bytes:
    data = bytearray(zip_bytes({"chat.txt": "text " * 20}))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.index(signature) + offset, 97)
    return bytes(data)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty file": (lambda: b"", "empty"),
    "no zip": (lambda: b"hello there", "no zip"),
    "cut off": (lambda: zip_bytes({"chat.txt": "x" * 1000})[:-30], "damaged"),
    "only a signature": (lambda: b"PK\x03\x04", "damaged"),
    "no members": (lambda: zip_bytes({}), "empty"),
    "password": (encrypted, "password"),
    "unknown method": (unknown_method, "compressed in a way"),
    "only unsafe names": (lambda: zip_bytes({"../secretname.txt": "x"}), "unsafe names"),
    "only folders": (lambda: zip_bytes({"a/": ""}), "no files"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_zip_gives_one_line_and_a_hint(tmp_path: Path, case: str) -> None:
    """Every damage is an ExportError of one line with a hint, without names of members."""
    make, words = BROKEN[case]
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(ExportError) as caught:
        open_archive(path)
    assert words in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert "secretname" not in str(caught.value) + caught.value.hint


def test_missing_and_special_files(tmp_path: Path) -> None:
    """What isn't there, or is no file, says so."""
    with pytest.raises(ExportError, match="no such file"):
        open_archive(tmp_path / "nothing.zip")
    with pytest.raises(ExportError, match="neither a file nor a folder"):
        open_archive(Path("/dev/null"))
    (tmp_path / "void").mkdir()
    with pytest.raises(ExportError, match="no files"):
        open_archive(tmp_path / "void")


def test_damaged_member_fails_on_reading(tmp_path: Path) -> None:
    """A checksum that doesn't match, or a broken stream, is found while it is read."""
    data = bytearray(zip_bytes({"chat.txt": "hello world, hello world, hello" * 50}))
    data[45] ^= 0xFF
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with open_archive(path) as archive, pytest.raises(ExportError, match="damaged"):
        archive.read(0, 1 << 20)


def test_bomb_is_stopped_by_what_comes_out(tmp_path: Path) -> None:
    """Whatever size is declared, reading stops when far more comes out than went in."""
    path = zip_of(tmp_path / "a.zip", {"chat.txt": b"\0" * (40 << 20)})
    with open_archive(path) as archive, pytest.raises(ExportError, match="out of all proportion"):
        archive.read(0, 1 << 30)


def test_bomb_is_stopped_by_what_it_declares(tmp_path: Path) -> None:
    """A zip that declares more than any export holds isn't even opened."""
    data = bytearray(zip_bytes([(f"{i}.txt", "x") for i in range(20)]))
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        struct.pack_into("<I", data, at + 24, 0xFFFFFFF0)
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    assert archives.MAX_TOTAL_BYTES < 20 * 0xFFFFFFF0
    with pytest.raises(ExportError, match="out of all proportion"):
        open_archive(path)


def test_read_gives_nothing_above_its_limit(tmp_path: Path) -> None:
    """`read` returns None rather than a part of a file."""
    with open_archive(zip_of(tmp_path / "a.zip", {"a.bin": b"12345"})) as archive:
        assert archive.read(0, 5) == b"12345"
        assert archive.read(0, 4) is None
