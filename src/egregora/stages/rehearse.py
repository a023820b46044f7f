"""What a way through the stages would ask a model, and what that would come to, before anything is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.pipeline.rehearsal import Expected, rehearse_stage
from egregora.pipeline.runner import run_stage
from egregora.pipeline.stage import Files, Stage
from egregora.stages.chain import EXPORTS, STAGES, reads, stage_called
from egregora.stages.exports import remember_exports

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager

__all__ = ["rehearse_site"]


def rehearse_site(
    exports: Sequence[Path], config: Config, storage: StorageManager, *, up_to: str = STAGES[-1], force: str = ""
) -> list[Expected]:
    """Go through the stages as `write_site` does, and send nothing.

    What comes before the first question to a model is run and kept, as it costs nothing. From there on stages are
    rehearsed: a window that isn't written yet stands in for itself with the words of the chat, so what later stages
    would ask is an estimate.

    Returns:
        What each stage that asks a model would ask, in the order of the stages.

    Raises:
        EgregoraError: something that the user can act on.
    """
    files = Files(tuple(path.absolute() for path in exports))
    remember_exports(storage, files)
    made: dict[str, Any] = {EXPORTS: files}
    names = STAGES[: STAGES.index(up_to) + 1]
    stages = {name: stage_called(name, config) for name in names}
    asking = [name for name in names if _asks(stages[name])]
    expected: list[Expected] = []
    if not asking:
        return expected
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=storage.directory) as scratch:
        rehearsed = False
        for name in names[: names.index(asking[-1]) + 1]:
            table, inputs = reads(name, made)
            forced = force in (name, "all")
            # Pages that links lead to are fetched without a model too: nothing may be sent.
            rehearsed = rehearsed or name in asking or (name == "enrich" and config.enrich.fetch_links)
            if not rehearsed:
                made[name] = run_stage(stages[name], table, config, storage, inputs=inputs, force=forced)
                continue
            made[name], found = rehearse_stage(
                stages[name], table, config, storage, Path(scratch), inputs=inputs, force=forced
            )
            if name in asking:
                expected.append(found)
    return expected


def _asks(stage: Stage) -> bool:
    """Whether a stage asks a model: it couldn't without knowing which."""
    return any(key == "llm" or key.startswith("llm.") for key in stage.config_keys)
