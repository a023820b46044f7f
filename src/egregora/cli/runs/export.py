"""`egregora runs export`: the runs that are asked for, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from egregora.cli.quick import QuickCommand
from egregora.cli.runs.filters import ColumnsOption, SortOption, chosen_columns, chosen_order, selecting
from egregora.cli.site import SiteOption, open_site
from egregora.database.runs_schema import RUNS
from egregora.observe.selection import Selection

__all__ = ["register"]

FORMATS = ("json", "csv", "parquet")
ENDINGS = {".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".parquet": "parquet"}


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs export -o runs.csv\n"
        "egregora runs export -o failed.parquet --status failed --since 30d\n"
        "egregora runs export --stage write --children --columns label,duration,cost > windows.jsonl",
    )(export)


@selecting
def export(
    selection: Selection,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to; else standard output.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            autocompletion=lambda: list(FORMATS),
            help="json (an object a line), csv or parquet; else as FILE ends, or json.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    sort: SortOption = None,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="How many at most; 0 for all.")] = 0,
    columns: ColumnsOption = None,
    site: SiteOption = None,
) -> None:
    """Write runs for other programs, whole unless less is asked for.

    Times are UTC. All runs come as they were recorded, a limited number newest first, both unless --sort is given.
    """
    from egregora.observe.selection import export_runs

    name = "json" if as_json else form or ENDINGS.get(output.suffix.lower() if output else "", "json")
    if name not in FORMATS:
        raise typer.BadParameter(f"'{name}' is none of {', '.join(FORMATS)}", param_hint="--format")
    if name == "parquet" and output is None:
        raise typer.BadParameter("parquet is no text: give a file with -o FILE", param_hint="--format")
    written = export_runs(
        open_site(site),
        selection,
        name,
        output or sys.stdout.buffer,
        columns=chosen_columns(columns) or RUNS.names,
        order=chosen_order(sort),
        limit=limit or None,
    )
    if output is not None:
        typer.echo(f"{written:,} runs in {output}", err=True)
