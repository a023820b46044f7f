"""The words of many messages as columns: each distinct word is looked at once, messages are sums over theirs."""

from __future__ import annotations

from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from egregora.stages.enrich_links import LINK_HINTS, without_links

__all__ = ["Words", "integers"]

# All that isn't part of a word, but for spaces and the apostrophe inside a word: ASCII, typographic marks, emoji.
_BETWEEN_WORDS = (
    r"[!-&(-/:-@\[-`{-~“”„«»…–—¡¿·•°，。！？、：；（）「」"
    r"\x{200b}-\x{200f}\x{2066}-\x{2069}\x{2600}-\x{27bf}\x{fe0f}\x{1f000}-\x{1faff}]+"
)


class Words:
    """The words of some texts, in lower case, without punctuation and links.

    A piece is what stands between spaces; most are a word with a mark or two. No link has a space in it.

    Attributes:
        pieces: Each distinct piece, without links.
        hinted: Which of them may have held links.
        linked: Those as they were: place in `pieces` → text.
        distinct: Each distinct word.
    """

    def __init__(self, texts: pa.Array) -> None:
        split = pc.ascii_split_whitespace(texts)
        found = split.flatten().dictionary_encode()
        self._piece_of = found.indices
        self._piece_ends = pc.subtract(split.offsets, split.offsets[0])
        self.hinted: pa.Array = pc.match_substring_regex(found.dictionary, "|".join(LINK_HINTS))
        held = found.dictionary.filter(self.hinted).to_pylist()
        self.linked: dict[int, str] = dict(zip(pc.indices_nonzero(self.hinted).to_pylist(), held, strict=True))
        without = pa.array(map(without_links, held), pa.string())
        self.pieces: pa.Array = pc.replace_with_mask(found.dictionary, self.hinted, without)
        plain = pc.utf8_lower(pc.replace_substring_regex(self.pieces, _BETWEEN_WORDS, " "))
        number: dict[str, int] = {}
        in_piece = [
            [number.setdefault(word, len(number)) for word in piece.split()]
            for piece in pc.replace_substring(plain, "’", "'").to_pylist()
        ]
        self.distinct: list[str] = list(number)
        ends = pa.array(accumulate(map(len, in_piece), initial=0), pa.int32())
        lists = pa.ListArray.from_arrays(ends, pa.array([word for piece in in_piece for word in piece], pa.int32()))
        spread = lists.take(self._piece_of)
        self._word_of = spread.flatten()
        self._ends = spread.offsets.take(self._piece_ends)

    def places_of(self, chosen: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Where words stand that are chosen from `distinct`, in order: the text, and the place in `distinct`."""
        there = pc.indices_nonzero(chosen.take(self._word_of))
        text_of = pc.list_parent_indices(pa.ListArray.from_arrays(self._ends, self._word_of))
        return text_of.take(there), self._word_of.take(there)

    def counts(self) -> pa.Array:
        """How many words each text has."""
        return pc.subtract(self._ends[1:], self._ends[:-1])

    def edge(self, values: pa.Array, *, last: bool = False) -> pa.Array:
        """For each text its first or `last` word's value, of `values` for `distinct`; 0 where there are no words."""
        at = pc.subtract(self._ends[1:], 1) if last else self._ends[:-1]
        at = pc.if_else(pc.greater(self.counts(), 0), at, None)
        return pc.fill_null(values.take(self._word_of.take(at)), 0)

    def sums(self, values: pa.Array, most: int | None = None) -> pa.Array:
        """For each text the sum of its words' values, of `values` for `distinct`; of the first `most` words."""
        ends = self._ends[1:]
        if most is not None:
            ends = pc.min_element_wise(ends, pc.add(self._ends[:-1], most))
        return _sums(values.take(self._word_of), self._ends[:-1], ends)

    def piece_sums(self, values: pa.Array) -> pa.Array:
        """For each text the sum of its pieces' values, of `values` for `pieces`."""
        return _sums(values.take(self._piece_of), self._piece_ends[:-1], self._piece_ends[1:])

    def linked_places(self) -> list[tuple[int, int]]:
        """Where the pieces of `linked` stand, in order: the text, and the place in `pieces`."""
        if not self.linked:
            return []
        there = pc.indices_nonzero(self.hinted.take(self._piece_of))
        text_of = pc.list_parent_indices(pa.ListArray.from_arrays(self._piece_ends, self._piece_of))
        return [*zip(text_of.take(there).to_pylist(), self._piece_of.take(there).to_pylist(), strict=True)]


def _sums(values: pa.Array, starts: pa.Array, ends: pa.Array) -> pa.Array:
    """The sums of `values` from each of `starts` up to each of `ends`, as differences of running totals.

    Totals may run over: whole numbers of 64 bits do so in a circle, so that differences are right all the same.
    """
    total = pa.concat_arrays([pa.array([0], values.type), pc.cumulative_sum(values)])
    return pc.subtract(total.take(ends), total.take(starts))


def integers(array: pa.Array) -> list[int]:
    """The numbers of an `int64` array without NULLs; some times faster than `to_pylist`."""
    data = array.buffers()[1]
    return memoryview(data).cast("q")[array.offset : array.offset + len(array)].tolist() if len(array) else []
