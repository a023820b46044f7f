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
        places = len(made.findings)
        raise PrivacyError(
            f"{count(places)} {'place gives' if places == 1 else 'places give'} somebody away",
            hint=_advice(made.findings),
        )


def _advice(findings: list[Finding]) -> str:
    if all(one.older for one in findings):
        return "only in what earlier runs left: egregora cache gc"
    return "add the words to also_redact in egregora.toml, write the site again, then: egregora cache gc"


SHOWN = 5
"""Places that are listed of what is found; `--json` lists all."""


def _report(made: Audit) -> list[Line]:
    lines: list[Line] = []
    groups: dict[tuple[str, str], list[Finding]] = {}
    for one in made.findings:
        groups.setdefault((one.kind, one.masked.casefold()), []).append(one)
    for found in groups.values():
        lines += [*_group(found), []]
    if made.participants is None:
        lines.append(
            [("Names were not searched: the checkpoint of the parse stage, which holds them, is not there.", "yellow")]
        )
        lines.append([("Have it made again with: egregora write EXPORT --up-to parse", "")])
    for name in made.unread:
        lines.append([("not searched, can't be read: ", "yellow"), (name, "")])
    what = ", ".join(f"{count(number)} {_unit(unit, number)}" for unit, number in made.searched.items())
    names = "" if made.participants is None else f"{count(made.participants)} participants and "
    places = f"found in {count(len(made.findings))} {_unit('places', len(made.findings))}"
    found_any = places if made.findings else "nothing found"
    said = f"Searched {what or 'nothing'} for {names}personal data: {found_any}."
    lines += render.fold([(said, "" if made.findings else "green")], render.width_to_fit())
    return lines


def _group(found: list[Finding]) -> list[Line]:
    """What is found of one word: pages first, then what they are made from, then what earlier runs left."""
    now = [one for one in found if not one.older]
    now.sort(key=lambda one: (not one.where.startswith("site/"), not one.where.startswith("site/posts/")))
    older = len(found) - len(now)
    times = sum(one.count for one in now)
    said = f"  {_times(times)} in {count(len(now))} {_unit('places', len(now))}" if now else ""
    lines: list[Line] = [[(found[0].kind, "bold"), (" ", ""), (found[0].masked, "red"), (said, "")]]
    rows: list[list[Line]] = [[[("", "")], [(_where(one), "cyan")], [(_at(one), "dim")]] for one in now[:SHOWN]]
    width = render.width_to_fit()
    lines += [render.cut(line, width) if width else line for line in render.align(rows)]
    if len(now) > SHOWN:
        lines.append([(f"  and {count(len(now) - SHOWN)} more; --json lists all", "")])
    if older:
        left = f"  {count(older)} {_unit('places', older)} in what earlier runs left; egregora cache gc removes that"
        lines.append([(left, "dim")])
    return lines


def _times(number: int) -> str:
    return "once" if number == 1 else f"{count(number)} times"


def _unit(unit: str, number: int) -> str:
    return unit.removesuffix("s") if number == 1 else unit


def _where(one: Finding) -> str:
    return re.sub(r"[0-9a-f]{64}", lambda match: match[0][:12] + "…", one.where)


def _at(one: Finding) -> str:
    """The first place there; ids, which say nothing to people, shortened."""
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f-]{24,}\b", r"\1", one.at)


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
