"""What a model may answer when it writes prose, and what is wrong with an answer that rests on nothing.

Each paragraph names the messages that it rests on and may show some of them, word for word. Whatever else it has in
quotation marks must have been written by somebody, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field

from egregora.stages.writers.transcript import Message, Transcript, excerpt

__all__ = ["Paragraph", "Quote", "problems", "sourced"]

_MOST_TOLD: Final = 6
"""Problems that a model is told of; more would only confuse it."""
_SHOWN: Final = 60
"""Characters of a wrong quotation that it is shown."""

QUOTATION = re.compile(
    r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|(?<![\w\"])\"([^\"]+)\"(?!\w)|(?<!\w)‘((?:[^‘’]|’(?=\w))+)’(?!\w)"
)
LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*([^)\s]*)[^)]*\)")
ADDRESS = re.compile(r"https?://[^\s<>\"“”)\]]+|\bwww\.[^\s<>\"“”)\]]+", re.IGNORECASE)
_MARKUP = re.compile(r"<[/!a-zA-Z][^>]*>|<(?:script|style|iframe|img)\b", re.IGNORECASE)


class Quote(BaseModel):
    """A message that is shown word for word."""

    message: str = Field(max_length=12, description="Id of the message, such as m12.")
    words: str = Field(max_length=600, description="The words of that message, exactly as they stand there.")


class Paragraph(BaseModel):
    """One paragraph of prose."""

    heading: str = Field(
        max_length=80, description="A heading above the paragraph where a new part begins, else empty."
    )
    text: str = Field(min_length=1, max_length=2400, description="The paragraph. No HTML, no lists, no headings.")
    messages: list[str] = Field(
        min_length=1, max_length=80, description="Ids of all messages that the paragraph rests on."
    )
    quotes: list[Quote] = Field(max_length=8, description="Messages to show below the paragraph; often none.")


def problems(
    paragraphs: Sequence[Paragraph], transcript: Transcript, *, heads: Sequence[str] = (), known: Sequence[str] = ()
) -> list[str]:
    """What is wrong with paragraphs, in sentences for the model; empty if nothing is.

    Args:
        transcript: The messages that they may rest on.
        heads: Titles and the like, which must quote nobody wrongly either.
        known: Further texts that may be quoted.
    """
    found: dict[str, None] = {}
    for paragraph in paragraphs:
        found |= dict.fromkeys(_wrong_sources(paragraph, transcript))
        cited = _cited(paragraph, transcript)
        found |= dict.fromkeys(_wrong_text(paragraph.text, transcript, cited, known))
        found |= dict.fromkeys(_wrong_text(paragraph.heading, transcript, cited, known))
    for head in heads:
        found |= dict.fromkeys(_wrong_text(head, transcript, (), known))
    return list(found)[:_MOST_TOLD]


def _cited(paragraph: Paragraph, transcript: Transcript) -> list[Message]:
    ids = [*paragraph.messages, *(quote.message for quote in paragraph.quotes)]
    return [message for message in map(transcript.find, ids) if message]


def _wrong_sources(paragraph: Paragraph, transcript: Transcript) -> Iterator[str]:
    for written in paragraph.messages:
        if transcript.find(written) is None:
            yield f"There is no message '{written[:12]}'. Name only ids that stand before the messages."
    for quote in paragraph.quotes:
        message = transcript.find(quote.message)
        if message is None:
            yield f"There is no message '{quote.message[:12]}'. Quote only messages with an id that stands there."
        elif not message.alias or excerpt(message.text, quote.words) is None:
            yield f"Message {message.short} doesn't say '{_short(quote.words)}'. Quote exactly, or not at all."


def _wrong_text(text: str, transcript: Transcript, cited: Sequence[Message], known: Sequence[str]) -> Iterator[str]:
    """What is wrong with a text itself: markup, addresses and quotations that come from nowhere."""
    if _MARKUP.search(text):
        yield "There is HTML in it. Write plain text."
    for address in _addresses(text):
        if address not in transcript.addresses:
            yield f"Nobody sent the link '{_short(address)}'. Use only addresses from the messages, exactly."
    for words in quotations(text):
        if transcript.who_wrote(words, cited) is None and not any(excerpt(other, words) for other in known):
            yield f"Nobody wrote '{_short(words)}'. Quote exactly, or say it without quotation marks."


def quotations(text: str) -> Iterator[str]:
    """What stands in quotation marks in a text."""
    for found in QUOTATION.finditer(text):
        words = next(group for group in found.groups() if group)
        if any(char.isalnum() for char in words):
            yield words


def _addresses(text: str) -> Iterator[str]:
    for found in LINK.finditer(text):
        yield found[2]
    for found in ADDRESS.finditer(LINK.sub(" ", text)):
        yield found[0].rstrip(".,;:!?")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def sourced(paragraph: Paragraph, transcript: Transcript) -> dict[str, Any]:
    """A paragraph without problems as in `DRAFTS.paragraphs`: with event ids, and words as they were written."""
    cited = _cited(paragraph, transcript)
    quoted = [(transcript.find(quote.message), quote.words) for quote in paragraph.quotes]
    inside = [transcript.who_wrote(words, cited) for words in quotations(paragraph.text)]
    sources = dict.fromkeys(message.event_id for message in (*cited, *inside) if message)
    return {
        "heading": paragraph.heading.strip(),
        "text": paragraph.text.strip(),
        "sources": list(sources),
        "quotes": [
            {"source": message.event_id, "words": excerpt(message.text, words)} for message, words in quoted if message
        ],
    }
