"""The header of a message: its style and the order of day and month, decided once for the whole file.

    marks? [ DATE gap dayword? CLOCK dayword? end AUTHOR ": "

A style is found by counting: the shape that most header-like lines share is the file's, and a line of another shape is
text. Then the order of day and month is decided from the dates of the whole file, by the first of these that proves it:

1. a four-digit first field is the year, and so is one of two digits if the last field can't be a year or if time then
   runs forwards and otherwise doesn't;
2. a field above 12 is the day;
3. read in the right order, time runs forwards;
4. names of attached files hold their date;
5. dates with dots or dashes don't begin with the month;
6. the day changes more often than the month;
7. nothing: a 12-hour clock suggests month first, else day first, and the decision is marked as ambiguous.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise

__all__ = [
    "LIKE_HEADER",
    "MARKS",
    "Decision",
    "HeaderStyle",
    "clock_seconds",
    "date_fields",
    "decide_order",
    "find_style",
    "is_like_header",
]

MARKS = "\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
"""Characters without width, as the inside of a character class of `re`."""
SPACES = " \u00a0\u2007\u2009\u200a\u202f"
"""Kinds of space, as the inside of a character class."""

_AM = (
    "am", "a.m.", "a.m", "a. m.", "上午", "午前", "오전", "ص", "凌晨", "清晨", "早上", "πμ", "π.μ.",
    "fm", "f.m.", "de.",
    "ق.ظ.", "ق.ظ", "पूर्वाह्न", "öö", "sa", "pg", "vm.", "vm", "ಪೂರ್ವಾಹ್ನ", "ਪੂ.ਦੁ.", "म.पू.", "முற்பகல்", "p.d.", "পূর্বাহ্ণ",
    "dop.", "dopoledne", "ip.", "priekšp.", "priešpiet", "пр.об.", "пр. об.", "дп",
)  # fmt: skip
_PM = (
    "pm", "p.m.", "p.m", "p. m.", "下午", "午後", "오후", "م", "中午", "晚上", "傍晚", "μμ", "μ.μ.",
    "em", "e.m.", "du.",
    "ب.ظ.", "ب.ظ", "अपराह्न", "ös", "ch", "ptg", "nm.", "nm", "ಅಪರಾಹ್ನ", "ਬਾ.ਦੁ.", "म.उ.", "பிற்பகல்", "m.d.", "অপরাহ্ণ",
    "odp.", "odpoledne", "pēcp.", "popiet", "сл.об.", "сл. об.", "пп",
)  # fmt: skip
_DAY_WORDS = dict.fromkeys(_AM, 0) | dict.fromkeys(_PM, 12)


def _squeeze(text: str) -> str:
    """Without marks, spaces made plain, compatibility forms resolved: what two spellings of one thing share."""
    text = re.sub(f"[{MARKS}]", "", text)
    return re.sub(f"[{SPACES}]+", " ", text)


_WORD = "|".join(
    re.escape(word).replace(r"\ ", f"[{SPACES}]?") for word in sorted(_DAY_WORDS, key=lambda word: (-len(word), word))
)
FIRST_YEAR = 9
"""Of WhatsApp, in two digits."""

_M = f"[{MARKS}]*"
_S = f"[{SPACES}]"
_GENERIC = re.compile(
    rf"^{_M}(?P<open>\[?){_M}"
    rf"(?P<date>\d{{1,4}}{_M}(?P<sep>[/.\-年년]{_S}?){_M}\d{{1,4}}{_M}(?:[/.\-月월]{_S}?){_M}\d{{1,4}}(?!\d))"
    rf"(?P<gap>[^\d\n\[\]]{{1,16}}?)"
    rf"(?P<clock>\d{{1,2}}(?P<colon>[:.h])\d{{2}}(?P<seconds>(?P=colon)\d{{2}})?)(?!\d)"
    rf"(?P<post>{_S}{{0,2}}(?:{_WORD})(?!\w))?{_M}"
    rf"(?P<end>\]{_S}?|{_S}[-–—]{_S}|:{_S}|;{_S}|{_S}(?=[^\n:]{{1,60}}:{_S}))",
    re.MULTILINE | re.IGNORECASE,
)
_PRE = re.compile(rf"(?P<word>{_WORD}){_S}*$", re.IGNORECASE)


LIKE_HEADER = rf"^{_M}\[?{_M}\pN{{1,4}}{_M}[/.\-年년][^\n]{{1,60}}\pN{{2}}"
"""A regex (RE2) that finds every line that `is_like_header` is to look at, and few others."""


def is_like_header(line: str) -> bool:
    """Whether a line begins with a header of any shape."""
    match = _GENERIC.match(line)
    return match is not None and _style_of(match) is not None


@dataclass(frozen=True)
class HeaderStyle:
    """One shape of header.

    Attributes:
        bracket: Whether it stands in `[…]`.
        separators: The two separators of the date, e.g. `("/", "/")`.
        year: Place of the year: 0, 1 or 2.
        year_digits: 4 or 2.
        gap: What stands between date and clock (a day word before the clock not counted), e.g. `, `.
        colon: What divides hours and minutes.
        seconds: Whether seconds are shown.
        day_word: `""` (24 hours), `before` or `after` the clock.
        end: What ends the header: `] `, ` - `, `: `, `; ` or a space.
        zero: The digit zero of the script in use.
    """

    bracket: bool
    separators: tuple[str, str]
    year: int
    year_digits: int
    gap: str
    colon: str
    seconds: bool
    day_word: str
    end: str
    zero: str = "0"

    def describe(self) -> str:
        """The shape as an example, e.g. `[DD/MM/YYYY, hh:mm:ss AM] `; without day and month told apart."""
        fields = ["NN", "NN", "NN"]
        fields[self.year] = "Y" * self.year_digits
        when = fields[0] + self.separators[0] + fields[1] + self.separators[1] + fields[2]
        clock = f"hh{self.colon}mm{self.colon + 'ss' if self.seconds else ''}"
        clock = {"": clock, "before": f"AM {clock}", "after": f"{clock} AM"}[self.day_word]
        # Words between date and clock stay out: whoever sees this may not see what stands in the file.
        gap = re.sub(r"[^\W\d_]+", "…", self.gap)
        return f"{'[' if self.bracket else ''}{when}{gap}{clock}{self.end}".strip()

    def pattern(self, order: str = "") -> str:
        """A regex for the whole header with the groups date and clock, in the syntax that `re` and RE2 share.

        Args:
            order: `dm` or `md`: the fields beside the year must be possible as day and month.
        """
        return f"{self.date_pattern(order)}{_spaced(self.gap)}{self.clock_pattern()}{_spaced(self.end)}"

    def date_pattern(self, order: str = "") -> str:
        """The beginning of `pattern`, up to the gap, with the group date."""
        digits = self._digits
        any_digit, nought = digits(0, 9), digits(0, 0) + "?"
        day = f"(?:{nought}{digits(1, 9)}|{digits(1, 2)}{any_digit}|{digits(3, 3)}{digits(0, 1)})"
        month = f"(?:{nought}{digits(1, 9)}|{digits(1, 1)}{digits(0, 2)})"
        pair = [day, month] if order else [any_digit + "{1,2}"] * 2
        fields = list(reversed(pair)) if order == "md" else pair
        fields.insert(self.year, any_digit + f"{{{self.year_digits}}}")
        separators = [_spaced(text) for text in self.separators]
        date = f"{fields[0]}{_M}{separators[0]}{_M}{fields[1]}{_M}{separators[1]}{_M}{fields[2]}"
        return f"{_M}{re.escape('[') if self.bracket else ''}{_M}({date}){_M}"

    def clock_pattern(self) -> str:
        """The part of `pattern` between gap and end, with the group clock."""
        digits = self._digits
        hour = f"(?:{digits(0, 1)}?{digits(0, 9)}|{digits(2, 2)}{digits(0, 4)})"
        sixty = f"{digits(0, 5)}{digits(0, 9)}"
        colon = re.escape(self.colon)
        clock = hour + colon + sixty + (colon + sixty if self.seconds else "")
        if self.day_word == "before":
            clock = f"(?i:{_WORD}){_S}*{clock}"
        elif self.day_word == "after":
            clock = f"{clock}{_S}*(?i:{_WORD})"
        return f"{_M}({clock}){_M}"

    def _digits(self, low: int, high: int) -> str:
        return f"[{chr(ord(self.zero) + low)}-{chr(ord(self.zero) + high)}]"

    def first_bytes(self) -> bytes:
        """What the UTF-8 of a header of this shape, or one much like it, may begin with."""
        digits = "".join(chr(ord(zero) + digit) for zero in ("0", self.zero) for digit in range(10))
        return bytes({char.encode()[0] for char in f"[{digits}\u200e\ufeff"})


def _spaced(text: str) -> str:
    """A literal as a regex in which any kind of space stands for a space; one at the end of `] ` may be missing."""
    text = "".join(
        f"{_S}{{1,2}}" if char == " " else "[-–—]" if char == "-" and text == " - " else re.escape(char)
        for char in text
    )
    return text.replace(f"{_S}{{1,2}}", f"{_S}*") if text.startswith("\\]") else text


def _style_of(match: re.Match[str]) -> HeaderStyle | None:
    """The style of one header-like line, or None if its numbers are no date."""
    # Which digits of a script they are makes no difference, so that nearly all lines are alike.
    date, clock = (match[name].translate(_ALIKE) for name in ("date", "clock"))
    rest = match.group("open", "gap", "colon", "post", "end")
    return _style(date, clock[0], match["seconds"] is not None, *rest)


_ALIKE = str.maketrans("123456789", "000000000")


@lru_cache(maxsize=1024)
def _style(
    date: str, hour: str, seconds: bool, bracket: str, gap: str, colon: str, post: str | None, end: str
) -> HeaderStyle | None:
    text = _squeeze(date)
    parts = re.fullmatch(r"(\d+)(\D+)(\d+)(\D+)(\d+)", text)
    if parts is None:
        return None
    lengths = [len(parts[i]) for i in (1, 3, 5)]
    if 4 in lengths:
        year, year_digits = lengths.index(4), 4
        if sum(length > 2 for length in lengths) != 1:
            return None
    elif max(lengths) == 2 and lengths[2] == 2:
        year, year_digits = 2, 2
    else:
        return None
    gap, day_word = _squeeze(gap), "after" if post else ""
    if not day_word and (word := _PRE.search(gap)) and not gap[: word.start()].strip(" ,،.").isalpha():
        gap, day_word = gap[: word.start()], "before"
    return HeaderStyle(
        bracket=bool(bracket),
        separators=(parts[2], parts[4]),
        year=year,
        year_digits=year_digits,
        gap=gap,
        colon=colon,
        seconds=seconds,
        day_word=day_word,
        end=_end(_squeeze(end)),
        zero=chr(ord(hour) - unicodedata.decimal(hour)),
    )


def _end(text: str) -> str:
    if text.startswith("]"):
        return "] "
    return " - " if text.strip() in ("-", "–", "—") else text


def find_style(text: str) -> tuple[HeaderStyle | None, int]:
    """The style that most header-like lines of `text` share, and how many lines do; the earliest on a tie."""
    counts: Counter[HeaderStyle] = Counter()
    for match in _GENERIC.finditer(text):
        style = _style_of(match)
        if style is not None and style.bracket == style.end.startswith("]"):
            counts[style] += 1
    if not counts:
        return None, 0
    best, count = counts.most_common(1)[0]
    return best, count


def date_fields(text: str) -> tuple[int, int, int] | None:
    """The three numbers of a date as written, in digits of any script."""
    found = re.findall(r"\d+", text)
    return (int(found[0]), int(found[1]), int(found[2])) if len(found) == 3 else None


def clock_seconds(text: str) -> int | None:
    """Seconds since midnight of a clock as written, with a day word before or after it; None if it is none."""
    text = _squeeze(text)
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) not in (2, 3):
        return None
    word = re.sub(r"\d+(?:[:.h]\d+)*", "", text).strip(" ").casefold()
    hour, minute, second = (*numbers, 0)[:3]
    if word:
        shift = _DAY_WORDS.get(word, _DAY_WORDS.get(word.replace(" ", "")))
        if shift is None:
            return None
        if word == "中午" and hour in (10, 11):
            shift = 0
        if hour <= 12:
            hour = hour % 12 + shift
    if hour > 24 or minute > 59 or second > 59:
        return None
    return hour % 24 * 3600 + minute * 60 + second


@dataclass(frozen=True)
class Decision:
    """What was decided about an export, and why.

    Attributes:
        style: The header's shape.
        order: `dmy`, `mdy`, `ymd` or `ydm`.
        evidence: Which proof decided the order, in words.
        ambiguous: Whether it stays a guess.
        headers: How many lines of that style the sample held.
    """

    style: HeaderStyle
    order: str
    evidence: str
    ambiguous: bool
    headers: int


def decide_order(
    style: HeaderStyle, dates: Sequence[tuple[int, int, int]], hints: Iterable[tuple[date, tuple[int, int, int]]]
) -> tuple[str, str, bool]:
    """Order of day and month, the evidence for it, and whether it stays ambiguous.

    Args:
        style: The file's header style.
        dates: The numbers of its dates, in the file's order, each run of equal ones once.
        hints: Dates that names of attachments hold, with the header's numbers beside them.
    """
    first, second = (i for i in range(3) if i != style.year)
    year_first = style.year == 0

    def order(day_first: bool) -> str:
        return ("ydm" if day_first else "ymd") if year_first else ("dmy" if day_first else "mdy")

    def backward(*places: int) -> int:
        return sum(tuple(a[i] for i in places) > tuple(b[i] for i in places) for a, b in pairwise(dates))

    day_first_back, month_first_back = backward(style.year, second, first), backward(style.year, first, second)
    distinct = set(dates)
    if style.year_digits == 2 and all(fields[1] <= 12 and fields[2] <= 31 for fields in distinct):
        if distinct and all(fields[0] > 31 for fields in distinct):
            return "ymd", "the first field can't be a day", False
        if min(fields[0] for fields in distinct) >= FIRST_YEAR > min(fields[2] for fields in distinct):
            return "ymd", "the last field can't be a year of WhatsApp", False
        if backward(0, 1, 2) < min(day_first_back, month_first_back):
            return "ymd", "time runs forwards with the year first", False
    above_first = sum(fields[first] > 12 for fields in distinct)
    above_second = sum(fields[second] > 12 for fields in distinct)
    if year_first and above_first <= above_second:
        return "ymd", "the year comes first", False
    if above_first != above_second:
        which = "first" if above_first > above_second else "second"
        return order(above_first > above_second), f"the {which} field goes above 12", False

    if day_first_back != month_first_back:
        return order(day_first_back < month_first_back), "time runs forwards in this order", False
    votes = Counter[bool]()
    for when, fields in hints:
        if (when.day, when.month) == (fields[first], fields[second]) and when.day != when.month:
            votes[True] += 1
        elif (when.day, when.month) == (fields[second], fields[first]):
            votes[False] += 1
    if votes[True] != votes[False]:
        return order(votes[True] > votes[False]), "names of attachments hold the date", False
    if "/" not in style.separators[0]:
        return order(not year_first), "dates with dots or dashes begin with the day", False
    changes = [sum(a[i] != b[i] for a, b in pairwise(dates)) for i in (first, second)]
    if changes[0] != changes[1]:
        return order(changes[0] > changes[1]), "the day changes more often than the month", False
    if style.day_word:
        return order(False), "a 12-hour clock suggests that the month comes first", True
    return order(True), "a 24-hour clock suggests that the day comes first", True
