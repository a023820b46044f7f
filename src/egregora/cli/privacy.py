"""`egregora privacy`: whether anything gives anybody away, and who is behind an alias."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand, QuickGroup
from egregora.cli.render import Line, count
from egregora.cli.site import SiteOption, open_site
from egregora.errors import PrivacyError

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.stages.audit import Audit, Finding

__all__ = ["app"]

app = typer.Typer(
    help="Check that nobody's name is out, and look up who is who.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=QuickGroup,
)


@app.command(cls=QuickCommand, epilog="egregora privacy audit\negregora privacy audit --site my-blog --json")
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: findings, and what was searched.")] = False,
    site: SiteOption = None,
) -> None:
    """Search everything behind the privacy stage for names and personal data. Exit 1 if there is any.

    That is later checkpoints, pages and pictures, the site's folder, the catalog and the journals. Findings are masked:
    a place, a kind and a first letter.
    """
    storage = open_site(site)
    from egregora.stages.audit import audit_site

    with _progress() as progress:
        made = audit_site(storage, _config(storage), progress=progress)
    if as_json:
        typer.echo(
            render.as_json(
                {
                    "findings": [vars(one) for one in made.findings],
                    "participants": made.participants,
                    "searched": dict(made.searched),
                    "unread": made.unread,
                }
            )
        )
    else:
        render.echo(_report(made))
    if made.findings:
        places = sum(one.count for one in made.findings)
        raise PrivacyError(
            f"{count(places)} {'place gives' if places == 1 else 'places give'} somebody away",
            hint=_advice(made.findings),
        )


def _advice(findings: list[Finding]) -> str:
    if all(one.older for one in findings):
        return "only in what earlier runs left: egregora cache gc"
    return "add the words to also_redact in egregora.toml, write the site again, then: egregora cache gc"


def _report(made: Audit) -> list[Line]:
    lines: list[Line] = []
    if made.findings:
        headings: list[list[Line]] = [[[(text, "bold")] for text in ("What", "Found", "Times", "Where", "First", "")]]
        width = render.width_to_fit()
        rows = render.align([*headings, *(_cells(one) for one in made.findings)], right=(2,))
        lines += [*(render.cut(line, width) if width else line for line in rows), []]
    if made.participants is None:
        lines.append(
            [("Names were not searched: the checkpoint of the parse stage, which holds them, is not there.", "yellow")]
        )
        lines.append([("Have it made again with: egregora write EXPORT --up-to parse", "")])
    for name in made.unread:
        lines.append([("not searched, can't be read: ", "yellow"), (name, "")])
    what = ", ".join(f"{count(number)} {_unit(unit, number)}" for unit, number in made.searched.items())
    names = "" if made.participants is None else f"{count(made.participants)} participants and "
    found = f"{count(len(made.findings))} {_unit('findings', len(made.findings))}" if made.findings else "nothing found"
    lines.append(
        [(f"Searched {what or 'nothing'} for {names}personal data: {found}.", "" if made.findings else "green")]
    )
    return lines


def _unit(unit: str, number: int) -> str:
    return unit.removesuffix("s") if number == 1 else unit


def _cells(one: Finding) -> list[Line]:
    where = re.sub(r"[0-9a-f]{64}", lambda match: match[0][:12] + "…", one.where)
    return [
        [(one.kind, "")],
        [(one.masked, "red")],
        [(count(one.count), "")],
        [(where, "cyan")],
        [(one.at or render.NONE, "")],
        [("older", "dim") if one.older else ("", "")],
    ]


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how far the search is, on a terminal; nothing otherwise."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("searching", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command(
    cls=QuickCommand,
    epilog="egregora privacy who --alias 'Comic Wren'\negregora privacy who --alias 'Comic Wren' --site my-blog --json",
)
def who(
    alias: Annotated[str, typer.Option("--alias", metavar="NAME", help="The alias, as it is on the site.")],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
    site: SiteOption = None,
) -> None:
    """Tell who is behind an alias. It takes the site's key and the names that parsing kept, so only you can ask."""
    storage = open_site(site)
    from egregora.stages.audit import who as find

    person = find(storage, _config(storage), alias)
    if as_json:
        found = {"alias": person.alias, "author_id": person.author_id, "names": person.names, "phone": person.phone}
        typer.echo(render.as_json(found))
    else:
        render.echo([[(person.alias, "cyan"), (" is ", ""), (", ".join(person.names), "bold")]])
    render.echo([[("This is private: it is what the aliases are there to protect.", "yellow")]], sys.stderr)


def _config(storage: StorageManager) -> Config:
    """The site's configuration, with its key if there is one: asking makes none."""
    from egregora.config import load_config

    key = storage.site_key() if (storage.directory / "key").exists() else b""
    return load_config(storage.directory.parent / "egregora.toml", site_key=key)
