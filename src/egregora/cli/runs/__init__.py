"""`egregora runs`: what ran, and why. One module a command."""

from __future__ import annotations

import typer

from egregora.cli.quick import QuickGroup
from egregora.cli.runs import (
    diff,
    explain,
    export,
    gc,
    lineage,
    listing,
    logs,
    replay,
    report,
    retry,
    rm,
    show,
    stats,
    tail,
    watch,
    why,
)

__all__ = ["app"]

app = typer.Typer(
    help="See what ran, while it runs, and why.", no_args_is_help=True, rich_markup_mode=None, cls=QuickGroup
)
for command in (
    tail,
    listing,
    show,
    logs,
    watch,
    explain,
    why,
    diff,
    lineage,
    stats,
    retry,
    replay,
    report,
    rm,
    gc,
    export,
):
    command.register(app)
