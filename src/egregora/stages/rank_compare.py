"""How a model compares two posts: what it is asked, and what it may answer. A comparison rests on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
from pydantic import BaseModel, Field

from egregora.database.ir_schema import VERDICTS
from egregora.llm import MODEL_KEYS, ask

if TYPE_CHECKING:
    from egregora.pipeline.stage import StageContext

__all__ = ["CONFIG_KEYS", "Verdict", "compare"]

CONFIG_KEYS: Final = (*MODEL_KEYS, "prompts.judge", "write.language", "site.language")
"""What a comparison depends on beside the two posts."""


class Verdict(BaseModel):
    """Which of two posts is the better read."""

    reason: str = Field(
        min_length=1,
        max_length=240,
        description="One sentence that says what makes the better one good, without comparing it to the other.",
    )
    better: Literal["first", "second", "tie"]


def compare(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Have a model compare two posts.

    Args:
        table: The two, with `place` 0 and 1, `title`, `standfirst` and `text`.
        config: Reads `CONFIG_KEYS`.

    Returns:
        One row of `VERDICTS`.

    Raises:
        ModelError: there was no answer that could be used.
    """
    posts = sorted(table.to_pylist(), key=lambda row: int(row["place"]))
    language = config.write.language or config.site.language
    verdict = ask(
        context.privacy_pass(),
        context,
        purpose="compare two posts",
        instructions=f"{config.prompts['judge'].strip()}\n\nGive the reason in this language: {language}.",
        prompt="\n\n".join(_shown(name, post) for name, post in zip(("first", "second"), posts, strict=True)),
        output=Verdict,
    )
    winner = {"first": 0, "second": 1, "tie": None}[verdict.better]
    reason = " ".join(verdict.reason.split())
    context.log(f"{verdict.better}: {reason}")
    return pa.Table.from_pylist([{"winner": winner, "reason": reason}], schema=VERDICTS.arrow())


def _shown(name: str, post: Mapping[str, Any]) -> str:
    return f"<{name}>\n{post['title']}\n{post['standfirst']}\n\n{post['text']}\n</{name}>"
