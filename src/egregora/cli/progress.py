"""How a pipeline at work, and what came of it, is shown: by every command that runs stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from egregora.amounts import dollars
from egregora.cli import render
from egregora.cli.runs.words import with_site

if TYPE_CHECKING:
    from rich.console import RenderableType

    from egregora.database.storage import StorageManager
    from egregora.llm.service import Service
    from egregora.stages.chain import Outcome

__all__ = ["asked_object", "outcome_object", "progress", "report", "shown_path"]


def report(outcome: Outcome, seconds: float, service: Service | None = None, *, site: str | None = None) -> None:
    """What came of it, in as many lines as there are things to say.

    Args:
        outcome: What came of it.
        seconds: How long it took.
        service: What models were asked through.
        site: The site as it was named on the command line.
    """
    from egregora.observe.telling import noun_of, number

    rows = outcome.rows
    said = [number(rows[name], noun) for name, noun in (("enrich", "message"), ("rank", "post")) if name in rows]
    if not said:
        # Part of the way, or one stage again.
        said = [f"{number(count, noun_of(name))} from {name}" for name, count in list(rows.items())[-1:]]
    typer.echo(f"{', '.join(said)} in {seconds:.2f} s")
    if service is not None and service.limits.calls:
        cost = dollars(None if service.limits.unpriced else service.limits.spent_usd, "price not known")
        calls = service.limits.calls
        typer.echo(f"{calls:,} call{'' if calls == 1 else 's'} to {service.names}: {cost}")
    if rows.get("write") == 0 and "write" not in outcome.marks:
        typer.echo("No window had enough in it for a post; see `egregora runs show last`, or set a larger --window.")
    for stage, texts in outcome.marks.items():
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        command = with_site(f"egregora runs explain {stage}", site)
        render.echo([[(f"{stage} looks wrong: ", "yellow"), (f"{texts[0]}{more}", "")], [(f"  see: {command}", "")]])
    for warning in outcome.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if outcome.index is not None:
        changed = f"{number(outcome.written, 'file')} written, {outcome.removed:,} removed"
        typer.echo(changed if outcome.written or outcome.removed else "The site is as it was.")
        typer.echo(f"Site: {shown_path(outcome.index)}")
        typer.echo(f"See it with: {with_site('egregora serve --open', site)}")


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """The same for programs."""
    return {
        "runs": outcome.runs,
        "rows": outcome.rows,
        "marks": outcome.marks,
        "site": None if outcome.index is None else str(outcome.index),
        "written": outcome.written,
        "removed": outcome.removed,
        "warnings": outcome.warnings,
    }


def asked_object(service: Service | None) -> dict[str, Any]:
    """What models were asked, for programs: calls, and their cost in dollars, None where a price isn't known."""
    if service is None:
        return {"llm_calls": 0, "cost_usd": 0.0}
    return {
        "llm_calls": service.limits.calls,
        "cost_usd": None if service.limits.unpriced else service.limits.spent_usd,
    }


def shown_path(path: Path) -> str:
    """A path as short as it can be typed."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def progress(storage: StorageManager) -> Iterator[None]:
    """Show stages, what they count and the time left, on a terminal; nothing otherwise."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    from rich.constrain import Constrain
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    class Bars(Progress):
        """Bars that leave room for the ^C of a terminal: on the next line it would push them apart."""

        def get_renderable(self) -> RenderableType:
            return Constrain(super().get_renderable(), console.width - len("^C"))

    bar = Bars(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[count]:>22}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    tasks: dict[str, Any] = {}

    def listen(run: Any, event: dict[str, Any]) -> None:
        if run.parent is not None or event.get("e") != "run":
            return
        if run.run_id not in tasks:
            tasks[run.run_id] = bar.add_task(run.stage, total=None, count="")
        task = tasks[run.run_id]
        if "progress_done" in event:
            done, total, unit = event["progress_done"], event.get("progress_total"), event["progress_unit"]
            of = f"/{total:,}" if total else ""
            bar.update(task, completed=done, total=total, count=f"{done:,}{of} {unit}")
        if event.get("status") == "completed":
            hit = event.get("source") == "checkpoint"
            made = event.get("rows_out")
            bar.update(task, completed=1, total=1, count="unchanged" if hit else f"{made:,} rows")
        elif event.get("status") == "failed":
            bar.update(task, count="failed")
            bar.stop_task(task)

    with bar:
        storage.listener = listen
        try:
            yield
        finally:
            storage.listener = None
