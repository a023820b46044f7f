"""The write stage: windows, identities, titles, links between posts. The writer is the real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from enriched_rows import chat_rows, row, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from egregora.config import Config
from egregora.database.ir_schema import POSTS
from egregora.errors import ExportError
from egregora.pipeline.stage import StageContext
from egregora.stages.write import STAGE, write
from egregora.stages.writers.draft import Block, Draft, Window
from egregora.stages.writers.words import Background

SIGNALS = ("messages", "people", "exchanges", "reactions", "decisions", "questions", "links", "media")


@dataclass
class Listening(StageContext):
    """A context that keeps what it is told."""

    labels: list[tuple[str, int | None]] = field(default_factory=list)
    children: list[Listening] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    steps: list[tuple[int, int | None, str]] = field(default_factory=list)

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append(message)

    def progress(self, done: int, total: int | None = None, unit: str = "messages") -> None:
        self.steps.append((done, total, unit))

    @contextmanager
    def child(self, label: str, rows_in: int | None = None) -> Iterator[StageContext]:
        self.labels.append((label, rows_in))
        self.children.append(Listening(self.directory))
        yield self.children[-1]


def posts_of(rows: list[dict[str, Any]], context: StageContext | None = None, **sections: Any) -> list[dict[str, Any]]:
    """The posts of a chat, as dictionaries."""
    result = STAGE.func(table_of(rows), Config(**sections), run_id="r", context=context or StageContext(Path("unused")))
    return result.to_pylist()


def titled(*titles: str, terms: dict[str, float] | None = None) -> Any:
    """A writer that gives every window these titles."""

    def write_post(window: Window, known: Background, config: Any, context: StageContext) -> Draft:
        said = terms or {}
        return Draft(
            titles=titles,
            standfirst="",
            blocks=(Block("Text.", tuple(window.ids)),),
            tags=(),
            people=(),
            language="en",
            signals=dict.fromkeys(SIGNALS, 0),
            writer="test",
            terms=said,
            spelling={term: term for term in said},
        )

    return write_post


def written_by(writer: Any, rows: list[dict[str, Any]], **sections: Any) -> list[dict[str, Any]]:
    """The posts that another writer makes of a chat."""
    context = StageContext(Path("unused"))
    return write(table_of(rows), Config(**sections), run_id="r", context=context, write_post=writer).to_pylist()


def days(*texts: str) -> list[dict[str, Any]]:
    """One message a day from Monday, 4 March 2024."""
    return [row(i, datetime(2024, 3, 4, 12) + timedelta(days=i), "Wren", text) for i, text in enumerate(texts)]


def test_the_result_has_the_declared_columns() -> None:
    """Names, order and types are those of `POSTS`."""
    result = STAGE.func(table_of(chat_rows()), Config(), run_id="r", context=StageContext(Path("unused")))
    assert POSTS.arrow() == result.schema


def test_a_week_is_a_post_and_a_child() -> None:
    """Windows of seven days begin on Monday; each is one child run that knows its rows."""
    context = Listening(Path("unused"))
    posts = posts_of(chat_rows(), context)
    labels = ["2024-03-04..2024-03-10", "2024-03-11..2024-03-17", "2024-03-18..2024-03-24"]
    assert labels == [post["window"] for post in posts] == [label for label, _ in context.labels]
    assert len(chat_rows()) == sum(rows or 0 for _, rows in context.labels)
    assert [child.rows_out for child in context.children] == [1, 1, 1]
    assert context.steps == [(1, 3, "windows"), (2, 3, "windows"), (3, 3, "windows")]


@pytest.mark.parametrize(
    ("window", "timezone", "labels"),
    [
        ("1d", "UTC", ["2024-03-10", "2024-03-11"]),
        ("1d", "America/Sao_Paulo", ["2024-03-10"]),
        ("7d", "UTC", ["2024-03-04..2024-03-10", "2024-03-11..2024-03-17"]),
        ("14d", "UTC", ["2024-03-04..2024-03-17"]),
        ("3d", "UTC", ["2024-03-10..2024-03-12"]),
        ("2m", "UTC", ["messages 1..2", "messages 3..4"]),
    ],
)
def test_windows_are_cut_in_the_timezone_of_the_chat(window: str, timezone: str, labels: list[str]) -> None:
    """A day ends at local midnight, and windows of days are aligned to Mondays, not to the first message."""
    times = [datetime(2024, 3, 10, 23, 50), datetime(2024, 3, 11, 0, 10), datetime(2024, 3, 11, 1, 30)]
    context = Listening(Path("unused"))
    rows = [row(i, when, "Wren", "word") for i, when in enumerate(times)]
    posts_of(rows, context, write={"window": window}, parse={"timezone": timezone})
    assert labels == [label for label, _ in context.labels]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 60 * 24 * 40), min_size=1, max_size=40),
    st.sampled_from(["1d", "2d", "7d", "1m", "3m", "100m"]),
    st.sampled_from(["UTC", "America/Sao_Paulo", "Europe/Lisbon", "Asia/Kolkata"]),
)
def test_windows_partition_the_messages(minutes: list[int], window: str, timezone: str) -> None:
    """Every message is in one window and in no other."""
    rows = [row(i, datetime(2024, 3, 1) + timedelta(minutes=m), "Wren", f"word {i}") for i, m in enumerate(minutes)]
    posts = written_by(titled("T"), rows, write={"window": window}, parse={"timezone": timezone})
    found = [event for post in posts for block in post["sources"] for event in block]
    assert sorted(item["event_id"] for item in rows) == sorted(found)


def test_a_range_limits_the_messages() -> None:
    """Both ends count; windows of messages are counted from the first in range."""
    context = Listening(Path("unused"))
    limits = {"window": "2m", "from_date": date(2024, 3, 5), "to_date": date(2024, 3, 7)}
    posts_of(days("a", "b", "c", "d", "e"), context, write=limits)
    assert context.labels == [("messages 1..2", 2), ("messages 3..4", 1)]


def test_an_empty_range_names_the_days_that_there_are() -> None:
    """Nothing in range is an error that says what to ask for instead."""
    with pytest.raises(ExportError, match="no messages between 2020-01-01 and 2020-02-01") as caught:
        posts_of(days("a", "b"), write={"from_date": date(2020, 1, 1), "to_date": date(2020, 2, 1)})
    assert caught.value.hint == "choose days from 2024-03-04 to 2024-03-05: those are the days of the chat"


def test_a_chat_without_messages_is_an_error() -> None:
    """There is nothing to write about."""
    with pytest.raises(ExportError, match="the chat has no messages"):
        posts_of([])


def test_a_trivial_window_gives_no_post_and_says_so() -> None:
    """Nods and notices are no substance."""
    rows = [row(i, datetime(2024, 3, 4, 12, i), "Wren", text) for i, text in enumerate(["ok", "haha", "👍", "thanks!"])]
    rows.append(row(9, datetime(2024, 3, 4, 13), None, "Wren changed the subject of the group"))
    context = Listening(Path("unused"))
    assert posts_of(rows, context) == []
    assert context.children[0].lines == ["no post: 0 messages of substance, 8 are needed"]
    assert context.children[0].rows_out == 0
    assert context.lines == ["0 posts from 1 windows with messages"]


def test_the_order_of_the_rows_does_not_matter() -> None:
    """The same messages make the same posts, whatever order they come in."""
    rows = chat_rows()
    assert posts_of(rows) == posts_of(rows[::-1])


def test_no_two_posts_have_the_same_title_or_identity() -> None:
    """A title that is taken makes way for the writer's next, then for its date."""
    rows = days("a", "b", "c", "d")
    posts = written_by(titled("The Boat", "Oars"), rows, write={"window": "1d"})
    assert [p["title"] for p in posts] == ["The Boat", "Oars", "The Boat (6 March 2024)", "The Boat (7 March 2024)"]
    repeated = written_by(titled("Água & pão!"), rows[:2], write={"window": "1m"})
    assert [post["post_id"] for post in repeated] == ["2024-03-04-agua-pao", "2024-03-05-agua-pao-5-march-2024"]


@pytest.mark.parametrize(
    ("title", "post_id"),
    [
        ("The lake house and Zoë's goat", "2024-03-04-the-lake-house-and-zoes-goat"),
        ("Дача", "2024-03-04-post"),
        ("one two three four five six seven eight nine", "2024-03-04-one-two-three-four-five-six-seven-eight"),
        ("../../etc/passwd", "2024-03-04-etc-passwd"),
    ],
)
def test_an_identity_is_a_date_and_ascii_words(title: str, post_id: str) -> None:
    """Accents are transliterated, other scripts dropped, long titles cut."""
    assert [post_id] == [post["post_id"] for post in written_by(titled(title), days("a"), write={"window": "1d"})]


def test_posts_lead_to_earlier_ones_that_share_their_terms() -> None:
    """The nearest first, never later ones; what every post has connects nothing."""
    drafts = iter(
        [titled("One", terms={"goat": 1.0}), titled("Two", terms={"oar": 1.0}), titled("Three", terms={"goat": 0.8})]
    )

    def each(window: Window, known: Background, config: Any, context: StageContext) -> Draft:
        found: Draft = next(drafts)(window, known, config, context)
        return found

    posts = written_by(each, days("a", "b", "c"), write={"window": "1d"})
    assert [post["related"] for post in posts] == [[], [], ["2024-03-04-one"]]
    assert posts[2]["body"] == "Text.\n\nEarlier: [One](2024-03-04-one.html) (goat)."
    assert posts[2]["sources"][-1] == []


def test_a_later_week_leaves_the_links_of_earlier_posts_alone() -> None:
    """What is appended to a chat adds posts; those before it keep their titles and addresses."""
    rows = chat_rows()
    start = datetime(2024, 3, 25, 12)
    more = [row(1000 + i, start + timedelta(minutes=i), "Wren", f"A plain remark, number {i}") for i in range(10)]
    before, after = posts_of(rows), posts_of(rows + more)
    assert [post["post_id"] for post in before] == [post["post_id"] for post in after[:3]]
    assert [post["related"] for post in before] == [post["related"] for post in after[:3]]


def test_one_more_week_rewrites_few_of_many_posts() -> None:
    """What other weeks say counts in coarse steps, so that most posts stay as they are, byte for byte."""
    base = [item for item in chat_rows() if item["kind"] != "system"]
    rows: list[dict[str, Any]] = []
    for turn in range(8):
        for item in base:
            when = item["ts"] + timedelta(weeks=3 * turn)
            event = f"{turn}{item['event_id']}"[:32]
            rows.append(item | {"event_id": event, "seq": len(rows), "ts": when, "reply_to": None})
    last = datetime(2024, 3, 4) + timedelta(weeks=23)
    before = posts_of([item for item in rows if item["ts"] < last])
    after = posts_of(rows)
    same = [
        one["post_id"] == two["post_id"] and one["body"] == two["body"]
        for one, two in zip(before, after[:-1], strict=True)
    ]
    # These weeks come round every third week, so a step that one word crosses is crossed by all weeks of its kind.
    assert sum(same) >= 15


def test_the_stage_declares_what_it_reads() -> None:
    """Its fingerprint covers these keys of the configuration, and the stop words."""
    assert STAGE.config_keys == ("write", "parse.timezone", "site.language")
    assert STAGE.distributions == ("stopwordsiso",)
    assert POSTS is STAGE.output
