"""Where one conversation of a window ends and the next begins: silence proposes, words decide."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from egregora.stages.writers.draft import Window
from egregora.stages.writers.words import Background

__all__ = ["Span", "conversations", "stretches"]

_SHORTEST_SILENCE = 30 * 60
_LONGEST_SILENCE = 5 * 3600
_LONG = 30
"""Messages from which a stretch without silences is looked at for changes of topic."""
_BLOCK = 12
"""Messages on either side of a possible change that are compared."""
_RESUMED = 8 * 3600
"""Seconds of silence after which a conversation isn't taken up again."""
_ALIKE = 0.2
"""Cosine of two short conversations' words from which they are one."""
_UNLIKE = 0.08
"""Cosine of the two sides' words below which the topic has changed."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows `start` to `end` (not included) of a window."""

    start: int
    end: int


def stretches(window: Window, longest: int) -> list[Span]:
    """Cut a window where it was quiet, and what is longer than `longest` rows at the longest pauses in it; in order."""
    uncut = [span for start, end in _threads(window) for span in _by_silence(window, start, end)][::-1]
    spans = []
    while uncut:
        span = uncut.pop()
        length = span.end - span.start
        if length <= longest:
            spans.append(span)
            continue
        # Not near its ends, so that no part is tiny.
        first = span.start + length // 4
        pauses = np.diff(window.seconds[first - 1 : span.end - length // 4])
        cut = first + int(np.argmax(pauses))
        uncut += [Span(cut, span.end), Span(span.start, cut)]
    return spans


class _Content:
    """The words of content of each message, by number."""

    def __init__(self, window: Window, known: Background) -> None:
        of_content = known.content[window.tokens.lower]
        self._words = window.tokens.lower[of_content].tolist()
        self._starts = np.concatenate(([0], np.cumsum(of_content)))[window.tokens.starts].tolist()

    def counts(self, start: int, end: int) -> Counter[int]:
        """How often each occurs in the rows `start` to `end` (not included)."""
        return Counter(self._words[self._starts[start] : self._starts[end]])


def conversations(window: Window, known: Background) -> list[Span]:
    """Cut a window into conversations: every row is in one of them, in order."""
    content = _Content(window, known)
    spans = []
    for start, end in _threads(window):
        parts = [part for span in _by_silence(window, start, end) for part in _by_words(window, content, span)]
        spans.extend(_resumed(window, content, parts))
    return spans


def _threads(window: Window) -> list[tuple[int, int]]:
    cuts = (np.flatnonzero(np.diff(window.chats)) + 1).tolist()
    return list(pairwise([0, *cuts, len(window.chats)]))


def _by_silence(window: Window, start: int, end: int) -> list[Span]:
    """Cut where it was quiet for longer than is usual in this window, unless what follows is an answer."""
    gaps = np.diff(window.seconds[start:end])
    usual = int(np.sort(gaps)[len(gaps) * 3 // 4]) if len(gaps) else 0
    silence = min(max(6 * usual, _SHORTEST_SILENCE), _LONGEST_SILENCE)
    spans, begin = [], start
    for i in (np.flatnonzero(gaps > silence) + start + 1).tolist():
        if gaps[i - start - 1] >= 3 * silence or not begin <= window.replies[i] < i:
            spans.append(Span(begin, i))
            begin = i
    spans.append(Span(begin, end))
    return spans


def _by_words(window: Window, content: _Content, span: Span) -> list[Span]:
    """Cut a long stretch where a short pause and a change of words come together."""
    if span.end - span.start < _LONG:
        return [span]
    gaps = np.diff(window.seconds[span.start : span.end])
    pause = max(180, 3 * int(np.sort(gaps)[len(gaps) // 2]))
    found: list[tuple[float, int]] = []
    for i in (np.flatnonzero(gaps >= pause) + span.start + 1).tolist():
        if not span.start + _BLOCK <= i <= span.end - _BLOCK or span.start <= window.replies[i] < i:
            continue
        alike = _cosine(content.counts(i - _BLOCK, i), content.counts(i, i + _BLOCK))
        if alike < _UNLIKE:
            found.append((alike, i))
    cuts: list[int] = []
    for _, i in sorted(found):
        if all(abs(i - other) >= _BLOCK for other in cuts):
            cuts.append(i)
    edges = [span.start, *sorted(cuts), span.end]
    return [Span(a, b) for a, b in pairwise(edges)]


def _resumed(window: Window, content: _Content, spans: list[Span]) -> list[Span]:
    """Join what was taken up again later the same day: a few messages with the words of those before the silence."""
    joined = spans[:1]
    for span in spans[1:]:
        before = joined[-1]
        short = min(before.end - before.start, span.end - span.start) <= _BLOCK
        gap = window.times[span.start] - window.times[before.end - 1]
        if short and _SHORTEST_SILENCE <= gap <= _RESUMED:
            left, right = (content.counts(part.start, part.end) for part in (before, span))
            if sum((left & right).values()) > 1 and _cosine(left, right) >= _ALIKE:
                joined[-1] = Span(before.start, span.end)
                continue
        joined.append(span)
    return joined


def _cosine(left: Counter[int], right: Counter[int]) -> float:
    both = left.keys() & right.keys()
    if not both:
        return 0.0
    lengths = sum(n * n for n in left.values()) * sum(n * n for n in right.values())
    return sum(left[word] * right[word] for word in both) / sqrt(lengths)
