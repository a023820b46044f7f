"""`egregora runs rm`: runs out of the record, after a look at what goes with them and what stays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line, bytes_text, count
from egregora.cli.runs.words import STATUS_STYLES, complete_run
from egregora.cli.site import SiteOption, open_site
from egregora.errors import StorageError

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager
    from egregora.observe.removal import Removal

__all__ = ["ask_and_remove", "register", "rm"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(cls=QuickCommand, epilog="egregora runs rm 3f2a91c0\negregora runs rm last-failed write~3 --yes")(rm)


def rm(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            autocompletion=complete_run,
            help="Runs, each as for `egregora runs show`: an id, `last`, …",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: what went and what stays. Needs --yes.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Remove runs from the record, with their children, log lines and calls, and checkpoints that no other run needs.

    What is at work, whose checkpoint is in use, or whose result a run that stays was made of, stays. Exit 1 if nothing
    could go.
    """
    storage = open_site(site)
    from egregora.observe.removal import plan_removal

    planned = plan_removal(storage, runs)
    if not planned.runs:
        first = planned.staying[0]
        raise StorageError(
            f"run {first.run_id[:8]} has to stay: {first.why}",
            hint=f"see that one with: egregora runs show {(first.because_of or first.run_id)[:8]}",
        )
    ask_and_remove(storage, planned, yes=yes, as_json=as_json)


def ask_and_remove(
    storage: StorageManager, planned: Removal, *, yes: bool, as_json: bool, dry_run: bool = False
) -> None:
    """Show what a removal takes away, ask unless told not to, and do it.

    Raises:
        StorageError: there is nobody to ask.
    """
    from egregora.observe.removal import remove

    if not as_json:
        render.echo(_shown(planned))
    if dry_run or not planned.runs:
        if as_json:
            typer.echo(render.as_json(_object(planned, removed=False)))
        return
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise StorageError(f"this removes {_number(planned.runs, 'run')} for good", hint="say so with --yes")
        typer.confirm(f"Remove {_number(planned.runs, 'run')} for good?", abort=True)
    done = remove(storage, planned)
    if as_json:
        typer.echo(render.as_json(_object(done, removed=True)))
        return
    freed = sum(file.bytes for file in done.files)
    said = f"Removed {_number(done.runs, 'run')}" + (f", {bytes_text(freed)} of files" if done.files else "")
    render.echo([[(f"{said}.", "")]])


def _number(number: int, noun: str, several: str = "") -> str:
    return f"{count(number)} {noun if number == 1 else several or noun + 's'}"


def _shown(planned: Removal) -> list[Line]:
    """What goes, and what stays and why."""
    lines: list[Line] = []
    if planned.going:
        lines += _listed(planned) if planned.runs <= len(planned.newest) else _by_stage(planned)
        beside = [_number(planned.children, "child", "children")] if planned.children else []
        beside += [_number(planned.logs, "log line"), _number(planned.calls, "model call")]
        if planned.files:
            beside.append(f"{_number(len(planned.files), 'file')} ({bytes_text(sum(f.bytes for f in planned.files))})")
        lines.append([(f"and with them {', '.join(beside)}", "dim")])
    else:
        lines.append([("Nothing to remove.", "")])
    for one in planned.staying:
        which = f"run {one.run_id[:8]} ({one.stage})"
        who = f"{which} stays" if one.runs == 1 else f"{_number(one.runs, 'run')} stay, such as {which}"
        lines.append([(f"{who}: ", "yellow"), (one.why, "")])
    if planned.waiting:
        lines.append([(planned.waiting, "yellow")])
    width = render.width_to_fit()
    return [piece for line in lines for piece in render.fold(line, width)]


def _listed(planned: Removal) -> list[Line]:
    headings: list[list[Line]] = [[[(text, "bold")] for text in ("Going", "Stage", "Status", "Started")]]
    cells: list[list[Line]] = [
        [
            [(row["run_id"][:8], "cyan")],
            [(row["stage"], "")],
            [(row["status"], STATUS_STYLES.get(row["status"], ""))],
            [(render.moment(row["started_at"]), "")],
        ]
        for row in planned.newest
    ]
    return render.align([*headings, *cells])


def _by_stage(planned: Removal) -> list[Line]:
    headings: list[list[Line]] = [[[(text, "bold")] for text in ("Going", "Runs", "Oldest", "Newest")]]
    cells: list[list[Line]] = [
        [
            [(one.stage, "")],
            [(count(one.runs), "")],
            [(f"{render.local(one.oldest):%Y-%m-%d %H:%M}", "")],
            [(f"{render.local(one.newest):%Y-%m-%d %H:%M}", "")],
        ]
        for one in planned.going
    ]
    return render.align([*headings, *cells], right=(1,))


def _object(planned: Removal, *, removed: bool) -> dict[str, Any]:
    return {
        "removed": removed,
        "runs": planned.runs,
        "children": planned.children,
        "log_lines": planned.logs,
        "model_calls": planned.calls,
        "files": len(planned.files),
        "bytes": sum(file.bytes for file in planned.files),
        "stages": [vars(one) for one in planned.going],
        "staying": [vars(one) for one in planned.staying],
    }
