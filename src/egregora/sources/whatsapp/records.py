"""The text of a chat as record batches, worked on by columns: no Python code runs for an ordinary message.

A block of the file is split into lines, lines that match the header's regex begin a record, and lines up to the next
header are joined to it. Then date, clock, author and body are split off by literals, distinct dates, clocks and authors
are looked at once each, and only bodies that hold a marker are read one by one.

**Times.** A header's time is local time in the configured timezone. A time that a clock change skips is read with the
offset that held before the change; one that it repeats is the earlier of the two. Both depend on the header
only.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from egregora.sources.whatsapp import words
from egregora.sources.whatsapp.bodies import CANDIDATES, WHOLE_BODIES, Body, BodyReader
from egregora.sources.whatsapp.headers import MARKS, SPACES, Decision, clock_seconds, date_fields

if TYPE_CHECKING:
    from egregora.sources.archive import Archive
    from egregora.sources.whatsapp import Chat

__all__ = ["BLOCK_BYTES", "read_records"]

BLOCK_BYTES = 3 << 19
"""How much text is worked on at once; some fifteen thousand messages. Each block costs about 5 ms for itself."""

_DAY = 86_400_000_000
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


class _Clock:
    """Local dates and clocks as microseconds of UTC."""

    def __init__(self, decision: Decision, timezone: str) -> None:
        style = decision.style
        rest = [i for i in range(3) if i != style.year]
        month_first = decision.order in ("mdy", "ymd")
        self._year, self._month, self._day = style.year, rest[not month_first], rest[month_first]
        self._zone = ZoneInfo(timezone)
        self._utc = timezone in ("UTC", "Etc/UTC")
        self._dates: dict[str, int | None] = {}
        self._clocks: dict[str, int | None] = {}
        self.changing: dict[int, datetime] = {}
        """Days on which the clocks change: microseconds of their midnight, kept as if in UTC → the day."""

    def day(self, text: str) -> int | None:
        """Microseconds of the day's beginning in UTC; None if there is no such day."""
        if text not in self._dates:
            self._dates[text] = self._new_day(text)
        return self._dates[text]

    def _new_day(self, text: str) -> int | None:
        fields = date_fields(text)
        if fields is None:
            return None
        year = fields[self._year]
        year = year if year > 99 else 2000 + year
        year = year - 543 if 2500 < year < 2700 else year  # the Buddhist calendar of Thai phones
        try:
            start = datetime(year, fields[self._month], fields[self._day])  # noqa: DTZ001
        except ValueError:
            return None
        micros = (start.toordinal() - _EPOCH) * _DAY
        if self._utc:
            return micros
        offsets = {self._zone.utcoffset(start + timedelta(hours=hours)) for hours in range(-1, 26)}
        if len(offsets) > 1:
            self.changing[micros] = start
            return micros
        return micros - (offsets.pop() or timedelta()) // timedelta(microseconds=1)

    def clock(self, text: str) -> int | None:
        """Microseconds since midnight; None if there is no such time."""
        if text not in self._clocks:
            seconds = clock_seconds(text)
            self._clocks[text] = None if seconds is None else seconds * 1_000_000
        return self._clocks[text]

    def exact(self, day: int, clock: int) -> int:
        """A time on a day on which the clocks change."""
        local = self.changing[day] + timedelta(microseconds=clock)
        moment = local.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001


def _blocks(archive: Archive, chat: Chat) -> Iterator[bytes]:
    """The chat's bytes as UTF-8 with `\\n` between lines, in blocks that may end within a line."""
    with archive.open(chat.member.index) as file:
        first = True
        if chat.encoding == "utf-16":
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        while data := file.read(BLOCK_BYTES):
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
) -> Iterator[pa.RecordBatch]:
    """The chat's messages in the file's order, as `sources.Reading.batches` wants them.

    `counts` gets `lines`, `headers`, `continuations` and `before the first message`, so that
    `lines == headers + continuations + before`, and how many bytes were no UTF-8 (`unreadable characters`).
    """
    cutter = _Cutter(chat, decision, title, members, timezone, counts)
    left: list[bytes] = []
    for data in _blocks(archive, chat):
        end = data.rfind(b"\n") + 1
        if not end:
            left.append(data)
            continue
        block = b"".join((*left, data[:end]))
        left = [data[end:]]
        yield from cutter.feed(block)
    yield from cutter.feed(b"".join(left), last=True)


class _Cutter:
    def __init__(
        self,
        chat: Chat,
        decision: Decision,
        title: str | None,
        members: Mapping[str, int],
        timezone: str,
        counts: dict[str, int],
    ) -> None:
        style = decision.style
        order = "dm" if decision.order in ("dmy", "ydm") else "md"
        header = style.pattern(order)
        self._header = f"^{header}"
        self._month_ends = f"^{style.pattern(order, impossible=True)}"
        self._python = re.compile(header)
        self._clock = _Clock(decision, timezone)
        self._bodies = BodyReader(members)
        self._title = title
        self._colon = _colon(chat.sample, header)
        self._iso_clock = not style.day_word and style.colon == ":" and style.zero == "0"
        self._bracket = style.bracket
        self._end = style.end.rstrip(" ") if style.bracket else style.end
        # The gap must not occur in the date, nor the end in what is before it, to be split by.
        self._plain_gap = bool(style.gap) and style.gap not in "".join(style.separators) and style.gap.strip() != ""
        if style.gap == " " and not any(" " in text for text in style.separators):
            self._plain_gap = True
        self._gap = style.gap
        self._splittable = self._plain_gap and style.end != " " and style.end not in style.gap
        self._authors: dict[str, str] = {}
        self._known: set[str] = set()
        self._tail: list[pa.Array] = []
        self._counts = counts
        for name in ("lines", "headers", "continuations", "before the first message"):
            counts[name] = 0

    def feed(self, block: bytes, *, last: bool = False) -> Iterator[pa.RecordBatch]:
        """Records that end within `block`, which ends with a line's end; the last one waits for the next block."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        lines = _text(pc.split_pattern(pa.array([block.removesuffix(b"\n")], pa.binary()), b"\n").flatten())
        if not block:
            lines = lines.slice(0, 0)
        starts = pc.indices_nonzero(self._headers(lines)).cast(pa.int32())
        self._counts["lines"] += len(lines)
        self._counts["headers"] += len(starts)
        if self._tail:
            self._counts["continuations"] += len(lines) - len(starts)
            if not len(starts) and not last:
                self._tail.append(pa.array(lines.to_pylist(), pa.string()))
                return
            before = sum(len(part) for part in self._tail)
            lines = pa.concat_arrays([*self._tail, lines])
            starts = pa.concat_arrays([pa.array([0], pa.int32()), pc.add(starts, pa.scalar(before, pa.int32()))])
        else:
            first = starts[0].as_py() if len(starts) else len(lines)
            self._counts["before the first message"] += first
            self._counts["continuations"] += len(lines) - first - len(starts)
        if not len(starts):
            return
        if last:
            starts = pa.concat_arrays([starts, pa.array([len(lines)], pa.int32())])
        else:
            # A copy: a slice would keep the whole block in memory.
            self._tail = [pa.array(lines.slice(starts[-1].as_py()).to_pylist(), pa.string())]
        records = pc.binary_join(pa.ListArray.from_arrays(starts, lines), "\n")
        if len(records):
            dates, clocks, rest = self._split(records)
            authors, bodies = self._author_and_body(rest)
            yield self._classified(self._times(dates, clocks), authors, bodies)

    def _headers(self, lines: pa.Array) -> pa.Array:
        """Which lines are headers: they match the regex, and their date exists."""
        matched = pc.match_substring_regex(lines, self._header)
        suspects = pc.indices_nonzero(pc.match_substring_regex(lines, self._month_ends))
        wrong = []
        for position, line in zip(suspects.to_pylist(), lines.take(suspects).to_pylist(), strict=True):
            match = self._python.match(line)
            if match is not None and self._clock.day(match[1]) is None:
                wrong.append(position)
        if wrong:
            keep = [value and i not in wrong for i, value in enumerate(matched.to_pylist())]
            return pa.array(keep, pa.bool_())
        return matched

    def _split(self, records: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Date, clock and what follows the header, of each record."""
        if self._splittable:
            two = pc.split_pattern(records, self._end, max_splits=1)
            if _all_two(two):
                stamp, rest = _halves(two)
                when = pc.split_pattern(stamp, self._gap, max_splits=1)
                if _all_two(when):
                    return (*_halves(when), pc.utf8_ltrim(rest, SPACES) if self._bracket else rest)
        # Kinds of space, or a literal that also occurs inside a date: one by one.
        dates, clocks, rests = [], [], []
        for record in records.to_pylist():
            match = self._python.match(record)
            assert match is not None, "a record begins with a header"
            dates.append(match[1])
            clocks.append(match[2])
            rests.append(record[match.end() :])
        return pa.array(dates, pa.string()), pa.array(clocks, pa.string()), pa.array(rests, pa.string())

    def _times(self, dates: pa.Array, clocks: pa.Array) -> pa.Array:
        days = _mapped(dates, self._clock.day)
        seconds = self._seconds(clocks)
        total = pc.add(days, seconds)
        if self._clock.changing:
            mask = pc.is_in(days, pa.array(list(self._clock.changing), pa.int64()))
            pairs = zip(days.filter(mask).to_pylist(), seconds.filter(mask).to_pylist(), strict=True)
            exact = [self._clock.exact(day, clock) for day, clock in pairs]
            total = pc.replace_with_mask(total, mask, pa.array(exact, pa.int64()))
        return total.cast(pa.timestamp("us"))

    def _seconds(self, clocks: pa.Array) -> pa.Array:
        if self._iso_clock:
            try:
                moments = pc.binary_join_element_wise("1970-01-01", clocks, " ").cast(pa.timestamp("us"))
                return moments.cast(pa.int64())
            except pa.ArrowInvalid:
                pass  # an hour of one digit, a mark, or 24:00
        return _mapped(clocks, self._clock.clock)

    def _author_and_body(self, rest: pa.Array) -> tuple[pa.DictionaryArray, pa.Array]:
        """Author (NULL in a notice) and body of each record."""
        two = pc.split_pattern(rest, self._colon, max_splits=1)
        ends, flat = two.offsets, two.flatten()
        bodies = flat.take(pc.subtract(ends.slice(1), 1))
        raw = flat.take(ends.slice(0, len(rest)))
        odd = pc.not_equal(two.value_lengths(), 2)
        encoded = pc.if_else(odd, pa.scalar(None, pa.string()), raw).dictionary_encode()
        indices, names = encoded.indices, encoded.dictionary.to_pylist()
        strange = [i for i, name in enumerate(names) if _is_notice(name) or ":" in name]
        self._known.update(name for i, name in enumerate(names) if i not in strange)
        if strange:
            odd = pc.or_(odd, pc.fill_null(pc.is_in(indices, pa.array(strange, indices.type)), False))
        if pc.any(odd).as_py():
            found = [self._odd(text) for text in rest.filter(odd).to_pylist()]
            numbers = {name: i for i, name in enumerate(names)}
            chosen = [None if name is None else numbers.setdefault(name, len(numbers)) for name, _ in found]
            names = list(numbers)
            indices = pc.replace_with_mask(indices, odd, pa.array(chosen, indices.type))
            bodies = pc.replace_with_mask(bodies, odd, pa.array([body for _, body in found], pa.string()))
        clean = [self._author(name) for name in names]
        return pa.DictionaryArray.from_arrays(indices, pa.array(clean, pa.string())), bodies

    def _author(self, raw: str) -> str:
        if raw not in self._authors:
            self._authors[raw] = author_name(raw)
        return self._authors[raw]

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

    def _classified(self, ts: pa.Array, authors: pa.DictionaryArray, bodies: pa.Array) -> pa.RecordBatch:
        """The batch; bodies that may be more than text are read, each spelling once."""
        marked = pc.or_(pc.match_substring_regex(bodies, CANDIDATES), pc.is_in(bodies, _WHOLE))
        found = bodies.filter(marked).dictionary_encode()
        raws = found.dictionary.to_pylist()
        read = [_PLAIN, *(self._bodies.read(raw) for raw in raws)]
        # For every row the number of its body in `read`; 0 is plain text.
        numbers = pa.repeat(pa.scalar(0, pa.int32()), len(ts))
        numbers = pc.replace_with_mask(numbers, marked, pc.add(found.indices, pa.scalar(1, pa.int32())))
        texts = pa.array([body.text for body in read[1:]], pa.string()).take(found.indices)
        raw_bodies, bodies = bodies, pc.replace_with_mask(bodies, marked, texts)

        doubtful = [i for i, raw in enumerate(raws, 1) if raw.startswith("\u200e") and _maybe_notice(read[i])]
        nameless = pc.is_null(authors.indices)
        if doubtful:
            nameless = pc.or_(nameless, pc.is_in(numbers, pa.array(doubtful, pa.int32())))
        if pc.any(nameless).as_py():
            old = numbers.filter(nameless).to_pylist()
            whose, raw = authors.filter(nameless).to_pylist(), raw_bodies.filter(nameless).to_pylist()
            notices = [self._notice(who, text, n, read) for who, text, n in zip(whose, raw, old, strict=True)]
            kept = pa.array([notice is None for notice in notices], pa.bool_())
            indices = pc.if_else(kept, authors.indices.filter(nameless), pa.scalar(None, authors.indices.type))
            authors = pa.DictionaryArray.from_arrays(
                pc.replace_with_mask(authors.indices, nameless, indices), authors.dictionary
            )
            chosen = [n if new is None else new[0] for n, new in zip(old, notices, strict=True)]
            numbers = pc.replace_with_mask(numbers, nameless, pa.array(chosen, pa.int32()))
            told = pc.if_else(kept, bodies.filter(nameless), pa.array([n and n[1] for n in notices], pa.string()))
            bodies = pc.replace_with_mask(bodies, nameless, told)

        def column(values: list[str | None]) -> pa.DictionaryArray:
            encoded = pa.array(values, pa.string()).dictionary_encode()
            return pa.DictionaryArray.from_arrays(encoded.indices.take(numbers), encoded.dictionary)

        return pa.record_batch(
            {
                "ts": ts,
                "author_raw": authors,
                "kind": column([body.kind for body in read]),
                "text": bodies,
                "attachment": pa.array([body.attachment for body in read], pa.string()).take(numbers),
                "media_type": column([body.media_type for body in read]),
                "edited": pa.array([body.edited for body in read], pa.bool_()).take(numbers),
                "attrs": column([body.attrs for body in read]),
            }
        )

    def _notice(self, author: str | None, raw: str, number: int, read: list[Body]) -> tuple[int, str] | None:
        """Number in `read` and text of a notice; None if it is somebody's message after all."""
        told = raw.strip(_TRIM)
        if author is None:
            if read[number].kind == "call":
                return number, read[number].text
        elif not (
            author == self._title
            or told.casefold().startswith(author.casefold())
            or any(stem in told.casefold() for stem in words.NOTICE_STEMS)
        ):
            return None
        if read[-1] is not _NOTICE:
            read.append(_NOTICE)
        return len(read) - 1, told


_PLAIN, _NOTICE = Body(), Body("system")


def _maybe_notice(body: Body) -> bool:
    return body.kind == "text" and not body.edited


def _text(lines: pa.Array) -> pa.Array:
    """Bytes as text; what is no UTF-8 becomes U+FFFD."""
    try:
        return lines.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([line.decode("utf-8", "replace") for line in lines.to_pylist()], pa.string())


def _all_two(lists: pa.Array) -> bool:
    return len(lists.flatten()) == 2 * len(lists) and pc.all(pc.equal(lists.value_lengths(), 2)).as_py()


def _halves(lists: pa.Array) -> tuple[pa.Array, pa.Array]:
    """First and second elements of lists of two."""
    flat = lists.flatten()
    return flat.take(lists.offsets.slice(0, len(lists))), flat.take(pc.subtract(lists.offsets.slice(1), 1))


def _mapped(texts: pa.Array, function: Callable[[str], int | None]) -> pa.Array:
    """`function` of each text, called once for each distinct one."""
    encoded = texts.dictionary_encode()
    values = pa.array([function(text) for text in encoded.dictionary.to_pylist()], pa.int64())
    return values.take(encoded.indices)
