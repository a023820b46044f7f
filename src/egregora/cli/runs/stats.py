"""`egregora runs stats`: how stages, days and models do, and what the hits saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.amounts import dollars, took
from egregora.cli import render
from egregora.cli.moments import MOMENTS, point_in_time
from egregora.cli.quick import QuickCommand
from egregora.cli.render import NONE, Line, count, short_count
from egregora.cli.runs.table import NO_RUNS
from egregora.cli.site import SiteOption, open_site
from egregora.observe.stats import GROUPS

if TYPE_CHECKING:
    from egregora.observe.stats import Stats

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs stats\n"
        "egregora runs stats --since 7d\n"
        "egregora runs stats --by day --since 2024-03-01\n"
        "egregora runs stats --by model --json",
    )(stats)


def stats(
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help=f"Only of runs since then: {MOMENTS}.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="NAME",
            autocompletion=lambda: list(GROUPS),
            help="stage, day (the last thirty unless --since is given) or model.",
        ),
    ] = GROUPS[0],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: the groups in `rows`, and sums.")] = False,
    site: SiteOption = None,
) -> None:
    """Show how often runs failed or were hits, how long they took, what they cost, and what the hits saved.

    Times and rates are those of runs that executed; the trend goes from the oldest of the newest 240 to the newest.
    """
    if by not in GROUPS:
        raise typer.BadParameter(f"'{by}' is none of {', '.join(GROUPS)}", param_hint="--by")
    from egregora.observe.stats import statistics

    found = statistics(open_site(site), by=by, since=point_in_time(since, "--since"))
    if as_json:
        typer.echo(render.as_json({"by": by, **vars(found)}))
        return
    if not found.rows:
        render.echo([[(_nothing(by, since), "")]])
        return
    width = render.width_to_fit()
    lines = _fitting(found.rows, MODEL_COLUMNS if by == "model" else RUN_COLUMNS, by, width)
    render.echo([*lines, [], *render.fold([(_in_words(found, by), "")], width)])


def _nothing(by: str, since: str | None) -> str:
    when = f" since {since}" if since else ""
    if by == "model":
        return f"No model was called{when}."
    return f"No runs{when}." if since else NO_RUNS if by == "stage" else "No runs in the last thirty days; see --since."


Column = tuple[str, Callable[[dict[str, Any]], str], int]
"""Heading, a group's value as text, and how early it goes where there is little room: 0 never."""


def _share(part: int, whole: int) -> str:
    if not part or not whole:
        return NONE
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 9.5 else f"{max(share, 0.1):.1f} %"


def _span(seconds: float | None) -> str:
    return NONE if seconds is None else took(seconds)


RUN_COLUMNS: tuple[Column, ...] = (
    ("Runs", lambda row: count(row["runs"]), 0),
    ("Failed", lambda row: _share(row["failed"], row["runs"]), 0),
    ("Hits", lambda row: _share(row["hits"], row["runs"]), 0),
    ("p50", lambda row: _span(row["p50_seconds"]), 0),
    ("p95", lambda row: _span(row["p95_seconds"]), 3),
    ("Rows/s", lambda row: short_count(row["rows_per_second"]), 1),
    ("Tokens", lambda row: short_count(row["tokens"] or None), 2),
    ("Cost", lambda row: dollars(row["cost_usd"]), 5),
    ("Saved", lambda row: _span(row["saved_seconds"] or None), 6),
    ("Trend", lambda row: render.sparkline(row["trend"]), 4),
)
MODEL_COLUMNS: tuple[Column, ...] = (
    ("Calls", lambda row: count(row["calls"]), 0),
    ("Failed", lambda row: _share(row["failed"], row["calls"]), 0),
    ("Tokens in", lambda row: short_count(row["input_tokens"]), 2),
    ("Out", lambda row: short_count(row["output_tokens"]), 2),
    ("Cost", lambda row: dollars(row["cost_usd"]), 0),
    ("p50", lambda row: NONE if row["p50_ms"] is None else took(row["p50_ms"] / 1000), 3),
    ("p95", lambda row: NONE if row["p95_ms"] is None else took(row["p95_ms"] / 1000), 1),
    ("Trend", lambda row: render.sparkline(row["trend"]), 4),
)


def _fitting(rows: list[dict[str, Any]], columns: tuple[Column, ...], by: str, width: int | None) -> list[Line]:
    """The groups as a table; columns without any value are left out, then those that there is no room for."""
    named: list[Column] = [(by.capitalize(), lambda row: _name(row, by), 0)]
    left: list[Column] = [*named, *(c for c in columns if any(c[1](row) not in (NONE, "") for row in rows))]
    while True:
        table: list[list[Line]] = [[[(heading, "bold")] for heading, _, _ in left]]
        table += [[[(text, "dim" if text == NONE else "")] for text in (c[1](row) for c in left)] for row in rows]
        right = [number for number, (heading, _, _) in enumerate(left) if number and heading != "Trend"]
        lines = []
        for gap in (2, 1):
            lines = render.align(table, right=right, gap=gap)
            if width is None or max(map(render.line_width, lines)) <= width:
                return lines
        optional = [column for column in left if column[2]]
        if not optional:
            return [render.cut(line, width or 0) for line in lines]
        left.remove(min(optional, key=lambda column: column[2]))


def _name(row: dict[str, Any], by: str) -> str:
    return render.local(row["day"]).strftime("%Y-%m-%d") if by == "day" else str(row[by])


def _in_words(found: Stats, by: str) -> str:
    """What takes longest, what costs most, what the hits saved."""
    said = []
    if by != "model":
        longest = max(found.rows, key=lambda row: row["seconds"])
        share = f" ({100 * longest['seconds'] / found.seconds:.0f} %)" if found.seconds else ""
        said.append(f"{_name(longest, by)} took longest: {took(longest['seconds'])} of {took(found.seconds)}{share}.")
    else:
        slowest = max(found.rows, key=lambda row: row["p50_ms"] or 0)
        if slowest["p50_ms"] is not None:
            said.append(
                f"{_name(slowest, by)} is slowest: half of its calls take more than {took(slowest['p50_ms'] / 1000)}."
            )
    if found.cost_usd:
        dearest = max(found.rows, key=lambda row: row["cost_usd"] or 0)
        cost, of = dollars(dearest["cost_usd"]), dollars(found.cost_usd)
        said.append(f"{_name(dearest, by)} {f'alone cost {cost}' if cost == of else f'cost most: {cost} of {of}'}.")
    if found.saved_seconds:
        money = f" and {dollars(found.saved_usd)}" if found.saved_usd else ""
        said.append(f"Hits saved {took(found.saved_seconds)}{money}.")
    return " ".join(said)
