"""`egregora runs watch`: an invocation while it runs, stage by stage."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.amounts import dollars, took
from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import NONE, Line, count, short_count
from egregora.cli.runs import live
from egregora.cli.runs.filters import complete_invocation
from egregora.cli.runs.logs import log_line
from egregora.cli.runs.table import NO_RUNS
from egregora.cli.runs.words import STATUS_STYLES
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager
    from egregora.observe.runs import Row
    from egregora.observe.watching import Going, StageGoing, Usual

__all__ = ["register"]

TELL_EVERY_S = 5.0
"""Where lines are written, how far a stage is is told at most this often."""
WAITING = "Nothing runs. Waiting for the next write; Ctrl-C leaves."


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs watch\n"
        "egregora runs watch --once\n"
        "egregora runs watch --invocation 3f2a91c0\n"
        "egregora runs watch && echo done",
    )(watch)


def watch(
    invocation: Annotated[
        str | None,
        typer.Option(
            "--invocation",
            metavar="ID",
            autocompletion=complete_invocation,
            help="The beginning of an id, last, or last~1; else the one at work, or the next.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show how it stands, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A row of `runs` a line, whenever one has changed.")] = False,
    site: SiteOption = None,
) -> None:
    """Watch an `egregora write` from another terminal: its stages, how far they are, what is left, what it cost.

    It ends with the write: with exit code 1 if a stage failed. While nothing runs it shows the last one as it ended,
    and waits for the next. Ctrl-C leaves, with exit code 130. Not on a terminal it writes a line for each thing that
    happens.
    """
    storage = open_site(site)
    going: Going | None = None
    looks = _looks(storage, invocation, once)
    if as_json or (not once and not render.is_terminal(sys.stdout)):
        going = _told(looks, as_json)
    elif once:
        going, _ = next(looks)
        render.echo([[(NO_RUNS, "")]] if going is None else _frame(going, render.width_to_fit()))
    else:
        going = _drawn(looks)
    if going is not None and going.failed:
        raise typer.Exit(1)


Look = tuple["Going | None", bool]
"""An invocation, and whether that one is over and the next is waited for."""


def _looks(storage: StorageManager, wanted: str | None, once: bool) -> Iterator[Look]:
    """Look until the invocation has ended; if it had before, until the next has."""
    from egregora.observe.watching import look, usual

    known: dict[str, Usual] = {}
    ended_before: str | None = None
    first = True
    while True:
        going = look(storage, wanted)
        if going is not None:
            if going.invocation not in known:
                known[going.invocation] = usual(storage, going.invocation)
            if not going.ended:
                going = look(storage, wanted or going.invocation, known[going.invocation]) or going
        if first and wanted is None and not once and (going is None or going.ended):
            ended_before = going.invocation if going else ""
        waiting = ended_before is not None and (going is None or (going.ended and going.invocation == ended_before))
        first = False
        yield going, waiting
        if going is not None and going.ended and not waiting:
            return


def _drawn(looks: Iterator[Look]) -> Going | None:
    """Draw on the terminal until the invocation has ended."""
    last: list[Going | None] = [None]

    def look(width: int, height: int) -> tuple[list[Line], bool]:
        going, waiting = next(looks)
        last[0] = None if waiting else going
        lines = [] if going is None else _frame(going, width)
        if waiting:
            lines += [[]] if lines else []
            lines.append([(WAITING, "dim")])
        return lines, waiting or going is None or not going.ended

    live.draw(look)
    return last[0]


def _told(looks: Iterator[Look], as_json: bool) -> Going | None:
    """Write what happens until the invocation has ended."""
    told: dict[str, tuple[str, int | None]] = {}
    at: dict[str, float] = {}
    logged: set[object] = set()
    said_waiting = False
    for going, waiting in looks:
        if waiting and not said_waiting and not as_json:
            said_waiting = True
            typer.echo(WAITING, err=True)
        if going is not None and not waiting:
            for row in _changed(going, told, at):
                if as_json:
                    typer.echo(render.as_json(row))
                else:
                    render.echo([_event(row)])
            if not as_json:
                fresh = [line for line in going.logs if line not in logged]
                logged.update(fresh)
                render.echo(piece for line in fresh for piece in log_line(line, None))
            if going.ended:
                if not as_json:
                    render.echo([_headline(going)])
                return going
        time.sleep(live.LOOK_EVERY_S)
    return None


def _changed(going: Going, told: dict[str, tuple[str, int | None]], at: dict[str, float]) -> list[Row]:
    """The runs of which there is something to tell: begun, ended, or come further."""
    rows = []
    for row in (each for stage in going.stages for each in (stage.row, *reversed(stage.notable))):
        run_id, state = row["run_id"], (row["status"], row["progress_done"])
        before = told.get(run_id)
        if before == state or (row["parent_run_id"] and row["status"] == "running"):
            continue
        further = before is not None and before[0] == state[0]
        if further and time.monotonic() - at[run_id] < TELL_EVERY_S:
            continue
        told[run_id], at[run_id] = state, time.monotonic()
        rows.append(row)
    return rows


def _event(row: Row) -> Line:
    status = row["status"]
    when = row["started_at"] if status == "running" else row["finished_at"] or row["started_at"]
    line: Line = [(render.local(when).strftime("%H:%M:%S  "), "dim"), (row["stage"], "bold")]
    line.append((f" {row['label']}" if row["label"] else "", "cyan"))
    if status == "running":
        return [*line, (f"  {_far(row) or 'started'}", "")]
    if status == "failed":
        return [*line, ("  failed", "red"), (f": {row['error'] or row['error_type'] or NONE}", "")]
    return [*line, (f"  {_outcome(row)}", ""), (f" in {took(row['duration_seconds'] or 0.0)}", "dim")]


# -- a frame ----------------------------------------------------------------------------------------------------------

MARKS = {"completed": "✓", "failed": "✗", "running": "▸"}
BARS = (20, 12, 6, 0)
"""Columns of a bar, as there is room."""


def _frame(going: Going, width: int | None) -> list[Line]:
    """An invocation as a tree, its last log lines below."""
    lines = render.fold(_headline(going), width)
    for bar in BARS:
        cells = [_cells(stage, bar) for stage in going.stages]
        cells += [[[("·", "dim")], [(stage, "dim")], *[[("", "")]] * 4] for stage in going.to_come]
        table = [[("  ", ""), *line] for line in render.align(cells, right=(3, 4, 5))]
        if width is None or max(map(render.line_width, table)) <= width:
            break
    for number, line in enumerate(table):
        lines.append(line)
        if number < len(going.stages):
            lines += _below(going.stages[number])
    lines = [line if width is None else render.cut(line, width) for line in lines]
    if going.logs:
        lines.append([])
        lines += [piece for line in going.logs for piece in log_line(line, width)]
    return lines


def _headline(going: Going) -> Line:
    from egregora.observe.telling import NOUNS

    line: Line = [("Invocation ", ""), (going.invocation[:8], "cyan"), ("  ", "")]
    if not going.ended:
        line += [("running", "yellow"), (f" for {took(render.elapsed(going.started_at))}", "")]
        if going.seconds_left is not None:
            line.append((f", about {_left(going.seconds_left)} left", ""))
    else:
        ends = [stage.row["finished_at"] or stage.row["started_at"] for stage in going.stages]
        state = "failed" if going.failed else "completed"
        seconds = (max(ends) - going.started_at).total_seconds()
        line += [(state, STATUS_STYLES[state]), (f" {'after' if going.failed else 'in'} {took(max(0.0, seconds))}", "")]
        line.append((f", {render.local(going.started_at):%d %b %H:%M %Z}", "dim"))
        last = going.stages[-1].row["stage"]
        if not going.failed and last in [*NOUNS][:-1]:
            # So it was told, or its process ended between two stages, where no run tells of it.
            line.append((f", up to {last}", ""))
    if going.spent.calls:
        line.append((f"; {count(going.spent.calls)} calls, {dollars(going.spent.cost_usd)}", ""))
    return line


def _cells(stage: StageGoing, bar: int) -> list[Line]:
    row = stage.row
    status = row["status"]
    far: Line = [(_outcome(row) if status == "completed" else _far(row), "")]
    if status == "failed":
        far = render.cut([(row["error"] or row["error_type"] or NONE, "red")], 40)
    elif status == "running" and row["progress_total"] and bar:
        filled = min(bar, bar * row["progress_done"] // row["progress_total"])
        far = [("━" * filled, "yellow"), ("─" * (bar - filled), "dim"), ("  ", ""), *far]
    if stage.seconds_left is not None:
        far.append((f"{', ' if far[-1][0] else ''}{_left(stage.seconds_left)} left", ""))
    seconds = render.elapsed(row["started_at"]) if status == "running" else row["duration_seconds"]
    return [
        [(MARKS.get(status, "·"), STATUS_STYLES.get(status, ""))],
        [(row["stage"], "bold" if status == "running" else "")],
        far,
        [(NONE if seconds is None else took(seconds), "")],
        [(_rate(row, seconds), "dim")],
        [(dollars(stage.spent.cost_usd) if stage.spent.calls else "", "")],
    ]


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else took(seconds)


def _far(row: Row) -> str:
    """How far a run is."""
    done, total = row["progress_done"], row["progress_total"]
    if done is None:
        return ""
    return f"{done:,}{f'/{total:,}' if total else ''} {row['progress_unit'] or ''}".rstrip()


def _outcome(row: Row) -> str:
    return "unchanged" if row["source"] == "checkpoint" else f"{count(row['rows_out'])} rows"


def _rate(row: Row, seconds: float | None) -> str:
    """What it does in a second, where that says something."""
    done = row["progress_done"] if row["status"] == "running" else max(row["rows_in"] or 0, row["rows_out"] or 0)
    if not done or not seconds or row["source"] == "checkpoint" or row["status"] == "failed" or done / seconds < 1:
        return ""
    return f"{short_count(done / seconds)}/s"


def _below(stage: StageGoing) -> list[Line]:
    """A stage's children that failed or run; the others by their number."""
    lines: list[Line] = []
    for child in sorted(stage.notable, key=lambda row: (row["status"] == "running", row["started_at"])):
        line: Line = [("      ", ""), (MARKS[child["status"]], STATUS_STYLES[child["status"]]), (" ", "")]
        line.append((child["label"] or child["run_id"][:8], "cyan"))
        if child["status"] == "failed":
            line.append((f": {child['error'] or child['error_type'] or NONE}", ""))
        else:
            line.append((f"  {took(render.elapsed(child['started_at']))}", "dim"))
        lines.append(line)
    if stage.children:
        total = sum(stage.children.values())
        parts = [f"{count(stage.children[kind])} {kind}" for kind in MARKS if stage.children.get(kind)]
        lines.insert(0, [(f"      {count(total)} {'child' if total == 1 else 'children'}: {', '.join(parts)}", "dim")])
    return lines
