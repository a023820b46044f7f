"""Running a recorded run again, on the inputs that it had: with the settings of today, or with those of then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.sql import literal
from egregora.errors import RunLookupError, StorageError
from egregora.observe.runs import Row, find_run
from egregora.pipeline import fingerprint as fp
from egregora.pipeline.recorded import ancestors, kept_result, recorded_parts
from egregora.pipeline.runner import run_stage
from egregora.stages.chain import EXPORTS, READS, STAGES, Outcome, reads, run_and_lay_out, stage_called
from egregora.stages.exports import find_exports

if TYPE_CHECKING:
    import duckdb

    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.pipeline.recorded import Ancestor

__all__ = ["Again", "Setting", "plan_retry", "retry"]


@dataclass(frozen=True)
class Setting:
    """A setting that differs: its dotted key, what it was and what it is. None: it wasn't, or isn't, there."""

    key: str
    then: Any
    now: Any


@dataclass(frozen=True)
class Again:
    """A run that is about to be run again.

    Attributes:
        row: Its row of `runs`.
        goes_on: Whether it is its stage's newest, so that what follows runs too and the site is laid out.
        stages: The stages that will run.
        given: What they read that none of them makes; see `chain.run_and_lay_out`.
        settings: Settings of its stage that differ from those of then.
    """

    row: Row
    goes_on: bool
    stages: tuple[str, ...]
    given: Mapping[str, Any] = field(repr=False)
    settings: list[Setting]


def plan_retry(storage: StorageManager, wanted: str, config: Config) -> Again:
    """What it takes to run a run again on the same input with today's settings.

    Args:
        storage: The site's records.
        wanted: See `find_run`. A child stands for the run that it is part of.
        config: Today's configuration with its key.

    Raises:
        RunLookupError: there is no such run, it is at work, or its stage is none of Egregora's.
        ExportError: the export is gone or holds something else.
        StorageError: what it read is no longer kept.
    """
    with storage.reading() as con:
        row = _run_to_redo(con, wanted)
        before = ancestors(con, row["run_id"])
        goes_on, names = _stages_to_run(con, row)
        recorded = _config_of(con, row)
    given = _given(storage, row, before, names, searched=goes_on and "publish" in names)
    today = fp.canonical_config(
        fp.select_config(config, stage_called(row["stage"], config).config_keys)[1], storage.site_key
    )
    return Again(row, goes_on, names, given, changed_settings(recorded, today))


def retry(again: Again, config: Config, storage: StorageManager, site: Path) -> Outcome:
    """Run a run again, and what follows it, as `plan_retry` has laid out.

    What it had completed runs again all the same; of what had failed each part that is kept is taken.

    Args:
        again: The plan.
        config: Today's configuration with its key.
        storage: The site's records.
        site: The folder that the pages go to.

    Raises:
        EgregoraError: something that the user can act on.
    """
    stage, because = again.row["stage"], f"retry of {again.row['run_id']}"
    completed = again.row["status"] == "completed"
    if not again.goes_on:
        # What it makes is neither the site's nor the catalog's: those are of newer runs.
        table, inputs = reads(stage, again.given)
        made = run_stage(
            stage_called(stage, config), table, config, storage, inputs=inputs, force=completed, because=because
        ).origin
        return Outcome(rows={stage: made.rows}, runs={stage: made.run_id})
    forced = {stage} if completed else set()
    return run_and_lay_out(again.stages, again.given, config, storage, site, forced=forced, because=because)


def _run_to_redo(con: duckdb.DuckDBPyConnection, wanted: str) -> Row:
    """The run that a word means, or the one that it is part of.

    Raises:
        RunLookupError: there is none that can be run again.
    """
    row = find_run(con, wanted)
    while row["parent_run_id"]:
        row = find_run(con, row["parent_run_id"])
    named = f"run {row['run_id'][:8]}"
    if row["status"] == "running":
        raise RunLookupError(f"{named} is still at work", hint="see how far it is with: egregora runs tail -f")
    if row["stage"] not in READS:
        raise RunLookupError(
            f"{named} is of the stage '{row['stage']}', whose function only your own program knows",
            hint="run that program again: what has not changed is taken from its checkpoint",
        )
    if not row["input_parts"]:
        raise RunLookupError(
            f"{named} ended before its input was read, so that it isn't on record",
            hint="run everything with: egregora write EXPORT",
        )
    return row


def _stages_to_run(con: duckdb.DuckDBPyConnection, row: Row) -> tuple[bool, tuple[str, ...]]:
    """Whether the run is its stage's newest; its stage, and if so those that follow, as far as its invocation went."""
    stage = row["stage"]
    newest = con.execute(
        f"SELECT run_id::VARCHAR FROM runs WHERE parent_run_id IS NULL AND stage = {literal(stage)} "
        "ORDER BY started_at DESC LIMIT 1"
    ).fetchone()
    if newest is None or newest[0] != row["run_id"]:
        return False, (stage,)
    ran = con.execute(
        f"SELECT stage, status = 'completed' FROM runs WHERE invocation_id = {literal(row['invocation_id'])} "
        "AND parent_run_id IS NULL"
    ).fetchall()
    last = STAGES[-1]
    if all(completed for _, completed in ran):
        # Nothing stopped it, so it was meant to go this far.
        last = max((name for name, _ in ran if name in READS), key=STAGES.index)
    return True, STAGES[STAGES.index(stage) : STAGES.index(last) + 1]


def _given(
    storage: StorageManager, row: Row, before: Mapping[str, Ancestor], names: Sequence[str], *, searched: bool
) -> dict[str, Any]:
    """What stages read that none of them makes: results of earlier runs, and exports.

    Args:
        storage: The site's records.
        row: The run that is run again.
        before: Its `ancestors`.
        names: The stages.
        searched: Whether the pages will be searched for the names that parse read.

    Raises:
        ExportError, StorageError: something is gone.
    """
    by_stage = {run.stage: run for run in before.values()}
    parts = {row["stage"]: recorded_parts(row["input_parts"])}
    parts |= {stage: dict(run.input_parts) for stage, run in by_stage.items()}
    needed = {source for name in names for source in READS[name].values()}
    if searched:
        needed.add("parse")
    given: dict[str, Any] = {}
    for source in sorted(needed - set(names)):
        if source == EXPORTS:
            given[source] = find_exports(storage, _exports_hash(parts))
        elif source in by_stage:
            given[source] = kept_result(storage, by_stage[source])
        else:
            raise StorageError(
                f"the run of {source} that went into it is no longer on record",
                hint="run everything with: egregora write EXPORT",
            )
    return given


def _exports_hash(parts: Mapping[str, Mapping[str, str]]) -> str:
    """The hash of the exports that some of these stages read; `parts` is what went into each, by its name there."""
    for stage, found in parts.items():
        for name, source in READS.get(stage, {}).items():
            if source == EXPORTS:
                return found["table" if name == "table" else f"inputs.{name}"]
    return ""


def _config_of(con: duckdb.DuckDBPyConnection, row: Row) -> str | None:
    found = con.execute(f"FROM configs SELECT config WHERE config_hash = {literal(row['config_hash'])}").fetchone()
    return str(found[0]) if found else None


def changed_settings(then: str | None, now: str) -> list[Setting]:
    """Which settings differ between two canonical configurations, by their dotted keys."""
    if then is None:
        return []
    old, new = dotted(json.loads(then)), dotted(json.loads(now))
    return [
        Setting(key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def dotted(config: Any, before: str = "") -> dict[str, Any]:
    """A canonical configuration by dotted keys. What stands for a value in it (`$secret`, …) is a value."""
    if not isinstance(config, dict) or not config or any(name.startswith("$") for name in config):
        return {before.rstrip("."): config}
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= dotted(value, f"{before}{name}.")
    return found
