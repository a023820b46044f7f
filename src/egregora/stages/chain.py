"""The order of the stages, and one way through all of them: from exports to a site."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.errors import BlobError, ExportError
from egregora.pipeline.runner import run_stage
from egregora.pipeline.stage import Files
from egregora.pipeline.tracking import origin_of

if TYPE_CHECKING:
    import ibis

    from egregora.config import Config
    from egregora.database.storage import StorageManager

__all__ = ["STAGES", "Outcome", "check_exports", "write_site"]

STAGES = ("parse", "privacy", "enrich", "write", "rank", "publish")
"""Names of the stages, in the order in which data flows."""


def check_exports(exports: Sequence[Path]) -> None:
    """Refuse exports that aren't there, before anything is made.

    Raises:
        ExportError: one isn't.
    """
    for path in exports:
        if not path.exists():
            raise ExportError(f"there is no file {path}", hint="check the path; put it in quotes if it has spaces")


@dataclass
class Outcome:
    """What one way through the stages came to.

    Attributes:
        rows: Rows of each stage's result, by stage, as far as it went.
        index: The site's index page; None if it stopped before `publish`.
        written, removed: Files of the site that were written and removed.
    """

    rows: dict[str, int] = field(default_factory=dict)
    index: Path | None = None
    written: int = 0
    removed: int = 0


def write_site(
    exports: Sequence[Path],
    config: Config,
    storage: StorageManager,
    site: Path,
    *,
    up_to: str = STAGES[-1],
    force: str = "",
) -> Outcome:
    """Run the stages up to `up_to`, each tracked, and lay out the site.

    Args:
        exports: Zips, text files or folders.
        config: The site's configuration with its key.
        storage: The site's records.
        site: The folder that the pages go to.
        up_to: Name of the last stage to run.
        force: Name of a stage that runs even if nothing changed, or `all`.

    Raises:
        EgregoraError: something that the user can act on. What is done until then is kept.
    """
    files = Files(tuple(path.absolute() for path in exports))
    outcome = Outcome()
    forced = set(STAGES) if force == "all" else {force}
    try:
        tables = _run(files, config, storage, up_to, forced, outcome)
        _lay_out(tables, storage, site, outcome)
    except BlobError:
        # A page or picture that an earlier run kept is gone: make them again. That gives the same bytes.
        tables = _run(files, config, storage, up_to, forced | {"enrich", "publish"}, outcome)
        _lay_out(tables, storage, site, outcome)
    for stage, name in (("enrich", "messages"), ("rank", "posts")):
        origin = origin_of(tables.get(stage))
        if origin is not None:
            storage.keep_dataset(name, origin.path, origin.output_hash)
    return outcome


def _run(
    files: Files, config: Config, storage: StorageManager, up_to: str, forced: set[str], outcome: Outcome
) -> dict[str, ibis.Table]:
    """The stages one after the other. Each is imported when it is reached."""
    tables: dict[str, ibis.Table] = {}
    outcome.rows.clear()
    for name in STAGES[: STAGES.index(up_to) + 1]:
        stage, table, inputs = _prepared(name, files, tables)
        tables[name] = run_stage(stage, table, config, storage, inputs=inputs, force=name in forced)
        origin = origin_of(tables[name])
        outcome.rows[name] = origin.rows if origin else 0
        if name == "parse" and not outcome.rows[name]:
            raise ExportError("the export holds no messages", hint="check that it is a chat's export")
    return tables


def _prepared(name: str, files: Files, tables: dict[str, ibis.Table]) -> tuple[Any, Any, dict[str, Any]]:
    """A stage, its input and its further inputs."""
    if name == "parse":
        from egregora.sources import known_sources
        from egregora.stages.parse import STAGE as PARSE

        # The installed sources are bound to the function, so that their code is part of its identity.
        return PARSE, files, {}
    if name == "privacy":
        from egregora.stages.privacy import STAGE as PRIVACY

        return PRIVACY, tables["parse"], {}
    if name == "enrich":
        from egregora.stages.enrich import STAGE as ENRICH

        return ENRICH, tables["privacy"], {"exports": files}
    if name == "write":
        from egregora.stages.write import STAGE as WRITE

        return WRITE, tables["enrich"], {}
    if name == "rank":
        from egregora.stages.rank import STAGE as RANK

        return RANK, tables["write"], {}
    from egregora.stages.publish import STAGE as PUBLISH

    return PUBLISH, tables["rank"], {"messages": tables["enrich"]}


def _lay_out(tables: dict[str, ibis.Table], storage: StorageManager, site: Path, outcome: Outcome) -> None:
    """Bring the site's folder up to date, if the pages are made."""
    if "publish" not in tables:
        return
    from egregora.site.layout import lay_out

    pages = tables["publish"]
    rows = pages.get_backend().con.execute(f'SELECT path, blob, bytes FROM "{pages.get_name()}"').fetchall()
    laid = lay_out(
        rows,
        blobs=storage.directory / "blobs",
        folder=site,
        manifest=storage.directory / "site-manifest.json",
    )
    outcome.written, outcome.removed = laid.written, laid.removed
    outcome.index = site / "index.html"
