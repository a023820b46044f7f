"""Text, times, sizes and tables as a terminal shows them."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregora.amounts import span
from egregora.cli import render
from egregora.errors import EgregoraError


@pytest.fixture
def lisbon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A viewer in Portugal."""
    monkeypatch.setenv("TZ", "Europe/Lisbon")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


HOSTILE = "\x1b[31mred\x1b[0m\r\n\u202etxt\u2066 [bold]b[/bold] \x9b2J\x07 \u200b \U000e0041"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("ação 👩‍👩‍👧 ok", "ação 👩‍👩‍👧 ok"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202etxt", r"\u202etxt"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("[bold]x[/]", "[bold]x[/]"),
    ],
)
def test_text_does_nothing_to_a_terminal(text: str, shown: str) -> None:
    """Control, bidi and invisible characters come out as escapes, all else as it is."""
    assert render.safe(text) == shown


@given(st.text())
def test_safe_text_stays_safe(text: str) -> None:
    """Whatever comes in, what comes out is printable on one line, and making it safe again changes nothing."""
    once = render.safe(text)
    assert render.safe(once) == once
    assert len(once.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in once)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_600, "1.00 MB"),
        (123_000_000, "123 MB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_have_three_digits(size: int | None, shown: str) -> None:
    """A size is given in the unit in which it is below a thousand."""
    assert render.bytes_text(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 minute"), (7_300, "2 hours"), (86_400, "1 day"), (9e7, "1,041 days")],
)
def test_ages_are_told_in_the_largest_unit(seconds: float, shown: str) -> None:
    """How old something is needs no precision."""
    assert span(seconds) == shown


def test_durations_have_two_decimals() -> None:
    """A duration is in seconds with two decimals, and thousands are set apart."""
    assert [render.duration(value) for value in (None, 0.004, 3.2, 12345.678)] == [
        "–",
        "0.00 s",
        "3.20 s",
        "12,345.68 s",
    ]


@pytest.mark.usefixtures("lisbon")
def test_times_are_the_viewers() -> None:
    """Stored times are UTC; people see them in their own zone with its name, summer and winter told apart."""
    winter, summer = datetime(2026, 1, 5, 12), datetime(2026, 7, 5, 12)
    assert render.moment(winter) == "2026-01-05 12:00:00 WET"
    assert render.moment(summer) == "2026-07-05 13:00:00 WEST"
    assert render.zone_of([winter, summer, winter]) == "WET/WEST"
    assert render.moment(None) == "–"
    assert render.moment_ns(1_767_614_400_000_000_000) == "2026-01-05 12:00:00 WET"
    assert render.moment_ns(None) == "–"


@pytest.mark.usefixtures("lisbon")
def test_json_is_for_programs() -> None:
    """In JSON times are UTC whatever the viewer's zone, and ids are text."""
    run = uuid.UUID(int=7)
    given = {"at": datetime(2026, 7, 5, 12, 0, 0, 5), "id": run, "none": None, "name": "ação"}
    assert json.loads(render.as_json(given)) == {
        "at": "2026-07-05T12:00:00.000005+00:00",
        "id": str(run),
        "none": None,
        "name": "ação",
    }


def test_columns_stand_under_each_other() -> None:
    """Cells are padded by what they take in a terminal: wide characters count twice, escapes as they are written."""
    rows = [[[("a", "bold")], [("1", "")], [("x", "")]], [[("漢字", "")], [("1,000", "")], [("\x1b", "")]]]
    lines = ["".join(text for text, _ in line) for line in render.align(rows, right=(1,), least=(0, 6))]
    assert lines == ["a          1  x", "漢字   1,000  \\x1b"]


@given(st.lists(st.text(max_size=12), max_size=4), st.integers(1, 30))
def test_a_cut_line_fits(pieces: list[str], width: int) -> None:
    """A line that is cut takes no more columns than there are, and one that fits is left alone."""
    line = [(piece, "") for piece in pieces]
    cut = render.cut(line, width)
    assert render.line_width(cut) <= width
    if render.line_width(line) <= width:
        assert cut == line


@pytest.mark.parametrize("width", [20, 33, None])
def test_a_folded_line_keeps_its_words_and_styles(width: int | None) -> None:
    """Folding breaks at spaces, or inside what has none, and loses nothing but the spaces at the breaks."""
    line = [("word " * 8, "red"), ("x" * 50, "dim"), (" end", "")]
    folded = render.fold(line, width)
    assert "".join(text for part in folded for text, _ in part).replace(" ", "") == "word" * 8 + "x" * 50 + "end"
    assert {style for part in folded for _, style in part} >= {"red", "dim"}
    if width:
        assert all(render.line_width(part) <= width for part in folded)
    else:
        assert folded == [line]


def test_errors_are_one_line_and_one_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """Hostile text in an error stays text, and where nobody's terminal is there are no colours."""
    render.print_error(EgregoraError(f"no run '{HOSTILE}'", hint="type \x1b[2J"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        r"error: no run '\x1b[31mred\x1b[0m\r\n\u202etxt\u2066 [bold]b[/bold] \x9b2J\x07 \u200b \U000e0041'"
        "\n" + r"hint: type \x1b[2J" + "\n"
    )
    render.print_error(EgregoraError("no hint"))
    assert capsys.readouterr().err == "error: no hint\n"


@pytest.mark.parametrize(("variable", "coloured"), [("", False), ("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colour_is_for_those_who_want_it(
    variable: str, coloured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FORCE_COLOR brings colours into a pipe, NO_COLOR takes them out even so; markup is text in both."""
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TERM", "xterm")
    render.print_error(EgregoraError("[red]x[/red] :smile:"))
    err = capsys.readouterr().err
    assert ("\x1b[" in err and "31m" in err) is coloured
    assert "[red]x[/red] :smile:" in err


def test_a_stream_that_cant_show_a_character_gets_an_escape() -> None:
    """An old terminal's encoding is no reason to crash."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    render.echo([[("–", "")]], stream)
    assert raw.getvalue() == b"\\u2013\n"


def test_elapsed_is_never_negative() -> None:
    """A clock that was set back gives no negative time."""
    now = datetime.now(UTC).replace(tzinfo=None)
    assert 0 <= render.elapsed(now) < 60
    assert render.elapsed(datetime(2999, 1, 1)) == 0
