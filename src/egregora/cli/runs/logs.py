"""`egregora runs logs`: what a run logged, and what it goes on to log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line, count
from egregora.cli.runs import live
from egregora.cli.runs.words import STATUS_STYLES, RunArgument, seconds, status, with_site
from egregora.cli.site import SiteOption, open_site
from egregora.observe.logs import LEVELS, LogLine, Logs

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager
    from egregora.observe.runs import Row

__all__ = ["log_line", "register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs logs last\n"
        "egregora runs logs write --children --level warning\n"
        "egregora runs logs write -f\n"
        "egregora runs logs last-failed --json",
    )(logs)


def logs(
    run: RunArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends, or Ctrl-C.")] = False,
    level: Annotated[
        str,
        typer.Option(
            "--level",
            metavar="NAME",
            autocompletion=lambda: list(LEVELS),
            help="info for all, warning for warnings only.",
        ),
    ] = LEVELS[0],
    children: Annotated[bool, typer.Option("--children", help="What its windows and pairs logged as well.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON array of lines; with -f a line a line, as they come.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Show what a run logged, oldest first."""
    if level not in LEVELS:
        raise typer.BadParameter(f"'{level}' is none of {', '.join(LEVELS)}", param_hint="--level")
    from egregora.observe.logs import read_logs

    storage = open_site(site)
    found = read_logs(storage, run, children=children, level=level)
    if as_json and not follow:
        typer.echo(render.as_json([_plain(line) for line in found.lines]))
        return
    width = render.width_to_fit()
    if not as_json:
        render.echo([*_heading(found.row), *_lines(found.lines, width)])
    if follow:
        found = _follow(storage, found, children, level, as_json, width)
    if not as_json:
        render.echo(_ending(found, follow, site))


def _follow(storage: StorageManager, found: Logs, children: bool, level: str, as_json: bool, width: int | None) -> Logs:
    """Write what comes until the run has ended. Returns what is known of it then."""
    from egregora.observe.logs import read_logs

    known = list(found.lines)
    lines = known if as_json else []
    while True:
        for line in lines if as_json else ():
            typer.echo(render.as_json(_plain(line)))
        if not as_json:
            render.echo(_lines(lines, width))
        if found.row["status"] != "running":
            return Logs(found.row, known, found.by_children)
        time.sleep(live.LOOK_EVERY_S)
        found = read_logs(storage, found.row["run_id"], children=children, level=level, seen=known)
        lines = found.lines
        known += lines


def _heading(row: Row) -> list[Line]:
    day = render.local(row["started_at"])
    said = f"  started {day:%Y-%m-%d %H:%M:%S %Z}"
    return [[(row["run_id"][:8], "cyan"), (f"  {row['stage']}  ", "bold"), (said.strip(), "dim")]]


def _ending(found: Logs, followed: bool, site: str | None) -> list[Line]:
    """How the run stands, where that isn't clear from its lines."""
    row = found.row
    lines: list[Line] = []
    if not found.lines:
        lines.append([("Nothing was logged.", "dim")])
    if found.by_children:
        number = f"{count(found.by_children)} {'line' if found.by_children == 1 else 'lines'}"
        said = f"its children logged {number}, see --children"
        lines.append([(said, "dim")])
    if followed or row["status"] == "failed":
        took = f" after {seconds(row)}" if row["duration_seconds"] is not None else ""
        error = f": {row['error']}" if row["error"] else ""
        lines.append([(status(row, 0), STATUS_STYLES.get(row["status"], "")), (f"{took}{error}", "")])
    if row["status"] == "failed":
        command = with_site(f"egregora runs explain {row['run_id'][:8]}", site)
        lines.append([("why: ", "dim"), (command, "")])
    return lines


def _lines(lines: list[LogLine], width: int | None) -> list[Line]:
    return [piece for line in lines for piece in log_line(line, width)]


def log_line(line: LogLine, width: int | None) -> list[Line]:
    """A log line with its time; one that is too long goes on below itself."""
    before = render.local(line.ts).strftime("%H:%M:%S  ")
    said: Line = [(f"{line.level}: ", "yellow")] if line.level != LEVELS[0] else []
    if line.label:
        said.append((f"{line.label}: ", "cyan"))
    said.append((line.message, ""))
    shown: list[Line] = []
    for piece in render.fold(said, None if width is None else max(10, width - len(before))):
        shown.append([(before, "dim"), *piece])
        before = " " * len(before)
    return shown


def _plain(line: LogLine) -> dict[str, Any]:
    return {
        "run_id": line.run_id,
        "label": line.label,
        "ts": line.ts,
        "level": line.level,
        "message": line.message,
    }
