"""Runs as a table that fits, and in a line of figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from egregora.amounts import dollars
from egregora.cli import render
from egregora.cli.render import NONE, Line, count
from egregora.cli.runs.words import STATUS_STYLES, seconds, started, status_line, why
from egregora.database.runs_schema import RUNS

if TYPE_CHECKING:
    from egregora.observe.runs import Row, Summary

__all__ = ["NO_RUNS", "columns_table", "runs_table", "said_zone", "summary"]

NO_RUNS = "No runs yet. Make the first with: egregora write EXPORT.zip (or see how it goes: egregora demo)"

HEADINGS = ("Run", "Stage", "Status", "Source", "Started", "Rows in", "Rows out", "Duration")
FLUSH_RIGHT = (5, 6, 7)
STAGE_WIDTHS = (24, 20, 16, 16, 12, 10, 6)
PLAIN_WIDTHS = (8, 8, 9, 10, 19, 8, 8, 9)
"""Least widths where nobody's terminal sets one, so that lines written at different times stand under each other."""


def runs_table(rows: list[Row], prefixes: dict[str, str], width: int | None) -> list[Line]:
    """The rows under headings, shortened step by step until they fit into `width` columns; then the reasons."""
    if width is None:
        return _aligned(rows, prefixes, 0, PLAIN_WIDTHS)
    lines: list[Line] = []
    for level in range(1, 8):
        lines = _aligned(rows, prefixes, level)
        needed = max(render.line_width(line) for line in lines)
        if needed <= width:
            break
    if needed + 18 <= width:
        lines = _aligned(rows, prefixes, level, reasons=True)
    return [render.cut(line, width) for line in lines]


def _aligned(
    rows: list[Row], prefixes: dict[str, str], level: int, least: tuple[int, ...] = (), *, reasons: bool = False
) -> list[Line]:
    headings = [*HEADINGS]
    if level <= 1:
        headings[4] = f"Started ({zone(rows)})"
    if level >= 3:
        headings[5:7] = ["In", "Out"]
    table: list[list[Line]] = [[[(text, "bold")] for text in headings]]
    table += (_cells(row, prefixes, level) for row in rows)
    if reasons:
        for cells, text in zip(table, [("Why", "bold"), *(why(row) for row in rows)], strict=True):
            cells.append([text])
    return render.align(table, right=FLUSH_RIGHT, least=least, gap=2 if level < 5 else 1)


def zone(rows: list[Row]) -> str:
    return render.zone_of(row["started_at"] for row in rows)


def said_zone(rows: list[Row], table: list[Line]) -> Line:
    """In which zone the times of a table are, where its headings don't say it."""
    shown = zone(rows)
    return [] if any(shown in text for text, _ in table[0]) else [(f"; times in {shown}", "dim")]


def _cells(row: Row, prefixes: dict[str, str], level: int) -> list[Line]:
    """A row's cells: whole on level 0, the shorter the higher the level is."""
    source = row["source"] or NONE
    stage = row["stage"]
    if level:
        stage = render.cut([(stage, "")], STAGE_WIDTHS[level - 1])[0][0]
    return [
        [(prefixes[row["run_id"]], "cyan")],
        [(stage, "")],
        status_line(row, level),
        [(source, "" if source == "executed" else "dim")],
        [(started(row, level), "")],
        [(count(row["rows_in"]), "")],
        [(count(row["rows_out"]), "")],
        [(seconds(row), "" if row["duration_seconds"] is not None else "dim")],
    ]


def columns_table(rows: list[Row], columns: list[str], prefixes: dict[str, str], width: int | None) -> list[Line]:
    """The rows with these columns of `runs`."""
    headings = [RUNS.column(name).heading for name in columns]
    # One of them says in which zone they are.
    times = [number for number, name in enumerate(columns) if RUNS.column(name).type == "TIMESTAMP"]
    if times:
        headings[times[0]] += f" ({zone(rows)})"
    right = [number for number, name in enumerate(columns) if RUNS.column(name).type in ("BIGINT", "DOUBLE")]
    return render.grid(
        headings, [[_value(row, name, prefixes) for name in columns] for row in rows], width, right=right
    )


def _value(row: Row, name: str, prefixes: dict[str, str]) -> Line:
    """A column's value as it is read."""
    value = row[name]
    if name == "status":
        return status_line(row, 0)
    if name == "duration_seconds":
        return [(seconds(row), "" if value is not None else "dim")]
    if value is None:
        return [(NONE, "dim")]
    if name == "marks":
        return [("; ".join(mark["text"] for mark in json.loads(value)), "yellow")]
    kind = RUNS.column(name).type
    if kind == "UUID":
        return [(prefixes[value] if name == "run_id" else value[:8], "cyan")]
    if kind == "TIMESTAMP":
        return [(started({"started_at": value}, 0), "")]
    if name == "cost_usd":
        return [(dollars(value), "")]
    if name == "checkpoint_bytes":
        return [(render.bytes_text(value), "")]
    if name == "checkpoint_mtime_ns":
        return [(render.moment_ns(value), "")]
    return [(count(value) if kind == "BIGINT" else str(value), "")]


def summary(found: Summary) -> Line:
    line: Line = [(f"{count(found.runs)} run{'' if found.runs == 1 else 's'}: ", "bold")]
    line += [(f"{count(found.completed)} completed", "green" if found.completed else "dim")]
    line += [(f" ({count(found.from_checkpoints)} from checkpoints)", "")]
    for state, number in (("failed", found.failed), ("running", found.running)):
        line += [(", ", ""), (f"{count(number)} {state}", STATUS_STYLES[state] if number else "dim")]
    return line
