"""Running a recorded run again, on the inputs that it had: with the settings of today, or with those of then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.runs_schema import LAYOUT, NO_REPLAY
from egregora.database.sql import literal
from egregora.errors import RunLookupError, StorageError
from egregora.observe.changes import (
    CodeChange,
    RowChanges,
    SettingChange,
    changes_between,
    compare_rows,
    setting_changes,
)
from egregora.observe.runs import Row, find_run
from egregora.pipeline import fingerprint as fp
from egregora.pipeline.recorded import ancestors, kept_result, recorded_config, recorded_parts, with_given
from egregora.pipeline.runner import run_stage
from egregora.pipeline.tracking import Repeated
from egregora.stages.chain import EXPORTS, READS, STAGES, Outcome, reads, run_and_lay_out, stage_called
from egregora.stages.exports import find_exports

if TYPE_CHECKING:
    import duckdb

    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.pipeline.recorded import Ancestor
    from egregora.pipeline.stage import Stage

__all__ = ["Again", "Replayed", "plan_replay", "plan_retry", "replay", "retry"]


@dataclass(frozen=True)
class Again:
    """A run that is about to be run again.

    Attributes:
        row: Its row of `runs`.
        goes_on: Whether it is its stage's newest, so that what follows runs too and the site is laid out.
        stages: The stages that will run.
        given: What they read that none of them makes; see `chain.run_and_lay_out`.
        config: The configuration that they will read.
        settings: Settings of its stage that will differ from those of then.
        kept: Settings that were given on the command line then and count again, by dotted key.
    """

    row: Row
    goes_on: bool
    stages: tuple[str, ...]
    given: Mapping[str, Any] = field(repr=False)
    config: Config = field(repr=False)
    settings: tuple[SettingChange, ...]
    kept: Mapping[str, Any] = field(default_factory=dict)


def plan_retry(storage: StorageManager, wanted: str, config: Config) -> Again:
    """What it takes to run a run again on the same input with today's settings, and those of its command line.

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
    config, kept = with_given(config, row["given"])
    return Again(row, goes_on, names, given, config, _settings(storage, row, recorded, config), kept)


def retry(again: Again, storage: StorageManager, site: Path) -> Outcome:
    """Run a run again, and what follows it, as `plan_retry` has laid out.

    What had completed runs again all the same; of what had failed each part that is kept is taken.

    Args:
        again: The plan.
        storage: The site's records.
        site: The folder that the pages go to.

    Raises:
        EgregoraError: something that the user can act on.
    """
    stage, because = again.row["stage"], f"retry of {again.row['run_id']}"
    if again.kept:
        # For whoever retries this one.
        given = json.loads(again.row["given"])
        storage.given = json.dumps({name: given[name] for name in again.kept})
    completed = again.row["status"] == "completed"
    if not again.goes_on:
        # What it makes is neither the site's nor the catalog's: those are of newer runs.
        table, inputs = reads(stage, again.given)
        made = run_stage(
            stage_called(stage, again.config),
            table,
            again.config,
            storage,
            inputs=inputs,
            force=completed,
            because=because,
        ).origin
        return Outcome(rows={stage: made.rows}, runs={stage: made.run_id})
    forced = {stage} if completed else set()
    return run_and_lay_out(again.stages, again.given, again.config, storage, site, forced=forced, because=because)


@dataclass(frozen=True)
class Replayed:
    """What came of running a run again with its own settings.

    Attributes:
        row: The row of the new run.
        identical: Whether it made the same as then.
        rows: How the rows differ; None where they are the same, or what was made then is no longer kept.
        code: What of the code has changed since then.
    """

    row: Row
    identical: bool
    rows: RowChanges | None
    code: tuple[CodeChange, ...]


def plan_replay(storage: StorageManager, wanted: str, config: Config) -> Again:
    """What it takes to run a run again on the same input with the settings that it read.

    Args:
        storage: The site's records.
        wanted: See `find_run`. A child stands for the run that it is part of.
        config: Today's configuration with its key, for what is not on record: secrets, and what changes no result.

    Raises:
        RunLookupError: there is no such run, it is at work, or its stage is none of Egregora's.
        ExportError: the export is gone or holds something else.
        ConfigError: a secret of then is not there today, or a setting of then is none any more.
        StorageError: what it read is no longer kept, or its settings aren't on record.
    """
    with storage.reading() as con:
        row = _run_to_redo(con, wanted)
        before = ancestors(con, row["run_id"])
        recorded = _config_of(con, row)
    if recorded is None:
        raise StorageError(
            f"the settings that run {row['run_id'][:8]} read are not on record",
            hint=f"run it with those of today: egregora runs retry {row['run_id'][:8]}",
        )
    # Which of a stage's functions it was is said by its settings, and which settings today's function reads, by that.
    stage = stage_called(row["stage"], recorded_config(recorded, config, (), storage.site_key))
    then = recorded_config(recorded, config, stage.config_keys, storage.site_key)
    then = _without_network(storage, row, then, stage)
    given = _given(storage, row, before, (stage.name,), searched=False)
    return Again(row, False, (stage.name,), given, then, _settings(storage, row, recorded, then))


def _without_network(storage: StorageManager, row: Row, config: Config, stage: Stage) -> Config:
    """The same, with a model's answers taken from the record: asking anew would cost, and give something else.

    Raises:
        StorageError: no answers are on record.
    """
    if not config.llm.model or not any(key.startswith("llm") for key in stage.config_keys):
        return config
    if not (storage.directory / "replies").is_dir():
        raise StorageError(
            f"run {row['run_id'][:8]} had a model to ask, and no answers are on record",
            hint='to have them next time, set replay = "record" under [llm] in egregora.toml; to ask, and pay, again: '
            f"egregora runs retry {row['run_id'][:8]}",
        )
    return config.model_copy(update={"llm": config.llm.model_copy(update={"replay": "replay"})})


def replay(again: Again, storage: StorageManager) -> Replayed:
    """Run a run again, as `plan_replay` has laid out, and compare what it makes.

    The new run has a row, and a checkpoint if it made something else. Nobody takes these for its stage's.

    Args:
        again: The plan.
        storage: The site's records.

    Raises:
        EgregoraError: something that the user can act on.
    """
    old = again.row
    table, inputs = reads(old["stage"], again.given)
    repeated = Repeated(old["run_id"], old["output_hash"])
    made = run_stage(
        stage_called(old["stage"], again.config), table, again.config, storage, inputs=inputs, replays=repeated
    ).origin
    with storage.reading() as con:
        new = find_run(con, made.run_id)
        code = changes_between(con, old, new).code
    identical = made.output_hash == old["output_hash"]
    rows = None if identical else compare_rows(storage, old, new)
    return Replayed(new, identical, rows, code)


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
        raise RunLookupError(f"{named} is still at work", hint="see how far it is with: egregora runs watch")
    if row["stage"] == LAYOUT:
        raise RunLookupError(
            f"{named} only tells why pages were not laid out",
            hint="change what it names in egregora.toml, then, for the privacy stage and all behind it: "
            "egregora runs retry privacy",
        )
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
        f"SELECT run_id::VARCHAR FROM runs WHERE parent_run_id IS NULL AND stage = {literal(stage)} AND {NO_REPLAY} "
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


def _settings(storage: StorageManager, row: Row, recorded: str | None, config: Config) -> tuple[SettingChange, ...]:
    """In what a configuration differs from the one that a run read, as far as its stage reads it."""
    if recorded is None:
        return ()
    keys = stage_called(row["stage"], config).config_keys
    now = fp.canonical_config(fp.select_config(config, keys)[1], storage.site_key)
    return setting_changes(recorded, now, own=True)
