"""The command line. Commands parse, call one function, and render; only here do errors become text and an exit code."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from egregora import __version__
from egregora.cli import cache, check, privacy, runs, sql, write
from egregora.cli.quick import QuickGroup

__all__ = ["app", "main"]

app = typer.Typer(
    name="egregora",
    help="Turns a group chat's export into a blog with everyone's name protected, and explains every sentence of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    cls=QuickGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"egregora {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


write.register(app)
app.add_typer(runs.app, name="runs")
sql.register(app)
app.add_typer(cache.app, name="cache")
app.add_typer(privacy.app, name="privacy")
check.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0: done; 1: something the user can act on; 2: the words of the command are off; 130: interrupted from the
        keyboard; 143: asked to end (SIGTERM).
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or os.environ.get("EGREGORA_DEBUG") == "1"
    # `--debug` counts wherever it stands, as people append it to the command that just failed.
    given = [word for word in given if word != "--debug"]
    asked_to_end = _end_cleanly_on_sigterm()
    if sys.platform == "linux":
        # Arrow's default allocator holds on to what one thread made and another let go: 40 MB more at the peak of
        # parsing. This one is in its builds for Linux.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    # NumPy's library for linear algebra starts a thread for each processor, which spin for a while. Nothing asks it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = _run(given, debug)
    # Whatever a command makes of being interrupted, who asked it to end is told that it did so for that.
    return 143 if asked_to_end else code


def _run(given: list[str], debug: bool) -> int:
    """Run a command, with errors and interruptions in words."""
    from egregora.errors import EgregoraError

    try:
        app(args=write.with_force_value(given), prog_name="egregora")
    except SystemExit as end:
        code = end.code
        if code == 130:
            # Ctrl-C, which typer has taken by then.
            _say_interrupted(given)
        return code if isinstance(code, int) else int(bool(code))
    except EgregoraError as error:
        if debug:
            raise
        from egregora.cli.render import print_error
        from egregora.cli.runs.words import with_site

        # What the hint says to type must work where this was typed.
        error.hint = with_site(error.hint, _site_in(given))
        print_error(error)
        return 1
    except KeyboardInterrupt:
        if debug:
            raise
        _say_interrupted(given)
        return 130
    return 0


FOLLOWING = (["runs", "tail"], ["runs", "logs"], ["runs", "watch"])
"""Commands that go on until somebody leaves them."""


def _say_interrupted(words: Sequence[str]) -> None:
    """What somebody may count on who interrupted this command: a question has nothing to go on with."""
    if words[:2] in FOLLOWING:
        return
    works = words[:1] in (["write"], ["demo"]) or words[:2] == ["runs", "retry"]
    more = "; what is done is kept, the same command goes on from there" if works else ""
    typer.echo(f"egregora: interrupted{more}", err=True)


def _site_in(words: Sequence[str]) -> str | None:
    """The site that a command line names."""
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        if word == "--site":
            return following or None
        if word.startswith("--site="):
            return word.removeprefix("--site=")
    return None


def _end_cleanly_on_sigterm() -> list[int]:
    """Have SIGTERM end the program as Ctrl-C does. Returns a list that is filled when it comes."""
    received: list[int] = []

    def end(number: int, frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    return received


def run() -> None:
    """The console script."""
    sys.exit(main())
