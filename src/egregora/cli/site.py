"""Which site a command is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.errors import StorageError

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager

__all__ = ["SiteOption", "find_site", "is_site_here", "open_settled", "open_site", "site_for_writing"]

SiteOption = Annotated[
    str | None,
    typer.Option("--site", metavar="DIR", help="The site's folder. Else EGREGORA_SITE, or the nearest one upwards."),
]

RECORDS = ".egregora"
"""The folder inside a site that holds its records; what makes a folder a site."""


def find_site(given: str | Path | None) -> Path:
    """The site's folder: as given, else from EGREGORA_SITE, else the nearest one upwards from here.

    Raises:
        StorageError: there is no site.
    """
    named = _named(given)
    if named is None:
        return _nearest()
    if not (named / RECORDS).is_dir():
        raise StorageError(
            f"{_shown(named)} is no site: it has no {RECORDS} folder",
            hint=f"check the path; to make a site there: egregora init {_shown(named)}",
        )
    return named


def site_for_writing(given: str | Path | None) -> Path:
    """The site's folder, which, when it is named, need not be there yet.

    Raises:
        StorageError: none is named and there is none upwards from here, or what is named is a file.
    """
    named = _named(given)
    if named is None:
        return _nearest()
    if named.exists() and not named.is_dir():
        raise StorageError(f"{_shown(named)} is a file, not a site's folder", hint="give a folder with --site DIR")
    return named


def open_site(given: str | Path | None) -> StorageManager:
    """The records of the site, for commands that ask.

    Raises:
        StorageError: there is no site.
    """
    folder = find_site(given)
    from egregora.database.storage import StorageManager

    return StorageManager(folder / RECORDS / "egregora.duckdb")


def open_settled(given: str | Path | None) -> tuple[StorageManager, Config]:
    """The records of the site and its settings with its key, for commands that run stages.

    Raises:
        StorageError: there is no site.
        ConfigError: its settings can't be read.
    """
    folder = find_site(given)
    from egregora.config import load_config
    from egregora.database.storage import StorageManager

    settings = folder / "egregora.toml"
    storage = StorageManager(folder / RECORDS / "egregora.duckdb", load_config(settings).site.tenant)
    return storage, load_config(settings, site_key=storage.site_key())


def _named(given: str | Path | None) -> Path | None:
    if given is not None:
        return Path(given)
    named = os.environ.get("EGREGORA_SITE", "")
    return Path(named).expanduser() if named else None


def is_site_here() -> bool:
    """Whether a command that is given no site would find one."""
    return _named(None) is not None or _upwards() is not None


def _upwards() -> Path | None:
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / RECORDS).is_dir()), None)


def _nearest() -> Path:
    found = _upwards()
    if found is not None:
        return found
    raise StorageError(
        "no site here", hint="run this inside a site's folder, or give --site DIR; to make one: egregora init DIR"
    )


def _shown(path: Path) -> str:
    return str(path) if str(path) != "." else "this folder"
