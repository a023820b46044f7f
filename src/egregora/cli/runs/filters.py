"""Which runs a command is about: the options that `list` and `export` share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any

import typer

from egregora.cli.moments import MOMENTS, point_in_time
from egregora.cli.site import open_site
from egregora.database.runs_schema import RUNS
from egregora.observe.selection import Order, Selection

__all__ = ["ColumnsOption", "SortOption", "chosen_columns", "chosen_order", "complete_invocation", "selecting"]

STATUSES = ("completed", "failed", "running")
SOURCES = ("executed", "checkpoint")


def _completing(offered: Callable[[typer.Context], Iterable[str]]) -> Callable[[typer.Context, str], list[str]]:
    """Completion of the last of several words with commas between."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        taken = set(before.split(","))
        return [f"{before}{comma}{word}" for word in offered(context) if word.startswith(last) and word not in taken]

    return complete


def _stages(context: typer.Context) -> list[str]:
    from egregora.observe.runs import known_stages

    return _asked(context, known_stages)


def _invocations(context: typer.Context) -> list[str]:
    from egregora.observe.invocations import newest_invocations

    def newest(storage: Any) -> list[str]:
        with storage.reading() as con:
            return newest_invocations(con, 10)

    return ["last", *(found[:13] for found in _asked(context, newest))]


complete_invocation = _completing(_invocations)


def _asked(context: typer.Context, question: Callable[[Any], list[str]]) -> list[str]:
    """An answer for the shell, which has nowhere to show an error."""
    import duckdb

    from egregora.errors import EgregoraError

    with suppress(EgregoraError, OSError, duckdb.Error):
        return question(open_site(context.params.get("site")))
    return []


def _orders(context: typer.Context) -> list[str]:
    return [sign + name for sign in ("", "-") for name in RUNS.names]


ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME,…",
        autocompletion=_completing(lambda _: RUNS.names),
        help="Columns of runs, in this order; a beginning will do: started for started_at.",
    ),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort", metavar="[-]NAME", autocompletion=_completing(_orders), help="A column; with - the largest first."
    ),
]


def _selection(
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME,…", autocompletion=_completing(_stages), help="Only of these stages."),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="NAME,…",
            autocompletion=_completing(lambda _: STATUSES),
            help="Only completed, failed or running ones.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            autocompletion=_completing(lambda _: SOURCES),
            help="Only executed ones, or only those from a checkpoint.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help=f"Only if started then or later: {MOMENTS}.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only if started before then; a day is included.")
    ] = None,
    invocation: Annotated[
        str | None,
        typer.Option(
            "--invocation",
            metavar="ID",
            autocompletion=complete_invocation,
            help="Only of one `egregora write`: the beginning of its id, last, last~1.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="TEXT", help="Only children with this label, e.g. 2024-03-*."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPR", help="A condition in SQL on the columns of runs."),
    ] = None,
    children: Annotated[bool, typer.Option("--children", help="Runs of single windows and pairs as well.")] = False,
) -> Selection:
    """The runs that the options of this signature mean."""
    return Selection(
        stages=_words(stage),
        statuses=_known(status, STATUSES, "--status"),
        sources=_known(source, SOURCES, "--source"),
        since=point_in_time(since, "--since"),
        until=point_in_time(until, "--until", end=True),
        invocation=invocation,
        label=label,
        where=where,
        children=children,
    )


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `selection` is given on the command line by the options of `_selection`."""
    options = inspect.signature(_selection, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        selection = _selection(**{name: given.pop(name) for name in options})
        command(selection=selection, **given)

    others = [parameter for name, parameter in own.parameters.items() if name != "selection"]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*options.values(), *others)]
    wrapped.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


# -- words ------------------------------------------------------------------------------------------------------------


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _known(text: str | None, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"'{word}' is none of {', '.join(known)}", param_hint=option)
    return words


def chosen_columns(text: str | None) -> list[str] | None:
    """The columns that were asked for; None if none were.

    Raises:
        typer.BadParameter: one is no column of `runs`.
    """
    return None if text is None else [_column(word, "--columns") for word in _words(text)] or None


def chosen_order(text: str | None) -> Order | None:
    """The order that was asked for; None if none was.

    Raises:
        typer.BadParameter: it names no column of `runs`.
    """
    if text is None:
        return None
    return Order(_column(text.removeprefix("-"), "--sort"), descending=text.startswith("-"))


def _column(word: str, option: str) -> str:
    """The column that a name, or the beginning of one, means."""
    import difflib

    if word in RUNS.names:
        return word
    found = [name for name in RUNS.names if word and name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"'{word}' may be {' or '.join(found)}", param_hint=option)
    near = difflib.get_close_matches(word, RUNS.names, n=3, cutoff=0.5)
    meant = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(RUNS.names)}"
    raise typer.BadParameter(f"'{word}' is no column of runs; {meant}", param_hint=option)
