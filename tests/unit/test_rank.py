"""Posts are rated by comparing two at a time, and the order depends on nothing but the posts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egregora.config import Config, RankConfig
from egregora.database.ir_schema import POSTS, RANKED
from egregora.pipeline.stage import StageContext
from egregora.stages.rank import STAGE, WEIGHTS, circulant_pairs, judge, rank

QUIET = {
    "messages": 100,
    "people": 3,
    "exchanges": 5,
    "reactions": 2,
    "decisions": 0,
    "questions": 2,
    "links": 0,
    "media": 0,
}
LIVELY = {
    "messages": 100,
    "people": 6,
    "exchanges": 40,
    "reactions": 30,
    "decisions": 3,
    "questions": 9,
    "links": 4,
    "media": 5,
}


def posts(rows: list[tuple[str, dict[str, int]]]) -> pa.Table:
    """`POSTS` rows with the given ids and signals."""
    when = dt.datetime(2024, 3, 4, 12)
    row = {
        "window": "2024-W10",
        "title": "A title",
        "standfirst": "",
        "body": "Text",
        "tags": ["lake"],
        "people": ["Amber Heron"],
        "language": "en",
        "first_ts": when,
        "last_ts": when,
        "sources": [["e1"]],
        "related": [],
        "writer": "extractive",
    }
    return pa.Table.from_pylist(
        [{**row, "post_id": post_id, "signals": signals} for post_id, signals in rows], schema=POSTS.arrow()
    )


def ranked(rows: list[tuple[str, dict[str, int]]], comparisons: int = 8) -> list[dict[str, Any]]:
    """What the stage makes of posts, in its order."""
    connection = ibis.duckdb.connect()
    connection.con.register("posts", posts(rows))
    table = connection.table("posts")
    config = Config(rank=RankConfig(comparisons=comparisons))
    result = rank(table, config, run_id="run", context=StageContext(Path()))
    assert result.schema.names == list(RANKED.names)
    return result.cast(RANKED.arrow()).to_pylist()


def test_the_stage_declares_what_it_reads() -> None:
    """The result depends on `rank` of the configuration and on the version of openskill."""
    assert (STAGE.name, STAGE.output, STAGE.config_keys, STAGE.distributions) == (
        "rank",
        RANKED,
        ("rank",),
        ("openskill",),
    )


def test_no_posts_give_an_empty_table() -> None:
    """A site without posts is no error."""
    assert ranked([]) == []


def test_a_single_post_keeps_the_base_rating() -> None:
    """Without an opponent a post is of average strength."""
    assert [(row["rating"], row["rank"]) for row in ranked([("a", QUIET)])] == [(1500.0, 1)]


def test_a_lively_window_beats_a_quiet_one() -> None:
    """More exchanges, reactions and people win, and what one gains the other loses."""
    best, worst = ranked([("a", QUIET), ("b", LIVELY)])
    assert (best["post_id"], best["rank"], worst["post_id"], worst["rank"]) == ("b", 1, "a", 2)
    assert best["rating"] > 1500 > worst["rating"]
    assert best["rating"] + worst["rating"] == pytest.approx(3000)


def test_equal_posts_are_ordered_by_id() -> None:
    """Ties leave ratings where they are."""
    rows = ranked([("c", QUIET), ("a", QUIET), ("b", QUIET)])
    assert [(row["post_id"], row["rating"], row["rank"]) for row in rows] == [
        ("a", 1500.0, 1),
        ("b", 1500.0, 2),
        ("c", 1500.0, 3),
    ]


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (LIVELY, QUIET, 1),
        (QUIET, LIVELY, -1),
        (QUIET, QUIET, 0),
        # Ten times as long, and no more per message: the length alone doesn't win.
        ({**{k: 10 * v for k, v in QUIET.items()}, "people": 3}, LIVELY, -1),
        # A reaction more or less is no difference.
        ({**LIVELY, "reactions": 31}, LIVELY, 0),
        # Three messages with one reaction are no crowd.
        ({**dict.fromkeys(WEIGHTS, 0), "messages": 3, "people": 2, "reactions": 1}, LIVELY, -1),
        ({**QUIET, "decisions": 4}, QUIET, 1),
        (dict.fromkeys([*WEIGHTS, "messages"], 0), dict.fromkeys([*WEIGHTS, "messages"], 0), 0),
    ],
)
def test_the_judge(first: dict[str, int], second: dict[str, int], winner: int) -> None:
    """Signals are compared by what they are per message."""
    assert judge(first, second) == winner


signals = st.fixed_dictionaries({name: st.integers(0, 5000) for name in QUIET})


@settings(deadline=None)
@given(signals, signals)
def test_the_judge_has_no_favourite_side(first: dict[str, int], second: dict[str, int]) -> None:
    """Swapping the posts swaps the result."""
    assert judge(first, second) == -judge(second, first)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 64))
def test_pairs(count: int, comparisons: int) -> None:
    """No post meets itself or another twice, each gets its comparisons, and all are linked with each other."""
    pairs = list(circulant_pairs(count, comparisons))
    assert all(0 <= a < count and 0 <= b < count and a != b for a, b in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    met = [sum(post in pair for pair in pairs) for post in range(count)]
    assert all(min(comparisons, count - 1) <= n <= min(comparisons + 1, max(count - 1, 0)) for n in met)
    reached, frontier = {0}, [0]
    while frontier:
        here = frontier.pop()
        near = {b for a, b in pairs if a == here} | {a for a, b in pairs if b == here}
        frontier += near - reached
        reached |= near
    assert len(reached) == max(count, 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(signals, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(1, 10))
def test_ranks_are_a_permutation_whatever_the_order_of_rows(found: list[dict[str, int]], random: Any, n: int) -> None:
    """Shuffled input gives the same ratings, and each place from 1 is taken once."""
    rows = [(f"post-{number:02}", value) for number, value in enumerate(found)]
    expected = ranked(rows, n)
    assert [row["rank"] for row in expected] == list(range(1, len(rows) + 1))
    assert sorted(row["post_id"] for row in expected) == [post_id for post_id, _ in rows]
    assert [row["rating"] for row in expected] == sorted((row["rating"] for row in expected), reverse=True)
    random.shuffle(rows)
    assert ranked(rows, n) == expected


def test_ratings_follow_strength() -> None:
    """Of forty posts, each livelier than the one before, the order comes out almost as it is, with few comparisons."""
    rows = [(f"{(7 * n) % 40:02}", {**QUIET, "exchanges": 5 + 4 * n, "reactions": 2 + 3 * n}) for n in range(40)]
    strength = {post_id: n for n, (post_id, _) in enumerate(rows)}
    order = [strength[row["post_id"]] for row in ranked(rows)]
    misplaced = [abs(39 - place - n) for place, n in enumerate(order)]
    assert sum(misplaced) / 40 < 4
    assert set(order[:5]) <= set(range(30, 40))
