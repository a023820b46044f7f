"""The loop: identify, look for a checkpoint, record, run, keep. Every stage goes through `run_stage_with_tracking`."""

from __future__ import annotations

import hmac
import inspect
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.runs_schema import RUNS
from egregora.database.storage import now
from egregora.errors import EgregoraError
from egregora.pipeline import checkpoint as ckpt
from egregora.pipeline import fingerprint as fp
from egregora.pipeline.code import UnknownCodeError, code_identity, get_git_commit
from egregora.pipeline.fingerprint import fingerprint_stage_input
from egregora.pipeline.profile import Mark, Profile, marks_from, marks_json, table_figures
from egregora.pipeline.stage import Files, Stage, StageContext
from egregora.pipeline.tracking import (
    History,
    Origin,
    Repeated,
    Result,
    Run,
    Siblings,
    history,
    origin_of,
    redacted,
    roots_of,
)

if TYPE_CHECKING:
    import ibis

    from egregora.database.columns import TableSpec
    from egregora.database.storage import StorageManager

__all__ = [
    "Earlier",
    "Identity",
    "bound",
    "find_checkpoint",
    "fingerprint_stage_input",
    "get_git_commit",
    "privacy_run",
    "record_run",
    "run_child",
    "run_stage",
    "run_stage_with_tracking",
]

PRIVACY_STAGE = "privacy"
"""The stage whose completed run entitles what descends from it to a `PrivacyPass`."""


def run_stage(
    stage: Stage,
    input_table: Any,
    config: Any,
    storage: StorageManager,
    *,
    inputs: Mapping[str, Any] | None = None,
    force: bool = False,
    because: str = "",
    replays: Repeated | None = None,
) -> Result:
    """`run_stage_with_tracking` for a stage that is given as data, with a result that is bound when it is needed.

    Inputs may be results too.

    Args:
        stage: The stage.
        input_table, config, storage, inputs, force: See there.
        because: Who or what wants it, beside the `reason` for which it executes.
        replays: The run that this one repeats. It executes whatever is kept, and nothing ever takes its result for that
            of its stage: no later run, no window, not the site. Its checkpoint stays only if it made something else.
    """
    extra, keys = dict(inputs or {}), stage.config_keys
    return _tracked(stage, input_table, config, storage, extra, keys, force, because, eager=False, replays=replays)


def run_stage_with_tracking(
    stage_name: str,
    stage_func: Callable[..., Any],
    input_table: Any,
    config: Any,
    storage: StorageManager,
    *,
    config_keys: tuple[str, ...] | None = None,
    distributions: tuple[str, ...] = (),
    inputs: Mapping[str, Any] | None = None,
    output: TableSpec | None = None,
    force: bool = False,
) -> ibis.Table:
    """Run a stage as a tracked run, or take its checkpoint if nothing that goes into it has changed.

    A row of `runs` is on the disk before the work starts. What it is identified by is described in
    docs/observability/fingerprints.md.

    Args:
        stage_name: Its name in `runs`.
        stage_func: Called as `stage_func(input_table, config, run_id=run_id)`, with `context=` (the run in progress) if
            it has a parameter of that name. Returns an `ibis.Table`, a `pyarrow.Table` or a
            `pyarrow.RecordBatchReader`.
        input_table: An `ibis.Table`, a `pyarrow.Table`, or `Files`.
        config: A pydantic model, dataclass, mapping or JSON-like value.
        storage: Where runs and checkpoints are kept.
        config_keys: Dotted keys that the stage reads; it sees no others. None: all of it, and all of it is hashed.
        distributions: Installed packages whose versions count as code.
        inputs: Further inputs by name (tables or `Files`), hashed too; the stage finds them in `context.inputs`.
        output: The declared table that the result is cast to.
        force: Run even if there is a checkpoint.

    Returns:
        The result, read back from its checkpoint.

    Raises:
        SchemaError: the result isn't as declared or holds a type that Parquet doesn't keep.
        StorageError: the site can't be written.
        Exception: whatever the stage raised, after it has been recorded.
    """
    # A Stage is what the loop takes; a stranger's has no declared result.
    stage = Stage(stage_name, stage_func, output, config_keys or (), distributions)
    return _tracked(stage, input_table, config, storage, dict(inputs or {}), config_keys, force, "", eager=True).table


def run_child(parent: Run, label: str, stage: Stage, table: Any, inputs: dict[str, Any]) -> Result:
    """A run below another, with a fingerprint and a checkpoint of its own; see `StageContext.child_result`."""
    return _tracked(
        stage,
        table,
        parent.config,
        parent.storage,
        inputs,
        stage.config_keys,
        parent.force,
        "",
        eager=True,
        parent=parent,
        label=label,
        replays=parent.replays,
    )


def _tracked(
    stage: Stage,
    input_table: Any,
    config: Any,
    storage: StorageManager,
    extra: dict[str, Any],
    config_keys: tuple[str, ...] | None,
    force: bool,
    because: str,
    *,
    eager: bool,
    parent: Run | None = None,
    label: str = "",
    replays: Repeated | None = None,
) -> Result:
    """The loop, for stages and their children.

    Args:
        eager: Whether the result's rows are wanted at once, so that whether they can be read is part of a hit.
        parent: The run that this one is a child of, named by `label`.
        replays: See `run_stage`.
    """
    parts = {"table": input_table, **{f"inputs.{name}": value for name, value in extra.items()}}
    roots = {name: [] if isinstance(part, Files) else roots_of(part) for name, part in parts.items()}
    names = any(_holds_names(part, roots[name]) for name, part in parts.items())
    run = Run(
        storage,
        stage.name,
        inputs=extra,
        # Files beside the table (the export, for its attachments) don't make the table any less protected.
        privacy_run_id=(
            parent.privacy_run_id if parent else privacy_run([origin for found in roots.values() for origin in found])
        ),
        raw=parent.raw if parent else names or any(isinstance(part, Files) for part in parts.values()),
        parent=parent,
        label=label or None,
    )
    run.force, run.replays = force, replays
    if parent:
        # What it keeps belongs to its own checkpoint; the parent's has it too, once this is done.
        run.blobs = {}
    identity = Identity(stage.func, config, storage, stage.name, parts, config_keys, stage.distributions)
    parents = sorted({origin.run_id for found in roots.values() for origin in found if origin is not None})
    fingerprint = f"replay:{run.run_id.replace('-', '')}" if replays else identity.fingerprint
    run.shared = {**identity.columns(), "input_fingerprint": fingerprint}
    common = {**run.shared, "rows_in": identity.rows_in, "parents": parents}
    earlier = Earlier(storage, stage.name, parent, label)
    path = ckpt.checkpoint_path(storage, stage.name, fingerprint)

    def result(output_hash: str, rows: int, marks: Sequence[Mark]) -> Result:
        privacy = run.run_id if stage.name == PRIVACY_STAGE else run.privacy_run_id
        raw = stage.output is not None and "author_raw" in stage.output.names
        raw |= names and stage.name != PRIVACY_STAGE
        origin = Origin(run.run_id, output_hash, rows, path, privacy, raw)
        return Result(origin, fingerprint, lambda: _backend(input_table, storage), marks=marks)

    newest = earlier.newest()
    state, found = find_checkpoint(storage, path, identity, earlier, force or replays is not None)
    hit = None
    if found is not None:
        hit = result(found["output_hash"], found["rows_out"], marks_from(found["marks"]))
        if eager and not _can_be_read(hit, parent is not None):
            hit = None
    if found is not None and hit is not None:
        same = newest is not None and newest["input_fingerprint"] == identity.fingerprint
        kept = {name: found[name] for name in ("rows_out", "output_hash", "marks", *_CHECKPOINT_COLUMNS)}
        # Of a copied site the time differs; with the one it has now, the next hit need not hash the file again.
        kept["checkpoint_mtime_ns"] = path.stat().st_mtime_ns
        row = {
            **run.identity(),
            **common,
            **kept,
            "status": "completed",
            "source": "checkpoint",
            "reason": "unchanged" if same else f"unchanged since {found['run_id']}",
        }
        run.finish(row, beside=identity.events)
        earlier.add({**row, "run_id": run.run_id})
        if parent:
            parent.blobs.update(ckpt.read_blobs(path))
        storage.settle(later=parent is not None)
        return hit
    if state == "corrupt":
        ckpt.set_aside(path)

    reason = _reason(identity.problem or earlier.problem, identity, newest, state, force and not because)
    if because:
        # That nothing changed is no reason for one that is wanted all the same.
        reason = because if force and reason == "checkpoint missing" else f"{reason}, {because}"
    if replays:
        reason = f"replay of {replays.run_id}"
    # While a parent's row is open and on the disk, a lost start of a child loses nothing.
    run.begin({**common, "source": run.source, "reason": reason}, sync=parent is None, beside=identity.events)
    if identity.problem:
        run.log(f"nothing can be reused for this run: {identity.problem}", "warning")
    storage.settle(later=True)
    try:
        run.inputs = {name: bound(value) for name, value in extra.items()}
        run.config, _ = fp.select_config(config, config_keys)
        arguments: dict[str, Any] = {"run_id": run.run_id}
        if "context" in inspect.signature(stage.func).parameters:
            arguments["context"] = run
        made = stage.func(bound(input_table), run.config, **arguments)
        kept_as = ckpt.write_checkpoint(storage, path, made, stage.output, run.blobs)
    except BaseException as error:
        run.fail(error)
        storage.settle(later=parent is not None)
        raise
    if parent is None:
        # A child is a part; what is out of line with the runs before is told of the whole.
        files, declared = isinstance(input_table, Files), stage.output is not None
        profile = _profile(run, identity, kept_as, files=files, declared=declared)
        run.figures = dict(profile.figures)
        if not replays:
            run.marks = history(storage).judged(stage.name, profile)
    columns = kept_as.columns()
    if replays and (parent or kept_as.output_hash == replays.output_hash):
        # One of two that hold the same is enough. What a child made is in what its parent made.
        columns = {name: columns[name] for name in columns if name not in _CHECKPOINT_COLUMNS}
    row = {"status": "completed", **columns, "marks": marks_json(run.marks)}
    run.finish(row)
    if not replays:
        earlier.add({**common, **row, "run_id": run.run_id, "source": run.source})
    if parent:
        parent.blobs.update(run.blobs)
    storage.settle(later=parent is not None)
    made_result = result(kept_as.output_hash, kept_as.rows, run.marks)
    if _CHECKPOINT_COLUMNS[0] not in columns:
        if parent:
            made_result.arrow  # noqa: B018 - read now, while it is there
        path.unlink()
        ckpt.blobs_path(path).unlink(missing_ok=True)
    return made_result


def find_checkpoint(
    storage: StorageManager, path: Path, identity: Identity, earlier: Earlier, force: bool
) -> tuple[str, Mapping[str, Any] | None]:
    """The row of the run whose checkpoint can be taken; without one, whether it is `missing` or `corrupt`."""
    state = "missing"
    if identity.known and not force and path.exists():
        for maker in earlier.makers(identity.fingerprint):
            state = "corrupt"
            if ckpt.is_intact(path, maker):
                return state, maker if ckpt.has_blobs(storage, path) else None
    return state, None


def _profile(run: Run, identity: Identity, kept_as: ckpt.Checkpoint, *, files: bool, declared: bool) -> Profile:
    """A run that is about to complete in figures: those of any table, and those that the stage told."""
    named = declared or not run.raw
    figures = table_figures(kept_as.rows, kept_as.nulls, kept_as.times, named=named)
    if run.paid:
        figures["paid"] = float(run.paid)
    return Profile(
        run_id=run.run_id,
        config_hash=identity.config_hash,
        rows_in=None if files else identity.rows_in,
        rows_out=kept_as.rows,
        seconds=run.seconds(),
        cost_usd=run.cost_usd,
        figures={**figures, **run.figures},
        marks=run.marks,
    )


class Earlier:
    """What a run is compared with: the earlier runs of its stage, or of its parent's other children."""

    def __init__(self, storage: StorageManager, stage: str, parent: StageContext | None, label: str) -> None:
        known = history(storage)
        self._known: History | Siblings = known.siblings(stage) if parent else known
        self._name = label if parent else stage
        self.problem = known.problem or self._known.problem

    def newest(self) -> Mapping[str, Any] | None:
        return self._known.newest(self._name)

    def makers(self, fingerprint: str) -> Iterable[Mapping[str, Any]]:
        return self._known.makers(self._name, fingerprint)

    def add(self, row: Mapping[str, Any]) -> None:
        self._known.add(self._name, row)


def _can_be_read(result: Result, as_arrow: bool) -> bool:
    try:
        return (result.arrow if as_arrow else result.table) is not None
    except (_duckdb_error(), OSError, ValueError):
        # Arrow says ArrowInvalid, a ValueError, of a file that isn't Parquet.
        return False


def bound(value: Any) -> Any:
    """A result as its table; anything else as it is."""
    return value.table if isinstance(value, Result) else value


_CHECKPOINT_COLUMNS = ("checkpoint_bytes", "checkpoint_mtime_ns", "checkpoint_sha256")


def record_run(
    storage: StorageManager,
    run_id: str,
    stage: str,
    status: str,
    error: str | None,
    fingerprint: str,
    **metrics: Any,
) -> None:
    """Insert a row of `runs`, or update the one with this id. It is on the disk when this returns.

    Args:
        storage: Where runs are kept.
        run_id: A UUID as text.
        stage: Name of the stage.
        status: `running`, `completed` or `failed`.
        error: What went wrong; it is redacted.
        fingerprint: `sha256:…` or `unknown:…`.
        metrics: Further columns of `runs`, e.g. `rows_in=3`. Times are UTC, as text or `datetime`.

    Raises:
        TypeError: a metric is no column of `runs`, or the status is none of the three.
        ValueError: the run id is no UUID.
    """
    unknown = sorted(set(metrics) - set(RUNS.names))
    if unknown:
        raise TypeError(f"runs has no column {unknown[0]!r}")
    if status not in ("running", "completed", "failed"):
        raise TypeError(f"a run is running, completed or failed, not {status!r}")
    event: dict[str, Any] = {
        "e": "run",
        "run_id": str(uuid.UUID(str(run_id))),
        "stage": stage,
        "status": status,
        "input_fingerprint": fingerprint,
        "owner": storage.owner,
        "tenant_id": storage.tenant_id,
    }
    if error is not None:
        event["error"] = redacted(error)
    if status == "running":
        event["started_at"] = now()
    else:
        event["finished_at"] = now()
    event.update({name: _stored(value) for name, value in metrics.items() if value is not None})
    storage.append([event], sync=True)
    storage.settle()


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return value.isoformat(sep=" ")
    return value if isinstance(value, (int, float, str)) else str(value)


_IDENTIFYING = threading.Lock()
"""What is known of modules is shared by all threads."""


class Identity:
    """What a run is identified by: the parts of its fingerprint, or why there is none."""

    def __init__(
        self,
        func: Callable[..., Any],
        config: Any,
        storage: StorageManager,
        stage: str,
        parts: Mapping[str, Any],
        config_keys: tuple[str, ...] | None,
        distributions: tuple[str, ...],
    ) -> None:
        self.problem = ""
        self.events: list[dict[str, Any]] = []
        self.input_parts: dict[str, str] = {}
        self.rows_in: int | None = None
        self.input_hash = self._try(lambda: self._inputs(parts))
        self.config_hash = self._try(lambda: self._config(config, config_keys, storage))
        self.code_hash = self._try(lambda: self._code(func, distributions, storage))
        folder = _folder_of(func)
        self.code_ref = get_git_commit(folder) if folder else "unknown"
        if self.input_hash and self.config_hash and self.code_hash:
            self.fingerprint = fp.combine(stage, self.input_hash, self.config_hash, self.code_hash)
        else:
            # Fail closed: a fingerprint that can never be met again.
            self.fingerprint = f"unknown:{now().replace(' ', 'T')}-{id(self):x}"

    @property
    def known(self) -> bool:
        return not self.problem

    def columns(self) -> dict[str, Any]:
        """As columns of `runs`."""
        return {
            "input_fingerprint": self.fingerprint,
            "input_hash": self.input_hash,
            "input_parts": json.dumps(self.input_parts, sort_keys=True) if self.input_parts else None,
            "config_hash": self.config_hash,
            "code_hash": self.code_hash,
            "code_ref": self.code_ref,
        }

    def _try(self, part: Callable[[], str]) -> str | None:
        try:
            return part()
        except (UnknownCodeError, fp.UnhashableError, EgregoraError) as error:
            self.problem = self.problem or str(error)
        except RecursionError:
            self.problem = self.problem or "it refers to itself"
        except (OSError, _duckdb_error(), _ibis_error()) as error:
            self.problem = self.problem or f"{type(error).__qualname__} while hashing"
        return None

    def _inputs(self, parts: Mapping[str, Any]) -> str:
        for name, part in parts.items():
            if isinstance(part, Files):
                self.input_parts[name] = fp.hash_files(part)
                rows = len(part.paths)
            else:
                origin = origin_of(part)
                if origin is not None:
                    self.input_parts[name], rows = origin.output_hash, origin.rows
                else:
                    self.input_parts[name], rows = fp.hash_counted(part)
            if name == "table":
                self.rows_in = rows
        return fp.combine_inputs(self.input_parts)

    def _config(self, config: Any, keys: tuple[str, ...] | None, storage: StorageManager) -> str:
        _, selected = fp.select_config(config, keys)
        text = fp.canonical_config(selected, storage.site_key)
        digest = fp.hash_config(text)
        self.events.append({"e": "config", "config_hash": digest, "config": text})
        return digest

    def _code(self, func: Callable[..., Any], distributions: tuple[str, ...], storage: StorageManager) -> str:
        with _IDENTIFYING:
            digest, modules = code_identity(func, distributions, storage.directory / "code.json")
        for name, value in modules.items():
            if name.startswith("value "):
                # What is bound to a function may be a password or a name: it is told apart, but not kept.
                modules[name] = hmac.new(storage.site_key(), value.encode(errors="replace"), "sha256").hexdigest()[:16]
        self.events.append(
            {"e": "code", "code_hash": digest, "modules": json.dumps(modules, sort_keys=True, ensure_ascii=False)}
        )
        return digest


def _reason(problem: str, identity: Identity, newest: Mapping[str, Any] | None, state: str, force: bool) -> str:
    """Why a stage executes, compared with the newest completed run of it."""
    if force:
        return "forced"
    if problem:
        return f"unknown: {problem}"
    if state == "corrupt":
        return "checkpoint corrupt"
    if newest is None:
        return "first run"
    changed = [
        f"{name} changed"
        for name, mine in (
            ("input", identity.input_hash),
            ("config", identity.config_hash),
            ("code", identity.code_hash),
        )
        if newest[f"{name}_hash"] != mine
    ]
    return ", ".join(changed) or "checkpoint missing"


def privacy_run(roots: list[Origin | None]) -> str | None:
    """A privacy run, if each of these went through one."""
    runs = [origin.privacy_run_id if origin else None for origin in roots]
    return runs[0] if all(runs) and runs else None


def _holds_names(table: Any, roots: Sequence[Origin | None]) -> bool:
    """Whether a table may hold names: what parse made of an export, or any of its columns under whatever name."""
    if any(origin is not None and origin.raw for origin in roots):
        return True
    if isinstance(table, (Result, Files)):
        return False
    columns: Any = getattr(table, "column_names", None) or getattr(table, "columns", ())
    if "author_raw" in columns or not hasattr(table, "op"):
        return "author_raw" in columns
    import ibis.expr.operations as ops

    return any("author_raw" in op.schema.names for op in table.op().find(ops.Relation))


def _backend(table: Any, storage: StorageManager) -> Any:
    """The DuckDB backend that the result is bound on: the input's, so that both can be joined, else the storage's."""
    if isinstance(table, Result):
        table = table.table
    op = table.op() if hasattr(table, "op") else None
    source = getattr(op, "source", None)
    if source is None and op is not None:
        sources = {id(s): s for s in (getattr(o, "source", None) for o in _physical(op)) if s is not None}
        source = next(iter(sources.values())) if len(sources) == 1 else None
    return source if getattr(source, "name", "") == "duckdb" else storage.backend


def _physical(op: Any) -> Any:
    import ibis.expr.operations as ops

    return op.find(ops.PhysicalTable)


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _ibis_error() -> type[Exception]:
    from ibis.common.exceptions import IbisError

    found: type[Exception] = IbisError
    return found


def _folder_of(func: Any) -> Path | None:
    while hasattr(func, "func"):
        func = func.func
    code = getattr(func, "__code__", None)
    folder = Path(code.co_filename).parent if code else None
    if folder is None or not folder.is_dir():
        return None
    return None if "site-packages" in folder.parts else folder
