"""How what a model would be asked is shown: `egregora write --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from egregora.amounts import dollars
from egregora.cli import render
from egregora.cli.render import Line, count

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.pipeline.rehearsal import Expected

__all__ = ["show_expected"]

_NAMED = 8
"""How many of the parts that would be asked about are named."""


def show_expected(expected: Sequence[Expected], config: Config, *, as_json: bool = False) -> None:
    """What each stage would ask, what is there already, and what it would come to."""
    if as_json:
        known = all(one.cost_usd is not None for one in expected)
        told = {
            "model": config.llm.model or None,
            "calls": sum(one.calls for one in expected),
            "cost_usd": sum(one.cost_usd or 0.0 for one in expected) if known else None,
            "stages": [vars(one) for one in expected],
        }
        typer.echo(render.as_json(told))
        return
    if not expected:
        none = "No model is configured" if not config.llm.model else "None of these stages asks a model"
        render.echo([[(f"{none}: nothing would be sent, and nothing would cost anything.", "")]])
        return
    headings = ("Stage", "Calls", "Done already", "Tokens in", "Tokens out", "Cost")
    rows: list[list[Line]] = [[[(heading, "bold")] for heading in headings]]
    rows += [_row(one.stage, one) for one in expected]
    width = render.width_to_fit()
    lines = render.align(rows, right=(1, 2, 3, 4, 5))
    for one in expected:
        # Where nothing is done yet, it would ask about all of them.
        if one.due and one.done:
            named = ", ".join(one.due[:_NAMED])
            more = f" and {len(one.due) - _NAMED:,} more" if len(one.due) > _NAMED else ""
            lines += [[], *render.fold([(f"{one.stage} would ask about: {named}{more}", "")], width)]
    calls = sum(one.calls for one in expected)
    priced = [one.cost_usd for one in expected if one.cost_usd is not None]
    cost = dollars(sum(priced) if len(priced) == len(expected) else None, "price not known")
    said = (
        f"Nothing was sent. {count(calls)} calls to {config.llm.model} would cost about {cost}."
        if calls
        else "Nothing was sent. Everything is there already, so no call would be made."
    )
    lines += [[], *render.fold([(said, "")], width)]
    if calls:
        most = "Tokens are an estimate: four bytes of text each, and a quarter of max_output_tokens for an answer."
        lines += render.fold([(most, "dim")], width)
    render.echo(lines)


def _row(name: str, one: Expected) -> list[Line]:
    figures = (one.calls, one.done, one.input_tokens, one.output_tokens)
    return [
        [(name, "cyan")],
        *[[(count(figure), "")] for figure in figures],
        [(dollars(one.cost_usd, "price not known"), "")],
    ]
