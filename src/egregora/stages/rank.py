"""The rank stage: which posts are worth reading first, from comparisons of two posts at a time.

An offline judge compares what happened in two windows. A signal's count is taken per message, so that a long window
doesn't win by its length; the number of people grows more slowly than that, so it is taken per doubling of the window.
Each signal that differs by more than a tenth gives its weight to the post that has more of it. Who gathers clearly more
weight wins, otherwise it is a tie. Ratings come from these results by the Bradley–Terry model of `openskill`, scaled
like Elo: 1500 is a post of average strength.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from egregora.database.ir_schema import RANKED
from egregora.pipeline.stage import Stage, StageContext

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

__all__ = ["STAGE", "circulant_pairs", "judge", "rank", "rated"]

WEIGHTS = {
    "exchanges": 3.0,
    "reactions": 3.0,
    "people": 2.0,
    "decisions": 2.0,
    "questions": 1.0,
    "links": 1.0,
    "media": 1.0,
}
"""What each signal of `POSTS.signals` is worth. `messages` isn't among them: it is what the others are divided by."""

MARGIN = 1.0
"""By how much weight a post must lead to win; less is a tie."""

PRIOR_MESSAGES = 30
"""Added to a window's messages before dividing, so that one reaction in a window of three doesn't count as a crowd."""

MEAN, SPREAD = 1500.0, 400.0
"""The rating that a post starts from, and how sure that is (one standard deviation)."""


def judge(first: dict[str, int], second: dict[str, int]) -> int:
    """Compare two posts by their signals.

    Returns:
        1 if the first post wins, -1 if the second does, 0 for a tie. Swapping the posts swaps the sign.
    """
    lead = 0.0
    left, right = _densities(first), _densities(second)
    for signal, weight in WEIGHTS.items():
        more, less = max(left[signal], right[signal]), min(left[signal], right[signal])
        if more > 1.1 * less:
            lead += weight if left[signal] > right[signal] else -weight
    return 0 if abs(lead) < MARGIN else int(math.copysign(1, lead))


def _densities(signals: dict[str, int]) -> dict[str, float]:
    messages = PRIOR_MESSAGES + signals["messages"]
    densities = {signal: signals[signal] / messages for signal in WEIGHTS}
    densities["people"] = signals["people"] / math.log2(messages)
    return densities


def circulant_pairs(count: int, comparisons: int) -> Iterator[tuple[int, int]]:
    """Which of `count` posts, by position, are compared: a circle in which each meets those at certain distances.

    Distance 1 is always among them, so every post can be reached from every other; the other distances are spread
    evenly over half the circle. Each post gets `comparisons` partners, rounded up to an even number, or all the others
    where there are no more. No pair comes twice.
    """
    half, two_sided = count // 2, (count - 1) // 2
    wanted = (comparisons + 1) // 2
    if wanted <= two_sided:
        distances = [1 + step * (two_sided - 1) // max(1, wanted - 1) for step in range(wanted)]
    else:
        distances = list(range(1, half + 1))
    for distance in distances:
        # At half of an even circle, going on would meet the same pairs again from the other side.
        for first in range(half if 2 * distance == count else count):
            yield first, (first + distance) % count


def rank(table: ibis.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Rate posts and put them in order.

    Args:
        table: `POSTS` rows, any order.
        config: Reads `rank.comparisons`.

    Returns:
        `RANKED` rows, ordered by `rank`; one row for each input row. Equal ratings are ordered by `post_id`.
    """
    # Ratings are updated one result after the other, so the order of comparisons must come from the posts alone.
    posts = table.order_by("post_id").to_pyarrow()
    signals = posts["signals"].to_pylist()
    pairs = list(circulant_pairs(len(signals), config.rank.comparisons))

    def results() -> Iterator[tuple[int, int, int]]:
        for done, (first, second) in enumerate(pairs, start=1):
            yield first, second, judge(signals[first], signals[second])
            if done % 1000 == 0 or done == len(pairs):
                context.progress(done, len(pairs), "comparisons")

    return rated(posts, results(), context)


def rated(
    posts: pa.Table,
    results: Iterable[tuple[int, int, int]],
    context: StageContext,
    why: Sequence[str | None] = (),
) -> pa.Table:
    """Posts with the ratings that follow from comparisons.

    Args:
        posts: `POSTS` rows.
        results: In the order in which they count: two posts by position, and 1, -1 or 0 as `judge` says it.
        context: Is told how many were ties.
        why: What was said in favour of each post.

    Returns:
        `RANKED` rows, ordered by `rank`.
    """
    import pyarrow as pa
    from openskill.models import BradleyTerryFull

    names = posts["post_id"].to_pylist()
    # No drift between comparisons (`tau`): all posts are compared as they stand, at one time.
    model = BradleyTerryFull(mu=MEAN, sigma=SPREAD, beta=SPREAD / 2, tau=0.0)
    ratings = [model.rating() for _ in names]
    compared = ties = 0
    for first, second, result in results:
        compared, ties = compared + 1, ties + (result == 0)
        # openskill wants places: the lower wins, equal is a tie.
        teams = model.rate([[ratings[first]], [ratings[second]]], ranks=[-result, result])
        ratings[first], ratings[second] = teams[0][0], teams[1][0]
    if compared:
        context.profile("ties", ties / compared)
    # Rounded, so that the last bits of a float, which differ between processors, don't decide an order.
    values = [round(rating.mu, 6) for rating in ratings]
    order = sorted(range(len(names)), key=lambda position: (-values[position], names[position]))
    said = why or [None] * len(names)
    return (
        posts.take(pa.array(order, pa.int64()))
        .append_column("rating", pa.array([values[position] for position in order], pa.float64()))
        .append_column("rank", pa.array(range(1, len(order) + 1), pa.int64()))
        .append_column("why", pa.array([said[position] for position in order], pa.string()))
    )


STAGE = Stage(name="rank", func=rank, output=RANKED, config_keys=("rank",), distributions=("openskill",))
