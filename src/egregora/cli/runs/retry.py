"""`egregora runs retry`: a run once more, on the input that it had, with the settings of today."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.runs.words import RunArgument, older_run, with_site
from egregora.cli.site import SiteOption, open_settled

if TYPE_CHECKING:
    from egregora.observe.redo import Again
    from egregora.stages.chain import Outcome

__all__ = ["register", "retry"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs retry last-failed\negregora runs retry write\negregora runs retry 3f2a91c0 --json",
    )(retry)


def retry(
    run: RunArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: what was retried, and what came of it.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Run a run again: the same input, today's egregora.toml.

    Settings that were given on the command line then count again, unless egregora.toml has been changed there since.
    What a failed run had finished and kept is not done again. If it is the newest run of its stage, the stages that
    follow run too and the site is laid out; else only its own stage runs. The new run says `retry of` in its reason.
    """
    from egregora.observe.redo import plan_retry
    from egregora.observe.redo import retry as run_again

    storage, config = open_settled(site)
    again = plan_retry(storage, run, config)
    if not as_json:
        render.echo(_announced(again))

    from egregora.cli.progress import progress, report

    began = time.perf_counter()
    with progress(storage):
        outcome = run_again(again, storage, storage.directory.parent / "site")
    if as_json:
        typer.echo(render.as_json(_object(again, outcome)))
        return
    report(outcome, time.perf_counter() - began, site=site)
    if not again.goes_on:
        done = outcome.runs[again.row["stage"]]
        render.echo([[("Only this stage ran, and the site is as it was: newer runs have come after it.", "")]])
        render.echo([[("What it made: ", "dim"), (with_site(f"egregora runs show {done[:8]}", site), "")]])


def _announced(again: Again) -> list[Line]:
    import json

    from egregora.observe.telling import setting_said, value_said

    following = f", then {', '.join(again.stages[1:])}" if len(again.stages) > 1 else ""
    lines: list[Line] = [
        [("Retrying ", ""), (again.row["stage"], "bold"), (f" ({older_run(again.row)}){following}", "")]
    ]
    if again.settings:
        lines.append([("Settings of this stage that have changed since:", "")])
        lines += [[(f"  {setting_said(one)}", "")] for one in again.settings]
    else:
        lines.append([("Its settings are as they were then.", "dim")])
    if again.kept:
        said = ", ".join(f"{name} = {value_said(json.dumps(value))}" for name, value in again.kept.items())
        lines.append([(f"Given on the command line then, and again: {said}", "")])
    width = render.width_to_fit()
    return [piece for line in lines for piece in render.fold(line, width)]


def _object(again: Again, outcome: Outcome) -> dict[str, Any]:
    from egregora.cli.progress import outcome_object

    return {
        "retried": again.row["run_id"],
        "stage": again.row["stage"],
        "run_id": outcome.runs[again.row["stage"]],
        "settings": [vars(one) for one in again.settings],
        "given": dict(again.kept),
        **outcome_object(outcome),
    }
