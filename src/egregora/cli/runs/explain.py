"""`egregora runs explain`: why a run is as it is, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.amounts import span
from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.runs.words import STATUS_STYLES, RunArgument, with_site
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.observe.changes import Changes
    from egregora.observe.explain import Explanation

__all__ = ["changes_object", "explain", "headed", "register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs explain last-failed\negregora runs explain write\negregora runs explain 3f2a91c0 --json",
    )(explain)


def explain(
    run: RunArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: causes, what to type next, changes, figures.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Say why a run failed, ran at all, or came out as it did, and what to type next.

    The cause stands at the top, then the next command; below it what changed since the last good run of the stage, what
    it cost and what is kept. RUN may also be a checkpoint's file: which run made it, and from what.
    """
    from egregora.observe.explain import explain as explained

    found = explained(open_site(site), run)
    if as_json:
        typer.echo(render.as_json(_object(found, site)))
        return
    render.echo(_lines(found, site, render.width_to_fit()))


LABELS = 11
"""Columns that the headings take."""


def _lines(found: Explanation, site: str | None, width: int | None) -> list[Line]:
    row = found.row
    style = STATUS_STYLES.get(row["status"], "")
    ago = f", {span(render.elapsed(row['started_at']))} ago" if row["status"] != "running" else ""
    run = found.prefixes.get(row["run_id"], row["run_id"][:8])
    lines = render.fold([(found.said, f"bold {style}"), (f"{ago} (run {run})", "dim")], width)
    lines += headed("Why", list(map(_sentence, found.causes)), width)
    for number, step in enumerate(found.next):
        lines += _step("Next" if not number else "", with_site(step.command, site), with_site(step.why, site), width)
    for heading, said in found.facts.items():
        lines += headed(heading, said, width)
    return lines


def headed(heading: str, said: Iterable[str], width: int | None) -> list[Line]:
    """Sentences beside a heading, each on a line of its own."""
    lines: list[Line] = []
    for text in said:
        lines += _beside(heading if not lines else "", [(text, "")], width)
    return lines


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _beside(heading: str, line: Line, width: int | None) -> list[Line]:
    """A line beside its heading; what doesn't fit goes on below itself."""
    before = heading.ljust(LABELS)
    lines: list[Line] = []
    for piece in render.fold(line, None if width is None else max(20, width - LABELS)):
        lines.append([(before, "dim"), *piece])
        before = " " * LABELS
    return lines


def _step(heading: str, command: str, why: str, width: int | None) -> list[Line]:
    """A command in a line of its own, never broken, so that it can be copied; beside it or below it what for."""
    typed: Line = [(" " * LABELS, ""), (command, "bold")]
    if why.endswith((command, "then")):
        # The sentence leads to the command.
        before = f"{why}:" if why.endswith("then") else why.removesuffix(command).rstrip()
        return [*_beside(heading, [(before, "")], width), typed]
    if not why:
        return [[(heading.ljust(LABELS), "dim"), (command, "bold")]]
    line: Line = [(heading.ljust(LABELS), "dim"), (command, "bold"), (f"  ({why})", "dim")]
    if width is None or render.line_width(line) <= width:
        return [line]
    return [line[:2], *_beside("", [(f"({why})", "dim")], width)]


# -- for programs -----------------------------------------------------------------------------------------------------


def _object(found: Explanation, site: str | None) -> dict[str, Any]:
    return {
        "run": found.row,
        "said": found.said,
        "causes": list(found.causes),
        "next": [{"command": with_site(step.command, site), "why": with_site(step.why, site)} for step in found.next],
        "facts": {heading: list(lines) for heading, lines in found.facts.items()},
        "changes": changes_object(found.changes) if found.changes else None,
        "figures": vars(found.figures),
        "parts": None
        if found.parts is None
        else {
            name: getattr(found.parts, name) for name in ("total", "completed", "failed", "running", "planned", "unit")
        },
    }


def changes_object(changes: Changes) -> dict[str, Any]:
    """What differs between two runs, as JSON has it: runs by their ids."""
    return {
        "old": changes.old["run_id"],
        "new": changes.new["run_id"],
        "parts": list(changes.parts),
        "settings": [vars(one) for one in changes.settings],
        "code": [vars(one) for one in changes.code],
        "inputs": [
            {
                "name": part.name,
                "old": part.old and part.old["run_id"],
                "new": part.new and part.new["run_id"],
                "rows": part.rows and vars(part.rows),
            }
            for part in changes.inputs
        ],
        "beginnings": [
            {
                "stage": begun.new["stage"],
                "kind": begun.kind,
                "old": begun.old["run_id"],
                "new": begun.new["run_id"],
                "settings": [vars(one) for one in begun.settings],
                "code": [vars(one) for one in begun.code],
            }
            for begun in changes.beginnings
        ],
        "result": changes.result and vars(changes.result),
    }
