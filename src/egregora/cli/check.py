"""`egregora sources` and `egregora doctor`: what can be read, and whether all is in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.site import SiteOption, find_site, is_site_here, open_site

if TYPE_CHECKING:
    from egregora.observe.health import Finding

__all__ = ["register"]

STATE_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    app.command(cls=QuickCommand, epilog="egregora sources")(sources)
    app.command(
        cls=QuickCommand,
        epilog="egregora doctor\negregora doctor 'WhatsApp Chat with Friends.zip' --site my-blog\n"
        "egregora doctor old.zip new.zip",
    )(doctor)


def sources(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array, a source an object.")] = False,
) -> None:
    """List whose exports can be read. Packages may add to them."""
    from egregora.sources import known_sources

    known = known_sources()
    if as_json:
        typer.echo(render.as_json([{"name": source.name, "title": source.title} for source in known.values()]))
        return
    heading: list[Line] = [[("Name", "bold")], [("Reads exports of", "bold")]]
    rows: list[list[Line]] = [[[(source.name, "cyan")], [(source.title, "")]] for source in known.values()]
    render.echo(render.align([heading, *rows]))


def doctor(
    exports: Annotated[
        list[Path] | None,
        typer.Argument(metavar="EXPORT", help="Exports: say how each is read, and what several have in common."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array, a finding an object.")] = False,
    site: SiteOption = None,
) -> None:
    """Check this machine, the site, and exports if any are given. Exit 1 if something doesn't work."""
    from egregora.errors import ExportError
    from egregora.observe.health import (
        Finding,
        look_at_export,
        look_at_exports_together,
        look_at_machine,
        look_at_site,
    )

    findings: dict[str, list[Finding]] = {"This machine": list(look_at_machine())}
    here = site is not None or is_site_here()
    if here:
        findings["The site"] = list(look_at_site(open_site(site)))
    settings = find_site(site) if here else None
    if exports and len(exports) > 1:
        several = {f"Export {number}, {export.name}": export for number, export in enumerate(exports, 1)}
        legible = True
        for about, export in several.items():
            try:
                findings[about] = list(look_at_export(export, settings))
            except ExportError as error:
                # One that can't be read says nothing of the others.
                findings[about] = [Finding("export", "fail", str(error), error.hint)]
                legible = False
        if legible:
            findings["The exports together"] = list(look_at_exports_together(exports, settings))
    elif exports:
        findings["The export"] = list(look_at_export(exports[0], settings))
    if as_json:
        objects = [
            {"about": about, "name": one.name, "state": one.state, "said": one.said, "hint": one.hint}
            for about, group in findings.items()
            for one in group
        ]
        typer.echo(render.as_json(objects))
    else:
        render.echo(_report(findings))
        if not here:
            render.echo([[], [("No site here; look at one with: egregora doctor --site DIR", "dim")]])
    if any(one.state == "fail" for group in findings.values() for one in group):
        raise typer.Exit(1)


def _report(findings: dict[str, list[Finding]]) -> list[Line]:
    width = render.width_to_fit()
    names = max(render.width_of(one.name) for group in findings.values() for one in group)
    indent = 2 + 4 + 2 + names + 2
    lines: list[Line] = []
    for about, group in findings.items():
        lines += [[], [(about, "bold")]] if lines else [[(about, "bold")]]
        for one in group:
            before: Line = [("  ", ""), (f"{one.state:<4}", STATE_STYLES[one.state]), (f"  {one.name:<{names}}  ", "")]
            said: list[Line] = [[(one.said, "")], *([[(one.hint, "dim")]] if one.hint else [])]
            for part in said:
                for piece in render.fold(part, None if width is None else max(20, width - indent)):
                    lines.append([*before, *piece])
                    before = [(" " * indent, "")]
    return lines
