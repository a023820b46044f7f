"""How messages stand in what a model is asked: one a line under short ids, and who wrote which words.

Whatever people write stays data: a message can't begin a line, end the list or look like another message, because all
of its white space becomes spaces and its id is given here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import pyarrow as pa

__all__ = ["TRANSCRIBED", "Message", "Transcript", "excerpt"]

TRANSCRIBED: Final = ("row", "event_id", "wall", "alias", "kind", "text", "reply", "links", "media", "poll")
"""Columns of the table that a transcript is made of. One row is a message, `row` its place, `reply` the row that it
answers or -1, `wall` its wall-clock time in the chat's timezone, in seconds since 1970, `poll` the attributes of polls;
the others are as in `ENRICHED`."""

_LONGEST: Final = 2000
"""Characters of a message that a model gets to see."""
_ATTACHED: Final = {"image": "photo", "video": "video", "audio": "recording", "application": "document"}
_TAG: Final = re.compile(r"<(?=/?(?:messages|earlier|page)\b)", re.IGNORECASE)
_SHORT_ID: Final = re.compile(r"\W*(m[0-9]{1,6})\W*", re.IGNORECASE)


class Message(NamedTuple):
    """One message: short id, event id, wall-clock time in seconds since 1970, alias (None for a notice), kind, text."""

    short: str
    event_id: str
    wall: int
    alias: str | None
    kind: str
    text: str
    line: str
    """As it stands in the prompt."""
    picture: Mapping[str, Any] | None
    """Its medium, if it is a picture that a site could show."""
    links: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Transcript:
    """Messages as a model sees them.

    Attributes:
        messages: By short id, in order.
    """

    messages: Mapping[str, Message]
    days: Mapping[str, str] = field(repr=False)
    """Short ids of each day's first message → the day, as it is written above it."""

    @classmethod
    def of(cls, table: pa.Table) -> Transcript:
        """The transcript of a table with the columns `TRANSCRIBED`."""
        rows = sorted(table.to_pylist(), key=lambda row: int(row["row"]))
        messages: dict[str, Message] = {}
        days: dict[str, str] = {}
        day = ""
        for row in rows:
            if row["kind"] == "deleted":
                continue
            short = f"m{row['row'] + 1}"
            when = datetime.fromtimestamp(row["wall"], UTC)
            if f"{when:%A, %Y-%m-%d}" != day:
                day = days[short] = f"{when:%A, %Y-%m-%d}"
            text = unicodedata.normalize("NFC", row["text"] or "")
            line = f"{short} {when:%H:%M} {_who(row)}{_answering(row)}: {_shown(row, text)}"
            messages[short] = Message(
                short,
                row["event_id"],
                row["wall"],
                row["alias"],
                row["kind"],
                text,
                line,
                _picture(row),
                tuple(row["links"] or ()),
            )
        return cls(messages, days)

    @cached_property
    def text(self) -> str:
        """The messages, one a line, under the days."""
        lines = []
        for short, message in self.messages.items():
            if short in self.days:
                lines.append(self.days[short])
            lines.append(message.line)
        return "\n".join(lines)

    def find(self, written: str) -> Message | None:
        """The message with an id as a model may write it: `m12`, `M12`, `[m12]`."""
        found = _SHORT_ID.fullmatch(written)
        return self.messages.get(found[1].lower()) if found else None

    def who_wrote(self, words: str, first: Iterable[Message] = ()) -> Message | None:
        """The first message that holds these words, of `first` if it is among them; None if nobody wrote them."""
        for message in (*first, *self.messages.values()):
            if message.kind != "system" and excerpt(message.text, words) is not None:
                return message
        return None

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The web addresses in the messages, as written and as cleaned."""
        urls = {link["url"] for message in self.messages.values() for link in message.links}
        for message in self.messages.values():
            urls.update(match.rstrip(".,;:!?)") for match in re.findall(r"https?://\S+", message.text))
        return frozenset(urls)


def _who(row: Mapping[str, Any]) -> str:
    return _one_line(row["alias"]) if row["alias"] else "(notice)"


def _answering(row: Mapping[str, Any]) -> str:
    return f" (to m{row['reply'] + 1})" if row["reply"] >= 0 else ""


def _shown(row: Mapping[str, Any], text: str) -> str:
    """What a message says, with what isn't text in square brackets."""
    parts = []
    kind = row["kind"]
    if kind == "media":
        media = row["media"] or {}
        what = "photo" if _picture(row) else _ATTACHED.get((media.get("mime") or "").partition("/")[0], "attachment")
        parts.append(f"[{what}: {_one_line(media['description'])}]" if media.get("description") else f"[{what}]")
    elif kind == "poll":
        poll = json.loads(row["poll"] or "{}")
        options = [option for option in poll.get("options", ()) if isinstance(option, dict)]
        votes = ", ".join(f"{_one_line(str(o.get('text') or ''))} {o.get('votes') or 0}" for o in options)
        parts.append(f"[poll with votes: {votes}]")
    elif kind not in ("text", "system"):
        parts.append(f"[{kind}]")
    line = _one_line(text)
    parts.append(line if len(line) <= _LONGEST else line[:_LONGEST] + " …")
    parts += [f"[link: {_one_line(x['description'])}]" for x in row["links"] or () if x.get("description")]
    return " ".join(part for part in parts if part)


def _picture(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    media = row["media"]
    return media if row["kind"] == "media" and media and media.get("thumbnail") else None


def _one_line(text: str) -> str:
    # What would end or begin a part of the prompt is taken apart; `<3` and the like stay.
    return _TAG.sub("< ", " ".join(text.split()))


# -- quotations ---------------------------------------------------------------------------------------------------

_LEFT_OUT = re.compile(r"\s*(?:\[?(?:…|\.\.\.)\]?)\s*")


def excerpt(text: str, words: str) -> str | None:
    """The part of a text that these words quote, as it stands there; None if they aren't in it.

    Case, punctuation and white space don't count; words do, whole and in their order. An ellipsis in the quotation
    stands for anything left out.
    """
    pieces = [piece for piece in _LEFT_OUT.split(unicodedata.normalize("NFC", words)) if piece.strip()]
    text = unicodedata.normalize("NFC", text)
    found, start = [], 0
    for piece in pieces:
        span = _span(text, piece, start)
        if span is None:
            return None
        found.append(text[span[0] : span[1]])
        start = span[1]
    return " … ".join(found) if found else None


def _span(text: str, words: str, start: int) -> tuple[int, int] | None:
    """Where in a text these words are, from `start` on."""
    wanted, _ = _letters(words, 0)
    if not wanted:
        # No letter and no digit: an emoji, say.
        place = text.find(words.strip(), start)
        return (place, place + len(words.strip())) if place >= 0 else None
    letters, places = _letters(text, start)
    at = letters.find(wanted)
    while at >= 0:
        first, last = places[at], places[at + len(wanted) - 1]
        if not (_continues(text, first - 1, first) or _continues(text, last, last + 1)):
            return first, _with_marks(text, last + 1)
        at = letters.find(wanted, at + 1)
    return None


def _letters(text: str, start: int) -> tuple[str, list[int]]:
    """Letters and digits in one case, and where each stands."""
    letters, places = [], []
    for place in range(start, len(text)):
        for char in text[place].casefold():
            if char.isalnum():
                letters.append(char)
                places.append(place)
    return "".join(letters), places


def _continues(text: str, one: int, two: int) -> bool:
    """Whether a word goes on from one place to the next. Scripts without capitals mostly have no spaces either."""
    if one < 0 or two >= len(text) or not (text[one].isalnum() and text[two].isalnum()):
        return False
    return text[one].lower() != text[one].upper() or text[one].isdigit()


def _with_marks(text: str, end: int) -> int:
    """The end with the punctuation that follows at once."""
    while end < len(text) and text[end] in ".,;:!?…。！？":
        end += 1
    return end
