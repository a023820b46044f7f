"""`egregora runs lineage`: which runs a run came from, and which read what it made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.runs.words import STATUS_STYLES, RunArgument, seconds, status
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.observe.lineage import Graph
    from egregora.observe.runs import Row

__all__ = ["lineage", "register"]


class Format(StrEnum):
    """How a lineage is written."""

    tree = "tree"
    mermaid = "mermaid"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs lineage publish\negregora runs lineage parse --down\n"
        "egregora runs lineage last --up --format mermaid",
    )(lineage)


def lineage(
    run: RunArgument,
    up: Annotated[bool, typer.Option("--up", help="Only what it came from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what came of it.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="A tree, a Mermaid diagram, or JSON with runs and edges.")
    ] = Format.tree,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    site: SiteOption = None,
) -> None:
    """Show which runs a run's input came from, and which runs read its result.

    Up to the export and down to the site, unless only one direction is asked for. Runs that took their result from a
    checkpoint are marked.
    """
    from egregora.observe.lineage import trace_lineage

    both = up == down
    graph = trace_lineage(open_site(site), run, up=up or both, down=down or both)
    if as_json or form is Format.json:
        typer.echo(
            render.as_json(
                {
                    "start": graph.start[0],
                    "runs": sorted(graph.runs.values(), key=lambda row: (row["started_at"], row["run_id"])),
                    "edges": [{"from": source, "to": reader} for source, reader in graph.edges],
                    "left_out": graph.left_out,
                }
            )
        )
        return
    if form is Format.mermaid:
        # For a document, not for a terminal: lines are as long as they are.
        typer.echo("\n".join(_mermaid(graph)))
        return
    width = render.width_to_fit()
    render.echo([render.cut(line, width) if width else line for line in _tree(graph, up or both, down or both)])


def _tree(graph: Graph, up: bool, down: bool) -> Iterator[Line]:
    start = graph.runs[graph.start[0]]
    yield _about(graph, start, "bold")
    if up:
        yield [("came from", "dim")]
        found = list(_branches(graph, start, graph.inputs_of, "", {start["run_id"]}))
        yield from found or [[("└── ", "dim"), (_outside(start), "")]]
    if down:
        yield [("read by", "dim")]
        found = list(_branches(graph, start, graph.readers_of, "", {start["run_id"]}))
        yield from found or [[("└── ", "dim"), ("no run", "dim")]]
    if graph.left_out:
        yield [(f"{graph.left_out:,} more runs, further away, are left out", "dim")]


def _branches(
    graph: Graph, row: Row, following: Callable[[str], list[Row]], before: str, seen: set[str]
) -> Iterator[Line]:
    children = following(row["run_id"])
    for number, child in enumerate(children):
        last = number == len(children) - 1
        again = child["run_id"] in seen
        line: Line = [(f"{before}{'└── ' if last else '├── '}", "dim"), *_about(graph, child, "")]
        yield [*line, (" (see above)", "dim")] if again else line
        if not again:
            seen.add(child["run_id"])
            yield from _branches(graph, child, following, before + ("    " if last else "│   "), seen)


def _outside(row: Row) -> str:
    return "an export" if row["stage"] == "parse" else "a table or file from outside"


def _about(graph: Graph, row: Row, style: str) -> Line:
    from egregora.observe.telling import noun_of, number

    made = "" if row["rows_out"] is None else f", {number(row['rows_out'], noun_of(row['stage']))}"
    line: Line = [(row["stage"], style), ("  ", ""), (graph.prefixes[row["run_id"]], "cyan")]
    line += [("  ", ""), (status(row, 0), STATUS_STYLES.get(row["status"], ""))]
    if row["source"] == "checkpoint":
        return [*line, (f"{made}, from its checkpoint", "dim")]
    return [*line, (f"{made}, {seconds(row)}", "")]


def _mermaid(graph: Graph) -> Iterator[str]:
    from egregora.observe.telling import noun_of, number

    yield "graph LR"
    names = {run_id: f"r{place}" for place, run_id in enumerate(sorted(graph.runs))}
    for run_id, row in sorted(graph.runs.items()):
        made = "" if row["rows_out"] is None else f"<br>{number(row['rows_out'], noun_of(row['stage']))}"
        yield f'  {names[run_id]}["{_quoted(row["stage"])}<br>{graph.prefixes[run_id]}{made}"]'
    for source, reader in graph.edges:
        yield f"  {names[source]} --> {names[reader]}"
    for name, style, wanted in (
        ("failed", "stroke:#c00,stroke-width:3px", [i for i, row in graph.runs.items() if row["status"] == "failed"]),
        ("kept", "stroke-dasharray:5 5", [i for i, row in graph.runs.items() if row["source"] == "checkpoint"]),
        ("start", "stroke-width:4px", list(graph.start)),
    ):
        if wanted:
            yield f"  classDef {name} {style}"
            yield f"  class {','.join(names[run_id] for run_id in sorted(wanted))} {name}"


def _quoted(text: str) -> str:
    """A text inside a label of Mermaid, which knows entities and would take tags for tags."""
    return "".join(char if char.isalnum() or char in " _-." else f"#{ord(char)};" for char in render.safe(text))
