"""What a writer is given and what it gives back: one window of messages in columns, and one post in blocks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from egregora.stages.writers.words import Tokens

__all__ = ["SPOKEN", "WALL_EPOCH", "Block", "Draft", "Window"]

SPOKEN: Final = ("text", "media", "poll", "location", "contact")
"""Kinds of messages by which somebody says something."""

WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the origin of `Window.times`, which are wall-clock times of the chat


@dataclass(frozen=True)
class Window:
    """The messages of one window, as columns of equal length; by thread, and in each thread in order of the chat.

    Attributes:
        label: Name of the window, e.g. `2024-03-04..2024-03-10`; holds no text of the chat.
        first_day: Local day that the post is dated by: the window's first day, or that of its first message where
            windows are counted in messages.
        days: Length in days; None where windows are counted in messages.
        rows: The messages: columns of `ENRICHED`, and `wall`, the wall-clock time in seconds since `WALL_EPOCH`;
            `chat` and `person`, numbers of thread and author; `spoken`, whether a person says something by it; `poll`,
            the attributes of polls. They become lists once they are asked for.
        parents: Row of the earlier message that each answers, or -1.
        tokens: The words of what is spoken; other messages are empty in it.
    """

    label: str
    first_day: date
    days: int | None
    rows: pa.Table
    parents: npt.NDArray[np.int64]
    tokens: Tokens

    @cached_property
    def ids(self) -> list[str]:
        """`event_id`s."""
        return self._list("event_id")

    @cached_property
    def chats(self) -> npt.NDArray[np.int64]:
        """Numbers of the chats that they are of."""
        return self._array("chat")

    @cached_property
    def people(self) -> npt.NDArray[np.int64]:
        """Numbers of the authors."""
        return self._array("person")

    @cached_property
    def seconds(self) -> npt.NDArray[np.int64]:
        """`times` as an array."""
        return self._array("wall")

    @cached_property
    def speaks(self) -> npt.NDArray[np.bool_]:
        """Whether a person says something by each."""
        speaks: npt.NDArray[np.bool_] = self._array("spoken")
        return speaks

    @cached_property
    def answers(self) -> npt.NDArray[np.bool_]:
        """Whether each is spoken in answer to somebody else."""
        answers: npt.NDArray[np.bool_] = self.people != self.people[self.parents]
        return answers & self.speaks & (self.parents >= 0)

    @cached_property
    def times(self) -> list[int]:
        """Wall-clock times in the chat's timezone, in seconds since `WALL_EPOCH`."""
        times: list[int] = self.seconds.tolist()
        return times

    @cached_property
    def authors(self) -> list[str | None]:
        """Aliases; None for notices."""
        return self._list("alias")

    @cached_property
    def kinds(self) -> list[str]:
        """What each message is."""
        return self._list("kind")

    @cached_property
    def spoken(self) -> list[bool]:
        """`speaks` as a list."""
        spoken: list[bool] = self.speaks.tolist()
        return spoken

    @cached_property
    def notices(self) -> list[str]:
        """Texts of the notices."""
        texts: list[str] = self.rows.column("text").filter(pc.equal(self.rows.column("kind"), "system")).to_pylist()
        return texts

    @cached_property
    def texts(self) -> list[str]:
        """Bodies."""
        return self._list("text")

    @cached_property
    def languages(self) -> list[str | None]:
        """ISO 639-1 codes, where they could be told."""
        return self._list("language")

    @cached_property
    def replies(self) -> list[int]:
        """`parents` as a list."""
        replies: list[int] = self.parents.tolist()
        return replies

    @cached_property
    def links(self) -> dict[int, list[dict[str, Any]]]:
        """Link structs of the rows that have them."""
        return self._sparse("links")

    @cached_property
    def media(self) -> dict[int, dict[str, Any]]:
        """Media structs of the rows that have one."""
        return self._sparse("media")

    @cached_property
    def polls(self) -> dict[int, dict[str, Any]]:
        """What the polls among the rows ask."""
        return {row: json.loads(value) for row, value in self._sparse("poll").items()}

    def when(self, row: int) -> datetime:
        """Wall-clock time of a row."""
        return WALL_EPOCH + timedelta(seconds=self.times[row])

    def part(self, rows: npt.NDArray[np.int64]) -> Window:
        """The window as if it had only these rows, which ascend."""
        # The last place is for those that answer nothing.
        place = np.full(len(self.parents) + 1, -1)
        place[rows] = np.arange(len(rows))
        return replace(
            self, rows=self.rows.take(rows), parents=place[self.parents[rows]], tokens=self.tokens.take(rows)
        )

    def _list(self, column: str) -> list[Any]:
        values: list[Any] = self.rows.column(column).to_pylist()
        return values

    def _array(self, column: str) -> npt.NDArray[Any]:
        return np.asarray(self.rows.column(column))

    def _sparse(self, column: str) -> dict[int, Any]:
        """The values of a column that is mostly NULL, by row."""
        values = self.rows.column(column)
        if values.null_count == len(values):
            return {}
        return dict(zip(pc.indices_nonzero(values.is_valid()).to_pylist(), values.drop_null().to_pylist(), strict=True))


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
