"""The run in progress: what a stage may ask of it, what is written down of it, and where results come from."""

from __future__ import annotations

import functools
import math
import re
import threading
import time
import traceback as tb
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.database.storage import now
from egregora.errors import CatalogBusyError, EgregoraError, SchemaError
from egregora.pipeline.checkpoint import bind, checkpoint_path
from egregora.pipeline.profile import HISTORY, Mark, Profile, judge, marks_json, recent_profiles
from egregora.pipeline.stage import PrivacyPass, Stage, StageContext

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

    from egregora.database.columns import TableSpec
    from egregora.database.storage import StorageManager

__all__ = ["History", "Origin", "Repeated", "Result", "Run", "history", "origin_of", "remember_origin"]

PROGRESS_EVERY_S = 0.2
"""Progress is written down at most this often."""


@dataclass(frozen=True)
class Origin:
    """Where a table came from.

    Attributes:
        run_id: The run whose result it is.
        output_hash: Content address.
        rows: Rows in it.
        path: The checkpoint's file.
        privacy_run_id: The privacy run that all of it went through, if any.
        raw: Whether it may hold names as they are, in whatever columns: it came from parse, past no privacy run.
    """

    run_id: str
    output_hash: str
    rows: int
    path: Path
    privacy_run_id: str | None
    raw: bool = False


@dataclass(frozen=True)
class Repeated:
    """The run that a replay repeats, and the content address of what it made; None if it made nothing."""

    run_id: str
    output_hash: str | None


class Result:
    """A stage's result: where it came from, and its table, bound when somebody asks for it.

    When nothing has changed nobody asks, and importing ibis alone takes longer than all else that is done then.

    Attributes:
        origin: Where it came from.
        marks: What looks wrong about it.
    """

    def __init__(
        self, origin: Origin, fingerprint: str, backend: Callable[[], Any], *, marks: Sequence[Mark] = ()
    ) -> None:
        self.origin = origin
        self.marks = marks
        self._fingerprint = fingerprint
        self._backend = backend

    @functools.cached_property
    def table(self) -> ibis.Table:
        """The rows, as a table on the in-memory DuckDB. Reads none of them."""
        table = bind(self._backend(), self.origin.path, self._fingerprint)
        remember_origin(table, self.origin)
        return table

    @functools.cached_property
    def arrow(self) -> pa.Table:
        """The rows, read at once and without DuckDB: for the small results of children, made by many threads."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.origin.path) as file:
            return file.read()


_origins: dict[tuple[int, str], Origin] = {}


def remember_origin(table: Any, origin: Origin) -> None:
    """Note where a table that was just bound from a checkpoint came from."""
    op = table.op()
    _origins[id(op.source), op.name] = origin


def origin_of(table: Any) -> Origin | None:
    """Where a table came from, if it is a stage's result as it stands (not a query on one)."""
    if isinstance(table, Result):
        return table.origin
    op = table.op() if hasattr(table, "op") else None
    if op is None or not hasattr(op, "source"):
        return None
    # A query in SQL has a source, but no name.
    return _origins.get((id(op.source), getattr(op, "name", "")))


def roots_of(table: Any) -> list[Origin | None]:
    """The origins of all tables that an expression reads; None for one that is no stage's result."""
    if isinstance(table, Result):
        return [table.origin]
    if not hasattr(table, "op"):
        return [None]
    import ibis.expr.operations as ops

    found: list[Origin | None] = []
    for op in table.op().find(ops.Relation):
        if isinstance(op, ops.PhysicalTable):
            found.append(_origins.get((id(getattr(op, "source", None)), op.name)))
        elif isinstance(op, ops.SQLStringView) or not op.find_below(ops.Relation):
            # Raw SQL may read anything.
            found.append(None)
    return found


# -- earlier runs -------------------------------------------------------------------------------------------------

_KEPT = (
    "run_id",
    "input_fingerprint",
    "input_hash",
    "config_hash",
    "code_hash",
    "output_hash",
    "rows_out",
    "source",
    "marks",
    "checkpoint_bytes",
    "checkpoint_mtime_ns",
    "checkpoint_sha256",
)


_STRUCT = ", ".join(f"{name} := {name}::VARCHAR" if name == "run_id" else f"{name} := {name}" for name in _KEPT)


class Siblings:
    """Earlier children of one stage that have checkpoints; see `History`, whose questions it answers for them.

    Read once for all children: asking the catalog for each would take longer than a hit.
    """

    def __init__(self, storage: StorageManager, stage: str) -> None:
        self.problem = ""
        self._lock = threading.Lock()
        self._newest: dict[str, dict[str, Any]] = {}
        self._makers: dict[str, list[dict[str, Any]]] = {}
        folder = checkpoint_path(storage, stage, "sha256:").parent
        # As many as there are files, however many runs there have been.
        names = sorted(literal(f"sha256:{path.stem}") for path in folder.glob("*.parquet"))
        where = (
            f"WHERE status = 'completed' AND stage = {literal(stage)} AND checkpoint_sha256 IS NOT NULL "
            f"AND tenant_id = {literal(storage.tenant_id)} AND parent_run_id IS NOT NULL AND {NO_REPLAY}"
        )
        try:
            with storage.reading() as con:
                newest = con.execute(
                    f"SELECT label, arg_max(struct_pack({_STRUCT}), started_at) FROM runs {where} GROUP BY label"
                ).fetchall()
                makers = (
                    con.execute(
                        f"SELECT {', '.join(_KEPT)} FROM runs {where} AND input_fingerprint IN ({', '.join(names)}) "
                        "ORDER BY source = 'executed' DESC, started_at DESC"
                    ).fetchall()
                    if names
                    else []
                )
        except CatalogBusyError as error:
            self.problem = str(error)
            return
        self._newest = {label: dict(row) for label, row in newest}
        for row in makers:
            known: dict[str, Any] = {**dict(zip(_KEPT, row, strict=True)), "run_id": str(row[0])}
            self._makers.setdefault(known["input_fingerprint"], []).append(known)

    def newest(self, label: str) -> dict[str, Any] | None:
        """The newest completed child with a label."""
        with self._lock:
            return self._newest.get(label)

    def add(self, label: str, row: Mapping[str, Any]) -> None:
        """A child of this process completed."""
        kept = {name: row.get(name) for name in _KEPT}
        with self._lock:
            self._newest[label] = kept
            self._makers.setdefault(row["input_fingerprint"], []).insert(0, kept)

    def makers(self, label: str, fingerprint: str) -> Iterable[dict[str, Any]]:
        """The completed children, whatever their label, that describe a checkpoint with this fingerprint."""
        with self._lock:
            return list(self._makers.get(fingerprint, ()))


class History:
    """The newest completed run of each stage, read once; runs of this process are added as they complete.

    Attributes:
        problem: Why earlier runs can't be read just now; empty if they could.
    """

    def __init__(self, storage: StorageManager) -> None:
        self.storage = storage
        self.problem = ""
        self._newest: dict[str, dict[str, Any]] = {}
        self._siblings: dict[str, Siblings] = {}
        self._lock = threading.Lock()
        try:
            with storage.reading() as con:
                # One pass over the table: each stage on its own would take 31 ms a stage with a million runs.
                rows = con.execute(
                    f"SELECT stage, arg_max(struct_pack({_STRUCT}), started_at) FROM runs "
                    f"WHERE status = 'completed' AND parent_run_id IS NULL AND {NO_REPLAY} "
                    f"AND tenant_id = {literal(storage.tenant_id)} GROUP BY stage"
                ).fetchall()
        except CatalogBusyError as error:
            # Nothing can be reused without knowing what was; but a run is no reason to wait for somebody's shell.
            self.problem = str(error)
            return
        self._newest = {stage: dict(row) for stage, row in rows}

    @functools.cached_property
    def _profiles(self) -> dict[str, list[Profile]]:
        """Earlier runs in figures, read when the first of this process completes: hits need none of it."""
        try:
            with self.storage.reading() as con:
                return recent_profiles(con, self.storage.tenant_id)
        except CatalogBusyError:
            return {}

    def judged(self, stage: str, profile: Profile) -> list[Mark]:
        """What looks wrong about a run of this process that completed; later ones are compared with it too."""
        earlier = self._profiles.setdefault(stage, [])
        marks = judge(profile, earlier)
        earlier.insert(0, replace(profile, marks=marks))
        del earlier[HISTORY:]
        return marks

    def figure(self, stage: str, name: str) -> float | None:
        """A figure of the newest run of a stage that executed."""
        earlier = self._profiles.get(stage)
        return earlier[0].figures.get(name) if earlier else None

    def newest(self, stage: str) -> dict[str, Any] | None:
        """The newest completed run of a stage."""
        return self._newest.get(stage)

    def siblings(self, stage: str) -> Siblings:
        """Earlier children of a stage, as read when its first child was made."""
        with self._lock:
            found = self._siblings.get(stage)
            if found is None or found.problem:
                found = self._siblings[stage] = Siblings(self.storage, stage)
            return found

    def add(self, stage: str, row: Mapping[str, Any]) -> None:
        """A run of this process completed."""
        self._newest[stage] = {name: row.get(name) for name in _KEPT}

    def makers(self, stage: str, fingerprint: str) -> Iterator[dict[str, Any]]:
        """The completed runs of a stage with this fingerprint that describe a checkpoint, newest first.

        There may be several, each with a file of its own that took the place of the one before: when two processes work
        on the same at once, or a run was forced.
        """
        newest = self._newest.get(stage)
        if newest and newest["input_fingerprint"] == fingerprint and newest["checkpoint_sha256"]:
            yield newest
        try:
            with self.storage.reading() as con:
                rows = con.execute(
                    f"SELECT {', '.join(_KEPT)} FROM runs WHERE status = 'completed' AND stage = {literal(stage)} "
                    f"AND input_fingerprint = {literal(fingerprint)} AND checkpoint_sha256 IS NOT NULL "
                    f"AND tenant_id = {literal(self.storage.tenant_id)} AND parent_run_id IS NULL "
                    "ORDER BY source = 'executed' DESC, started_at DESC LIMIT 16"
                ).fetchall()
        except CatalogBusyError:
            return
        for row in rows:
            yield {**dict(zip(_KEPT, row, strict=True)), "run_id": str(row[0])}


_reading_history = threading.Lock()
_histories: weakref.WeakKeyDictionary[StorageManager, History] = weakref.WeakKeyDictionary()


def history(storage: StorageManager) -> History:
    """The earlier runs of a site, as read when this storage was first used."""
    with _reading_history:
        found = _histories.get(storage)
        if found is None or found.problem:
            found = _histories[storage] = History(storage)
        return found


# -- the run ------------------------------------------------------------------------------------------------------


_counting = threading.Lock()
"""Children of several threads add to the sums of one parent."""


class Run(StageContext):
    """A run in progress.

    Everything that a stage is told of it or tells it goes through here, and from here to the journal.
    """

    def __init__(
        self,
        storage: StorageManager,
        stage: str,
        *,
        inputs: Mapping[str, Any],
        privacy_run_id: str | None = None,
        raw: bool = False,
        parent: Run | None = None,
        label: str | None = None,
    ) -> None:
        super().__init__(storage.directory, storage.tenant_id, inputs)
        self.storage = storage
        self.stage = stage
        self.run_id = str(uuid.uuid4())
        self.raw = raw
        self.label = label
        self.parent = parent
        self.started = now()
        self._clock = time.perf_counter()
        self.privacy_run_id = privacy_run_id
        self._progress_at = 0.0
        self._calls = 0
        self._tokens: int | None = None
        self._cost: float | None = None
        self._unpriced = False
        self.figures: dict[str, float] = {}
        self.marks: list[Mark] = []
        self.paid = 0
        self.session = storage.session
        self.force = False
        self.replays: Repeated | None = None
        if parent is not None:
            self.blobs = parent.blobs
            self.config = parent.config
            self.stopped = parent.stopped
            self.under_way = parent.under_way

    @property
    def source(self) -> str:
        """The column `source` of a run that executes."""
        return "replay" if self.replays else "executed"

    def seconds(self) -> float:
        """Seconds since the start, by the monotonic clock."""
        return time.perf_counter() - self._clock

    def emit(self, fields: Mapping[str, Any], *, sync: bool, beside: Iterable[Mapping[str, Any]] = ()) -> None:
        """Write down fields of this run's row, and events that belong to it."""
        event = {"e": "run", "run_id": self.run_id, **{k: v for k, v in fields.items() if v is not None}}
        # The row comes first: when runs are removed, a configuration that no row refers to goes with them.
        self.storage.append([event, *map(dict, beside)], sync=sync)
        if self.storage.listener is not None:
            self.storage.listener(self, event)

    def begin(self, fields: Mapping[str, Any], *, sync: bool, beside: Iterable[Mapping[str, Any]] = ()) -> None:
        """Write the open row: what is known before the work starts. It is the evidence after a crash."""
        self.emit({**self.identity(), "status": "running", **fields}, sync=sync, beside=beside)

    def identity(self) -> dict[str, Any]:
        """The columns that say which run this is and who runs it."""
        return {
            "stage": self.stage,
            "started_at": self.started,
            "trace_id": self.storage.invocation_id.replace("-", ""),
            "invocation_id": self.storage.invocation_id,
            "parent_run_id": self.parent.run_id if self.parent else None,
            "label": self.label,
            "owner": self.storage.owner,
            "tenant_id": self.tenant_id,
            "given": None if self.parent else self.storage.given,
        }

    @property
    def cost_usd(self) -> float | None:
        """What its model calls cost, in US dollars; None where a price is unknown, or there were none."""
        return None if self._unpriced else (self._cost if self._calls else None)

    def finish(self, fields: Mapping[str, Any], *, beside: Iterable[Mapping[str, Any]] = ()) -> None:
        """Close the row. What was measured of the result of a run that completed is written down with it."""
        completed = fields.get("status") == "completed"
        if completed and self.figures:
            self.storage.append(
                {"e": "profile", "run_id": self.run_id, "name": name, "value": value}
                for name, value in self.figures.items()
            )
        self.emit(
            {
                "marks": marks_json(self.marks) if completed else None,
                "finished_at": now(),
                "duration_seconds": round(self.seconds(), 6),
                "llm_calls": self._calls,
                "tokens": self._tokens if self._calls else 0,
                "cost_usd": self.cost_usd,
                **fields,
            },
            sync=True,
            beside=beside,
        )

    def fail(self, error: BaseException) -> None:
        """Close the row of a run that failed."""
        self.finish({"status": "failed", **describe_error(error, raw=self.raw)})

    # What a stage may ask, see StageContext.

    def log(self, message: str, level: str = "info") -> None:
        self.storage.append(
            [{"e": "log", "run_id": self.run_id, "ts": now(), "level": level, "message": redacted(message)}]
        )
        if self.storage.listener is not None:
            self.storage.listener(self, {"e": "log", "level": level, "message": redacted(message)})

    def profile(self, name: str, value: float) -> None:
        if math.isfinite(value):
            self.figures[redacted(name)] = float(value)

    def earlier(self, name: str) -> float | None:
        return history(self.storage).figure(self.stage, name)

    def mark(self, name: str, text: str, value: float) -> None:
        if all(mark.name != name for mark in self.marks):
            self.marks.append(Mark(redacted(name), redacted(text), float(value), since=self.run_id))

    def progress(self, done: int, total: int | None = None, unit: str = "messages") -> None:
        at = time.monotonic()
        if at - self._progress_at < PROGRESS_EVERY_S and done != total:
            return
        self._progress_at = at
        self.emit({"progress_done": done, "progress_total": total, "progress_unit": unit}, sync=False)
        if self.parent is None:
            self.storage.settle(later=True)

    def count_call(
        self,
        *,
        model: str,
        prompt_hash: str,
        input_tokens: int | None,
        output_tokens: int | None,
        cost_usd: float | None,
        latency_ms: float,
        error: str | None = None,
    ) -> None:
        self.storage.append(
            [
                {
                    "e": "call",
                    "run_id": self.run_id,
                    "ts": now(),
                    "model": model,
                    "prompt_hash": prompt_hash,
                    "input_tokens": input_tokens,
                    "output_tokens": output_tokens,
                    "cost_usd": cost_usd,
                    "latency_ms": latency_ms,
                    "error": redacted(error) if error else None,
                }
            ]
        )
        with _counting:
            self._count(input_tokens, output_tokens, cost_usd)

    def _count(self, input_tokens: int | None, output_tokens: int | None, cost_usd: float | None) -> None:
        """Add a call to this run and those above it."""
        run: Run | None = self
        first = not self._calls
        while run is not None:
            run._calls += 1
            run.paid += first and run is not self
            run._tokens = (run._tokens or 0) + (input_tokens or 0) + (output_tokens or 0)
            run._unpriced |= cost_usd is None
            run._cost = (run._cost or 0.0) + (cost_usd or 0.0)
            run = run.parent

    @contextmanager
    def child(self, label: str, rows_in: int | None = None) -> Iterator[StageContext]:
        run = Run(
            self.storage,
            self.stage,
            inputs=self.inputs,
            privacy_run_id=self.privacy_run_id,
            raw=self.raw,
            parent=self,
            label=label,
        )
        # Not synced: while the parent's row is open and on the disk, a lost child start loses nothing.
        run.replays = self.replays
        run.begin({"source": run.source, "rows_in": rows_in, **self.shared}, sync=False)
        try:
            yield run
        except BaseException as error:
            run.fail(error)
            raise
        run.finish({"status": "completed", "rows_out": run.rows_out})

    def child_result(
        self,
        label: str,
        func: Callable[..., Any],
        table: Any,
        *,
        config_keys: tuple[str, ...],
        inputs: Mapping[str, Any] | None = None,
        output: TableSpec | None = None,
        distributions: tuple[str, ...] = (),
    ) -> pa.Table:
        # Here, because the loop is above this module: it makes runs.
        from egregora.pipeline.runner import run_child

        stage = Stage(self.stage, func, output, config_keys, distributions)
        return run_child(self, label, stage, table, dict(inputs or {})).arrow

    def privacy_pass(self) -> PrivacyPass:
        if self.privacy_run_id is None:
            return super().privacy_pass()
        return PrivacyPass(self.privacy_run_id, self.tenant_id)

    shared: Mapping[str, Any] = {}
    """Columns that children take over from this run: fingerprint, configuration, code."""


# -- errors, as they are recorded ---------------------------------------------------------------------------------

_PATHS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\":]+){2,}[\\/]?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\x1b\[[0-9;]*[A-Za-z]")

_SITE_OPTION = re.compile(r" --site (?:'[^']*'|[^\s;,]+)")


def redacted(text: str) -> str:
    """A text as it may be kept: without personal data, absolute paths and control characters."""
    from egregora.patterns import redact_patterns

    return redact_patterns(_PATHS.sub("[path]", _CONTROL.sub("", text)))


def describe_error(error: BaseException, *, raw: bool) -> dict[str, str]:
    """The columns `error`, `error_type`, `hint` and `traceback` of a failure, redacted.

    Args:
        error: What was raised.
        raw: Whether names weren't protected yet when it was: then only Egregora's own errors, which never hold text of
            a chat, keep their message.
    """
    if isinstance(error, KeyboardInterrupt):
        return {"error": "interrupted from the keyboard", "error_type": "interrupted"}
    chain: list[BaseException] = [error]
    while (
        before := chain[-1].__cause__ or (None if chain[-1].__suppress_context__ else chain[-1].__context__)
    ) is not None:
        if before in chain:
            break
        chain.append(before)
    frames = []
    for link in reversed(chain):
        frames += [f"{_module(f.filename)}:{f.lineno} in {f.name}" for f in tb.extract_tb(link.__traceback__)]
        frames.append(f"{type(link).__qualname__}: {_message(link, raw)}")
    # Where the site lies is no part of the record: whoever shows the hint knows it, and says it.
    hints = (_SITE_OPTION.sub("", link.hint) for link in chain if isinstance(link, EgregoraError))
    hint = next(filter(None, hints), "")
    return {
        "error": _message(error, raw) or type(error).__qualname__,
        "error_type": type(error).__qualname__,
        **({"hint": redacted(hint)} if hint else {}),
        "traceback": "\n".join(frames),
    }


def _message(error: BaseException, raw: bool) -> str:
    # What doesn't fit its columns is told with their names or with a value.
    if isinstance(error, EgregoraError) and not (raw and isinstance(error, SchemaError)):
        return redacted(str(error))
    if raw:
        return f"{type(error).__qualname__}; its message is withheld, because names are not protected yet"
    return redacted(str(error))


@functools.lru_cache(maxsize=1024)
def _module(filename: str) -> str:
    """A file in a traceback without where it lies on this machine."""
    parts = Path(filename).parts
    for mark in ("site-packages", "src"):
        if mark in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(mark) :])
    return parts[-1] if parts else filename
