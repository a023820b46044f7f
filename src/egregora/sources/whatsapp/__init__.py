"""WhatsApp: exports of Android, iPhones and their predecessors, in every language.

`headers` decides the shape of the file's headers once, `records` cuts the text into messages, `bodies` tells text from
files, polls and the rest, `words` holds WhatsApp's own words. This module finds the chat's text and title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from egregora.errors import ExportError
from egregora.sources import Reading, Source
from egregora.sources.whatsapp import words
from egregora.sources.whatsapp.headers import MARKS, Decision, HeaderStyle, date_fields, decide_order, find_style

if TYPE_CHECKING:
    from egregora.config import ParseConfig
    from egregora.sources.archive import Archive, Member

__all__ = ["SOURCE", "Chat", "find_chat", "read_export"]

SAMPLE_BYTES = 128 << 10
"""How much of a text is looked at to find its style."""
PLENTY = 10
"""So many distinct dates that prove one order, and none the other, and the rest of the file isn't asked."""


@dataclass(frozen=True)
class Chat:
    """The chat's text within an export.

    Attributes:
        member: Where it lies.
        encoding: Of its bytes.
        style: Its headers' shape.
        headers: How many headers of that shape its beginning holds.
        sample: Its beginning.
    """

    member: Member
    encoding: str
    style: HeaderStyle
    headers: int
    sample: str


def find_chat(archive: Archive) -> Chat | None:
    """The text that is the chat: of those whose beginning holds headers, the one that WhatsApp's naming points to.

    Attached texts may be larger, and may be chats themselves: a name like `_chat.txt`, then the place at the top of the
    archive, then the number of headers decide.
    """
    known = archive.notes.get("whatsapp")
    if isinstance(known, Chat):
        return known
    best: tuple[tuple[bool, int, int], Chat] | None = None
    for member in archive.members:
        if archive.kind != "text" and not member.name.casefold().endswith(".txt"):
            continue
        with archive.open(member.index) as file:
            start = file.read(SAMPLE_BYTES)
        encoding = _encoding(start)
        sample = start.decode(encoding, "replace").replace("\r\n", "\n")
        style, headers = find_style(sample)
        if style is None:
            continue
        named = member.name.casefold() == "_chat.txt" or "whatsapp" in member.name.casefold()
        rank = (named, -member.path.count("/"), headers)
        if best is None or rank > best[0]:
            best = rank, Chat(member, encoding, style, headers, sample)
    if best is None:
        return None
    archive.notes["whatsapp"] = best[1]
    return best[1]


def _encoding(start: bytes) -> str:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    return "utf-8-sig" if start[:3] == b"\xef\xbb\xbf" else "utf-8"


def _detect(archive: Archive) -> float:
    chat = find_chat(archive)
    if chat is None:
        return 0.0
    lines = chat.sample.count("\n") + 1
    return 0.9 if chat.headers * 20 >= lines else 0.3


BLOCK_BYTES = 2 << 20
"""How much text is worked on at once: some twenty thousand messages. More needs more memory, less takes more time."""


def read_export(archive: Archive, config: ParseConfig, *, block_bytes: int = BLOCK_BYTES) -> Reading:
    """Open the messages of an export.

    Args:
        archive: The export.
        config: `[parse]` of the configuration.
        block_bytes: How much of the text is worked on at once. Changes nothing but memory and time.

    Raises:
        ExportError: there is no chat in it.
    """
    chat = find_chat(archive)
    if chat is None:
        raise ExportError(
            "no chat in it: no line looks like a message's header",
            hint="give the .zip or .txt that WhatsApp's “Export chat” made",
        )
    decision = _decide(archive, chat, config.date_order)
    # pyarrow takes a while to import, and listing sources must not.
    from egregora.sources.whatsapp.records import read_records

    title = _title(archive, chat)
    members = {member.name: member.index for member in archive.members if member.index != chat.member.index}
    counts: dict[str, int] = {}
    return Reading(
        title=title,
        decided={
            "header": decision.style.describe(),
            "date order": decision.order,
            "evidence": decision.evidence,
            "ambiguous": "yes" if decision.ambiguous else "no",
        },
        batches=read_records(archive, chat, decision, title, members, config.timezone, counts, block_bytes),
        counts=counts,
        decision=decision,
    )


def _decide(archive: Archive, chat: Chat, wanted: str) -> Decision:
    style = chat.style
    if wanted != "auto":
        return Decision(_with_year(style, wanted), wanted, "set by the configuration", False, chat.headers)
    dates: list[tuple[int, int, int]] = []
    hints: list[tuple[date, tuple[int, int, int]]] = []
    distinct: set[tuple[int, int, int]] = set()
    first, second = (i for i in range(3) if i != style.year)
    pattern = re.compile(f"^{style.pattern()}(?P<rest>[^\n]*)", re.MULTILINE)
    for text in _texts(archive, chat):
        previous = ""
        for match in pattern.finditer(text):
            if match[1] != previous:
                previous = match[1]
                fields = date_fields(previous)
                if fields is not None:
                    dates.append(fields)
                    distinct.add(fields)
            if fields is not None and "-" in match["rest"] and (hint := _FILE_DATE.search(match["rest"])):
                try:
                    hints.append((date(*map(int, hint.group(*((1, 2, 3) if hint[1] else (4, 5, 6))))), fields))
                except ValueError:
                    continue
        proof = [sum(fields[i] > 12 for fields in distinct) for i in (first, second)]
        if max(proof) >= PLENTY and min(proof) == 0:
            break
    order, evidence, ambiguous = decide_order(style, dates, hints)
    return Decision(_with_year(style, order), order, evidence, ambiguous, chat.headers)


def _with_year(style: HeaderStyle, order: str) -> HeaderStyle:
    """The style with the year where the order says: a year of two digits can't be told by its look."""
    return replace(style, year=0) if style.year_digits == 2 and order in ("ymd", "ydm") else style


_FILE_DATE = re.compile(r"[A-Z]{3}-(\d{4})(\d\d)(\d\d)-WA\d|\d-[A-Z]{3,8}-(\d{4})-(\d\d)-(\d\d)-\d\d-")


def _texts(archive: Archive, chat: Chat) -> Iterator[str]:
    """The chat in blocks of whole lines."""
    import codecs

    decoder = codecs.getincrementaldecoder(chat.encoding)("replace")
    left = ""
    with archive.open(chat.member.index) as file:
        while data := file.read(1 << 18):
            left += decoder.decode(data)
            end = left.rfind("\n") + 1
            yield left[:end]
            left = left[end:]
    yield left + decoder.decode(b"", True)


def _title(archive: Archive, chat: Chat) -> str | None:
    """The chat's title: by the text's name, by a notice of the beginning, or by the name of the zip or folder."""
    if title := _title_of_name(chat.member.name.rpartition(".")[0]):
        return title
    if title := _title_of_notice(chat):
        return title
    return _title_of_name(archive.name)


def _title_of_name(name: str) -> str | None:
    """The part of a file's name that is the chat's title, for names as WhatsApp gives them in some language."""
    name = re.sub(f"[{MARKS}]", "", name)
    name = re.sub(r"(?: ?\(\d+\)| - copy| copy)$", "", name, flags=re.IGNORECASE)
    if name.count("_") and not name.count(" "):
        name = name.replace("_", " ")
    for pattern in words.TITLE_PATTERNS:
        before, _, after = pattern.partition("*")
        if (
            len(name) > len(pattern) - 1
            and name[: len(before)].casefold() == before.casefold()
            and name[len(name) - len(after) :].casefold() == after.casefold()
        ):
            return name[len(before) : len(name) - len(after)].strip() or None
    return None


def _title_of_notice(chat: Chat) -> str | None:
    """The title that the first notices give: iOS names the group as their author, and creating a group quotes it."""
    pattern = re.compile(f"^{chat.style.pattern()}(?P<author>[^\n:]{{1,120}}): \u200e(?P<text>[^\n]*)", re.MULTILINE)
    quoted = re.compile(f"^{chat.style.pattern()}(?P<text>[^\n]*)", re.MULTILINE)
    for number, match in enumerate(quoted.finditer(chat.sample)):
        text = match["text"].casefold()
        if any(word in text for word in words.CREATED_GROUP) and (name := _QUOTED.search(match["text"])):
            return name[1].strip() or None
        if number > 20:
            break
    first = pattern.search(chat.sample)
    if first and chat.style.bracket and first.start() < 2000:
        text = first["text"].casefold()
        if any(stem in text for stem in words.NOTICE_STEMS[:16]):
            return re.sub(f"[{MARKS}]", "", first["author"]).strip() or None
    return None


_QUOTED = re.compile('[“"„«「『](.{1,100}?)[”"“»」』]')

SOURCE = Source(name="whatsapp", title="WhatsApp", detect=_detect, read=read_export)
