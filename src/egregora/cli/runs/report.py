"""`egregora runs report` and `runs open`: an invocation as a page, to mail and to look at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from egregora.cli import render
from egregora.cli.progress import shown_path
from egregora.cli.quick import QuickCommand
from egregora.cli.runs.words import complete_run
from egregora.cli.site import SiteOption, open_site

__all__ = ["register", "report"]


def register(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs report\negregora runs report last-failed -o why.html\negregora runs report 3f2a91c0 -o -",
    )(report)
    app.command(name="open", cls=QuickCommand, epilog="egregora runs open\negregora runs open last-failed")(open_report)


WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        autocompletion=complete_run,
        help="One of its runs, as for `egregora runs show`, or the invocation's id or its beginning.",
    ),
]


def report(
    what: WhatArgument = "last",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to; `-`: standard output.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: where the page is, and what it says first.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Write one invocation as an HTML page: timeline, lineage, errors, costs, settings, logs.

    It is one file that fetches nothing and runs no script, so it can be mailed.
    """
    storage = open_site(site)
    from egregora.observe.report import make_report, report_page, write_page

    made = make_report(storage, what)
    if output == Path("-"):
        sys.stdout.write(report_page(made))
        return
    path = output or Path(f"egregora-report-{made.name}.html")
    write_page(made, path)
    if as_json:
        told = {"path": str(path.absolute()), "invocation_id": made.invocation_id, "status": made.state}
        typer.echo(render.as_json({**told, "sentence": made.sentence}))
        return
    render.echo([[(made.sentence, "")], [("Report: ", "dim"), (shown_path(path), "")]])


def open_report(what: WhatArgument = "last", site: SiteOption = None) -> None:
    """Write the page of one invocation beside the records, and open it in the browser; see `egregora runs report`."""
    storage = open_site(site)
    from egregora.observe.report import kept_page, make_report, write_page

    made = make_report(storage, what)
    path = kept_page(storage, made)
    write_page(made, path)
    import webbrowser

    opened = webbrowser.open(path.as_uri())
    render.echo(
        [
            [(made.sentence, "")],
            [("Report: " if opened else "No browser here; the report is: ", "dim"), (shown_path(path), "")],
        ]
    )
