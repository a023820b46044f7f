"""`egregora runs replay`: a run once more as it was, and whether it makes the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line, duration
from egregora.cli.runs.words import RunArgument, older_run, with_site
from egregora.cli.site import SiteOption, open_settled

if TYPE_CHECKING:
    from egregora.observe.redo import Again, Replayed

__all__ = ["register", "replay"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs replay last\negregora runs replay write~2\negregora runs replay 3f2a91c0 --json",
    )(replay)


def replay(
    run: RunArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: whether it is identical, and what differs.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Run a run again with the same input and the settings that it read, and say whether it makes the same.

    Exit 0 if it does, 1 if it doesn't. What it makes goes nowhere else: not to the site, nor to any later run.
    """
    from egregora.cli.progress import progress
    from egregora.observe.redo import plan_replay
    from egregora.observe.redo import replay as run_again

    storage, config = open_settled(site)
    again = plan_replay(storage, run, config)
    if not as_json:
        _echo(_announced(again))
    began = time.perf_counter()
    with progress(storage):
        done = run_again(again, storage)
    if as_json:
        typer.echo(render.as_json(_object(again, done)))
    else:
        _echo(_told(again, done, time.perf_counter() - began, site))
    if not done.identical:
        raise typer.Exit(1)


def _echo(lines: list[Line]) -> None:
    width = render.width_to_fit()
    render.echo(piece for line in lines for piece in render.fold(line, width))


def _announced(again: Again) -> list[Line]:
    from egregora.observe.telling import setting_said

    lines: list[Line] = [
        [("Replaying ", ""), (again.row["stage"], "bold"), (f" ({older_run(again.row)}) with its settings", "")]
    ]
    lines += [[(f"  the code of today reads something else: {setting_said(one)}", "yellow")] for one in again.settings]
    return lines


def _told(again: Again, done: Replayed, seconds: float, site: str | None) -> list[Line]:
    """What came of it, and, if it isn't the same, in what it differs and what may have made it differ."""
    from egregora.observe.telling import code_said, noun_of, number, rows_said

    noun = noun_of(again.row["stage"])
    code = [f"  {line}" for line in code_said(done.code)]
    if done.identical:
        same = f"the same {number(done.row['rows_out'], noun)}, in {duration(seconds)}"
        lines: list[Line] = [[("identical", "bold green"), (f": {same}", "")]]
        if code:
            lines += [[("although its code has changed since:", "")], *[[(line, "dim")] for line in code]]
        return lines
    if again.row["status"] != "completed":
        said = f"it {again.row['status']} then, and completed now with {number(done.row['rows_out'], noun)}"
    elif done.rows is None:
        said = f"{number(done.row['rows_out'], noun)}; what it made then is no longer kept"
    else:
        said = rows_said(done.rows, noun)
    lines = [[("differs", "bold red"), (f": {said}", "")]]
    if code:
        lines += [[("Its code has changed since:", "")], *[[(line, "")] for line in code]]
    else:
        lines.append([("Input, settings and code are the same: the stage itself doesn't always make the same.", "")])
    if done.rows is not None:
        pair = f"{again.row['run_id'][:8]} {done.row['run_id'][:8]}"
        lines.append([("The rows: ", "dim"), (with_site(f"egregora runs diff {pair} --rows 5", site), "")])
    return lines


def _object(again: Again, done: Replayed) -> dict[str, Any]:
    return {
        "replayed": again.row["run_id"],
        "stage": again.row["stage"],
        "run_id": done.row["run_id"],
        "identical": done.identical,
        "rows": None if done.rows is None else vars(done.rows),
        "code": [vars(one) for one in done.code],
        "settings": [vars(one) for one in again.settings],
    }
