"""A stage rehearsed: it goes through its work, finds what is done already, sends nothing and records nothing."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from egregora.errors import AnswerError, EgregoraError
from egregora.pipeline import checkpoint as ckpt
from egregora.pipeline import fingerprint as fp
from egregora.pipeline import runner
from egregora.pipeline.stage import Files, PrivacyPass, Stage, StageContext
from egregora.pipeline.tracking import Origin, Result, roots_of

if TYPE_CHECKING:
    import pyarrow as pa

    from egregora.database.columns import TableSpec
    from egregora.database.storage import StorageManager

__all__ = ["Expected", "rehearse_stage"]

T = TypeVar("T")


@dataclass
class Expected:
    """What a stage would ask a model.

    Attributes:
        stage: Its name.
        done: Children whose results are there already.
        due: Labels of the children that would ask, in the order in which they were looked at.
        calls: How often they would ask, if every answer is right at once.
        input_tokens, output_tokens: Expected of all calls together.
        cost_usd: What they cost at that; None where a price isn't known.
    """

    stage: str
    done: int = 0
    due: list[str] = field(default_factory=list)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


def rehearse_stage(
    stage: Stage,
    input_table: Any,
    config: Any,
    storage: StorageManager,
    scratch: Path,
    *,
    inputs: Mapping[str, Any] | None = None,
    force: bool = False,
) -> tuple[Result, Expected]:
    """Go through a stage without sending anything. Whoever asks a model is told that it gave no usable answer.

    Args:
        stage: As for `run_stage`; also the next three.
        scratch: A folder for the result, if the stage's checkpoint can't be taken.

    Returns:
        Its result, as good as it is without answers, and what it would ask.
    """
    extra = dict(inputs or {})
    parts = {"table": input_table, **{f"inputs.{name}": value for name, value in extra.items()}}
    roots = [origin for part in parts.values() if not isinstance(part, Files) for origin in roots_of(part)]
    privacy = runner.privacy_run(roots)
    expected = Expected(stage.name)
    identity = runner.Identity(stage.func, config, storage, stage.name, parts, stage.config_keys, stage.distributions)
    path = ckpt.checkpoint_path(storage, stage.name, identity.fingerprint)
    _, found = runner.find_checkpoint(storage, path, identity, runner.Earlier(storage, stage.name, None, ""), force)
    if found is not None:
        origin = Origin(found["run_id"], found["output_hash"], found["rows_out"], path, privacy)
        return Result(origin, identity.fingerprint, lambda: storage.backend), expected
    context = _Rehearsal(storage, stage.name, expected, privacy, force)
    context.inputs = {name: runner.bound(value) for name, value in extra.items()}
    context.config, _ = fp.select_config(config, stage.config_keys)
    try:
        made = _called(stage.func, runner.bound(input_table), context)
    except EgregoraError:
        raise
    except Exception:
        # Whatever it is that a stage can't do without answers: it has told what it would ask.
        if not expected.calls or stage.output is None:
            raise
        made = stage.output.arrow().empty_table()
    kept = ckpt.write_checkpoint(storage, scratch / f"{stage.name}.parquet", made, stage.output, {})
    origin = Origin("-", kept.output_hash, kept.rows, scratch / f"{stage.name}.parquet", privacy)
    return Result(origin, "unknown:", lambda: storage.backend), expected


def _called(func: Callable[..., Any], table: Any, context: StageContext) -> Any:
    arguments: dict[str, Any] = {"run_id": "-"}
    if "context" in inspect.signature(func).parameters:
        arguments["context"] = context
    return func(table, context.config, **arguments)


_counting = threading.Lock()


class _Rehearsal(StageContext):
    """What a stage is told and tells when it is rehearsed."""

    def __init__(
        self, storage: StorageManager, stage: str, expected: Expected, privacy_run_id: str | None, force: bool
    ) -> None:
        super().__init__(storage.directory, storage.tenant_id, session=storage.session, rehearsed=True)
        self._storage = storage
        self._stage = stage
        self._expected = expected
        self._privacy_run_id = privacy_run_id
        self._force = force
        self._asks = 0

    def privacy_pass(self) -> PrivacyPass:
        if self._privacy_run_id is None:
            return super().privacy_pass()
        return PrivacyPass(self._privacy_run_id, self.tenant_id)

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
        self._asks += 1
        with _counting:
            all_of_it = self._expected
            all_of_it.calls += 1
            all_of_it.input_tokens += input_tokens or 0
            all_of_it.output_tokens += output_tokens or 0
            known = all_of_it.cost_usd is not None and cost_usd is not None
            all_of_it.cost_usd = (all_of_it.cost_usd or 0.0) + (cost_usd or 0.0) if known else None

    def run_children(self, jobs: Sequence[Callable[[], T]], concurrency: int, *, unit: str = "windows") -> list[T]:
        results = []
        for done, job in enumerate(jobs, 1):
            # Of what a stage can't do without an answer there is no result.
            with contextlib.suppress(AnswerError):
                results.append(job())
            self.progress(done, len(jobs), unit)
        return results

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
        extra = dict(inputs or {})
        parts = {"table": table, **{f"inputs.{name}": value for name, value in extra.items()}}
        identity = runner.Identity(func, self.config, self._storage, self._stage, parts, config_keys, distributions)
        path = ckpt.checkpoint_path(self._storage, self._stage, identity.fingerprint)
        earlier = runner.Earlier(self._storage, self._stage, self, label)
        _, found = runner.find_checkpoint(self._storage, path, identity, earlier, self._force)
        if found is not None:
            with _counting:
                self._expected.done += 1
            origin = Origin(found["run_id"], found["output_hash"], found["rows_out"], path, self._privacy_run_id)
            return Result(origin, identity.fingerprint, lambda: self._storage.backend).arrow
        child = _Rehearsal(self._storage, self._stage, self._expected, self._privacy_run_id, self._force)
        child.inputs = extra
        child.config, _ = fp.select_config(self.config, config_keys)
        child.blobs = self.blobs
        try:
            made = _called(func, table, child)
        except AnswerError:
            if output is None:
                raise
            made = output.arrow().empty_table()
        finally:
            if child._asks:
                with _counting:
                    self._expected.due.append(label)
        if hasattr(made, "op"):
            made = made.to_pyarrow()
        found_rows: pa.Table = made if hasattr(made, "num_rows") else made.read_all()
        return found_rows.select(output.names).cast(output.arrow()) if output else found_rows
