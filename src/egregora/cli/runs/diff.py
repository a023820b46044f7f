"""`egregora runs diff`: what differs between two runs, down to the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.amounts import span
from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import NONE, Line, count, duration
from egregora.cli.runs.explain import changes_object, headed
from egregora.cli.runs.words import RunArgument, complete_run, with_site
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.observe.changes import Changes
    from egregora.observe.runs import Row

__all__ = ["diff", "register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs diff write\negregora runs diff last~1 last --rows 10\n"
        "egregora runs diff 3f2a91c0 77ab01de --json",
    )(diff)


def diff(
    run: RunArgument,
    other: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            autocompletion=complete_run,
            help="The newer one. Without it, RUN is compared with the completed run of its stage before it.",
        ),
    ] = "",
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=0, help="Show so many of the rows that differ.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
    site: SiteOption = None,
) -> None:
    """Say what differs between two runs: settings, code, input, rows, time and cost.

    Rows of our own stages are told by their key (a message, a post, a page), those of others are counted whole. Of rows
    from before the privacy stage no text is shown.
    """
    from egregora.observe.changes import compare_runs, differing_rows

    storage = open_site(site)
    found = compare_runs(storage, run, other)
    differing = differing_rows(storage, found.old, found.new, rows) if rows else []
    if as_json:
        figures = ("status", "rows_in", "rows_out", "duration_seconds", "llm_calls", "tokens", "cost_usd")
        typer.echo(
            render.as_json(
                {
                    **changes_object(found),
                    "figures": {name: [found.old[name], found.new[name]] for name in figures},
                    "rows": differing,
                }
            )
        )
        return
    width = render.width_to_fit()
    render.echo([*_lines(found, width), *_rows(differing, width), *_hint(found, rows, site)])


def _named(found: Changes, row: Row) -> Line:
    ago = span(render.elapsed(row["started_at"]))
    return [(found.prefixes[row["run_id"]], "cyan"), (f" ({row['status']}, {ago} ago)", "dim")]


def _lines(found: Changes, width: int | None) -> list[Line]:
    from egregora.observe.telling import code_said, noun_of, rows_said, setting_said, why_changed

    old, new = found.old, found.new
    if old["stage"] == new["stage"]:
        title: Line = [(f"{new['stage']}: ", "bold"), *_named(found, old), (" → ", ""), *_named(found, new)]
        changed = {"Changed": why_changed(found, found.prefixes)}
        if not found.parts:
            changed["Changed"] = [
                "nothing: the same input, settings and code"
                if found.known
                else f"that can't be told: {str(new['reason'] or old['reason']).removeprefix('unknown: ')}"
            ]
    else:
        title = [
            (f"{old['stage']} ", "bold"),
            *_named(found, old),
            (" → ", ""),
            (f"{new['stage']} ", "bold"),
            *_named(found, new),
        ]
        changed = {
            "Stages": ["runs of different stages: only what both have is compared"],
            "Settings": [setting_said(change) for change in found.settings],
            "Code": code_said(found.code),
        }
    lines = render.fold(title, width)
    for heading, said in changed.items():
        lines += headed(heading, said, width)
    result = ["not known: both checkpoints are needed for that"]
    if found.result is not None:
        same = old["stage"] == new["stage"]
        result = [rows_said(found.result, noun_of(new["stage"]) if same else "row")]
    lines += headed("Result", result, width)
    for heading, pair in _figures(old, new):
        lines += headed(heading, [pair], width)
    return lines


def _figures(old: Row, new: Row) -> Iterator[tuple[str, str]]:
    """Rows, time and cost of both, where there is something to tell."""
    for heading, name in (
        ("Rows in", "rows_in"),
        ("Rows out", "rows_out"),
        ("Calls", "llm_calls"),
        ("Tokens", "tokens"),
    ):
        if old[name] or new[name]:
            yield heading, _pair(count(old[name]), count(new[name]))
    yield "Time", _pair(duration(old["duration_seconds"]), duration(new["duration_seconds"]))
    if old["cost_usd"] is not None or new["cost_usd"] is not None:
        yield "Cost", _pair(*(NONE if row["cost_usd"] is None else f"${row['cost_usd']:,.4f}" for row in (old, new)))


def _pair(old: str, new: str) -> str:
    return old if old == new else f"{old} → {new}"


SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
LONGEST = 60
"""Characters of a value that are shown on a line that may be as long as it likes."""


def _rows(differing: list[dict[str, Any]], width: int | None) -> Iterator[Line]:
    if differing:
        yield []
    for row in differing:
        sign, style = SIGNS[row["change"]]
        line: Line = [(f"{sign} ", style), *([(f"{row['key']}  ", style)] if row["key"] is not None else [])]
        told = []
        for name, value in row["columns"].items():
            if row["change"] != "changed":
                told.append(f"{name} {_value(value)}")
            elif value is None:
                told.append(f"{name} differs")
            else:
                told.append(f"{name} {_value(value[0])} → {_value(value[1])}")
        line.append((", ".join(told), ""))
        yield render.cut(line, width) if width else line


def _value(value: object) -> str:
    text = NONE if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _hint(found: Changes, rows: int, site: str | None) -> list[Line]:
    """How to see rows, where some differ and none were asked for."""
    if rows or found.result is None or found.result.same:
        return []
    ids = " ".join(found.prefixes[row["run_id"]] for row in (found.old, found.new))
    return [[("which rows: ", "dim"), (with_site(f"egregora runs diff {ids} --rows 10", site), "")]]
