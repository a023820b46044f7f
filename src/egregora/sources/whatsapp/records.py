"""The text of a chat as record batches, worked on by columns: no Python code runs for an ordinary message.

A line that begins with a header begins a record, which goes on until the next of them. Where date, clock, author and
body begin and end is found by the literals between them, for a whole block at once and without copying it. Distinct
dates and authors are looked at once each, clocks are reckoned from columns of their digits. Only headers that differ
from the rest (another kind of space, a mark) and bodies that hold a marker are read one by one.

**Times.** A header's time is local time in the configured timezone. A time that a clock change skips is read with the
offset that held before the change; one that it repeats is the earlier of the two. Both depend on the header
only.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from egregora.errors import ExportError
from egregora.sources.ahead import ahead
from egregora.sources.whatsapp import words
from egregora.sources.whatsapp.bodies import CANDIDATES, WHOLE_BODIES, Body, BodyReader
from egregora.sources.whatsapp.headers import (
    LIKE_HEADER,
    MARKS,
    SPACES,
    Decision,
    clock_seconds,
    date_fields,
    is_like_header,
)

if TYPE_CHECKING:
    from egregora.sources.archive import Archive
    from egregora.sources.whatsapp import Chat
    from egregora.sources.whatsapp.headers import HeaderStyle

__all__ = ["read_records"]

MAX_MESSAGE_BYTES = 64 << 20
"""A longer message is none: WhatsApp's own limit is 65,536 characters. Offsets in a block fit 32 bits because of it."""

_LONGEST_HEADER = 120
"""In bytes. A longer one is read too, but not as fast."""
COUNTS = ("lines", "headers", "continuations", "before the first message", "empty", "not understood")
_DAY = 86_400_000_000
_FEW_WORDS = 4
"""As many words beside clocks are looked for by their bytes."""
_NONE = np.iinfo(np.int64).min
"""No such day, or no such time."""
_EDGE = re.compile(f"^[~{MARKS}{SPACES}]+|[{MARKS}{SPACES}]+$")
_PHONE = re.compile(r"\+?[\d\s().\-\u2010-\u2015/]{6,30}")


def author_name(raw: str) -> str:
    """An author without marks and `~`; a phone number as `+` and digits, however it was written."""
    name = re.sub(f"[{MARKS}]", "", raw)
    name = re.sub(f"[{SPACES}]+", " ", _EDGE.sub("", name)).strip()
    if _PHONE.fullmatch(name):
        digits = "".join(str(int(char)) for char in name if char.isdecimal())
        if len(digits) >= 7:
            return ("+" if name.startswith("+") else "") + digits
    return name


_TRIM = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
_WHOLE = pa.array(WHOLE_BODIES, pa.string())


def _colon(sample: str, header: str) -> str:
    """What divides authors from bodies: `: `, or in files that have lost the spaces `:`."""
    spaced = re.search(f"^{header}[^\n:]{{1,60}}: ", sample, re.MULTILINE)
    bare = re.search(f"^{header}[^\n:]{{1,60}}:[^ \n]", sample, re.MULTILINE)
    return ":" if bare and not spaced else ": "


def _is_notice(author: str) -> bool:
    """Whether what stands before the first colon is the beginning of a notice, not somebody's name."""
    if "\n" in author or any(author.count(a) > author.count(b) for a, b in ("“”", "„“", "«»", "「」")):
        return True
    if author.count('"') % 2:
        return True
    told = author.casefold()
    return len(author) > 15 and any(f" {stem}" in told for stem in words.VERBS)


Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


class _Literal(NamedTuple):
    """What divides two parts of a record, and how often it occurs in the first of them."""

    text: bytes
    skip: int

    @classmethod
    def of(cls, text: str, before: str) -> Self:
        return cls(text.encode(), before.count(text) if text else 0)


class _Text:
    """A block of text, cut by places in it (bytes from its beginning, never within a character)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes = np.frombuffer(data, np.uint8)
        self._buffer = pa.py_buffer(data)

    def between(self, places: Places) -> pa.Array:
        """The texts between each place and the next. Copies nothing."""
        return pa.Array.from_buffers(pa.string(), len(places) - 1, [None, pa.py_buffer(places), self._buffer])

    def pieces(self, starts: Places, stops: Places) -> pa.Array:
        """The texts from each start to its stop."""
        places = np.empty(2 * len(starts) + 1, np.int32)
        places[:-1:2], places[1::2], places[-1] = starts, stops, stops[-1] if len(stops) else 0
        return self.between(places).take(_ints(np.arange(0, 2 * len(starts), 2, dtype=np.int32)))

    def find(self, literal: _Literal, starts: Places, stops: Places) -> tuple[Places, Places, npt.NDArray[np.bool_]]:
        """Where a literal begins, where it ends, and whether it is there at all; if not, both are the start."""
        found = np.ones(len(starts), np.bool_)
        begins = ends = starts
        for _ in range(literal.skip + 1):
            # Looking on into what follows the stop is cheaper than cutting it off.
            texts = self.between(np.append(ends, stops[-1:] if len(stops) else np.zeros(1, np.int32)))
            offsets = pc.find_substring(texts, literal.text).to_numpy()
            begins = ends + offsets
            found &= (offsets >= 0) & (begins + len(literal.text) <= stops)
            begins = np.where(found, begins, starts)
            ends = np.where(found, begins + np.int32(len(literal.text)), starts)
        return begins, ends, found


def _ints(values: Places) -> pa.Array:
    """As Arrow has it. `pa.array` would look for pandas."""
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])


def _bools(values: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


class _Known(dict[str, int]):
    """What a function makes of texts, each asked for once. Answers of `_NONE` are not kept: there is no end of them."""

    def __init__(self, find: Callable[[str], int]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, text: str) -> int:
        value = self._find(text)
        if value != _NONE:
            self[text] = value
        return value

    def all(self, texts: pa.Array) -> Ints:
        """For each text what is made of it."""
        encoded = texts.dictionary_encode()
        values = np.array([self[text] for text in encoded.dictionary.to_pylist()], np.int64)
        found: Ints = values[encoded.indices.to_numpy()]
        return found


class _Clock:
    """Local dates and clocks as microseconds of UTC.

    Args:
        decision: How the file's headers look.
        timezone: Of the phone that wrote them.
        word: Length of the word before or after most clocks, spaces included; 0 if there is none.

    Attributes:
        days: Beginning of a header up to the gap → microseconds of the day's beginning in UTC; `_NONE` if it is none.
        clocks: Clock → microseconds since midnight; `_NONE` if there is no such time.
        changing: Days on which the clocks change: microseconds of their midnight, kept as if in UTC → the day.
    """

    def __init__(self, decision: Decision, timezone: str, word: int) -> None:
        self._style = style = decision.style
        rest = [i for i in range(3) if i != style.year]
        month_first = decision.order in ("mdy", "ymd")
        self._year, self._month, self._day = style.year, rest[not month_first], rest[month_first]
        self._pattern = re.compile(style.date_pattern("md" if month_first else "dm"))
        self._clock = re.compile(style.clock_pattern())
        self._zone = ZoneInfo(timezone)
        self._utc = timezone in ("UTC", "Etc/UTC")
        self._word = word
        self._after = style.day_word == "after"
        self._hours = lru_cache(100)(self._with_word)
        self._words: dict[bytes, Ints] = {}
        self.days = _Known(self._of_date)
        self.clocks = _Known(self._of_clock)
        self.changing: dict[int, datetime] = {}

    def _of_date(self, text: str) -> int:
        match = self._pattern.fullmatch(text)
        fields = date_fields(match[1]) if match else None
        if fields is None:
            return _NONE
        year = fields[self._year]
        year = year if year > 99 else 2000 + year
        year = year - 543 if 2500 < year < 2700 else year  # the Buddhist calendar of Thai phones
        try:
            start = datetime(year, fields[self._month], fields[self._day])  # noqa: DTZ001
        except ValueError:
            return _NONE
        micros = (start.toordinal() - _EPOCH) * _DAY
        if self._utc:
            return micros
        offsets = {self._zone.utcoffset(start + timedelta(hours=hours)) for hours in range(-1, 26)}
        if len(offsets) > 1:
            self.changing[micros] = start
            return micros
        return micros - (offsets.pop() or timedelta()) // timedelta(microseconds=1)

    def _of_clock(self, text: str) -> int:
        match = self._clock.fullmatch(text)
        seconds = clock_seconds(match[1]) if match else None
        return _NONE if seconds is None else seconds * 1_000_000

    def times(self, text: _Text, starts: Places, stops: Places) -> Ints:
        """Clocks as microseconds since midnight; `_NONE` where there is no such time."""
        if self._style.zero != "0" or not len(starts):
            return self.clocks.all(text.pieces(starts, stops))
        first, last = starts, stops
        if self._after:
            last = np.maximum(stops - self._word, starts)
        else:
            first = np.minimum(starts + self._word, stops)
        # Characters by their place from the end: tens and units of hours, minutes and seconds, and what divides them.
        size = 8 if self._style.seconds else 5
        shape = text.bytes[np.maximum(last - np.arange(size, 0, -1, dtype=np.int32)[:, None], 0)]
        shape[0][last - first == size - 1] = ord("0")
        tens, units = shape[0::3] - np.uint8(ord("0")), shape[1::3] - np.uint8(ord("0"))
        hours, minutes, *seconds = (tens * np.uint8(10) + units).astype(np.int64)
        usual = (last - first <= size) & (last - first >= size - 1) & (hours <= 24)
        for wrong in (tens > 9, units > 9, shape[2::3] != ord(self._style.colon)):
            usual &= ~wrong.any(axis=0)
        times = self._hours_of(text, (last, stops) if self._after else (starts, first), np.minimum(hours, 24))
        usual &= times != _NONE
        for part, unit in zip((minutes, *seconds), (60_000_000, 1_000_000), strict=False):
            usual &= part < 60
            times += part * unit
        if len(odd := np.flatnonzero(~usual)):
            times[odd] = self.clocks.all(text.pieces(starts[odd], stops[odd]))
        return times

    def _hours_of(self, text: _Text, word: tuple[Places, Places], hours: Ints) -> Ints:
        """Hours from 0 to 24, by the words that go with them, as microseconds since midnight."""
        if not self._word:
            return self._hours(b"")[hours]
        starts, stops = word
        letters = text.bytes[np.minimum(starts + np.arange(self._word)[:, None], len(text.bytes) - 1)]
        found = np.full(len(starts), _NONE)
        left = np.ones(len(starts), np.bool_)
        # Nearly always there are two of them.
        for known, table in self._words.items():
            same = left & (letters == np.frombuffer(known, np.uint8)[:, None]).all(axis=0)
            found[same] = table[hours[same]]
            left &= ~same
        if len(rest := np.flatnonzero(left)):
            words = text.pieces(starts[rest], stops[rest]).cast(pa.binary()).dictionary_encode()
            told = words.dictionary.to_pylist()
            found[rest] = np.stack([self._hours(word) for word in told])[words.indices.to_numpy(), hours[rest]]
            few = [word for word in told if len(word) == self._word][: _FEW_WORDS - len(self._words)]
            self._words.update((word, self._hours(word)) for word in few)
        return found

    def _with_word(self, word: bytes) -> Ints:
        style = self._style
        rest = f"{style.colon}00{f'{style.colon}00' if style.seconds else ''}"
        told = word.decode("utf-8", "replace")
        clocks = (f"{hour}{rest}{told}" if self._after else f"{told}{hour}{rest}" for hour in range(25))
        return np.array([self._of_clock(clock) for clock in clocks])

    def moments(self, days: Ints, clocks: Ints) -> Ints:
        """Days and clocks together."""
        moments = days + clocks
        if self.changing:
            for i in np.flatnonzero(np.isin(days, list(self.changing))).tolist():
                moments[i] = self._exact(int(days[i]), int(clocks[i]))
        return moments

    def _exact(self, day: int, clock: int) -> int:
        local = self.changing[day] + timedelta(microseconds=clock)
        moment = local.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001


def _blocks(archive: Archive, chat: Chat, size: int) -> Iterator[bytes]:
    """The chat's bytes as UTF-8, in blocks that may end within a line."""
    with archive.open(chat.member.index) as file:
        first = True
        if chat.encoding == "utf-16":
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        while data := file.read(size):
            if chat.encoding == "utf-16":
                data = decoder.decode(data).encode()
            elif first:
                data = data.removeprefix(b"\xef\xbb\xbf")
            first = False
            yield data


def read_records(
    archive: Archive,
    chat: Chat,
    decision: Decision,
    title: str | None,
    members: Mapping[str, int],
    timezone: str,
    counts: dict[str, int],
    block_bytes: int,
) -> Iterator[pa.RecordBatch]:
    """The chat's messages in the file's order, as `sources.Reading.batches` wants them.

    `counts` gets `lines`, `headers`, `continuations` and `before the first message`, so that in the end
    `lines == headers + continuations + before`; and of these lines those that are `empty`, and those that are
    `not understood`: before the first message, or like a header of another shape. Each block of `block_bytes` becomes
    a batch.

    Raises:
        ExportError: while it is gone through: the archive is damaged, or a message is longer than any can be.
    """
    cutter = _Cutter(chat, decision, timezone, counts)
    reader = _Reader(title, members)
    for records in ahead(cutter.cut(_blocks(archive, chat, block_bytes))):
        yield reader.batch(records)


class _Records(NamedTuple):
    """Records, cut: their times, the numbers of their authors (-1 in a notice), the authors by number, the bodies."""

    moments: Ints
    authors: Places
    names: list[str]
    bodies: pa.Array


class _Cutter:
    """Cuts a chat's text into records."""

    def __init__(self, chat: Chat, decision: Decision, timezone: str, counts: dict[str, int]) -> None:
        style = decision.style
        header = style.pattern("dm" if decision.order in ("dmy", "ydm") else "md")
        self._header = f"^{header}"
        self._python = re.compile(header)
        self._begins = np.zeros(256, np.bool_)
        self._begins[list(style.first_bytes())] = True
        self._gap, self._end, word = self._usual(chat.sample, style)
        self._clock = _Clock(decision, timezone, word)
        self._colon = _colon(chat.sample, header)
        self._bracket = style.bracket
        self._authors: dict[str, tuple[str, bool]] = {}
        self._known: set[str] = set()
        self._tail = b""
        self._counts = counts
        counts.update(dict.fromkeys(COUNTS, 0))

    def _usual(self, sample: str, style: HeaderStyle) -> tuple[_Literal, _Literal, int]:
        """What nearly all headers have between date and clock, after the clock, and how long the clock's word is."""
        found: Counter[tuple[_Literal, _Literal, int]] = Counter()
        for match in islice(re.finditer(self._header, sample, re.MULTILINE), 100):
            gap = sample[match.end(1) : match.start(2)]
            end = sample[match.end(2) : match.end()]
            end = end.rstrip(SPACES) if style.bracket else end
            word = re.sub(r"\d+(?:\D\d+)*", "", match[2]) if style.day_word else ""
            found[_Literal.of(gap, match[1]), _Literal.of(end, match[2]), len(word.encode())] += 1
        return found.most_common(1)[0][0] if found else (_Literal(b"", 0), _Literal(b"", 0), 0)

    def cut(self, blocks: Iterator[bytes]) -> Iterator[_Records]:
        """The records of a text that comes in blocks, about as many at a time as a block holds."""
        for block in blocks:
            if (records := self._feed(block)) is not None:
                yield records
        if (records := self._feed(b"", last=True)) is not None:
            yield records

    def _feed(self, block: bytes, *, last: bool = False) -> _Records | None:
        """The records that end within what came so far; the last one waits for the next block."""
        data = self._tail + block
        if len(data) > MAX_MESSAGE_BYTES:
            raise ExportError(
                "no chat in it: a message is longer than any message can be",
                hint="give the export as the app made it",
            )
        end = len(data) if last else data.rfind(b"\n") + 1
        whole, self._tail = _text(data[:end]), data[end:]
        if last and whole and not whole.endswith(b"\n"):
            whole += b"\n"
        if not whole:
            return None
        text = _Text(whole)
        lines = np.concatenate(([0], np.flatnonzero(text.bytes == ord("\n")) + 1)).astype(np.int32)
        heads, rests, moments, strange = self._headers(text, lines[:-1], lines[1:])
        # What waited begins with a header, and its lines are counted when it leaves.
        first = int(heads[0]) if len(heads) else len(whole)
        if last:
            heads = np.append(heads, np.int32(len(whole)))
        elif len(heads):
            self._tail = whole[heads[-1] :] + self._tail
        stop = int(heads[-1]) if len(heads) else first
        headers = max(len(heads) - 1, 0)
        before, done = np.searchsorted(lines, (first, stop)).tolist()
        blank = np.diff(lines) == 1
        for name, number in (
            ("lines", done),
            ("headers", headers),
            ("continuations", done - before - headers),
            ("before the first message", before),
            ("empty", int(blank[:done].sum())),
            ("not understood", before - int(blank[:before].sum()) + int(((strange >= first) & (strange < stop)).sum())),
        ):
            self._counts[name] += number
        if not headers:
            return None
        stops = heads[1:] - 1  # without the last line's end
        authors, names, bodies = self._author_and_body(text, rests[:headers], stops)
        return _Records(moments[:headers], authors, [self._author(name)[0] for name in names], bodies)

    def _headers(self, text: _Text, lines: Places, stops: Places) -> tuple[Places, Places, Ints, Places]:
        """Of lines by beginning and end: where those with a header begin, where it ends, and its time.

        And where those begin that only look like one.
        """
        may = self._begins[text.bytes[lines]]
        lines, stops = lines[may], stops[may]
        date_stops, clock_starts, _ = text.find(self._gap, lines, stops)
        clock_stops, rests, found = text.find(self._end, clock_starts, stops)
        near = found & (rests - lines < _LONGEST_HEADER)
        days, clocks = np.full((2, len(lines)), _NONE)
        days[near] = self._clock.days.all(text.pieces(lines[near], date_stops[near]))
        clocks[near] = self._clock.times(text, clock_starts[near], clock_stops[near])
        # A mark, another kind of space, a day that doesn't exist, another shape: one by one.
        odd = np.flatnonzero((days == _NONE) | (clocks == _NONE))
        if len(odd):
            like = pc.match_substring_regex(text.pieces(lines[odd], stops[odd]), LIKE_HEADER)
            odd = odd[like.to_numpy(zero_copy_only=False)]
        strange = []
        for i in odd.tolist():
            start = int(lines[i])
            line = text.data[start : stops[i]].decode()
            match = self._python.match(line)
            if match is not None:
                days[i], clocks[i] = self._clock.days[line[: match.end(1)]], self._clock.clocks[match[2]]
                rests[i] = start + len(line[: match.end()].encode())
            if _NONE in (days[i], clocks[i]) and is_like_header(line):
                strange.append(start)
        possible = (days != _NONE) & (clocks != _NONE)
        moments = self._clock.moments(days[possible], clocks[possible])
        return lines[possible], rests[possible], moments, np.array(strange, np.int32)

    def _author_and_body(self, text: _Text, rests: Places, stops: Places) -> tuple[Places, list[str], pa.Array]:
        """For each record the number of its author (-1 in a notice), the authors by number, and the bodies."""
        colons, starts, found = text.find(_Literal(self._colon.encode(), 0), rests, stops)
        bodies = text.pieces(starts, stops)
        encoded = text.pieces(rests[found], colons[found]).dictionary_encode()
        names = [self._trimmed(name) for name in encoded.dictionary.to_pylist()]
        authors = np.full(len(rests), -1, np.int32)
        authors[found] = encoded.indices.to_numpy()
        strange = np.array([self._author(name)[1] for name in names] + [True])
        self._known.update(name for name, wrong in zip(names, strange.tolist(), strict=False) if not wrong)
        odd = strange[authors]
        if odd.any():
            split = [self._odd(self._trimmed(record)) for record in text.pieces(rests[odd], stops[odd]).to_pylist()]
            names += dict.fromkeys(name for name, _ in split if name is not None)
            numbers = {name: number for number, name in enumerate(names)} | {None: -1}
            authors[odd] = [numbers[name] for name, _ in split]
            bodies = pc.replace_with_mask(bodies, _bools(odd), pa.array([body for _, body in split], pa.string()))
        return authors, names, bodies

    def _trimmed(self, text: str) -> str:
        return text.lstrip(SPACES) if self._bracket else text

    def _author(self, raw: str) -> tuple[str, bool]:
        """The author's name, and whether it looks like the beginning of a notice instead."""
        known = self._authors.get(raw)
        if known is None:
            known = author_name(raw), ":" in raw or _is_notice(raw)
            if not known[1]:
                self._authors[raw] = known
        return known

    def _odd(self, text: str) -> tuple[str | None, str]:
        """Author and body where no `: ` divides them, or what stands before it is no name.

        It is a notice, unless an author wrote nothing (`Name:`) or a known one is followed by no space (`Name:text`).
        """
        head, colon, body = text.partition(":")
        if colon and "\n" not in head and (head in self._known or (body[:1] in ("", "\n") and not _is_notice(head))):
            return head, body.removeprefix(" ")
        if self._colon in text and ":" not in text.partition(self._colon)[0] and not _is_notice(head):
            return head, text.partition(self._colon)[2]
        name, colon, body = text.partition(self._colon)
        if colon and ":" in name and not _is_notice(name) and self._bracket:
            return name, body
        return None, text


class _Reader:
    """Tells what records are: text, files, polls, notices, …"""

    def __init__(self, title: str | None, members: Mapping[str, int]) -> None:
        self._title = title
        self._bodies = BodyReader(members)

    def batch(self, records: _Records) -> pa.RecordBatch:
        """Records as rows; bodies that may be more than text are read, each spelling once."""
        moments, authors, names, bodies = records
        marked = pc.or_(pc.match_substring_regex(bodies, CANDIDATES), pc.is_in(bodies, _WHOLE))
        found = bodies.filter(marked).dictionary_encode()
        raws = found.dictionary.to_pylist()
        # For every row the number of its body in `read`.
        read = [_PLAIN, _NOTICE, *(self._bodies.read(raw) for raw in raws)]
        numbers = np.zeros(len(bodies), np.int32)
        numbers[pc.indices_nonzero(marked).to_numpy()] = found.indices.to_numpy() + 2
        texts = pa.array([body.text for body in read[2:]], pa.string()).take(found.indices)
        raw_bodies, bodies = bodies, pc.replace_with_mask(bodies, marked, texts)

        doubtful = np.array([False, False, *(map(_maybe_notice, raws, read[2:]))])
        nameless = np.flatnonzero((authors < 0) | doubtful[numbers])
        told: dict[int, str] = {}
        for row, raw in zip(
            nameless.tolist(), raw_bodies.take(_ints(nameless.astype(np.int32))).to_pylist(), strict=True
        ):
            author = names[authors[row]] if authors[row] >= 0 else None
            if author is None and read[numbers[row]].kind == "call":
                continue
            if author is None or self._is_notice(author, raw):
                told[row] = raw.strip(_TRIM)
                authors[row], numbers[row] = -1, 1
        if told:
            mask = np.zeros(len(bodies), np.bool_)
            mask[list(told)] = True
            bodies = pc.replace_with_mask(bodies, _bools(mask), pa.array(told.values(), pa.string()))

        which = _ints(numbers)

        def column(values: list[str | None]) -> pa.DictionaryArray:
            encoded = pa.array(values, pa.string()).dictionary_encode()
            return pa.DictionaryArray.from_arrays(encoded.indices.take(which), encoded.dictionary)

        return pa.record_batch(
            {
                "ts": pa.Array.from_buffers(pa.timestamp("us"), len(moments), [None, pa.py_buffer(moments)]),
                "author_raw": _named(authors, names),
                "kind": column([body.kind for body in read]),
                "text": bodies,
                "attachment": pa.array([body.attachment for body in read], pa.string()).take(which),
                "media_type": column([body.media_type for body in read]),
                "edited": pa.array([body.edited for body in read], pa.bool_()).take(which),
                "attrs": column([body.attrs for body in read]),
            }
        )

    def _is_notice(self, author: str, raw: str) -> bool:
        """Whether a marked body that bears somebody's name, or the group's, is a notice all the same."""
        told = raw.strip(_TRIM).casefold()
        return (
            author == self._title
            or told.startswith(author.casefold())
            or any(stem in told for stem in words.NOTICE_STEMS)
        )


_PLAIN, _NOTICE = Body(), Body("system")


def _maybe_notice(raw: str, body: Body) -> bool:
    return raw.startswith("\u200e") and body.kind == "text" and not body.edited


def _named(numbers: Places, names: list[str]) -> pa.DictionaryArray:
    """Names by number, NULL for -1."""
    known = numbers >= 0
    validity = None if known.all() else _bits(known)
    indices = pa.Array.from_buffers(pa.int32(), len(numbers), [validity, pa.py_buffer(numbers)])
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _text(data: bytes) -> bytes:
    """Lines as UTF-8 with `\\n` between them; what is no UTF-8 becomes U+FFFD."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    size = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, size, pa.py_buffer(data)]).cast(pa.string())
    except pa.ArrowInvalid:
        return data.decode("utf-8", "replace").encode()
    return data
