"""The writer that asks a model: what it is told of one window, and which answers it takes for posts."""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["CONFIG_KEYS", "EARLIER", "Post", "Posts", "write_window"]

CONFIG_KEYS: Final = (
    *MODEL_KEYS,
    "llm.instructions",
    "prompts.write",
    "write.language",
    "site.language",
)
"""What a window's posts depend on beside the window."""

EARLIER: Final = pa.schema(
    [("day", pa.string()), ("title", pa.string()), ("standfirst", pa.string()), ("said", pa.list_(pa.string()))]
)
"""What is told of earlier windows; `said` are messages of theirs."""


class Post(BaseModel):
    """One post."""

    title: str = Field(min_length=1, max_length=90, description="Title in plain text, without a full stop.")
    standfirst: str = Field(max_length=280, description="One or two sentences that make one want to read on.")
    tags: list[str] = Field(max_length=6, description="Short topics in lower case, the most telling first.")
    paragraphs: list[Paragraph] = Field(min_length=1, max_length=20)


class Posts(BaseModel):
    """The posts of a window; none if nothing in it is worth telling."""

    posts: list[Post] = Field(max_length=3)


def write_window(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Have a model write the posts of one window, or of a part of one.

    Args:
        table: Its messages, with the columns `TRANSCRIBED`.
        config: Reads `CONFIG_KEYS`.
        context: `inputs["earlier"]` has rows of `EARLIER`.

    Returns:
        `DRAFTS` rows. One row with a `problem` if the model, told what was wrong with its answer, was wrong again.

    Raises:
        ModelError: there was no answer.
    """
    transcript = Transcript.of(table)
    earlier = context.inputs["earlier"].to_pylist()
    told = [text for window in earlier for text in (window["title"], window["standfirst"], *window["said"])]
    wrong: list[str] = []

    def check(posts: Posts) -> None:
        wrong[:] = _problems(posts, transcript, told)
        if wrong:
            raise ValueError(" ".join(wrong))

    try:
        posts = ask(
            context.privacy_pass(),
            context,
            purpose="write a window",
            instructions=_instructions(config),
            prompt=_prompt(transcript, earlier),
            output=Posts,
            check=check,
        ).posts
    except AnswerError as error:
        # Nonsense is a failure; an answer in the right form whose contents are made up isn't worth a third call.
        if not wrong:
            instead = "or add the window to without_model under [write] in egregora.toml"
            raise AnswerError(str(error), hint=", ".join(filter(None, (error.hint, instead)))) from None
        context.log(f"the model's posts were not taken: {wrong[0]}", "warning")
        return pa.Table.from_pylist([_empty(" ".join(wrong))], schema=DRAFTS.arrow())
    rows = [
        {
            "nth": nth,
            "title": " ".join(post.title.split()),
            "standfirst": " ".join(post.standfirst.split()),
            "tags": list(dict.fromkeys(" ".join(tag.split()).lower() for tag in post.tags if tag.strip())),
            "paragraphs": [sourced(paragraph, transcript) for paragraph in post.paragraphs],
            "problem": None,
        }
        for nth, post in enumerate(posts)
    ]
    if not rows:
        context.log("no post: the model found nothing worth telling")
    return pa.Table.from_pylist(rows, schema=DRAFTS.arrow())


def _empty(problem: str) -> dict[str, Any]:
    return {"nth": 0, "title": "", "standfirst": "", "tags": [], "paragraphs": [], "problem": problem}


def _problems(posts: Posts, transcript: Transcript, told: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for post in posts.posts:
        heads = (post.title, post.standfirst, *post.tags)
        found |= dict.fromkeys(problems(post.paragraphs, transcript, heads=heads, known=told))
    return list(found)


def _instructions(config: Any) -> str:
    language = config.write.language or config.site.language
    parts = (config.prompts["write"].strip(), f"Write in this language: {language}.", config.llm.instructions.strip())
    return "\n\n".join(filter(None, parts))


def _prompt(transcript: Transcript, earlier: Sequence[dict[str, Any]]) -> str:
    parts = []
    if earlier:
        lines = []
        for window in earlier:
            lines.append(f"{window['day']}: {window['title']}. {window['standfirst']}")
            lines += [f"  {said}" for said in window["said"]]
        parts.append("<earlier>\n" + "\n".join(lines) + "\n</earlier>")
    parts.append(f"<messages>\n{transcript.text}\n</messages>")
    return "\n\n".join(parts)
