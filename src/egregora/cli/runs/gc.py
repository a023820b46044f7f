"""`egregora runs gc`: old runs out of the record."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from egregora.cli.quick import QuickCommand
from egregora.cli.runs.rm import ask_and_remove
from egregora.cli.site import SiteOption, open_site

__all__ = ["gc", "register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs gc --dry-run\negregora runs gc --older-than 90d --keep-last 20\n"
        "egregora runs gc --older-than 2w --yes",
    )(gc)


_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    """A length of time such as 30d."""
    match = re.fullmatch(r"(\d{1,5})\s*([hdw])", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"'{text}' is no age: a number of hours, days or weeks, such as 12h, 30d or 8w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def gc(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Only runs that started longer ago: 12h, 30d, 8w.")
    ] = "30d",
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=1, help="How many runs of each stage stay however old.")
    ] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: what went and what stays.")] = False,
    site: SiteOption = None,
) -> None:
    """Remove old runs from the record, with all that goes with them, see `egregora runs rm`.

    What runs that stay were made of stays too, however old it is.
    """
    age = _age(older_than)
    storage = open_site(site)
    from egregora.observe.removal import plan_gc_of_runs

    planned = plan_gc_of_runs(storage, older_than=age, keep_last=keep_last)
    ask_and_remove(storage, planned, yes=yes, as_json=as_json, dry_run=dry_run)
