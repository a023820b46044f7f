"""Attachments: what they really are, and pictures without a trace of where, when and with what they were taken.

A picture is decoded and its pixels are encoded anew; nothing else of the file goes on. What can't be decoded safely
doesn't go on at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from egregora.errors import ExportError
from egregora.pipeline.stage import Files, StageContext
from egregora.sources.archive import Archive, open_archive

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow is imported where a picture is at hand: most chunks of messages have none.

__all__ = ["LONGEST_SIDE", "MOST_BYTES", "MOST_PIXELS", "Attachments", "Picture", "clean_picture", "mime_of"]

LONGEST_SIDE = 2048
"""Longer side of a cleaned picture, in pixels; larger ones are made smaller. Phones send 1,600 to chats."""

MOST_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded: a few bytes can ask for gigabytes."""

MOST_BYTES = 64 << 20
"""Pictures whose file is larger than this, in bytes, are refused."""

_AT_ONCE = 16
"""Pictures that are in memory together."""

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP", "image/avif": "AVIF"}
"""What is decoded, with the only decoder that is let near it: the file's own say and its name count for nothing."""

_BEGINNINGS = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftyphev", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"fLaC", "audio/flac"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"BEGIN:VCARD", "text/vcard"),
)


class Picture(NamedTuple):
    """A cleaned picture and its thumbnail, encoded; `width` and `height` are the cleaned picture's, in pixels."""

    data: bytes
    extension: str
    mime: str
    thumbnail: bytes
    width: int
    height: int


def mime_of(data: bytes) -> str:
    """What a file is by its first bytes; `application/octet-stream` if they say nothing."""
    head = data[:32]
    for start, beginning, mime in _BEGINNINGS:
        if head.startswith(beginning, start):
            return mime
    return "application/octet-stream"


def clean_picture(data: bytes, mime: str, thumbnail_pixels: int) -> Picture | None:
    """Encode a picture's pixels anew, upright, and make its thumbnail.

    EXIF with its place, camera and thumbnail, XMP, IPTC, comments and colour profiles (after their colours have been
    brought to sRGB) are gone, and so is all that follows the picture in the file. Of a moving picture the first frame
    is kept. JPEG stays JPEG; all others become WebP, which keeps what is transparent.

    Args:
        mime: What `mime_of` said.
        thumbnail_pixels: Longer side of the thumbnail (WebP).

    Returns:
        None if the file is damaged or has more than `MOST_PIXELS` pixels.
    """
    from PIL import Image, ImageOps

    # Damage shows in the result, not as lines on the terminal.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # What decoders raise for hostile or cut files.
    damage = (
        *(
            OSError,
            ValueError,
            SyntaxError,
            LookupError,
            TypeError,
            ArithmeticError,
            MemoryError,
            struct.error,
            zlib.error,
        ),
        Image.DecompressionBombError,
    )
    try:
        with Image.open(io.BytesIO(data), formats=(_FORMATS[mime],)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            # JPEG can be decoded at a half, a quarter or an eighth of its size, in a fraction of the time.
            opened.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
            profile = opened.info.get("icc_profile")
            upright = ImageOps.exif_transpose(opened)
            upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
            opaque = mime == "image/jpeg" or not upright.has_transparency_data
            pixels = _in_srgb(upright.convert("RGB" if opaque else "RGBA"), profile)
    except damage:
        return None
    # Encoders copy comments and profiles from here.
    pixels.info = {}
    cleaned, thumbnail = io.BytesIO(), io.BytesIO()
    if mime == "image/jpeg":
        pixels.save(cleaned, "JPEG", quality=85)
    else:
        pixels.save(cleaned, "WEBP", quality=85, method=1)
    small = pixels.copy()
    small.thumbnail((thumbnail_pixels, thumbnail_pixels), Image.Resampling.LANCZOS)
    small.save(thumbnail, "WEBP", quality=78, method=1)
    extension = "jpg" if mime == "image/jpeg" else "webp"
    mime = "image/jpeg" if mime == "image/jpeg" else "image/webp"
    return Picture(cleaned.getvalue(), extension, mime, thumbnail.getvalue(), *pixels.size)


def _in_srgb(pixels: Image, profile: bytes | None) -> Image:
    """Colours brought from a profile to sRGB, which is what a picture without a profile is read as."""
    if not profile:
        return pixels
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(pixels, source, ImageCms.createProfile("sRGB"), outputMode=pixels.mode)
    except (ImageCms.PyCMSError, OSError):
        # Made for another kind of picture, or damaged: the colours are a little off.
        return pixels
    return converted or pixels


class Attachments:
    """The attachments of messages, read from the exports that parse read. Use it as a context manager.

    Cleaned pictures and thumbnails become blobs; other files stay where they are, only their type and size are told.
    The same bytes are worked on once. At the end a warning says how many attachments couldn't be read, by number only.

    Args:
        context: `inputs["exports"]` are the `Files`; without it no message has a medium.
        thumbnail_pixels: Longer side of thumbnails.
        kind: The type of `ENRICHED.media`.

    Attributes:
        readable: Whether there is anything to read them from.
    """

    def __init__(self, context: StageContext, thumbnail_pixels: int, kind: pa.DataType) -> None:
        self._context = context
        self._thumbnail_pixels = thumbnail_pixels
        self._kind = kind
        self._attrs = pa.array([], pa.string())
        self._found = pa.array([], kind)
        exports = context.inputs.get("exports")
        self._paths = exports.paths if isinstance(exports, Files) else ()
        self.readable = bool(self._paths)
        self._archives: dict[int, Archive | None] = {}
        self._known: dict[str, dict[str, Any] | None] = {}
        self._open = ExitStack()
        self._damaged = 0

    def __enter__(self) -> Self:
        self._workers = self._open.enter_context(ThreadPoolExecutor(min(4, os.cpu_count() or 1)))
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()
        if self._damaged:
            self._context.log(f"{self._damaged} attachments can't be read and are left out", "warning")

    def read(self, attrs: list[str]) -> None:
        """Read what these `attrs` of messages point to, each different."""
        wanted = []
        for text in attrs:
            member = json.loads(text).get("member")
            # Anything else with that word in it, such as a poll's question, is no pair of numbers.
            if isinstance(member, list) and len(member) == 2 and all(type(number) is int for number in member):
                wanted.append((text, member[0], member[1]))
        found: list[dict[str, Any] | None] = []
        for start in range(0, len(wanted), _AT_ONCE):
            found += self._media([(export, member) for _, export, member in wanted[start : start + _AT_ONCE]])
            self._context.progress(len(found), len(wanted), "attachments")
        self._attrs = pa.array([text for text, _, _ in wanted], pa.string())
        self._found = pa.array(found, self._kind)

    def of(self, attrs: pa.Array) -> pa.Array:
        """For each message, told by its `attrs`, its medium as in `ENRICHED.media`; NULL if none was read for it."""
        return self._found.take(pc.index_in(attrs, value_set=self._attrs))

    def _media(self, members: list[tuple[int, int]]) -> list[dict[str, Any] | None]:
        """The media of a few members, in their order; pictures are worked on side by side."""
        media: list[dict[str, Any] | None] = []
        digests: dict[int, str] = {}
        pictures: dict[str, tuple[bytes, str]] = {}
        for export, member in members:
            try:
                mime, size, data = self._file(export, member)
            except ExportError:
                self._damaged += 1
                media.append(None)
                continue
            media.append(_medium(mime, size))
            if data is not None:
                digest = hashlib.sha256(data).hexdigest()
                digests[len(media) - 1] = digest
                if digest not in self._known:
                    pictures[digest] = data, mime
        cleaned = self._workers.map(
            lambda picture: clean_picture(picture[0], picture[1], self._thumbnail_pixels), pictures.values()
        )
        for digest, picture in zip(pictures, cleaned, strict=True):
            self._known[digest] = self._keep(picture) if picture else None
        for position, digest in digests.items():
            media[position] = self._known[digest]
            self._damaged += media[position] is None
        return media

    def _file(self, export: int, member: int) -> tuple[str, int, bytes | None]:
        """Type, size and, of a picture, the bytes of a member of an export.

        Raises:
            ExportError: it isn't there, is damaged, or is too large a picture.
        """
        if not 0 <= export < len(self._paths):
            raise ExportError("there is no such export")
        if export not in self._archives:
            # Kept also if it can't be opened: it would fail for each of its members anew.
            self._archives[export] = None
            archive = open_archive(self._paths[export])
            self._archives[export] = self._open.enter_context(archive)
        opened = self._archives[export]
        if opened is None or not 0 <= member < len(opened.members):
            raise ExportError("there is no such member")
        with opened.open(member) as file:
            mime = mime_of(file.read(32))
        if mime not in _FORMATS:
            # The size that the archive declares: a video isn't unpacked only to be weighed.
            return mime, opened.members[member].size, None
        data = opened.read(member, MOST_BYTES)
        if data is None:
            raise ExportError("the picture is too large")
        return mime, len(data), data

    def _keep(self, picture: Picture) -> dict[str, Any]:
        return _medium(
            picture.mime,
            len(picture.data),
            blob=self._context.put_blob(picture.data, picture.extension),
            thumbnail=self._context.put_blob(picture.thumbnail, "webp"),
            width=picture.width,
            height=picture.height,
        )


def _medium(
    mime: str,
    size: int,
    *,
    blob: str | None = None,
    thumbnail: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> dict[str, Any]:
    """A struct as in `ENRICHED.media`."""
    return {"blob": blob, "thumbnail": thumbnail, "mime": mime, "width": width, "height": height, "bytes": size}
