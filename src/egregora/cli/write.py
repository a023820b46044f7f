"""The commands that make a site: `init`, `write`, `demo`, `serve`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.cli import render
from egregora.cli.progress import asked_object, outcome_object, progress, report, shown_path
from egregora.cli.quick import QuickCommand
from egregora.cli.site import SiteOption, find_site, site_for_writing

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.stages.chain import Outcome

__all__ = ["register", "with_force_value"]

STAGE_NAMES = ("parse", "privacy", "enrich", "write", "rank", "publish")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    app.command(
        cls=QuickCommand,
        epilog="egregora write Chat.zip --site my-blog --timezone Europe/Lisbon\n"
        "egregora write Chat.zip --window 1d --from 2024-03-01 --to 2024-03-31\n"
        "egregora write Chat.zip --force write\n"
        "egregora write Chat.zip --dry-run --json\n"
        "egregora write Chat.zip --budget 0.50",
    )(write)
    app.command(cls=QuickCommand, epilog="egregora init my-blog")(init)
    app.command(cls=QuickCommand, epilog="egregora demo\negregora demo another-folder")(demo)
    app.command(cls=QuickCommand, epilog="egregora serve --site my-blog --open\negregora serve --port 0")(serve)


def with_force_value(arguments: list[str]) -> list[str]:
    """Give a bare `--force` the value `all`, so that it may stand with or without a stage."""
    given = []
    for index, word in enumerate(arguments):
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if word == "--force" and following not in (*STAGE_NAMES, "all") and not _is_misspelt(following):
            word = "--force=all"
        given.append(word)
    return given


def _is_misspelt(word: str) -> bool:
    """Whether a word is most likely meant to be a stage."""
    import difflib

    return bool(difflib.get_close_matches(word, STAGE_NAMES, cutoff=0.7)) and not Path(word).exists()


def _stage(value: str | None) -> str | None:
    if value is not None and value not in (*STAGE_NAMES, "all", ""):
        raise typer.BadParameter(f"'{value}' is no stage; the stages are {', '.join(STAGE_NAMES)}")
    return value


def _stages(incomplete: str) -> list[str]:
    return [name for name in STAGE_NAMES if name.startswith(incomplete)]


def write(
    exports: Annotated[
        list[Path],
        typer.Argument(metavar="EXPORT", help="Exports of one chat: the zip as it is, a text file or a folder."),
    ],
    site: SiteOption = None,
    from_date: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day to write about, e.g. 2024-03-01.")
    ] = None,
    to_date: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day to write about, itself included.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Timezone of the phone that made the export, e.g. America/Sao_Paulo."),
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What goes into one post: days (1d, 7d) or messages (100m).")
    ] = None,
    date_order: Annotated[
        str | None, typer.Option(metavar="ORDER", help="Order of day, month and year: auto, dmy, mdy or ymd.")
    ] = None,
    up_to: Annotated[
        str,
        typer.Option(
            "--up-to", metavar="STAGE", callback=_stage, autocompletion=_stages, help="Stop after this stage."
        ),
    ] = STAGE_NAMES[-1],
    force: Annotated[
        str,
        typer.Option(
            metavar="[STAGE]",
            callback=_stage,
            autocompletion=_stages,
            help="Run this stage (without a name: all) even if nothing changed.",
        ),
    ] = "",
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Lay the site out even if a name or personal data was found on it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what a model would be asked and what that would cost; send nothing.")
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(metavar="USD", min=0.0, help="Stop before calls to a model cost more than this."),
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Stop before there are more calls to a model than this.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: what was made, or with --dry-run what would be asked.")
    ] = False,
) -> None:
    """Turn exports into a blog, or bring it up to date.

    Each stage is a tracked run: unchanged work is taken from its checkpoint. Look at it, also meanwhile, with
    `egregora runs tail`.
    """
    folder = site_for_writing(site)
    overrides: dict[str, dict[str, Any]] = {
        "parse": {"timezone": timezone, "date_order": date_order},
        "write": {"window": window, "from_date": from_date, "to_date": to_date},
        "llm": {"budget_usd": budget, "max_calls": max_calls},
    }
    if dry_run:
        _rehearse(exports, folder, _given(overrides), up_to, force, as_json=as_json)
    else:
        _write(exports, folder, _given(overrides), up_to, force, allow_leak, named=site, as_json=as_json)


def _given(overrides: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in overrides.items()
    }


def _opened(exports: list[Path], folder: Path, overrides: dict[str, dict[str, Any]]) -> tuple[Config, StorageManager]:
    """The site's settings and records."""
    from egregora.config import load_config
    from egregora.database.storage import StorageManager
    from egregora.stages.chain import check_exports

    # What can be wrong with the words of the command is told before anything is made.
    config = load_config(folder / "egregora.toml", overrides=overrides)
    check_exports(exports)
    storage = StorageManager(folder / ".egregora" / "egregora.duckdb", config.site.tenant)
    storage.create()
    return load_config(folder / "egregora.toml", overrides=overrides, site_key=storage.site_key()), storage


def _rehearse(
    exports: list[Path], folder: Path, overrides: dict[str, dict[str, Any]], up_to: str, force: str, *, as_json: bool
) -> None:
    from egregora.cli.expected import show_expected
    from egregora.stages.rehearse import rehearse_site

    config, storage = _opened(exports, folder, overrides)
    with progress(storage):
        expected = rehearse_site(exports, config, storage, up_to=up_to, force=force)
    show_expected(expected, config, as_json=as_json)


def _write(
    exports: list[Path],
    folder: Path,
    overrides: dict[str, dict[str, Any]],
    up_to: str,
    force: str,
    allow_leak: bool = False,
    *,
    named: str | None,
    as_json: bool = False,
) -> tuple[StorageManager, Outcome]:
    from egregora.config import load_config
    from egregora.pipeline.recorded import given_settings
    from egregora.stages.chain import write_site

    config, storage = _opened(exports, folder, overrides)
    lasting = load_config(folder / "egregora.toml", site_key=storage.site_key())
    # Limits are for this one time.
    settings = [f"{section}.{key}" for section in ("parse", "write") for key in overrides.get(section, ())]
    storage.given = given_settings(config, lasting, settings)
    began = time.perf_counter()
    with progress(storage):
        outcome = write_site(exports, config, storage, folder / "site", up_to=up_to, force=force, allow_leak=allow_leak)
    seconds, service = time.perf_counter() - began, storage.session.get("llm")
    if as_json:
        typer.echo(render.as_json({**outcome_object(outcome), "seconds": round(seconds, 3), **asked_object(service)}))
        return storage, outcome
    report(outcome, seconds, service, site=named)
    if len(exports) > 1:
        from egregora.observe.runs import figures

        if same := int(figures(storage, outcome.runs["parse"]).get("merged_duplicates", 0)):
            typer.echo(f"{same:,} messages were in more than one of the exports; each is kept once.")
    if overrides.get("parse") and lasting.parse != config.parse:
        keep = ", ".join(f"{key} = {value!r}" for key, value in overrides["parse"].items())
        typer.echo(
            f"To keep it for the next time, put this under [parse] in {shown_path(folder / 'egregora.toml')}: {keep}"
        )
    return storage, outcome


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make, or an empty one.")],
) -> None:
    """Make a site: its settings, explained, and its key."""
    from egregora.config import default_toml
    from egregora.database.storage import StorageManager
    from egregora.errors import ConfigError, StorageError

    settings = directory / "egregora.toml"
    if settings.exists():
        raise ConfigError(
            f"there is a site in {shown_path(directory)} already", hint=f"change {shown_path(settings)} instead"
        )
    storage = StorageManager(site_for_writing(directory) / ".egregora" / "egregora.duckdb")
    storage.create()
    storage.site_key()
    try:
        settings.write_text(default_toml(), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{shown_path(settings)} can't be written ({error.strerror})", hint="choose another folder"
        ) from None
    typer.echo(f"Made a site in {shown_path(directory)}. Its settings: {shown_path(settings)}")
    typer.echo("Keep .egregora/key safe and to yourself: it is what ties aliases to people.")
    typer.echo(f"Next: egregora write EXPORT.zip --site {shown_path(directory)}")


def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the example site.")] = Path(
        "demo-site"
    ),
) -> None:
    """Make the example's site, and show the runs of it."""
    from egregora import demo as example
    from egregora.cli.runs.tail import tail
    from egregora.errors import StorageError

    settings = directory / "egregora.toml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not settings.exists():
            settings.write_text(example.settings(), encoding="utf-8")
        export = directory / example.EXPORT_NAME
        if not export.exists():
            shutil.copyfile(example.EXPORT, export)
    except OSError as error:
        raise StorageError(
            f"{shown_path(directory)} can't be written ({error.strerror})", hint="choose another folder"
        ) from None
    storage, outcome = _write([export], directory, {}, STAGE_NAMES[-1], "", named=str(directory))
    storage.close()
    typer.echo("\nWhat `egregora runs tail` says:\n")
    tail(site=str(directory))
    typer.echo(f"\nThe site's index page: {(outcome.index or directory).absolute()}")


def serve(
    site: SiteOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 picks a free one.")] = 8000,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the site in the browser.")] = False,
) -> None:
    """Show the site in a browser, to this machine only.

    Until Ctrl-C.
    """
    from egregora.site.serve import serve as serve_folder

    pages = find_site(site) / "site"

    def started(address: str) -> None:
        typer.echo(f"Serving {shown_path(pages)} at {address} (Ctrl-C ends it)")
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    serve_folder(pages, port, started=started)
