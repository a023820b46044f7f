"""What a writer is given and what it gives back: one window of messages in columns, and one post in blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from egregora.stages.writers.words import Tokens

__all__ = ["SPOKEN", "WALL_EPOCH", "Block", "Draft", "Window"]

SPOKEN: Final = ("text", "media", "poll", "location", "contact")
"""Kinds of messages by which somebody says something."""

WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the origin of `Window.times`, which are wall-clock times of the chat


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one window, as columns of equal length; by thread, and in each thread in order of the chat.

    Attributes:
        label: Name of the window, e.g. `2024-03-04..2024-03-10`; holds no text of the chat.
        first_day: Local day that the post is dated by: the window's first day, or that of its first message where
            windows are counted in messages.
        days: Length in days; None where windows are counted in messages.
        spoken: Whether a person says something by it.
        times: Wall-clock times in the chat's timezone, in seconds since `WALL_EPOCH`.
        replies: Row of the earlier message that this one answers, or -1.
        links, media, attrs: Only of the rows that have them, by row: link structs, media struct, decoded JSON object.
        tokens: The words of what is spoken; other messages are empty in it.
    """

    label: str
    first_day: date
    days: int | None
    ids: list[str]
    threads: list[str]
    times: list[int]
    authors: list[str | None]
    kinds: list[str]
    spoken: list[bool]
    texts: list[str]
    languages: list[str | None]
    replies: list[int]
    links: dict[int, list[dict[str, Any]]]
    media: dict[int, dict[str, Any]]
    attrs: dict[int, dict[str, Any]]
    tokens: Tokens

    def when(self, row: int) -> datetime:
        """Wall-clock time of a row."""
        return WALL_EPOCH + timedelta(seconds=self.times[row])


@dataclass(frozen=True, slots=True)
class Block:
    """One block of Markdown (no blank line in it) and the `event_id`s that it rests on."""

    markdown: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A post before the posts know of each other: it has neither identity nor links to others.

    Attributes:
        titles: Plain text, best first; the others are for when the best is taken by another post.
        terms: What the post is about, most distinctive first: term in lower case → weight in (0, 1]. Posts are linked
            by them.
        spelling: How each of the terms is written.
        signals: Counts by the names of `POSTS.signals`.
    """

    titles: tuple[str, ...]
    standfirst: str
    blocks: tuple[Block, ...]
    tags: tuple[str, ...]
    people: tuple[str, ...]
    language: str
    signals: dict[str, int]
    writer: str
    terms: dict[str, float] = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)
