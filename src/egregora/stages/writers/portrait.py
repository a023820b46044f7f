"""A portrait of one person, which a model writes from that person's own messages and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pydantic import BaseModel, Field

from egregora.database.ir_schema import DRAFTS
from egregora.errors import AnswerError
from egregora.llm import MODEL_KEYS, ask
from egregora.stages.writers.answer import Paragraph, problems, sourced
from egregora.stages.writers.transcript import Transcript

if TYPE_CHECKING:
    from egregora.pipeline.stage import StageContext

__all__ = ["CONFIG_KEYS", "Portrait", "write_portrait"]

CONFIG_KEYS: Final = (*MODEL_KEYS, "llm.instructions", "prompts.portrait", "write.language", "site.language")
"""What a portrait depends on beside the messages."""


class Portrait(BaseModel):
    """The portrait of one person."""

    paragraphs: list[Paragraph] = Field(min_length=1, max_length=5)


def write_portrait(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Have a model write the portrait of one person.

    Args:
        table: Messages of theirs, with the columns `TRANSCRIBED`.
        config: Reads `CONFIG_KEYS`.

    Returns:
        One row of `DRAFTS`, without a title; with a `problem` if the model, told what was wrong with its answer, was
        wrong again.

    Raises:
        ModelError: there was no answer.
    """
    transcript = Transcript.of(table)
    wrong: list[str] = []

    def check(portrait: Portrait) -> None:
        wrong[:] = problems(portrait.paragraphs, transcript)
        if wrong:
            raise ValueError(" ".join(wrong))

    language = config.write.language or config.site.language
    parts = (
        config.prompts["portrait"].strip(),
        f"Write in this language: {language}.",
        config.llm.instructions.strip(),
    )
    row: dict[str, Any] = {"nth": 0, "title": "", "standfirst": "", "tags": [], "paragraphs": [], "problem": None}
    try:
        portrait = ask(
            context.privacy_pass(),
            context,
            purpose="write a portrait",
            instructions="\n\n".join(filter(None, parts)),
            prompt=f"<messages>\n{transcript.text}\n</messages>",
            output=Portrait,
            check=check,
        )
        row["paragraphs"] = [sourced(paragraph, transcript) for paragraph in portrait.paragraphs]
    except AnswerError:
        if not wrong:
            raise
        context.log(f"the model's portrait was not taken: {wrong[0]}", "warning")
        row["problem"] = " ".join(wrong)
    return pa.Table.from_pylist([row], schema=DRAFTS.arrow())
