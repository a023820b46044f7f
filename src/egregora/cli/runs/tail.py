"""`egregora runs tail`: the newest runs, and what changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.runs import live
from egregora.cli.runs.table import NO_RUNS, runs_table, said_zone, summary
from egregora.cli.runs.words import MARK, with_site
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager
    from egregora.observe.runs import Recent, Row

__all__ = ["register", "tail"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs tail\negregora runs tail -n 50 --children\negregora runs tail -f\n"
        "egregora runs tail --json",
    )(tail)


def tail(
    number: Annotated[int, typer.Option("-n", "--n", min=1, metavar="N", help="How many runs to list.")] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on, and show what changes, until Ctrl-C.")] = False,
    children: Annotated[
        bool, typer.Option("--children", help="List runs of single windows and pairs as well.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON array of rows of `runs`; with -f a row a line, as rows change.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """List the newest runs, newest first.

    The run ids are beginnings that `egregora runs show` takes. With -f a terminal shows the list live; elsewhere each
    run is written as a line when it starts and when it ends, oldest first.
    """
    storage = open_site(site)
    if follow:
        _follow(storage, number, children, as_json, site)
        return
    from egregora.observe.runs import recent_runs

    recent = recent_runs(storage, limit=number, children=children)
    if as_json:
        typer.echo(render.as_json(recent.rows))
        return
    render.echo(_listing(recent, render.width_to_fit(), site))


def _follow(storage: StorageManager, number: int, children: bool, as_json: bool, site: str | None) -> None:
    import sys

    if not as_json and render.is_terminal(sys.stdout):
        _follow_live(storage, number, children, site)
    else:
        for rows, prefixes in _changes(storage, number, children):
            if as_json:
                for row in rows:
                    typer.echo(render.as_json(row))
            else:
                render.echo(runs_table(rows, prefixes, None)[1:])


def _follow_live(storage: StorageManager, number: int, children: bool, site: str | None) -> None:
    from egregora.observe.runs import recent_runs

    def look(width: int, height: int) -> tuple[list[Line], bool]:
        # Above the summary and the prompt there is room for so many.
        recent = recent_runs(storage, limit=max(1, min(number, height - 5)), children=children)
        return _listing(recent, width, site), True

    live.draw(look)


def _changes(storage: StorageManager, number: int, children: bool) -> Iterator[tuple[list[Row], dict[str, str]]]:
    """The newest runs, then again and again what is new or has another status; oldest first."""
    from egregora.observe.runs import changed_runs, recent_runs

    recent = recent_runs(storage, limit=number, children=children)
    seen = {row["run_id"]: row for row in recent.rows}
    rows, prefixes = recent.rows[::-1], recent.prefixes
    while True:
        if rows:
            yield rows, prefixes
        time.sleep(live.LOOK_EVERY_S)
        rows, prefixes = changed_runs(storage, seen, children=children)
        seen.update((row["run_id"], row) for row in rows)


def _listing(recent: Recent, width: int | None, site: str | None) -> list[Line]:
    """The table and the summary; without runs what to type."""
    counted = summary(recent.summary)
    if not recent.rows:
        return [[(NO_RUNS, "")]]
    table = runs_table(recent.rows, recent.prefixes, width)
    counted += said_zone(recent.rows, table)
    lines = [*table, [], counted]
    failed = next((row for row in recent.rows if row["status"] == "failed"), None)
    if failed:
        command = f"egregora runs explain {recent.prefixes[failed['run_id']]}"
        lines.append([("why it failed: ", "dim"), (with_site(command, site), "")])
    marked = [row for row in recent.rows if row["marks"]]
    if marked:
        many = f"{len(marked)} look wrong, the newest: " if len(marked) > 1 else "1 looks wrong: "
        command = f"egregora runs explain {recent.prefixes[marked[0]['run_id']]}"
        lines.append([(MARK.strip(), "bold yellow"), (f" {many}", "dim"), (with_site(command, site), "")])
    return lines
