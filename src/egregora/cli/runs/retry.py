"""`egregora runs retry`: a run once more, on the input that it had, with the settings of today."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line
from egregora.cli.runs.words import RunArgument, value_text
from egregora.cli.site import SiteOption, find_site

if TYPE_CHECKING:
    from egregora.observe.redo import Again, Setting
    from egregora.stages.chain import Outcome

__all__ = ["register", "retry", "settings_lines"]


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

    What a failed run had finished and kept is not done again. If it is the newest run of its stage, the stages that
    follow run too and the site is laid out; else only its own stage runs. The new run says `retry of` in its reason.
    """
    folder = find_site(site)
    from egregora.config import load_config
    from egregora.database.storage import StorageManager
    from egregora.observe.redo import plan_retry
    from egregora.observe.redo import retry as run_again

    settings = folder / "egregora.toml"
    storage = StorageManager(folder / ".egregora" / "egregora.duckdb", load_config(settings).site.tenant)
    config = load_config(settings, site_key=storage.site_key())
    again = plan_retry(storage, run, config)
    if not as_json:
        render.echo(_announced(again))

    from egregora.cli.progress import progress, report

    began = time.perf_counter()
    with progress(storage):
        outcome = run_again(again, config, storage, folder / "site")
    if as_json:
        typer.echo(render.as_json(_object(again, outcome)))
        return
    report(outcome, time.perf_counter() - began, site=site)
    if not again.goes_on:
        done = outcome.runs[again.row["stage"]]
        render.echo([[("Only this stage ran, and the site is as it was: newer runs have come after it.", "")]])
        render.echo([[("What it made: ", "dim"), (f"egregora runs show {done[:8]}", "")]])


def _announced(again: Again) -> list[Line]:
    row = again.row
    following = f", then {', '.join(again.stages[1:])}" if len(again.stages) > 1 else ""
    started = f"{row['status']}, {render.span(render.elapsed(row['started_at']))} old"
    first: Line = [("Retrying ", ""), (row["stage"], "bold"), (f" (run {row['run_id'][:8]}, {started}){following}", "")]
    lines = [first]
    if again.settings:
        lines.append([("Settings of this stage that differ from then:", "")])
        lines += settings_lines(again.settings)
    else:
        lines.append([("Its settings are as they were then.", "dim")])
    width = render.width_to_fit()
    return [piece for line in lines for piece in render.fold(line, width)]


def settings_lines(settings: list[Setting]) -> list[Line]:
    """Settings that differ, one a line: key, value of then, value of now."""
    return [
        [(f"  {one.key}  ", ""), (value_text(one.then), "red"), (" → ", "dim"), (value_text(one.now), "green")]
        for one in settings
    ]


def _object(again: Again, outcome: Outcome) -> dict[str, Any]:
    return {
        "retried": again.row["run_id"],
        "stage": again.row["stage"],
        "run_id": outcome.runs[again.row["stage"]],
        "settings": [vars(one) for one in again.settings],
        "runs": outcome.runs,
        "rows": outcome.rows,
        "site": None if outcome.index is None else str(outcome.index),
        "warnings": outcome.warnings,
    }
