"""`egregora sql`: a question to the site's catalog in one's own words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import NONE, Line
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.observe.query import Answer

__all__ = ["register"]

FORMATS = ("table", "json", "csv")
ON_A_TERMINAL = 100
"""So many rows are shown on a terminal, unless more are asked for."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        cls=QuickCommand,
        epilog="egregora sql 'SHOW TABLES'\n"
        "egregora sql 'DESCRIBE runs'\n"
        'egregora sql "SELECT stage, count(*), avg(duration_seconds) FROM runs GROUP BY stage"\n'
        'egregora sql "SELECT alias, count(*) FROM messages GROUP BY alias ORDER BY 2 DESC"\n'
        'egregora sql "SELECT title, rating FROM posts ORDER BY rank" --format csv > posts.csv\n'
        "egregora sql - < question.sql",
    )(sql)


def sql(
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN; - reads it from input."),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            autocompletion=lambda: list(FORMATS),
            help="table, json (an object a line) or csv.",
        ),
    ] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            metavar="N",
            help=f"How many rows at most; 0 for all. On a terminal {ON_A_TERMINAL} unless given.",
        ),
    ] = None,
    site: SiteOption = None,
) -> None:
    """Ask the site's catalog with SQL, also while a pipeline writes.

    All runs are in it, and what they logged, cost and came from; so are `messages` and `posts`, with names protected.
    Only asking is possible: nothing is written, no file is read, nothing is sent or loaded. Times are UTC.
    """
    from egregora.observe.query import answer, answer_lines

    form = "json" if as_json else form
    if form not in FORMATS:
        raise typer.BadParameter(f"'{form}' is none of {', '.join(FORMATS)}", param_hint="--format")
    text = sys.stdin.read() if query == "-" else query
    if form != "table":
        for lines in answer_lines(open_site(site), text, form, limit=limit or None):
            sys.stdout.buffer.write("".join(lines).encode())
        return
    if limit is None and render.is_terminal(sys.stdout):
        limit = ON_A_TERMINAL
    found = answer(open_site(site), text, limit=limit or None)
    render.echo(_table(found, render.width_to_fit()))


def _table(found: Answer, width: int | None) -> list[Line]:
    rows = [[_cell(value) for value in row] for row in found.rows]
    if found.columns == ["plan"]:
        return [cell for row in rows for cell in row]
    table = render.grid(found.columns, rows, width, right=[n for n, number in enumerate(found.numbers) if number])
    said = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
    if found.more:
        said = f"the first {said}; more with --limit N, all with --limit 0"
    return [*table, [], [(said, "dim")]]


def _cell(value: str | None) -> Line:
    return [(NONE, "dim")] if value is None else [(value, "")]
