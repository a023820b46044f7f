"""Text that is safe to print, and file names that every file system takes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["file_names", "fold", "visible"]

# Control characters (but not tab and newline), directional overrides and isolates, line separators, the byte order
# mark and the two non-characters that XML forbids. Joiners stay: emoji and several scripts are written with them.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
# Names that Windows keeps for devices, and the one that each folder of the site already has.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|index)")
_LONGEST = 120


def visible(text: str) -> str:
    """`text` without characters that are never drawn, or that turn others around."""
    return _INVISIBLE.sub("", text)


def fold(text: str) -> str:
    """`text` without case and accents: what an index is sorted by."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """A file name (without extension) for each label: lower-case ASCII letters, digits and hyphens, none twice.

    A label that is such a name already keeps it. A name that would be empty, reserved or taken gets eight digits of the
    label's hash; which of two labels keeps the plain name follows from their order as text, not from the order given.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    # A label that already is a file name goes first, so that its page never moves for the sake of a look-alike.
    for label in sorted(set(labels), key=lambda label: (_slug(label) != label, label)):
        name = _slug(label)
        if not name or name in taken or _RESERVED.fullmatch(name):
            name = f"{name or 'x'}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
        taken.add(name)
        names[label] = name
    return names


def _slug(label: str) -> str:
    return _NOT_SLUG.sub("-", fold(label))[:_LONGEST].strip("-")
