"""Which earlier windows a window takes up, and what a writer is told of them.

Both are made of the chat alone, by counting words, before any model is asked: so no window waits for another, and what
a window is told changes only if one of the few windows that it takes up does. A window is compared with those before it
by BM25; how rare a word is counts in whole steps, so that one more week shifts next to nothing, and what is told of a
window comes from that window's words only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log2
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from egregora.pipeline.stage import StageContext
from egregora.stages.writers import extractive
from egregora.stages.writers.draft import Window
from egregora.stages.writers.markdown import plain, shorten
from egregora.stages.writers.words import Vocabulary, background, stop_words, tokenise

__all__ = ["Digest", "digest", "taken_up"]

MOST: Final = 3
"""Earlier windows that a window is told of."""
_SHARED: Final = 0.06
"""How much of what is said in a window an earlier one must share to be taken up."""
_ASKED_FOR: Final = 60
"""Words of a window that are looked for in others; the rest say little."""
_SATURATION: Final = 1.2
"""BM25's k: from how often on a word that is said again adds little."""
_LENGTH: Final = 0.5
"""BM25's b: how much a long window has to say a word more often to count as much."""
_QUOTED: Final = 4
"""Messages that a digest quotes."""
_LONGEST: Final = 240
"""Characters of each."""


@dataclass(frozen=True)
class Digest:
    """What is told of an earlier window: its first day (ISO), and what its extractive post says it was about."""

    day: str
    title: str
    standfirst: str
    said: tuple[str, ...]


def taken_up(
    windows: Sequence[Window], vocabulary: Vocabulary, languages: Sequence[str], people: Sequence[str]
) -> list[list[int]]:
    """For each window the numbers of the earlier ones that it takes up, nearest first, at most `MOST`.

    Args:
        windows: In order of time.
        vocabulary: What their words are numbers of.
        languages: Those whose stop words say nothing.
        people: The aliases, whose words say nothing either.
    """
    nothing = stop_words(tuple(languages)) | {word for alias in people for word in alias.lower().split()}
    spelled = vocabulary.spelled
    tells = (len(word) > 2 and word[0].isalpha() and word not in nothing for word in spelled)
    telling = np.fromiter(tells, bool, len(spelled))
    holders: dict[str, list[tuple[int, int]]] = {}
    lengths: list[int] = []
    found: list[list[int]] = []
    for number, window in enumerate(windows):
        words, counts = np.unique(window.tokens.lower, return_counts=True)
        kept = telling[words]
        said = [(spelled[word], n) for word, n in zip(words[kept].tolist(), counts[kept].tolist(), strict=True)]
        length = int(counts[kept].sum()) or 1
        found.append(_nearest(said, length, holders, lengths))
        for word, count in said:
            holders.setdefault(word, []).append((number, count))
        lengths.append(length)
    return found


def _nearest(
    said: list[tuple[str, int]], length: int, holders: dict[str, list[tuple[int, int]]], lengths: list[int]
) -> list[int]:
    """The earlier windows, of these lengths, that share most of what is said in one of this length."""
    asked = []
    for word, count in said:
        rarity = int(log2((len(lengths) + 1) / len(holders.get(word, (0,)))))
        if rarity:
            asked.append((rarity * _saturated(count, 1.0), word, count))
    asked = sorted(asked, key=lambda item: (-item[0], item[1]))[:_ASKED_FOR]
    scores: dict[int, float] = {}
    for weight, word, _ in asked:
        for other, count in holders.get(word, ()):
            scores[other] = scores.get(other, 0.0) + weight * _saturated(count, lengths[other] / length)
    # What the window would have in common with itself, said before. Rounded, so that the order of adding doesn't show.
    whole = sum(weight * _saturated(count, 1.0) for weight, _, count in asked)
    shares = ((-round(score / whole, 4), -other) for other, score in scores.items())
    return [-other for share, other in sorted(shares)[:MOST] if -share >= _SHARED]


def _saturated(count: int, relative_length: float) -> float:
    return count / (count + _SATURATION * (1 - _LENGTH + _LENGTH * relative_length))


def digest(window: Window, languages: Sequence[str], config: Any) -> Digest:
    """What is told of a window to those that take it up. It depends on that window alone.

    Args:
        config: Reads what the extractive writer reads.
    """
    vocabulary = Vocabulary()
    texts = pc.if_else(window.rows.column("spoken"), window.rows.column("text"), "")
    tokens = tokenise(texts, vocabulary)
    aliases = sorted({alias for alias in window.authors if alias})
    known = background(tokens, [0, len(window.ids)], vocabulary, aliases, list(languages))
    draft = extractive.write_post(replace(window, tokens=tokens), known, config, StageContext(Path()))
    day = window.first_day.isoformat()
    if draft is None:
        return Digest(day, "", "", ())
    quoted = chain.from_iterable(block.sources for block in draft.blocks if block.markdown.startswith("> "))
    rows = [window.ids.index(event) for _, event in zip(range(_QUOTED), quoted, strict=False)]
    said = [f"{window.authors[row]}: {shorten(plain(window.texts[row]), _LONGEST)}" for row in rows]
    return Digest(day, draft.titles[0], draft.standfirst, tuple(said))
