"""How a model's paragraphs become blocks of Markdown: escaped, redacted, with the pictures and words that they show."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from egregora.patterns import redact_patterns
from egregora.stages.enrich_links import find_links
from egregora.stages.writers.draft import Block
from egregora.stages.writers.markdown import escape, image, plain, prose, quote, safe_url
from egregora.stages.writers.phrases import Language
from egregora.stages.writers.transcript import Transcript

__all__ = ["Rendering"]

_MOST_PICTURES: Final = 6
_LONGEST_QUOTE: Final = 700


class Rendering:
    """Makes blocks of what a model wrote of some messages.

    Args:
        table: The messages, with the columns `TRANSCRIBED`.
        words: The site's own words.
        region: Country in which phone numbers without country code are read.

    Attributes:
        messages: By event id.
    """

    def __init__(self, table: pa.Table, words: Language, region: str) -> None:
        self.messages = {message.event_id: message for message in Transcript.of(table).messages.values()}
        self._words = words
        self._redacted: Callable[[str], str] = functools.partial(redact_patterns, region=region)
        links = [link for message in self.messages.values() for link in message.links]
        self._targets = {link["url"]: safe_url(link["url"]) for link in links}

    def line(self, text: str) -> str:
        """One line of plain text that may be published."""
        return plain(self._redacted(text))

    def blocks(self, paragraphs: Sequence[Mapping[str, Any]]) -> list[Block]:
        """The blocks that `DRAFTS.paragraphs` come to."""
        blocks: list[Block] = []
        pictures: set[str] = set()
        quoted: set[tuple[str, str]] = set()
        for paragraph in paragraphs:
            if heading := self.line(paragraph["heading"]):
                blocks.append(Block(f"## {escape(heading)}"))
            text = prose(self._redacted(paragraph["text"]), self._target)
            blocks.append(Block(text, tuple(paragraph["sources"])))
            blocks += self._pictures(paragraph["sources"], pictures)
            blocks += self._quotes(paragraph["quotes"], quoted)
        return blocks

    def _target(self, written: str) -> str | None:
        """Where a link may lead: to an address that somebody sent, without what follows people around."""
        found = find_links(written)
        return self._targets.get(found[0].url) if found else None

    def _pictures(self, events: Sequence[str], shown: set[str]) -> Iterator[Block]:
        """The pictures among the messages that a paragraph rests on, each once."""
        for event in events:
            message = self.messages[event]
            if message.picture is None or event in shown or len(shown) == _MOST_PICTURES:
                continue
            shown.add(event)
            day = self._words.day(datetime.fromtimestamp(message.wall, UTC))
            alt = message.picture.get("description") or self._words.say(
                "picture", who=plain(message.alias or "?"), day=day
            )
            yield Block(image(alt, message.picture["thumbnail"]), (event,))

    def _quotes(self, quotes: Sequence[Mapping[str, str]], shown: set[tuple[str, str]]) -> Iterator[Block]:
        """Messages in their authors' own words, each once."""
        for item in quotes:
            message = self.messages[item["source"]]
            key = item["source"], item["words"]
            if key not in shown and message.alias:
                shown.add(key)
                markdown = quote(message.alias, item["words"], message.links, limit=_LONGEST_QUOTE)
                yield Block(markdown, (message.event_id,))
