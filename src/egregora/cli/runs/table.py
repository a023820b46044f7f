"""Runs as a table that fits, and in a line of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egregora.cli import render
from egregora.cli.render import NONE, Line, count
from egregora.cli.runs.words import STATUS_STYLES, seconds, started, status, why

if TYPE_CHECKING:
    from egregora.observe.runs import Row, Summary

__all__ = ["runs_table", "summary", "zone"]

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


def _cells(row: Row, prefixes: dict[str, str], level: int) -> list[Line]:
    """A row's cells: whole on level 0, the shorter the higher the level is."""
    source = row["source"] or NONE
    stage = row["stage"]
    if level:
        stage = render.cut([(stage, "")], STAGE_WIDTHS[level - 1])[0][0]
    return [
        [(prefixes[row["run_id"]], "cyan")],
        [(stage, "")],
        [(status(row, level), STATUS_STYLES.get(row["status"], ""))],
        [(source, "" if source == "executed" else "dim")],
        [(started(row, level), "")],
        [(count(row["rows_in"]), "")],
        [(count(row["rows_out"]), "")],
        [(seconds(row), "" if row["duration_seconds"] is not None else "dim")],
    ]


def summary(found: Summary) -> Line:
    line: Line = [(f"{count(found.runs)} run{'' if found.runs == 1 else 's'}: ", "bold")]
    line += [(f"{count(found.completed)} completed", "green" if found.completed else "dim")]
    line += [(f" ({count(found.from_checkpoints)} from checkpoints)", "")]
    for state, number in (("failed", found.failed), ("running", found.running)):
        line += [(", ", ""), (f"{count(number)} {state}", STATUS_STYLES[state] if number else "dim")]
    return line
