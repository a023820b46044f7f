"""How things look in a terminal: text made safe, times, sizes, tables that fit, errors.

A piece of output is a `Line`: pieces of text, each with a style. On a terminal rich colours them; elsewhere they are
written as they are, and rich isn't even imported.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from egregora.errors import EgregoraError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Line",
    "align",
    "as_json",
    "bytes_text",
    "count",
    "cut",
    "duration",
    "echo",
    "fold",
    "grid",
    "is_terminal",
    "line_width",
    "local",
    "moment",
    "moment_ns",
    "print_error",
    "safe",
    "short_count",
    "sparkline",
    "to_text",
    "width_of",
    "width_to_fit",
    "zone_of",
]

Line = list[tuple[str, str]]
"""Pieces of one line: text and rich style, which may be empty."""

NONE = "–"
"""What stands where there is no value."""

# Control characters, and those that are invisible or change the direction of what follows. The joiners that emoji and
# some scripts need (U+200C, U+200D) may stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def safe(text: str) -> str:
    """A text as one line that does nothing to a terminal: control, bidi and invisible characters as escapes."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


# -- values -----------------------------------------------------------------------------------------------------------


def count(number: int | None) -> str:
    """A whole number with thousands separators."""
    return NONE if number is None else f"{number:,}"


def duration(seconds: float | None) -> str:
    """Seconds with two decimals."""
    return NONE if seconds is None else f"{seconds:,.2f} s"


def short_count(number: float | None) -> str:
    """A number in at most four characters and a unit."""
    if number is None:
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size * 0.9995:
            value = number / size
            return f"{value:.{0 if value >= 99.95 else 1}f}{unit}"
    return f"{number:.{0 if number >= 9.95 or number == int(number) else 1}f}"


BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Values as bars, from nothing to the largest."""
    largest = max(values, default=0.0)
    return "".join(BARS[round(value / largest * (len(BARS) - 1))] if largest > 0 else BARS[0] for value in values)


def bytes_text(size: int | None) -> str:
    """A size in bytes, with three significant digits and its unit."""
    if size is None:
        return NONE
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"


def local(stored: datetime) -> datetime:
    """A stored time, which is UTC without saying so, in the zone of whoever looks."""
    return stored.replace(tzinfo=UTC).astimezone()


def zone_of(stored: Iterable[datetime]) -> str:
    """The names of the zone in which `local` gives these times, e.g. `CET`, or `CET/CEST` where both occur."""
    return "/".join(dict.fromkeys(local(at).strftime("%Z") for at in stored))


def moment(stored: datetime | None) -> str:
    """A stored time in full, in the zone of whoever looks, with its name."""
    return NONE if stored is None else local(stored).strftime("%Y-%m-%d %H:%M:%S %Z")


def moment_ns(stored: int | None) -> str:
    """Nanoseconds since 1970 as a time in full, in the zone of whoever looks, with its name."""
    return NONE if stored is None else moment(datetime.fromtimestamp(stored / 1e9, UTC).replace(tzinfo=None))


def as_json(value: Any) -> str:
    """JSON for programs: ids as text, times as ISO 8601 in UTC, whatever the terminal; characters as they are."""
    import json

    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    return str(value)


# -- lines ------------------------------------------------------------------------------------------------------------


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def align(
    rows: Sequence[Sequence[Line]], *, right: Iterable[int] = (), least: Sequence[int] = (), gap: int = 2
) -> list[Line]:
    """Lay cells out in columns.

    Args:
        rows: Rows of cells, headings included; a cell is a `Line`.
        right: Numbers of the columns that stand flush right.
        least: How wide the columns are at least, as far as that is said.
        gap: Spaces between them.
    """
    flush = set(right)
    rows = [[[(safe(text), style) for text, style in cell] for cell in row] for row in rows]
    sizes = [[sum(width_of(text) for text, _ in cell) for cell in row] for row in rows]
    widths = [max(found) for found in zip(*sizes, strict=True)]
    widths = [max(pair) for pair in zip(widths, [*least, *[0] * len(widths)], strict=False)]
    lines = []
    for row, row_sizes in zip(rows, sizes, strict=True):
        line: Line = []
        for number, (cell, size) in enumerate(zip(row, row_sizes, strict=True)):
            padding = " " * (widths[number] - size)
            before = " " * gap if number else ""
            last = number == len(row) - 1
            if number in flush:
                line += [(before + padding, ""), *cell]
            else:
                line += [(before, ""), *cell, ("" if last else padding, "")]
        lines.append(line)
    return lines


LEAST = 8
"""Columns below which a cell is not cut."""


def grid(
    headings: Sequence[str], rows: Sequence[Sequence[Line]], width: int | None, *, right: Iterable[int] = ()
) -> list[Line]:
    """Rows under headings in at most `width` columns.

    Cells that are too wide are cut, the widest first; where that would leave too little of them each row becomes
    a block with a line a column.

    Args:
        headings: One a column.
        rows: Rows of cells.
        width: None: as wide as it takes.
        right: Numbers of the columns that stand flush right; figures there, which are never cut.
    """
    flush = set(right)
    cells = [[[(text, "bold")] for text in headings], *rows]
    if width is None:
        return align(cells, right=flush)
    natural = [max(map(line_width, column)) for column in zip(*cells, strict=True)]
    room = width - 2 * (len(headings) - 1)
    least = [size if number in flush else min(size, LEAST) for number, size in enumerate(natural)]
    if sum(least) > room:
        return _blocks(headings, rows, width)
    # The largest limit for all cells under which they fit.
    limit = max(natural)
    while sum(max(small, min(size, limit)) for small, size in zip(least, natural, strict=True)) > room:
        limit -= 1
    fitting = [[cut(cell, max(least[number], limit)) for number, cell in enumerate(row)] for row in cells]
    return align(fitting, right=flush)


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[Line]], width: int) -> list[Line]:
    names = max(map(width_of, headings))
    if names > width // 2:
        headings, names = [cut([(text, "")], width // 2)[0][0] for text in headings], width // 2
    lines: list[Line] = []
    for row in rows:
        lines += [[]] if lines else []
        for heading, cell in zip(headings, row, strict=True):
            before = safe(heading) + " " * (names - width_of(safe(heading)) + 2)
            for piece in fold(cell, max(1, width - names - 2)):
                lines.append([(before, "bold"), *piece])
                before = " " * (names + 2)
    return lines


def line_width(line: Line) -> int:
    """How many columns of a terminal a line takes."""
    return sum(width_of(safe(text)) for text, _ in line)


def cut(line: Line, width: int) -> Line:
    """A line in at most `width` columns, with an ellipsis where something is missing."""
    if line_width(line) <= width:
        return line
    kept: Line = []
    left = width - 1
    for text, style in line:
        piece = safe(text)
        while width_of(piece) > left:
            piece = piece[: min(len(piece) - 1, left)]
        kept.append((piece, style))
        # What comes behind a piece that was cut is left out, even if it were narrow enough.
        left = left - width_of(piece) if piece == safe(text) else 0
    return [*kept, ("…", "")]


def fold(line: Line, width: int | None) -> list[Line]:
    """A line as as many as it takes to stay within `width` columns, broken at spaces where there are any."""
    line = [(safe(text), style) for text, style in line]
    if width is None or line_width(line) <= width:
        return [line]
    from rich.console import Console

    text = to_text([line])
    console = Console(width=width, color_system=None)
    folded: list[Line] = []
    for part in text.wrap(console, width, overflow="fold", no_wrap=False):
        part.rstrip()
        ends = sorted({0, len(part), *(edge for mark in part.spans for edge in (mark.start, mark.end))})
        folded.append(
            [
                (part.plain[start:end], next((str(m.style) for m in part.spans if m.start <= start < m.end), ""))
                for start, end in itertools.pairwise(ends)
            ]
        )
    return folded


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at what is written there, or wants it to look so (FORCE_COLOR)."""
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def width_to_fit() -> int | None:
    """Columns that standard output has: the terminal's, or COLUMNS; None where lines may be as long as they are."""
    if is_terminal(sys.stdout):
        return console().width
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else None


def console(stream: TextIO | None = None) -> Console:
    """A rich console that takes text for text: no markup, no emoji codes, no highlighting."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=True)


def to_text(lines: Iterable[Line]) -> Text:
    """Lines as one rich text, made safe."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        for piece, style in line:
            text.append(safe(piece), style)
    return text


def echo(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Write lines, made safe, in colour on a terminal."""
    stream = stream or sys.stdout
    lines = list(lines)
    if is_terminal(stream):
        console(stream).print(to_text(lines))
        return
    if hasattr(stream, "reconfigure"):
        # A terminal of another age gets an escape for what it can't show, not a UnicodeEncodeError.
        stream.reconfigure(errors="backslashreplace")
    text = "".join("".join(safe(piece) for piece, _ in line).rstrip() + "\n" for line in lines)
    stream.write(text)
    stream.flush()


def print_error(error: EgregoraError) -> None:
    """One line that says what is wrong, one that says what to do, to standard error."""
    lines: list[Line] = [[("error: ", "bold red"), (str(error), "")]]
    if error.hint:
        lines.append([("hint: ", "bold"), (error.hint, "")])
    echo(lines, sys.stderr)


def elapsed(started: datetime) -> float:
    """Seconds since a stored time."""
    return max(0.0, time.time() - started.replace(tzinfo=UTC).timestamp())
