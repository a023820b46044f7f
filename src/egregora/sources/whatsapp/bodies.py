"""What the body of a message is: text, a file, a poll, a place, …; told by markers, which don't stay in texts.

Nearly all bodies are plain text. `CANDIDATES` and `WHOLE_BODIES` find the others in a
column of bodies in one pass; only what they find goes through `BodyReader.read`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from egregora.sources.whatsapp import words
from egregora.sources.whatsapp.headers import SPACES

__all__ = ["CANDIDATES", "WHOLE_BODIES", "Body", "BodyReader", "media_type"]

_EDGE_MARKS = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
_S = f"[{SPACES}]"


class Body(NamedTuple):
    """A body without its markers, as the columns of `RAW_MESSAGES` have it."""

    kind: str = "text"
    text: str = ""
    attachment: str | None = None
    media_type: str | None = None
    edited: bool = False
    attrs: str = "{}"


def _any(options: tuple[str, ...]) -> str:
    return "|".join(re.escape(option).replace(r"\ ", _S) for option in sorted(options, key=lambda o: (-len(o), o)))


_MEDIA_KINDS = {word: kind for kind, known in words.MEDIA_WORDS.items() for word in known}
_TYPED = re.compile(
    rf"(?:(?P<name>[^\n]*?\S){_S}+(?:•[^\n]*?)?)?"
    rf"(?P<word>{_any((*_MEDIA_KINDS, *words.CONTACT_CARD))}){_S}?(?:{_any(words.OMITTED_AFTER)})",
    re.IGNORECASE,
)
_FILE = r"[^\n<>:|*?\"/\\]{1,200}\.[A-Za-z0-9]{1,8}"
_POSTFIX = re.compile(rf"(?P<name>{_FILE}) \((?P<word>[^()\n]{{2,40}})\)(?:\n(?P<caption>[\s\S]*))?")
_ANGLE = re.compile(
    rf"(?P<before>[\s\S]*?){_S}?[{_EDGE_MARKS}]*<(?:(?P<word>[^\W\d_][^<>:：\n]{{1,30}})[:：]{_S}?(?P<name>{_FILE})|(?P<name2>{_FILE}){_S}(?P<word2>[^<>\n.]{{3,30}}))>(?P<after>[\s\S]*)"
)
_OLD_ANGLE = re.compile(rf"(?P<name>{_FILE}){_S}<(?P<word>[^<>\n.:]{{3,30}})>(?:\n(?P<caption>[\s\S]*))?")
_ATTACHED_WORDS = re.compile(
    "attached|anexad|adjunt|angehängt|anhang|joint|allegat|bijgevoegd|прикріплен|附件|附加|添付|첨부|eklendi|załącz|terlampir|dilampirkan|liite|bifogad|vedhæft|vedlagt|přilož|prilož|đính|แนบ|прикреп|прикач|əlavə|csatol|atașat|مرفق|المرفق|ضمیمه|מצורף|संलग्न|συνημμ",
    re.IGNORECASE,
)
_WHOLE_ANGLE = re.compile(r"<([^<>\n]{3,45})>")
_DOCUMENT_TITLE = re.compile(rf"(?P<title>[^\n]*\.\w{{1,8}}){_S}•[^\n]*")
_CAMERA = re.compile(
    r"(?:IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d+.*|\d{5,8}-(?:PHOTO|VIDEO|AUDIO|STICKER|GIF|DOCUMENT)-\d{4}-\d\d-\d\d.*",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?:(IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}|\d{5,8}-(PHOTO|VIDEO|AUDIO|STICKER|GIF|DOCUMENT)-)", re.IGNORECASE
)
_CODES = {
    **dict.fromkeys(("img", "photo"), "image"),
    **dict.fromkeys(("vid", "video"), "video"),
    **dict.fromkeys(("aud", "audio", "ptt"), "audio"),
    **dict.fromkeys(("stk", "sticker"), "sticker"),
    **dict.fromkeys(("doc", "document"), "document"),
    "gif": "gif",
}
_EXTENSIONS = {
    **dict.fromkeys(("jpg", "jpeg", "png", "heic", "bmp", "tif", "tiff", "avif"), "image"),
    **dict.fromkeys(("mp4", "mov", "3gp", "mkv", "avi", "webm", "m4v"), "video"),
    **dict.fromkeys(("opus", "ogg", "mp3", "m4a", "aac", "wav", "amr", "flac", "caf"), "audio"),
    "webp": "sticker",
    "gif": "gif",
}
_MAPS = re.compile(
    rf"(?:(?P<word>[^\n]{{0,200}}?):?{_S})?(?P<url>https?://(?:maps\.google\.[a-z.]+|www\.google\.[a-z.]+/maps|goo\.gl/maps|maps\.app\.goo\.gl|foursquare\.com|maps\.apple\.com)\S*)"
)
_COORDINATES = re.compile(
    r"(?:[?&](?:q|ll|query)=|@)(-?\d{1,2}(?:\.\d+)?)(?:,|%2C)(-?\d{1,3}(?:\.\d+)?)", re.IGNORECASE
)
_LOCATION_WORDS = re.compile(
    r"location|standort|ubicación|ubicacion|localização|localisation|position|posizione|locatie|местоположение|位置|konum|lokalizacja|lokasi|위치|sijainti",
    re.IGNORECASE,
)
_POLL = re.compile(rf"(?:{_any(words.POLL)}){_S}?[:：]\s*(?P<rest>[\s\S]+)", re.IGNORECASE)
_LABEL = re.compile(r"[^\n:：]{3,20}[:：]")
_OPTION = re.compile(rf"\s*[{_EDGE_MARKS}]*(?:{_any(words.OPTION)}){_S}?[:：]{_S}*", re.IGNORECASE)
_VOTES = re.compile(rf"\s*[(（]\s*(?P<votes>\d+){_S}*[^()（）]*[)）]\s*$")
_EVENT = re.compile(rf"(?:{_any(words.EVENT)}){_S}?[:：]\s*(?P<rest>[\s\S]+)", re.IGNORECASE)
_CALL = re.compile(_any(words.CALL), re.IGNORECASE)

_WHOLE = {
    **dict.fromkeys((word.casefold() for word in words.DELETED), Body("deleted")),
    **dict.fromkeys(words.VIEW_ONCE, Body("media", attrs='{"view_once":true}')),
    **dict.fromkeys((word.casefold() for word in words.LIVE_LOCATION), Body("location")),
    "null": Body("media", attrs='{"view_once":true}'),
    "": Body("media", attrs='{"view_once":true}'),
}


_LONGEST = max(map(len, _WHOLE)) + 20
"""Of a body that may be one of these as a whole, with marks and spaces around it."""

CANDIDATES = (
    r"[<•\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}\x{feff}]"
    r"|\.[A-Za-z0-9]{1,8} \("
    r"|//(?:maps\.|www\.google|goo\.gl/maps|foursquare)"
    rf"|^(?:{'|'.join(sorted(word.upper() for word in (*words.POLL, *words.EVENT)))}) ?[:：]"
)
"""A regex (RE2) that finds every body that may be more than plain text, and few others; beside `WHOLE_BODIES`."""


def _spellings(text: str) -> tuple[str, ...]:
    capital = text[:1].upper() + text[1:]
    return text, capital, f"{text}.", f"{capital}."


WHOLE_BODIES = tuple(
    sorted(
        {
            spelling
            for text in (
                *_WHOLE,
                *words.DELETED,
                *words.LIVE_LOCATION,
                *words.CALL,
            )
            for spelling in _spellings(text)
        }
        | {f"{word} omitted" for word in (*_MEDIA_KINDS, *words.CONTACT_CARD, "GIF", "Contact card") if word.isascii()}
    )
)
"""Bodies without any mark that are more than plain text as a whole."""


_MARKS = re.compile(f"[{_EDGE_MARKS}]+")
_SPACING = re.compile(f"{_S}+")


def _plain(text: str) -> str:
    """A body as it is compared with known words."""
    return _SPACING.sub(" ", _MARKS.sub("", text)).strip().rstrip(".。").casefold()


_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def media_type(name: str) -> str:
    """Kind of a file by its name: by WhatsApp's own code in it, since a `.mp4` may be a GIF, else by its extension."""
    if code := _CODE.match(name):
        return _CODES[(code[1] or code[2]).casefold()]
    return _EXTENSIONS.get(name.rpartition(".")[2].casefold(), "document")


class BodyReader:
    """Reads bodies of one export.

    Args:
        members: File name → number of the archive's member. Decides where words can't: a name in brackets that the
            archive holds is an attachment in any language.
    """

    def __init__(self, members: Mapping[str, int]) -> None:
        self._members = members
        self._seen: dict[str, Body] = {}

    def read(self, raw: str) -> Body:
        """What a body is. Anything unknown is text, with marks at its edges removed."""
        known = self._seen.get(raw)
        if known is None:
            known = self._read(raw)
            if len(raw) < 80 and known.attachment is None and len(self._seen) < 5000:
                self._seen[raw] = known
        return known

    def _read(self, raw: str) -> Body:
        if len(raw) <= _LONGEST and "<" not in raw and (plain := _plain(raw)) in _WHOLE:
            return _WHOLE[plain]
        text, edited = self._unedited(raw)
        marked = text[:1] in _EDGE_MARKS and text != ""
        text = text.strip(_EDGE_MARKS)
        body = (
            self._attachment(text)
            or self._omitted(text, marked)
            or self._poll(text)
            or self._place(text)
            or self._call(text)
        )
        if body is None:
            return Body(text=text, edited=edited)
        return body._replace(edited=True) if edited else body

    @staticmethod
    def _unedited(raw: str) -> tuple[str, bool]:
        text = raw.rstrip(_EDGE_MARKS + SPACES)
        start = text.rfind("<")
        if start < 0 or not text.endswith(">"):
            return raw, False
        word = text[start + 1 : -1].casefold()
        before = text[:start].rstrip(_EDGE_MARKS)
        marked = len(before) < start
        if word.rstrip(".") in _EDITED_WORDS or (
            marked and 4 <= len(word) <= 45 and any(stem in word for stem in words.EDITED_STEMS)
        ):
            return before.rstrip(SPACES + "\n"), True
        return raw, False

    def _attachment(self, text: str) -> Body | None:
        if "." not in text or not ("<" in text or ")" in text):
            return None
        for pattern in (_POSTFIX, _OLD_ANGLE):
            if (match := pattern.fullmatch(text)) and (name := self._file(match["name"], match["word"])):
                return self._file_body(name, match["caption"] or "")
        if (match := _ANGLE.fullmatch(text)) and (
            name := self._file(match["name"] or match["name2"], match["word"] or match["word2"])
        ):
            caption = match["before"].strip(_EDGE_MARKS + SPACES)
            title = _DOCUMENT_TITLE.fullmatch(caption)
            after = match["after"].strip()
            return self._file_body(name, "\n".join(part for part in ("" if title else caption, after) if part))
        return None

    def _file(self, name: str, word: str) -> str | None:
        """The file's name if it is one that was attached, else None."""
        name = name.strip(_EDGE_MARKS + SPACES)
        return name if name in self._members or _CAMERA.fullmatch(name) or _ATTACHED_WORDS.search(word) else None

    def _file_body(self, name: str, caption: str) -> Body:
        attrs: dict[str, object] = {}
        if name in self._members:
            attrs["member"] = [0, self._members[name]]
        if name.casefold().endswith(".vcf"):
            attrs["name"] = name[:-4]
            return Body("contact", caption, name, "document", attrs=_json(attrs))
        return Body("media", caption, name, media_type(name), attrs=_json(attrs))

    @staticmethod
    def _omitted(text: str, marked: bool) -> Body | None:
        if match := _WHOLE_ANGLE.match(text):
            word = match[1].strip(_EDGE_MARKS + SPACES).casefold()
            caption = text[match.end() :]
            if word in words.VIEW_ONCE and not caption:
                return _WHOLE[word]
            known = word in _OMITTED_WORDS or (
                any(stem in word for stem in words.MEDIA_STEMS) and any(stem in word for stem in words.OMITTED_STEMS)
            )
            if known and (not caption or caption.startswith("\n")):
                return Body("media", caption.strip())
        if not marked and "•" not in text and len(text) > 80:
            return None
        line, _, rest = text.partition("\n")
        lines = [(line, rest)]
        if rest:
            rest, _, line = text.rpartition("\n")
            lines.append((line, rest))
        for line, rest in lines:
            line = line.strip(_EDGE_MARKS + SPACES)
            match = _TYPED.fullmatch(line) if line.casefold().endswith(words.OMITTED_AFTER) else None
            if match is None or (match["name"] and not marked and "•" not in line and "." not in match["name"]):
                continue
            word = _SPACING.sub(" ", match["word"].casefold())
            name = (match["name"] or "").strip(_EDGE_MARKS + SPACES) or None
            if word in _MEDIA_KINDS:
                if name and not re.fullmatch(_FILE, name):
                    return Body("media", "\n".join(part for part in (name, rest) if part), None, _MEDIA_KINDS[word])
                return Body("media", rest, name, _MEDIA_KINDS[word])
            return Body("contact", rest, None, None)
        return None

    @staticmethod
    def _poll(text: str) -> Body | None:
        if not _LABEL.match(text):
            return None
        text = text.replace("\u200e", "")
        if (match := _POLL.fullmatch(text)) and len(parts := _OPTION.split(match["rest"])) > 1:
            options = []
            for part in parts[1:]:
                votes = _VOTES.search(part)
                label = part[: votes.start()] if votes else part
                options.append(
                    {"text": label.strip(_EDGE_MARKS + SPACES + "\n"), "votes": int(votes["votes"]) if votes else 0}
                )
            question = parts[0].strip(_EDGE_MARKS + SPACES + "\n")
            return Body("poll", question, attrs=_json({"question": question, "options": options}))
        if match := _EVENT.fullmatch(text):
            return Body("text", match["rest"].strip(_EDGE_MARKS), attrs='{"event":true}')
        return None

    @staticmethod
    def _place(text: str) -> Body | None:
        match = _MAPS.fullmatch(text) if "://" in text else None
        if match is None:
            return None
        word = (match["word"] or "").strip(_EDGE_MARKS + SPACES)
        where = _COORDINATES.search(match["url"])
        if not where and not _LOCATION_WORDS.fullmatch(word):
            return None
        if word and not _LOCATION_WORDS.search(word) and "foursquare" not in match["url"]:
            return None
        label = "" if _LOCATION_WORDS.fullmatch(word) else word
        if where:
            return Body("location", label, attrs=_json({"lat": float(where[1]), "lon": float(where[2])}))
        return Body("location", label, attrs=_json({"url": match["url"]}))

    @staticmethod
    def _call(text: str) -> Body | None:
        match = _CALL.match(text) if len(text) < 80 else None
        return Body("call", text) if match and _is_call(text[match.end() :]) else None


def _is_call(rest: str) -> bool:
    """Whether a body that begins like a call is one: nothing follows, or a length, a time or an outcome."""
    if rest and rest[0] not in _EDGE_MARKS + SPACES + ",.\n(·•-":
        return False
    rest = _plain(rest).strip(" ,.·•()-")
    return not rest or any(char.isdecimal() for char in rest) or any(word in rest for word in _OUTCOMES)


_OUTCOMES = (
    "answer",
    "tap to call",
    "zurückrufen",
    "angenommen",
    "devolver",
    "toque",
    "toca",
    "rappeler",
    "richiamare",
    "resposta",
    "respuesta",
    "réponse",
    "risposta",
)
_EDITED_WORDS = frozenset(word.rstrip(".") for word in words.EDITED)
_OMITTED_WORDS = frozenset(words.OMITTED)
