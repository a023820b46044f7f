"""A run in words: how it is named on the command line, and how its status, times and reason are said."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.amounts import span
from egregora.cli import render
from egregora.cli.render import Line, duration
from egregora.cli.site import open_site

if TYPE_CHECKING:
    from egregora.observe.runs import Row
    from egregora.pipeline.profile import Mark

__all__ = [
    "STATUS_STYLES",
    "RunArgument",
    "complete_run",
    "marked",
    "older_run",
    "seconds",
    "started",
    "status",
    "status_line",
    "why",
    "with_site",
]

MARK = " !"
"""What stands behind the status of a run that looks wrong."""
STATUS_STYLES = {"completed": "green", "failed": "red", "running": "yellow"}


def complete_run(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """What stands for a run, for the shell. Silent, whatever goes wrong: a completion has nowhere to say it."""
    import duckdb

    from egregora.errors import EgregoraError
    from egregora.observe.runs import known_stages, matching_ids

    words = [(word, "") for word in ("last", "last~1", "last-failed") if word.startswith(incomplete)]
    with suppress(EgregoraError, OSError, duckdb.Error):
        storage = open_site(context.params.get("site"))
        stages = [name for name in known_stages(storage) if name.startswith(incomplete) and name == render.safe(name)]
        words += [(name, "its newest run") for name in stages]
        found = matching_ids(storage, incomplete)
        words += [(word, render.safe(about)) for word, about in found]
    return words


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=complete_run,
        help="An id or its beginning, `last`, `last~1` (the one before it), `last-failed`, or a stage: its newest run.",
    ),
]


def status(row: Row, level: int) -> str:
    """The status; of a run at work how far it is, and where, if not here."""
    from egregora.observe.runs import is_elsewhere

    status = str(row["status"])
    if status != "running":
        return status
    if is_elsewhere(row):
        return "running on another machine" if level < 4 else "elsewhere"
    done, total, unit = (row[f"progress_{part}"] for part in ("done", "total", "unit"))
    if done is None:
        return status
    far = f"{done:,}/{total:,}" if total else f"{done:,}"
    if level < 4:
        return f"{status} {far} {unit or ''}".rstrip()
    return f"{status} {far}" if level < 6 else far


def status_line(row: Row, level: int) -> Line:
    """The status in its colour, with a sign behind it if the run looks wrong."""
    line: Line = [(status(row, level), STATUS_STYLES.get(row["status"], ""))]
    return [*line, (MARK, "bold yellow")] if row["marks"] else line


def marked(row: Row) -> list[Mark]:
    """What looks wrong about a run."""
    if not row["marks"]:
        return []
    from egregora.pipeline.profile import marks_from

    return marks_from(row["marks"])


def started(row: Row, level: int) -> str:
    at = render.local(row["started_at"])
    if level <= 1:
        return at.strftime("%Y-%m-%d %H:%M:%S")
    now = at.now(at.tzinfo)
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%d %b %H:%M" if at.year == now.year else "%Y-%m-%d")


def seconds(row: Row) -> str:
    """How long a run took; of one at work here how long it has been."""
    from egregora.observe.runs import is_elsewhere

    if row["duration_seconds"] is None and row["status"] == "running" and not is_elsewhere(row):
        return duration(render.elapsed(row["started_at"]))
    return duration(row["duration_seconds"])


def why(row: Row) -> tuple[str, str]:
    marks = marked(row)
    if marks:
        return marks[0].text, "yellow"
    failed = row["status"] == "failed"
    what = (row["error"] or row["error_type"]) if failed else row["reason"]
    return ": ".join(part for part in (row["label"], what) if part), "red" if failed else "dim"


def older_run(row: Row) -> str:
    """An earlier run in brackets: `run 3a7c3804, failed, 2 minutes old`."""
    return f"run {row['run_id'][:8]}, {row['status']}, {span(render.elapsed(row['started_at']))} old"


def with_site(text: str, site: str | None) -> str:
    """A text with the commands in it for the site that was named, so that they work when they are typed."""
    if site is None:
        return text
    import shlex

    from egregora.errors import commands_in

    for command in dict.fromkeys(commands_in(text)):
        if " --site" not in command and command.split()[1] not in WITHOUT_SITE:
            text = text.replace(command, f"{command} --site {shlex.quote(site)}")
    return text


WITHOUT_SITE = ("init", "demo", "sources")
"""Commands that have no `--site`."""
