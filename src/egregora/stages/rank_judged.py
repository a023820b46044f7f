"""Rank with a model: it reads two posts and says which is the better read, and why.

Each pair is a child run, which depends on what the two posts say and on nothing else. Which posts are paired doesn't
change when others come: each meets those of the earlier ones that a hash of both chooses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from egregora.database.ir_schema import RANKED, VERDICTS
from egregora.errors import AnswerError
from egregora.patterns import redact_patterns
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.rank import judge, rated
from egregora.stages.rank_compare import CONFIG_KEYS, compare

if TYPE_CHECKING:
    import ibis

__all__ = ["STAGE", "earlier_pairs", "rank_judged"]

_LONGEST: Final = 6000
"""Characters of a post that are read."""
_READ: Final = pa.schema(
    [("place", pa.int64()), ("title", pa.string()), ("standfirst", pa.string()), ("text", pa.string())]
)


def earlier_pairs(names: Sequence[str], comparisons: int) -> list[tuple[int, int]]:
    """Which posts, by position, are compared: each with about `comparisons` others.

    Each meets half as many of those before it, those with the highest hash of both names. So a new post adds its own
    pairs and changes no other, and every post can be reached from every other.

    Args:
        names: What identifies the posts, in order of time.
    """
    pairs = []
    for second, name in enumerate(names):
        ranked = sorted(range(second), key=lambda first: _hash(names[first], name))
        pairs += [(first, second) for first in sorted(ranked[: (comparisons + 1) // 2])]
    return pairs


def _hash(first: str, second: str) -> bytes:
    return hashlib.blake2b(f"{first}\n{second}".encode(), digest_size=8).digest()


def rank_judged(table: ibis.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Rate posts by a model's comparisons, and put them in order.

    Args:
        table: `POSTS` rows, any order.
        config: Reads `rank.judged` and `CONFIG_KEYS`.
        context: Gets one child run for each pair, labelled with both posts.

    Returns:
        `RANKED` rows, ordered by `rank`.

    Raises:
        EgregoraError: a comparison could not be made. Those that were are kept.
    """
    posts = table.order_by("post_id").to_pyarrow()
    rows = posts.to_pylist()
    names = [row["post_id"] for row in rows]
    read = [{"title": row["title"], "standfirst": row["standfirst"], "text": _text(row)} for row in rows]
    pairs = [_turned(pair, read) for pair in earlier_pairs(names, config.rank.judged)]
    unanswered: list[str] = []

    def job(first: int, second: int) -> Callable[[], dict[str, Any] | None]:
        both = pa.Table.from_pylist(
            [{"place": place, **read[post]} for place, post in enumerate((first, second))], schema=_READ
        )
        label = f"{names[first]} or {names[second]}"

        def compared() -> dict[str, Any] | None:
            try:
                verdict = context.child_result(label, compare, both, config_keys=CONFIG_KEYS, output=VERDICTS)
            except AnswerError:
                # Its row says why. One comparison of many isn't worth stopping for.
                unanswered.append(label)
                return None
            # There is none where this is only rehearsed.
            return next(iter(verdict.to_pylist()), None)

        return compared

    verdicts = context.run_children([job(*pair) for pair in pairs], config.llm.concurrency, unit="comparisons")
    if unanswered:
        context.log(
            f"{len(unanswered)} of {len(pairs)} comparisons made without the model, which gave no answer", "warning"
        )
    results = []
    praised: dict[int, str] = {}
    for (first, second), verdict in zip(pairs, verdicts, strict=True):
        if verdict is None:
            results.append((first, second, judge(rows[first]["signals"], rows[second]["signals"])))
            continue
        result = {0: 1, 1: -1, None: 0}[verdict["winner"]]
        results.append((first, second, result))
        if result:
            praised[first if result > 0 else second] = redact_patterns(verdict["reason"])
    return rated(posts, results, context, [praised.get(post) for post in range(len(rows))])


def _text(row: Mapping[str, Any]) -> str:
    """A post's body without what leads to other posts, up to `_LONGEST` characters."""
    blocks = zip(row["body"].split("\n\n"), row["sources"], strict=True)
    text = "\n\n".join(block for block, sources in blocks if sources or block.startswith("#"))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def _turned(pair: tuple[int, int], read: Sequence[Mapping[str, str]]) -> tuple[int, int]:
    """A pair in the order in which it is shown: models favour a place, so what the posts say decides which is first."""
    first, second = pair
    one, two = (f"{read[post]['title']}\n{read[post]['text']}" for post in pair)
    return (first, second) if _hash(one, two)[0] % 2 else (second, first)


STAGE = Stage(
    name="rank",
    func=rank_judged,
    output=RANKED,
    config_keys=("rank", *CONFIG_KEYS),
    distributions=("openskill",),
)
