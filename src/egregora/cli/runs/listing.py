"""`egregora runs list`: the runs that are asked for, with the columns that are asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line, count
from egregora.cli.runs.filters import ColumnsOption, SortOption, chosen_columns, chosen_order, selecting
from egregora.cli.runs.table import NO_RUNS, columns_table, runs_table, said_zone, summary
from egregora.cli.site import SiteOption, open_site
from egregora.observe.selection import NEWEST_FIRST, Selection, runs_like

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        "list",
        cls=QuickCommand,
        epilog="egregora runs list --status failed --since 3d\n"
        "egregora runs list --stage write --sort -duration --limit 5\n"
        "egregora runs list --invocation last --columns stage,duration,tokens,cost\n"
        "egregora runs list --where \"rows_out < rows_in / 2 AND source = 'executed'\"\n"
        "egregora runs list --where 'marks IS NOT NULL' --columns run,stage,marks\n"
        "egregora runs list --label '2024-03-*' --json",
    )(list_runs)


@selecting
def list_runs(
    selection: Selection,
    sort: SortOption = None,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="How many at most; 0 for all.")] = 20,
    columns: ColumnsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of rows of `runs`.")] = False,
    site: SiteOption = None,
) -> None:
    """List the runs that are like this, newest first.

    What is given must hold for a run to be listed; several names stand with commas between.
    """
    names = chosen_columns(columns)
    order = chosen_order(sort) or NEWEST_FIRST
    found = runs_like(open_site(site), selection, order=order, limit=limit or None)
    if as_json:
        typer.echo(render.as_json([{name: row[name] for name in names or row} for row in found.rows]))
        return
    width = render.width_to_fit()
    if not found.rows:
        render.echo(_nothing(selection))
        return
    line = summary(found.summary)
    if names:
        table = columns_table(found.rows, names, found.prefixes, width)
    else:
        table = runs_table(found.rows, found.prefixes, width)
        line += said_zone(found.rows, table)
    lines = [*table, [], *render.fold(line, width)]
    if len(found.rows) < found.summary.runs:
        said = f"{count(len(found.rows))} of them are listed; all: --limit 0, or: egregora runs export -o runs.csv"
        lines += render.fold([(said, "dim")], width)
    render.echo(lines)


def _nothing(selection: Selection) -> list[Line]:
    if selection == Selection():
        return [[(NO_RUNS, "")]]
    return [[("No run is like that. The newest of all: egregora runs list", "")]]
