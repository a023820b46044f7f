"""What a stage is: a name, a pure function from tables to a table, what it reads, and what it may ask for.

A stage function is called as `func(input_table, config, run_id=run_id)`, and with `context=` too if it has a parameter
of that name. It returns an `ibis.Table`, a `pyarrow.Table` or a `pyarrow.RecordBatchReader` (which is streamed, so its
rows need never be in memory together). It knows nothing of runs, fingerprints or checkpoints.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from egregora.errors import BlobError, BudgetError, EgregoraError, PrivacyError

if TYPE_CHECKING:
    import pyarrow as pa

    from egregora.database.columns import TableSpec

T = TypeVar("T")

__all__ = ["Files", "PrivacyPass", "Stage", "StageContext"]


@dataclass(frozen=True)
class Files:
    """Files or folders as a stage's input; their identity is their bytes, never their names."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PrivacyPass:
    """Proof that what a function is about to send went through the privacy stage.

    Only the runner issues one, from a completed privacy run, executed or hit.
    """

    run_id: str
    tenant_id: str


@dataclass(frozen=True)
class Stage:
    """A stage as data.

    Attributes:
        name: As it stands in `runs`.
        func: The function; see the module's docstring.
        output: The declared table that the result is cast to; None: it is kept as it is.
        config_keys: Dotted keys of the configuration that the function may read; it sees no others.
        distributions: Installed packages whose versions count as code.
    """

    name: str
    func: Callable[..., Any]
    output: TableSpec | None
    config_keys: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()


@dataclass
class StageContext:
    """What a stage may ask of whoever runs it. This one records nothing: it is for calling a stage by hand.

    Attributes:
        directory: The folder that holds `blobs/`.
        tenant_id: The site.
        inputs: Further inputs by name, tables or `Files`.
        config: The configuration that the stage sees.
        rows_out: Rows that a child made; set it inside `with context.child(…)`.
        session: What is kept for as long as an invocation lasts, e.g. connections. Nothing that a result depends on.
        rehearsed: Whether the work is only rehearsed, to see what it would come to: nothing is to be sent.
        stopped: Set when the work is to end at once (Ctrl-C); whoever waits for something slow looks at it.
        under_way: Set when something is sent for the first time, and all that takes beforehand is ready.
    """

    directory: Path
    tenant_id: str = "default"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    config: Any = None
    rows_out: int | None = None
    blobs: dict[str, int] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)
    rehearsed: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    under_way: threading.Event = field(default_factory=threading.Event)

    def log(self, message: str, level: str = "info") -> None:
        """Record a line (`info` or `warning`). Before the privacy stage it must hold no text of the chat."""

    def profile(self, name: str, value: float) -> None:
        """Record a figure of the result; a later one of that name replaces it. The name holds no text of the chat.

        What figures mean, and which are compared with the runs before, is declared in `pipeline/profile.py`.
        """

    def mark(self, name: str, text: str, value: float) -> None:
        """Say that the result looks wrong although nothing failed, once for each figure.

        Args:
            name: The figure.
            text: One sentence with the figure in it. It holds no text of the chat.
            value: The figure.
        """

    def earlier(self, name: str) -> float | None:
        """That figure of this stage's run before, if there was one. For log lines alone: no result may depend on it."""
        return None

    def progress(self, done: int, total: int | None = None, unit: str = "messages") -> None:
        """Say how far the work is. Cheap enough to be called for every thousand messages or every window."""

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
        """Record one attempt at a model call, failed ones too. `cost_usd` is None where the price is unknown."""

    @contextmanager
    def child(self, label: str, rows_in: int | None = None) -> Iterator[StageContext]:
        """A run of its own below this one, for one window or pair. `label` names it; it holds no text of the chat."""
        yield self._below(self.config)

    def _below(self, config: Any) -> StageContext:
        below = StageContext(self.directory, self.tenant_id, {}, config, blobs=self.blobs, session=self.session)
        below.stopped, below.under_way = self.stopped, self.under_way
        return below

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
        """A child run with a fingerprint and a checkpoint of its own: made once, then taken from there.

        For what is slow or costs money, such as a window that a model writes. Children may be made from several threads
        at once, best through `run_children`. A child is entitled to what this run is entitled to.

        Args:
            label: What it works on; it names the run and doesn't count. It holds no text of the chat.
            func: Called like a stage's function: `func(table, config, run_id=…, context=…)`; `context` is the child.
                What is bound to it (a `functools.partial`) counts as code.
            table: Its input, hashed whole: an Arrow or Ibis table.
            config_keys: Dotted keys that it reads, of those that this stage reads.
            inputs: Further tables by name, hashed too; found in `context.inputs`.
            output: The declared table that the result is cast to; None: kept as it is.
            distributions: Installed packages whose versions count.

        Returns:
            The result, read back from its checkpoint.

        Raises:
            SchemaError: the result isn't as declared.
            Exception: whatever `func` raised, after it has been recorded.
        """
        from egregora.pipeline.fingerprint import select_config

        child = self._below(select_config(self.config, config_keys)[0])
        child.inputs = dict(inputs or {})
        made = func(table, child.config, run_id="-", context=child)
        found: pa.Table = made if hasattr(made, "num_rows") else made.read_all()
        return found.select(output.names).cast(output.arrow()) if output else found

    def run_children(self, jobs: Sequence[Callable[[], T]], concurrency: int, *, unit: str = "windows") -> list[T]:
        """Do jobs, each of which makes a child (`lambda: context.child_result(…)`), some at a time, in their order.

        The first goes alone for a moment, so that what is wrong with all of them, a key for example, goes wrong once.
        When one fails, those that have begun are finished and kept, and no more are started.

        Args:
            jobs: Functions without arguments.
            concurrency: How many are at work at a time.
            unit: What they are, for the progress and the error.

        Returns:
            What they returned, in their order.

        Raises:
            BudgetError: some were not done because a limit on calls or cost would have been passed.
            EgregoraError: one failed; what it raised is the cause.
        """
        if not jobs:
            return []
        pool = ThreadPoolExecutor(max_workers=max(1, concurrency), thread_name_prefix="child")
        running: dict[Future[T], int] = {}
        results: dict[int, T] = {}
        failed: dict[int, BaseException] = {}
        following = iter(enumerate(jobs))
        self.progress(0, len(jobs), unit)
        try:
            self._start(pool, running, following, 1)
            self._wait_for_first(next(iter(running)))
            while True:
                for future in [future for future in running if future.done()]:
                    number = running.pop(future)
                    error = future.exception()
                    if error is None:
                        results[number] = future.result()
                        self.progress(len(results), len(jobs), unit)
                    else:
                        failed[number] = error
                if not failed:
                    self._start(pool, running, following, concurrency - len(running))
                if not running:
                    break
                wait(running, return_when=FIRST_COMPLETED)
        except BaseException:
            self.stopped.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if failed:
            raise _unfinished(failed, len(results), len(jobs), unit)
        return [results[number] for number in range(len(jobs))]

    def _wait_for_first(self, first: Future[T]) -> None:
        # What it takes to ask for the first time, imports above all, is no time in which an answer could come.
        ready = time.monotonic() + READY_S
        while not (first.done() or self.under_way.is_set()) and time.monotonic() < ready:
            wait([first], timeout=0.02)
        wait([first], timeout=ALONE_S)

    @staticmethod
    def _start(
        pool: ThreadPoolExecutor,
        running: dict[Future[T], int],
        following: Iterator[tuple[int, Callable[[], T]]],
        count: int,
    ) -> None:
        for _, (number, job) in zip(range(count), following, strict=False):
            running[pool.submit(job)] = number

    def privacy_pass(self) -> PrivacyPass:
        """The pass that every function that sends something takes.

        Raises:
            PrivacyError: no input of this stage descends from a completed privacy run.
        """
        raise PrivacyError(
            "this stage's input did not go through the privacy stage",
            hint="run it on the privacy stage's output, through run_stage_with_tracking",
        )

    def put_blob(self, data: bytes, extension: str) -> str:
        """Keep bytes under their hash and return the blob id, `<sha256>.<extension>`. The same bytes are kept once."""
        blob = f"{hashlib.sha256(data).hexdigest()}.{extension}"
        path = self.blob_path(blob)
        if not (path.exists() and path.stat().st_size == len(data)):
            temporary = path.with_name(f".new-{os.getpid()}-{threading.get_ident()}")
            try:
                temporary.write_bytes(data)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
            temporary.replace(path)
        self.blobs[blob] = len(data)
        return blob

    def blob_path(self, blob: str) -> Path:
        """Where a blob's bytes lie."""
        return self.directory / "blobs" / blob

    def get_blob(self, blob: str) -> bytes:
        """A blob's bytes.

        Raises:
            BlobError: it is not there.
        """
        try:
            return self.blob_path(blob).read_bytes()
        except FileNotFoundError as error:
            raise BlobError(
                f"the file {blob[:12]}… is missing from the site's blobs", hint="run again with --force enrich"
            ) from error


ALONE_S = 0.25
"""How long the first of many children is at work alone once it has sent what it sends, in seconds."""
READY_S = 5.0
"""How long it may take to get so far."""


def _unfinished(failed: Mapping[int, BaseException], done: int, total: int, unit: str) -> BaseException:
    """What a stage raises whose children are not all done. The first thing that went wrong is its cause."""
    broken = {number: error for number, error in failed.items() if not isinstance(error, BudgetError)}
    first = (broken or failed)[min(broken or failed)]
    if not isinstance(first, Exception):
        return first
    parts = [f"{done} of {total} {unit}"]
    if broken:
        parts.append(f"{len(broken)} failed")
    if left := total - done - len(broken):
        parts.append(f"{left} not started")
    why = str(first) if isinstance(first, EgregoraError) else type(first).__qualname__
    kind = EgregoraError if broken else BudgetError
    error = kind(f"{', '.join(parts)}: {why}", hint=getattr(first, "hint", ""))
    error.__cause__ = first
    return error
