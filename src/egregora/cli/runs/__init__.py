"""`egregora runs`: what ran, and why. One module a command."""

from __future__ import annotations

import typer

from egregora.cli.quick import QuickGroup
from egregora.cli.runs import diff, explain, export, gc, lineage, listing, logs, retry, rm, show, stats, tail, watch

__all__ = ["app"]

app = typer.Typer(
    help="See what ran, while it runs, and why.", no_args_is_help=True, rich_markup_mode=None, cls=QuickGroup
)
for command in (tail, watch, listing, show, logs, explain, diff, lineage, stats, retry, rm, gc, export):
    command.register(app)
