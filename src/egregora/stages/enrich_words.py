"""The words of many messages as columns: each distinct word is looked at once, and messages are sums over their words."""

from __future__ import annotations

from collections.abc import Iterable
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
        linked: Distinct pieces that may have held links, as they were: place in `pieces` → text.
        distinct: Each distinct word.
        word_of: Of each word in the texts, one after the other, its place in `distinct`.
        text_of: The text that it is in.
    """

    def __init__(self, texts: pa.Array) -> None:
        split = pc.ascii_split_whitespace(texts)
        found = split.flatten().dictionary_encode()
        self._piece_of = found.indices
        self._piece_ends = pc.subtract(split.offsets, split.offsets[0])
        hinted = pc.match_substring_regex(found.dictionary, "|".join(LINK_HINTS))
        held = found.dictionary.filter(hinted).to_pylist()
        self.linked: dict[int, str] = dict(zip(pc.indices_nonzero(hinted).to_pylist(), held, strict=True))
        without = pa.array(map(without_links, held), pa.string())
        self.pieces: pa.Array = pc.replace_with_mask(found.dictionary, hinted, without)
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
        self.word_of: pa.Array = spread.flatten()
        self._ends = spread.offsets.take(self._piece_ends)
        self.text_of: pa.Array = pc.list_parent_indices(pa.ListArray.from_arrays(self._ends, self.word_of))

    def counts(self) -> pa.Array:
        """How many words each text has."""
        return pc.subtract(self._ends[1:], self._ends[:-1])

    def edge(self, values: pa.Array, *, last: bool = False) -> pa.Array:
        """For each text its first or `last` word's value, of `values` for `distinct`; 0 where there are no words."""
        at = pc.subtract(self._ends[1:], 1) if last else self._ends[:-1]
        at = pc.if_else(pc.greater(self.counts(), 0), at, None)
        return pc.fill_null(values.take(self.word_of.take(at)), 0)

    def sums(self, values: pa.Array, most: int | None = None) -> pa.Array:
        """For each text the sum of its words' values, of `values` for `distinct`; of the first `most` words."""
        ends = self._ends[1:]
        if most is not None:
            ends = pc.min_element_wise(ends, pc.add(self._ends[:-1], most))
        return _sums(values.take(self.word_of), self._ends[:-1], ends)

    def any_piece(self, marked: pa.Array) -> pa.Array:
        """Whether each text has a piece that is marked; `marked` is for `pieces`."""
        number = _sums(marked.take(self._piece_of).cast(pa.int64()), self._piece_ends[:-1], self._piece_ends[1:])
        return pc.greater(number, 0)

    def places_of(self, pieces: Iterable[int]) -> list[tuple[int, int]]:
        """Where some pieces stand, in order: the text, and the place in `pieces`."""
        wanted = pa.array(pieces, pa.int32())
        if not len(wanted):
            return []
        chosen = pc.is_in(self._piece_of, value_set=wanted)
        text_of = pc.list_parent_indices(pa.ListArray.from_arrays(self._piece_ends, self._piece_of))
        return [*zip(text_of.filter(chosen).to_pylist(), self._piece_of.filter(chosen).to_pylist(), strict=True)]


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
