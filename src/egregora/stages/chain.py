"""The order of the stages, and one way through all of them: from exports to a site."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from egregora.database.runs_schema import LAYOUT
from egregora.database.storage import now
from egregora.errors import BlobError, ExportError, PrivacyError, StorageError
from egregora.pipeline import fingerprint as fp
from egregora.pipeline.runner import run_stage
from egregora.pipeline.stage import Files, Stage
from egregora.pipeline.tracking import Run
from egregora.stages.exports import remember_exports

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.pipeline.tracking import Result

__all__ = [
    "EXPORTS",
    "READS",
    "STAGES",
    "Outcome",
    "check_exports",
    "reads",
    "run_and_lay_out",
    "stage_called",
    "write_site",
]

STAGES = ("parse", "privacy", "enrich", "write", "rank", "publish")
"""Names of the stages, in the order in which data flows."""
EXPORTS = "exports"
"""What stands for the exports where stages' results go by their names."""


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
        runs: Ids of the runs, by stage, likewise.
        marks: Sentences on what looks wrong, by stage, where something does.
        index: The site's index page; None if it stopped before `publish`.
        written, removed: Files of the site that were written and removed.
        warnings: What could not be done and doesn't matter to the site.
    """

    rows: dict[str, int] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    marks: dict[str, list[str]] = field(default_factory=dict)
    index: Path | None = None
    written: int = 0
    removed: int = 0
    warnings: list[str] = field(default_factory=list)


def write_site(
    exports: Sequence[Path],
    config: Config,
    storage: StorageManager,
    site: Path,
    *,
    up_to: str = STAGES[-1],
    force: str = "",
    allow_leak: bool = False,
) -> Outcome:
    """Run the stages up to `up_to`, each tracked, and lay out the site.

    Args:
        exports: Zips, text files or folders.
        config: The site's configuration with its key.
        storage: The site's records.
        site: The folder that the pages go to.
        up_to: Name of the last stage to run.
        force: Name of a stage that runs even if nothing changed, or `all`.
        allow_leak: Whether pages on which a name or personal data was found are laid out all the same.

    Raises:
        PrivacyError: the pages would give somebody away. The site's folder stays as it was.
        EgregoraError: something that the user can act on. What is done until then is kept.
    """
    files = Files(tuple(path.absolute() for path in exports))
    remember_exports(storage, files)
    forced = frozenset(STAGES) if force == "all" else frozenset({force})
    names = STAGES[: STAGES.index(up_to) + 1]
    try:
        return run_and_lay_out(names, {EXPORTS: files}, config, storage, site, forced=forced, allow_leak=allow_leak)
    except BlobError:
        # A page or picture that an earlier run kept is gone: make them again. That gives the same bytes.
        forced |= {"enrich", "publish"}
        return run_and_lay_out(names, {EXPORTS: files}, config, storage, site, forced=forced, allow_leak=allow_leak)


def run_and_lay_out(
    names: Sequence[str],
    given: Mapping[str, Any],
    config: Config,
    storage: StorageManager,
    site: Path,
    *,
    forced: Container[str] = (),
    because: str = "",
    allow_leak: bool = False,
) -> Outcome:
    """Run stages that follow one another, and lay out the site if `publish` is the last of them.

    Args:
        names: The stages.
        given: What they read that none of them makes: results of earlier stages by stage, the exports by `EXPORTS`; and
            parse's result if the site is laid out, for the search for names.
        config: The site's configuration with its key.
        storage: The site's records.
        site: The folder that the pages go to.
        forced: Stages that run even if nothing changed.
        because: Why the first of them runs, beside the reason that it finds itself.
        allow_leak: See `write_site`.

    Raises:
        BlobError: a page or picture that an earlier run kept is gone.
        EgregoraError: see `write_site`.
    """
    outcome = Outcome()
    made = dict(given)
    with ThreadPoolExecutor(max_workers=1) as keeper:
        for number, name in enumerate(names):
            stage = stage_called(name, config)
            table, inputs = reads(name, made)
            why = "" if number else because
            made[name] = run_stage(stage, table, config, storage, inputs=inputs, force=name in forced, because=why)
            outcome.rows[name] = made[name].origin.rows
            outcome.runs[name] = made[name].origin.run_id
            if made[name].marks:
                outcome.marks[name] = [mark.text for mark in made[name].marks]
            if name == "parse" and not outcome.rows[name]:
                raise ExportError("the export holds no messages", hint="check that it is a chat's export")
            if name in KEPT:
                keeper.submit(_keep, name, made[name], storage, outcome)
        if names[-1] == "publish":
            with _told_if_wrong(storage, [outcome.runs.get("publish"), outcome.runs.get("parse")]) as run:
                _lay_out(made, config, storage, site, outcome, allow_leak, run)
    return outcome


@contextlib.contextmanager
def _told_if_wrong(storage: StorageManager, parents: Sequence[str | None]) -> Iterator[Run]:
    """Laying out is no stage: it is done anew each time, and has a row in `runs` only to tell that something is wrong.

    That is why it failed, or what was laid out although it gives somebody away.
    """
    run = Run(storage, LAYOUT, inputs={})

    def begin(reason: str | None = None) -> None:
        run.begin(
            {
                "reason": reason,
                "input_fingerprint": f"unknown:{now().replace(' ', 'T')}",
                "source": "executed",
                "parents": [parent for parent in parents if parent],
            },
            sync=False,
        )

    try:
        yield run
    except BlobError:
        # Not a failure yet: what is missing is made again.
        raise
    except BaseException as error:
        begin()
        run.fail(error)
        storage.settle()
        raise
    if run.marks:
        begin("allowed by --allow-leak")
        run.finish({"status": "completed"})
        storage.settle()


KEPT = {"enrich": "messages", "rank": "posts"}
"""Stages whose results are in the catalog for whoever opens it, with the tables' names."""


def _keep(stage: str, result: Result, storage: StorageManager, outcome: Outcome) -> None:
    """Bring a table of the catalog up to date. It runs beside the next stage, which leaves DuckDB a core to itself."""
    try:
        storage.keep_dataset(KEPT[stage], result.origin.path, result.origin.output_hash)
    except StorageError as error:
        # The site doesn't need it; whoever opens the catalog sees the newer data after the next write.
        outcome.warnings.append(f"the catalog's table {KEPT[stage]} is not up to date: {error}")


READS: Mapping[str, Mapping[str, str]] = {
    "parse": {"table": EXPORTS},
    "privacy": {"table": "parse"},
    "enrich": {"table": "privacy", "exports": EXPORTS},
    "write": {"table": "enrich"},
    "rank": {"table": "write"},
    "publish": {"table": "rank", "messages": "enrich"},
}
"""What each stage reads: its table, and its further inputs by name, each a stage's result or the exports."""


def reads(name: str, made: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A stage's table and its further inputs, taken from what is made."""
    inputs = {part: made[source] for part, source in READS[name].items()}
    return inputs.pop("table"), inputs


def stage_called(name: str, config: Config) -> Stage:
    """A stage by its name. It is imported now, when it is needed.

    With a model some stages are others, chosen here, before anything is digested: so without one no code that asks a
    model counts, or is imported.
    """
    if name == "parse":
        from egregora.sources import known_sources
        from egregora.stages.parse import STAGE as PARSE

        # The installed sources are bound to the function, so that their code is part of its identity.
        return replace(PARSE, func=functools.partial(PARSE.func, sources=known_sources()))
    return cast("Stage", importlib.import_module(f"egregora.stages.{_module_of(name, config)}").STAGE)


def _module_of(name: str, config: Config) -> str:
    """The module whose stage does what a stage is to do, by the configuration."""
    model = bool(config.llm.model)
    if name == "enrich" and model and (config.enrich.fetch_links or config.enrich.describe_images):
        return "enrich_asked"
    if name == "enrich" and config.enrich.fetch_links:
        return "enrich_described"
    if name == "write" and model:
        return "write_prose"
    if name == "rank" and model and config.rank.judged:
        return "rank_judged"
    if name == "publish" and model and config.publish.portraits:
        return "publish_portraits"
    return name


def _lay_out(
    tables: dict[str, Result],
    config: Config,
    storage: StorageManager,
    site: Path,
    outcome: Outcome,
    allow_leak: bool,
    run: Run,
) -> None:
    """Bring the site's folder up to date, if the pages are made and give nobody away."""
    import duckdb

    from egregora.site.layout import lay_out

    with duckdb.connect() as con:
        pages = con.read_parquet(str(tables["publish"].origin.path)).project("path, blob, bytes, kind").fetchall()
    _audit(pages, tables, config, storage, site, outcome, allow_leak, run)
    laid = lay_out(
        [page[:3] for page in pages],
        blobs=storage.directory / "blobs",
        folder=site,
        manifest=storage.directory / "site-manifest.json",
    )
    outcome.written, outcome.removed = laid.written, laid.removed
    outcome.index = site / "index.html"


def _audit(
    pages: list[tuple[str, str, int, str]],
    tables: dict[str, Result],
    config: Config,
    storage: StorageManager,
    site: Path,
    outcome: Outcome,
    allow_leak: bool,
    run: Run,
) -> None:
    """Refuse pages that give somebody away. Pages that passed are not searched again for the same names and words."""
    passed = storage.directory / "audited"
    settings = fp.hash_config(fp.canonical_config(config.privacy, storage.site_key))
    state = f"{tables['parse'].origin.output_hash} {tables['publish'].origin.output_hash} {settings}\n"
    if passed.exists() and passed.read_text(encoding="ascii", errors="replace") == state:
        return
    from egregora.stages.audit import audit_pages, summary

    findings = audit_pages(
        [(path, blob, kind) for path, blob, _, kind in pages],
        blobs=storage.directory / "blobs",
        parsed=tables["parse"].origin.path,
        config=config,
    )
    if not findings:
        # Where that can't be written, the next run searches again; layout says what is wrong with the folder.
        with contextlib.suppress(OSError):
            passed.write_text(state, encoding="ascii")
    elif allow_leak:
        told = f"the site gives away {summary(findings)}; it was laid out all the same"
        outcome.warnings.append(told)
        run.mark("leaks", told, sum(one.count for one in findings))
    else:
        raise PrivacyError(
            f"the site would give away {summary(findings)}",
            hint=f"see where with: egregora privacy audit --site {site.parent}; then add the words to also_redact in "
            "egregora.toml, or lay it out all the same with --allow-leak",
        )
