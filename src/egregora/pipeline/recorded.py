"""What the record holds of an earlier run that it takes to run it again: what went in, and the settings it read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.lineage import UPWARDS, reached
from egregora.database.sql import literal
from egregora.errors import ConfigError, StorageError
from egregora.pipeline import fingerprint as fp
from egregora.pipeline.checkpoint import checkpoint_path, is_intact
from egregora.pipeline.runner import PRIVACY_STAGE
from egregora.pipeline.tracking import Origin, Result

if TYPE_CHECKING:
    import duckdb

    from egregora.config import Config
    from egregora.database.storage import StorageManager

__all__ = [
    "Ancestor",
    "ancestors",
    "given_settings",
    "kept_result",
    "recorded_config",
    "recorded_parts",
    "with_given",
]

SITE_KEY = ".egregora/key"


@dataclass(frozen=True)
class Ancestor:
    """A run whose result another one read, perhaps through others.

    Attributes:
        run_id, stage, output_hash, rows: As in `runs`.
        input_parts: Hash of each part of its input by name.
        privacy_run_id: The privacy run that all of its result went through, if any.
        files: Completed runs of its stage with the same result, newest first, with what they recorded of its file.
    """

    run_id: str
    stage: str
    output_hash: str
    rows: int
    input_parts: Mapping[str, str]
    privacy_run_id: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)


def recorded_parts(text: str | None) -> dict[str, str]:
    """The column `input_parts`: the hash of each part of a run's input by name."""
    return {str(name): str(value) for name, value in json.loads(text).items()} if text else {}


_FILES = ("run_id", "input_fingerprint", "checkpoint_bytes", "checkpoint_mtime_ns", "checkpoint_sha256")


def ancestors(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Ancestor]:
    """The runs whose results a run read, directly or through others, by id, oldest first.

    Args:
        con: A connection from `storage.reading()`.
        run_id: The run.
    """
    above = reached(con, [run_id], UPWARDS).keys() - {run_id}
    if not above:
        return {}
    listed = ", ".join(f"{literal(one)}::UUID" for one in sorted(above))
    rows = con.execute(
        "FROM runs SELECT run_id::VARCHAR, stage, output_hash, rows_out, input_parts "
        f"WHERE run_id IN ({listed}) AND output_hash IS NOT NULL ORDER BY started_at"
    ).fetchall()
    edges = con.execute(
        "SELECT child_run_id::VARCHAR, parent_run_id::VARCHAR FROM lineage "
        f"WHERE child_run_id IN ({listed}) ORDER BY ALL"
    ).fetchall()
    parents: dict[str, list[str]] = {}
    for child, parent in edges:
        parents.setdefault(child, []).append(parent)
    stages = {row[0]: row[1] for row in rows}
    return {
        run_id: Ancestor(
            run_id,
            stage,
            output_hash,
            rows_out,
            recorded_parts(parts),
            _privacy_run(run_id, stages, parents),
            _files(con, stage, output_hash),
        )
        for run_id, stage, output_hash, rows_out, parts in rows
    }


def _privacy_run(run_id: str, stages: Mapping[str, str], parents: Mapping[str, list[str]]) -> str | None:
    """The privacy run that a run is, or that all that it read went through; as the runner has it."""
    if stages.get(run_id) == PRIVACY_STAGE:
        return run_id
    found = [_privacy_run(parent, stages, parents) for parent in parents.get(run_id, ())]
    return found[0] if found and all(found) else None


def _files(con: duckdb.DuckDBPyConnection, stage: str, output_hash: str) -> list[dict[str, Any]]:
    rows = con.execute(
        f"SELECT {', '.join(_FILES)} FROM runs WHERE stage = {literal(stage)} AND output_hash = {literal(output_hash)} "
        "AND status = 'completed' AND checkpoint_sha256 IS NOT NULL AND parent_run_id IS NULL "
        "ORDER BY started_at DESC LIMIT 16"
    ).fetchall()
    return [dict(zip(_FILES, row, strict=True)) for row in rows]


def kept_result(storage: StorageManager, run: Ancestor) -> Result:
    """A run's result, read from a checkpoint that holds just that.

    Raises:
        StorageError: no checkpoint of it is left.
    """
    for maker in run.files:
        path = checkpoint_path(storage, run.stage, maker["input_fingerprint"])
        if is_intact(path, maker):
            origin = Origin(run.run_id, run.output_hash, run.rows, path, run.privacy_run_id, _is_raw(path))
            backend: Callable[[], Any] = lambda: storage.backend  # noqa: E731
            return Result(origin, maker["input_fingerprint"], backend)
    raise StorageError(
        f"the result of {run.stage} that went into it is no longer kept (run {run.run_id[:8]})",
        hint="run everything with: egregora write EXPORT",
    )


def _is_raw(path: Path) -> bool:
    import pyarrow.parquet as pq

    return "author_raw" in pq.read_schema(path).names


# -- settings ---------------------------------------------------------------------------------------------------------


def recorded_config(recorded: str, today: Config, keys: tuple[str, ...], key: Callable[[], bytes]) -> Config:
    """The configuration that a run read, as far as its stage reads any; for the rest today's.

    Secrets are on record as keyed ids only: for each of them today's is taken that has the same id. A setting that the
    stage reads today and didn't then has its default.

    Args:
        recorded: The canonical configuration of then, as in `configs`.
        today: Today's configuration.
        keys: What the stage reads today.
        key: Gives the site's key, by which the ids are made.

    Raises:
        ConfigError: a secret of then is not among today's, or a setting of then is none any more.
    """
    from egregora.config import Config

    known = {fp.secret_id(secret, key): secret for secret in _secrets(today)}
    then = fp.dotted_settings(json.loads(recorded))
    values, defaults = _values(today), _values(Config())
    if "llm.model" not in then:
        # It asked none, whatever is set today.
        _put(values, "llm.model", "")
    # The key first: with another one no secret is the same.
    for name in sorted(then, key=lambda name: (name != "site_key", name)):
        _put(values, name, _restored(then[name], known, name))
    found = _checked(values)
    reads = fp.dotted_settings(json.loads(fp.canonical_config(fp.select_config(found, keys)[1], key)))
    for name in reads.keys() - then.keys():
        if _at(defaults, name) is not None:
            _put(values, name, _at(defaults, name))
    return _checked(values)


def with_given(today: Config, given: str | None) -> tuple[Config, dict[str, Any]]:
    """Today's configuration with the settings over it that were given on the command line of an earlier run.

    Where the file says otherwise than then, somebody has changed it since, and the file counts.

    Args:
        today: Today's configuration.
        given: The column `given`.

    Returns:
        The configuration, and those settings that count, by dotted key.
    """
    now = fp.dotted_settings(json.loads(fp.canonical_config(today)))
    kept = {name: one["given"] for name, one in json.loads(given or "{}").items() if now.get(name) == one["file"]}
    values = _values(today)
    for name, value in kept.items():
        _put(values, name, _restored(value, {}, name))
    return (_checked(values) if kept else today), kept


def given_settings(config: Config, file: Config, names: Iterable[str]) -> str | None:
    """The column `given`: settings in which a configuration differs from what the file alone says.

    Args:
        config, file: The configurations.
        names: Dotted keys of the settings that were given.
    """
    now, alone = (fp.dotted_settings(json.loads(fp.canonical_config(one))) for one in (config, file))
    found = {name: {"given": now[name], "file": alone[name]} for name in names if now[name] != alone[name]}
    return json.dumps(found) if found else None


def _checked(values: Mapping[str, Any]) -> Config:
    """These values as a configuration.

    Raises:
        ConfigError: one is none of its settings.
    """
    from egregora.config import Config

    try:
        return Config(**values)
    except ValueError as error:
        # pydantic's ValidationError is one. What it says of a value is for whoever wrote it, not for who replays.
        wrong = [".".join(map(str, one["loc"])) for one in getattr(error, "errors", list)()]
        raise ConfigError(
            f"the setting {wrong[0] if wrong else ''} of that run is none that this version knows",
            hint="replay it with the version of Egregora that made it, see Git commit in: egregora runs show",
        ) from None


def _secrets(value: Any) -> Iterator[Any]:
    """All secrets of a configuration."""
    if hasattr(value, "get_secret_value"):
        yield value
    elif hasattr(type(value), "model_fields"):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets(item)


def _values(config: Any) -> dict[str, Any]:
    """A configuration as nested plain mappings, secrets as they are."""
    return {
        name: _values(value)
        if hasattr(type(value), "model_fields")
        else dict(value)
        if isinstance(value, dict)
        else value
        for name in type(config).model_fields
        for value in [getattr(config, name)]
    }


def _at(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *sections, last = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[last] = value


def _restored(value: Any, known: Mapping[str, Any], name: str) -> Any:
    """A recorded value as a configuration takes it."""
    if isinstance(value, list):
        return [_restored(item, known, name) for item in value]
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind == "$secret":
        if inner not in known:
            raise ConfigError(
                f"the setting {name} held something secret then that it doesn't hold today",
                hint=f"it is not on record: put it back into {SITE_KEY if name == 'site_key' else 'egregora.toml'}",
            )
        return known[inner]
    return float(inner) if kind == "$float" else inner
