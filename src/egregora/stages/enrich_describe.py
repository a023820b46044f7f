"""How a model describes one page or one picture: what it is asked, and what it may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pydantic import BaseModel, Field

from egregora.database.ir_schema import DESCRIBED
from egregora.llm import MODEL_KEYS, ask

if TYPE_CHECKING:
    from egregora.pipeline.stage import StageContext

__all__ = ["CONFIG_KEYS", "Description", "describe_page", "describe_picture"]

CONFIG_KEYS: Final = (*MODEL_KEYS, "prompts.describe", "write.language", "site.language")
"""What a description depends on beside what is described."""


class Description(BaseModel):
    """What something is."""

    description: str = Field(
        max_length=200, description="One sentence in plain text; empty if there is nothing to say."
    )


def describe_page(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Have a model say what a page is about.

    Args:
        table: One row of `FETCHED`.

    Returns:
        One row of `DESCRIBED`.

    Raises:
        ModelError: there was no answer that could be used.
    """
    page = table.to_pylist()[0]
    prompt = f"<page>\n{page['title']}\n{page['description']}\n\n{page['text']}\n</page>"
    return _described("describe a page", prompt, (), config, context)


def describe_picture(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Have a model say what a picture shows.

    Args:
        table: One row with its `blob`.

    Returns:
        One row of `DESCRIBED`.

    Raises:
        ModelError: there was no answer that could be used.
    """
    picture = context.get_blob(table.column("blob")[0].as_py())
    return _described("describe a picture", "Describe this picture.", (picture,), config, context)


def _described(purpose: str, prompt: str, pictures: tuple[bytes, ...], config: Any, context: StageContext) -> pa.Table:
    language = config.write.language or config.site.language
    said = ask(
        context.privacy_pass(),
        context,
        purpose=purpose,
        instructions=f"{config.prompts['describe'].strip()}\n\nWrite in this language: {language}.",
        prompt=prompt,
        output=Description,
        images=pictures,
    )
    return pa.Table.from_pylist([{"description": " ".join(said.description.split()) or None}], schema=DESCRIBED.arrow())
