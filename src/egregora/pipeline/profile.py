"""What is measured of a run's result, and when a figure is out of line with the runs before. Each is declared once.

A stage says figures of its own by `context.profile(name, value)`, and what is implausible by itself by `context.mark`.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egregora.amounts import dollars, took
from egregora.database.sql import literal

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "COLUMNS",
    "FAMILIES",
    "FIGURES",
    "Figure",
    "Mark",
    "Profile",
    "figure_of",
    "figure_text",
    "ids_before",
    "judge",
    "marks_from",
    "marks_json",
    "profiles_of",
    "recent_profiles",
    "table_figures",
    "usual_figures",
]

HISTORY = 20
"""Earlier runs that a figure is compared with, at most."""
ENOUGH = 3
"""With fewer earlier runs nothing is unusual yet."""
SPREAD = 5 * 1.4826
"""A figure may lie this many median deviations from the median (of what is normally distributed: five sigma)."""
FACTOR = 3.0
"""What can be a number of any size is never out of line within this factor."""
FILE_FACTOR = 1.5
"""Rows read from files aren't out of line within this factor; and more are never: an export only grows."""
SHARE = 0.05
"""A share is never out of line within this distance."""
SLOWER, SLOWER_S = 10.0, 1.0
"""A run is slow if a row takes so many times as long as usual, and all of them so many seconds longer."""
DEARER, DEARER_USD = 3.0, 0.01
"""A run is dear if a window (or row) costs so many times as much as usual, and all of them so many dollars more."""
COLUMNS = 64
"""Columns that are measured of a table that nobody declared."""


@dataclass(frozen=True)
class Figure:
    """What a figure means.

    Attributes:
        meaning: In a line, for the reference.
        unit: `count`, `number` (with fractions), `share` (between 0 and 1), `time` (seconds since 1970), `hour` (of the
            day), `bytes` or `flag` (0 or 1).
        says: The figure in a sentence; `{value}` is the figure with its unit, `{rows}` the rows of the result, `{of}`
            what follows the dot in its name.
        wrong: Which way is suspicious, compared with the runs before: `low`, `high`, `both`, or none.
        grows: Whether it is expected to grow with the rows of the input.
        most: More than this is implausible by itself, whatever the runs before were like.
        asks: What may be the cause of that, as a question.
        told: Whether a change of it is told as a reason why what follows came out otherwise; else only where it comes
            up from nothing or falls to nothing.
    """

    meaning: str
    unit: str
    says: str
    wrong: str = ""
    grows: bool = False
    most: float | None = None
    asks: str = ""
    told: bool = False


FIGURES: Mapping[str, Figure] = {
    "rows": Figure("rows of the result", "count", "{value} rows came out", "both", grows=True),
    "people": Figure("different authors", "count", "{value} people", "both", grows=True),
    "backwards": Figure(
        "share of messages whose time lies before the one before",
        "share",
        "{value} of {rows} messages are older than the one before",
        "high",
        most=0.1,
        asks="is the date order right?",
    ),
    "backwards_days": Figure(
        "times at which the chat goes back by more than a day", "count", "{value} times the chat goes back"
    ),
    "future": Figure(
        "share of messages later than the export, or than now",
        "share",
        "{value} of {rows} messages lie in the future",
        most=0.005,
        asks="is the date order right?",
    ),
    "quiet_from": Figure("local hour at which the quietest six hours of the day begin", "hour", "quiet from {value}"),
    "quiet_share": Figure(
        "share of messages in the quietest six hours of the local day", "share", "{value} of the messages come then"
    ),
    "lines": Figure("lines of the exports", "count", "{value} lines were read", grows=True),
    "lines_not_understood": Figure(
        "share of the exports' lines, without empty ones, that are part of no message or look like another format",
        "share",
        "{value} of the lines were not understood",
        "high",
        most=0.05,
        asks="is it a whole chat, as the app exported it?",
    ),
    "date_order_ambiguous": Figure(
        "whether the order of day and month is a guess",
        "flag",
        "the order of day and month is a guess",
        most=0.0,
        asks="check a date, and set parse.date_order if it is wrong",
    ),
    "leaks": Figure("places that give somebody away and were laid out all the same", "count", "{value} leaks"),
    "merged_duplicates": Figure(
        "messages that another export of the same chat holds too",
        "count",
        "{value} messages were in several exports",
    ),
    "redactions": Figure("names and personal data replaced in bodies", "count", "{value} replaced", "both", grows=True),
    "opted_out": Figure("people who asked to be left out", "count", "{value} people opted out", told=True),
    "links": Figure("share of messages with a link", "share", "{value} of the messages have a link", "both"),
    "windows": Figure("windows with messages", "count", "{value} windows", "both", grows=True),
    "posts_per_window": Figure("posts for each window", "number", "{value} posts a window", "both"),
    "words_per_post": Figure("words of a post, on average", "number", "{value} words a post", "both"),
    "not_taken": Figure(
        "windows that were written without the model, because its posts rested on nothing",
        "count",
        "windows written without the model, whose posts rested on nothing: {value}",
        most=0.0,
        asks="is it able enough?",
    ),
    "ties": Figure("share of comparisons without a winner", "share", "{value} of the comparisons are ties", "both"),
    "pages": Figure("pages of the site", "count", "{value} pages", "both", grows=True),
    "bytes": Figure("size of the site's files", "bytes", "the site's files take {value}", "both", grows=True),
    "paid": Figure(
        "windows or pairs that a model was asked about", "count", "a model was asked about {value} windows or pairs"
    ),
}
"""Figures by name."""

FAMILIES: Mapping[str, Figure] = {
    "nulls": Figure("share of rows without a value in a column", "share", "{value} of the rows have no {of}", "both"),
    "first": Figure("earliest time in a column", "time", "the earliest {of} is {value}"),
    "last": Figure("latest time in a column", "time", "the latest {of} is {value}"),
    "kind": Figure("share of messages of a kind", "share", "{value} of the messages are of the kind {of}", "both"),
}
"""Figures with something behind a dot in their name: what stands before it."""

_STRANGE = Figure("a figure of the stage's own", "number", "{name} is {value}", "both")
_DAYS = Figure("", "number", "the column {of} spans {value} days", "both", grows=True)


def figure_of(name: str) -> Figure:
    """What the figure of this name means; a stage's own may have any name."""
    return FIGURES.get(name) or FAMILIES.get(name.partition(".")[0]) or _STRANGE


@dataclass(frozen=True)
class Mark:
    """Something about a completed run that looks wrong.

    Attributes:
        name: The figure, or `duration` or `cost`.
        text: One sentence with the figure. Holds no text of the chat.
        value: The figure.
        usual: Median of the runs before; None where it is implausible by itself.
        since: The run from which on it has been so, without a run in between in which it wasn't.
    """

    name: str
    text: str
    value: float
    usual: float | None = None
    since: str = ""


@dataclass(frozen=True)
class Profile:
    """A completed run in figures.

    Attributes:
        run_id, config_hash: As in `runs`.
        rows_in: Rows of the input; None where files are read.
        rows_out, seconds, cost_usd: As in `runs`.
        figures: Of the result, by name.
        marks: What looked wrong.
    """

    run_id: str
    config_hash: str | None
    rows_in: int | None
    rows_out: int
    seconds: float
    cost_usd: float | None
    figures: Mapping[str, float] = field(default_factory=dict)
    marks: Sequence[Mark] = ()


def table_figures(
    rows: int, nulls: Mapping[str, int], times: Mapping[str, tuple[float, float]], *, named: bool
) -> dict[str, float]:
    """What any table can be measured by.

    Args:
        rows: Rows in it.
        nulls: For each column that may hold NULLs, how many it holds.
        times: For each column of times, the first and the last, seconds since 1970.
        named: Whether columns may be called by their names. A stranger's table that is made of raw messages may have a
            column for each person.
    """
    figures = {"rows": float(rows)}
    for number, (column, count) in enumerate(nulls.items()):
        if rows:
            figures[f"nulls.{column if named else number}"] = count / rows
    for number, (column, (first, last)) in enumerate(times.items()):
        figures[f"first.{column if named else number}"] = first
        figures[f"last.{column if named else number}"] = last
    return figures


# -- compared with the runs before ----------------------------------------------------------------------------------


def judge(profile: Profile, earlier: Sequence[Profile]) -> list[Mark]:
    """What looks wrong about a run, compared with earlier ones of its stage.

    What came out is compared with runs of the same configuration; time and money with all. What grows with the input
    must be out of line as it is and for each row of the input, so that more input with more output is nothing strange.

    Args:
        profile: The run; its `marks` are what its stage found implausible by itself.
        earlier: Runs before it, newest first.
    """
    alike = [one for one in earlier if one.config_hash == profile.config_hash]
    marks = [*profile.marks]
    marks += [mark for mark in _implausible(profile) if all(mark.name != other.name for other in marks)]
    if not any(mark.name == "rows" for mark in marks):
        marks += _nothing(profile, alike)
    if len(alike) >= ENOUGH:
        for name, value in profile.figures.items():
            past = [one for one in alike if name in one.figures]
            if len(past) >= ENOUGH and not any(mark.name == name for mark in marks):
                marks += _unusual(name, value, profile, past)
        marks += _spans(profile, alike)
    marks += [*_slow(profile, earlier), *_dear(profile, earlier)]
    before = {mark.name: mark.since for mark in (earlier[0].marks if earlier else ())}
    return [replace(mark, since=before.get(mark.name) or profile.run_id) for mark in marks]


def usual_figures(earlier: Sequence[Profile], config_hash: str | None) -> dict[str, float]:
    """The median of each figure over earlier runs of the same configuration; nothing where there are too few."""
    alike = [one for one in earlier if one.config_hash == config_hash]
    names = dict.fromkeys(name for one in alike for name in one.figures)
    found = {name: [one.figures[name] for one in alike if name in one.figures] for name in names}
    return {name: statistics.median(values) for name, values in found.items() if len(values) >= ENOUGH}


def _nothing(profile: Profile, alike: Sequence[Profile]) -> list[Mark]:
    """Nothing came out although something went in, which is not how it usually is."""
    usual = statistics.median(one.rows_out for one in alike) if len(alike) >= ENOUGH else None
    if profile.rows_out or not profile.rows_in or usual == 0:
        return []
    often = f", usually {_count(usual)}" if usual else ""
    return [Mark("rows", f"no row came out of {profile.rows_in:,}{often}", 0.0, usual)]


def _implausible(profile: Profile) -> Iterator[Mark]:
    """What no run should have, whatever the ones before were like."""
    for name, value in profile.figures.items():
        figure = figure_of(name)
        if figure.most is not None and value > figure.most:
            yield Mark(name, f"{_said(name, figure, value, profile.rows_out)}; {figure.asks}", value)


def _said(name: str, figure: Figure, value: float, rows: int) -> str:
    return figure.says.format(value=figure_text(figure, value), rows=f"{rows:,}", of=name.partition(".")[2], name=name)


def _unusual(name: str, value: float, profile: Profile, past: Sequence[Profile]) -> list[Mark]:
    figure = figure_of(name)
    if not figure.wrong:
        return []
    values = [one.figures[name] for one in past]
    factor, wrong = FACTOR, figure.wrong
    if name == "rows" and profile.rows_in is None:
        factor, wrong = FILE_FACTOR, "low"
        away = _away(value, values, factor, 0.0)
    elif figure.unit == "share":
        away = _share_away(value, values, min(profile.rows_out, *(one.rows_out for one in past)))
    else:
        slack = 3.0 if figure.unit == "count" else 0.0
        away = _away(value, values, factor, slack)
        if figure.grows and away:
            sizes = [_size(one, profile) for one in (profile, *past)]
            if all(sizes):
                rates = [(count + slack) / size for count, size in zip((value, *values), sizes, strict=True)]
                away = away if _away(rates[0], rates[1:], factor, 0.0) == away else 0
    if (away < 0 and wrong == "high") or (away > 0 and wrong == "low") or not away:
        return []
    return [_mark(name, figure, value, statistics.median(values), profile.rows_out)]


def _mark(name: str, figure: Figure, value: float, usual: float, rows: int) -> Mark:
    said = _said(name, figure, value, rows)
    return Mark(name, f"{said}, usually {figure_text(figure, usual)}", value, usual)


def _spans(profile: Profile, alike: Sequence[Profile]) -> list[Mark]:
    """Columns whose times reach much further, or less far, than usual for so many rows."""
    marks = []
    for name in profile.figures:
        family, _, column = name.partition(".")
        if family != "first":
            continue
        spans = [
            ((one.figures[f"last.{column}"] - one.figures[name]) / 86400, one.rows_out)
            for one in (profile, *alike)
            if name in one.figures and f"last.{column}" in one.figures
        ]
        if len(spans) <= ENOUGH or not all(rows for _, rows in spans):
            continue
        days = [span for span, _ in spans]
        # A week more or less is nothing, however short the chat is.
        rates = [(span + 7) / rows for span, rows in spans]
        away = _away(days[0], days[1:], FACTOR, 7.0)
        if away and _away(rates[0], rates[1:], FACTOR, 0.0) == away:
            marks.append(_mark(f"days.{column}", _DAYS, days[0], statistics.median(days[1:]), profile.rows_out))
    return marks


def _size(one: Profile, profile: Profile) -> float:
    """What a growing figure is taken for each of: rows of the input; where files are read, of the result."""
    return float((one.rows_out if profile.rows_in is None else one.rows_in) or 0)


def _paid(one: Profile) -> float:
    return one.figures.get("paid", 0.0)


def _slow(profile: Profile, earlier: Sequence[Profile]) -> list[Mark]:
    # Part of the time goes into rows, part into windows that a model is asked about, part into neither: it is slow if
    # none of them explains it.
    expected = [
        _expected(profile, earlier, lambda one: one.seconds, unit)
        for unit in (lambda one: _size(one, profile), *((_paid,) if _paid(profile) else ()))
    ]
    if None in expected:
        return []
    usual = max(seconds for seconds in expected if seconds is not None)
    least = max(usual, statistics.median(one.seconds for one in earlier))
    if profile.seconds <= SLOWER * usual or profile.seconds - least <= SLOWER_S:
        return []
    text = f"it took {took(profile.seconds)}, where {took(usual)} are usual for so much"
    return [Mark("duration", text, profile.seconds, usual)]


def _dear(profile: Profile, earlier: Sequence[Profile]) -> list[Mark]:
    def unit(one: Profile) -> float:
        return _paid(one) if paid else _size(one, profile)

    cost, paid = profile.cost_usd, _paid(profile)
    usual = _expected(profile, [one for one in earlier if one.cost_usd], lambda one: one.cost_usd or 0.0, unit)
    if not cost or not usual or cost < DEARER * usual or cost - usual <= DEARER_USD:
        return []
    each = cost / unit(profile)
    often = usual / unit(profile)
    text = f"a {'window or pair' if paid else 'row'} cost {dollars(each)}, usually {dollars(often)}"
    return [Mark("cost", text, each, often)]


def _expected(
    profile: Profile,
    earlier: Sequence[Profile],
    of: Callable[[Profile], float],
    unit: Callable[[Profile], float],
) -> float | None:
    """What something should have come to, by the median of what it was for each unit in earlier runs."""
    rates = [of(one) / unit(one) for one in earlier if unit(one)]
    return statistics.median(rates) * unit(profile) if len(rates) >= ENOUGH and unit(profile) else None


def _away(value: float, past: Sequence[float], factor: float, slack: float) -> int:
    """Whether a number is too low (-1) or too high (1) for its past, by factors. 0 if it isn't.

    Args:
        value: The number.
        past: Earlier ones.
        factor: Within this it is fine, however little they spread.
        slack: Added to all of them, so that a few of something more or less is nothing.
    """
    numbers = [number + slack for number in (value, *past)]
    if min(numbers[1:]) > 0 >= numbers[0]:
        return -1
    if min(numbers) <= 0:
        # Factors mean nothing here: distances do.
        median = statistics.median(past)
        allowed = max(SPREAD * _deviation(past, median), (factor - 1) * abs(median))
        return 0 if not allowed or abs(value - median) <= allowed else (1 if value > median else -1)
    logs = [math.log(number) for number in numbers]
    median = statistics.median(logs[1:])
    allowed = max(math.log(factor), SPREAD * _deviation(logs[1:], median))
    distance = logs[0] - median
    return 0 if abs(distance) <= allowed + 1e-9 else (1 if distance > 0 else -1)


def _share_away(value: float, past: Sequence[float], rows: int) -> int:
    """The same for a share of so many rows, by distance: what chance alone makes of few rows is nothing."""
    median = statistics.median(past)
    likely = (median * rows + 1) / (rows + 2)
    chance = 5 * math.sqrt(likely * (1 - likely) / max(1, rows))
    allowed = max(SHARE, SPREAD * _deviation(past, median), chance)
    return 0 if abs(value - median) <= allowed else (1 if value > median else -1)


def _deviation(values: Sequence[float], median: float) -> float:
    return statistics.median(abs(value - median) for value in values)


_EXECUTED = "FROM runs WHERE status = 'completed' AND source = 'executed' AND parent_run_id IS NULL"


def recent_profiles(con: duckdb.DuckDBPyConnection, tenant: str) -> dict[str, list[Profile]]:
    """The newest executed and completed runs of each stage that are no children, in figures, newest first.

    Args:
        con: A connection from `storage.reading()`.
        tenant: The site.
    """
    # One pass with a heap for each stage: sorting a million runs takes four times as long.
    newest = con.execute(
        f"SELECT stage, arg_max(run_id, started_at, {HISTORY}) {_EXECUTED} AND tenant_id = {literal(tenant)} "
        "GROUP BY stage"
    ).fetchall()
    found = profiles_of(con, [str(run_id) for _, ids in newest for run_id in ids])
    return {stage: [found[str(run_id)] for run_id in ids] for stage, ids in newest}


def ids_before(con: duckdb.DuckDBPyConnection, tenant: str, stage: str, before: datetime) -> list[str]:
    """The newest such runs of one stage that started before a time, newest first."""
    rows = con.execute(
        f"SELECT run_id {_EXECUTED} AND tenant_id = {literal(tenant)} AND stage = {literal(stage)} "
        f"AND started_at < {literal(before)} ORDER BY started_at DESC LIMIT {HISTORY}"
    ).fetchall()
    return [str(run_id) for (run_id,) in rows]


def profiles_of(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, Profile]:
    """Runs in figures, by their ids. All in one question: the figures of a million runs are many."""
    if not ids:
        return {}
    listed = ", ".join(f"{literal(run_id)}::UUID" for run_id in ids)
    figures: dict[str, dict[str, float]] = {run_id: {} for run_id in ids}
    for run_id, name, value in con.execute(
        f"FROM profiles SELECT run_id, name, value WHERE run_id IN ({listed})"
    ).fetchall():
        figures[str(run_id)][name] = value
    rows = con.execute(
        "FROM runs SELECT run_id, config_hash, rows_in, rows_out, duration_seconds, cost_usd, marks "
        f"WHERE run_id IN ({listed})"
    ).fetchall()
    return {
        str(run_id): Profile(
            run_id=str(run_id),
            config_hash=config_hash,
            rows_in=rows_in,
            rows_out=rows_out or 0,
            seconds=seconds or 0.0,
            cost_usd=cost,
            figures=figures[str(run_id)],
            marks=marks_from(marks),
        )
        for run_id, config_hash, rows_in, rows_out, seconds, cost, marks in rows
    }


# -- in words and in JSON ---------------------------------------------------------------------------------------------


def figure_text(figure: Figure, value: float) -> str:
    """A figure with its unit, for people. Times are UTC."""
    if figure.unit == "share":
        return "0 %" if not value else f"{value * 100:.{0 if 0.0995 <= value <= 0.9 else 1}f} %"
    if figure.unit == "time":
        try:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")
        except (ValueError, OverflowError, OSError):
            return f"{value:.3g}"
    if figure.unit == "hour":
        return f"{int(value):02d}:00"
    if figure.unit == "flag":
        return "yes" if value else "no"
    if figure.unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    return _count(value)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def marks_json(marks: Iterable[Mark]) -> str | None:
    """Marks as the column `runs.marks` holds them; None for none."""
    listed = [asdict(mark) for mark in marks]
    return json.dumps(listed, ensure_ascii=False) if listed else None


def marks_from(column: str | None) -> list[Mark]:
    """The marks that a column `runs.marks` holds."""
    return [Mark(**mark) for mark in json.loads(column)] if column else []
