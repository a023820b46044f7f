"""Write: one post for each window of messages, by a writer that is chosen as a module of its own."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import POSTS
from egregora.errors import ExportError
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.writers import extractive
from egregora.stages.writers.draft import SPOKEN, Block, Draft, Window
from egregora.stages.writers.markdown import escape, link
from egregora.stages.writers.phrases import Language, language
from egregora.stages.writers.words import Background, Vocabulary, background, tokenise

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["STAGE", "Source", "WritePost", "Written", "linked_posts", "tell_posts", "utc", "write"]

WritePost = Callable[[Window, Background, Any, StageContext], Draft | None]
"""A writer: makes a draft of one window, or says by `context.log` why there is none."""

_ALIGNED_TO = date(1970, 1, 5)
"""A Monday from which windows of days are counted, so that a longer export cuts the same days alike."""
_BATCH = 100_000
"""Rows that are fetched at once."""
_MOST_RELATED = 3
_LEAST_ALIKE = 0.16
_SLUG_WORDS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """A draft with what is kept of its window, and the times of the first and the last message used, UTC."""

    label: str
    first_day: date
    draft: Draft
    first_ts: datetime
    last_ts: datetime


def write(table: ir.Table, config: Any, *, run_id: str, context: StageContext, write_post: WritePost) -> pa.Table:
    """Write the posts of a site.

    Args:
        table: `ENRICHED` rows, any order.
        config: Reads `write.*`, `parse.timezone` and `site.language`, and what the writer reads.
        context: Gets one child run for each window, labelled with it.
        write_post: The writer.

    Returns:
        `POSTS` rows, by time; none for windows with too little in them.

    Raises:
        ExportError: no message lies between `write.from_date` and `write.to_date`.
    """
    source = Source(table, config)
    known = source.background()
    total = len(source.numbers)
    written: list[Written] = []
    for done, (window, first_ts, last_ts) in enumerate(source.windows(), 1):
        with context.child(window.label, rows_in=len(window.ids)) as child:
            draft = write_post(window, known, config, child)
            child.rows_out = 0 if draft is None else 1
        if draft is not None:
            written.append(Written(window.label, window.first_day, draft, first_ts, last_ts))
        context.progress(done, total, unit="windows")
    context.log(f"{len(written)} posts from {total} windows with messages")
    posts = linked_posts(written, language(config.site.language))
    tell_posts(posts, total, len(source.rows), context)
    return posts


LIVELY = 500
"""So many messages without one post are strange."""


def tell_posts(posts: pa.Table, windows: int, messages: int, context: StageContext) -> None:
    """Record what the posts are like, and mark it if there should have been some."""
    context.profile("windows", windows)
    context.profile("posts_per_window", len(posts) / windows)
    context.profile("people", len(pc.unique(pc.list_flatten(posts.column("people")))))
    if len(posts):
        words = pc.sum(pc.list_value_length(pc.utf8_split_whitespace(posts.column("body")))).as_py()
        context.profile("words_per_post", words / len(posts))
    elif messages >= LIVELY:
        found = f"no post came out of {messages:,} messages in {windows:,} windows"
        context.mark("rows", f"{found}; would a larger write.window, or a smaller write.min_messages, do?", 0)


class Source:
    """The messages in range, window after window."""

    def __init__(self, table: ir.Table, config: Any) -> None:
        # Checkpoints are bound as temporary views, which only this connection sees, not a cursor of it.
        con: Any = table.get_backend().con
        self.config = config
        self.size, self.unit = int(config.write.window[:-1]), config.write.window[-1]
        zone = config.parse.timezone.replace("'", "''")
        wall = "ts" if zone == "UTC" else f"(ts AT TIME ZONE 'UTC' AT TIME ZONE '{zone}')"
        messages = f"SELECT *, {wall} AS wall FROM ({table.compile()})"
        bounds = [
            f"wall::DATE {sign} DATE '{day.isoformat()}'"
            for sign, day in ((">=", config.write.from_date), ("<=", config.write.to_date))
            if day is not None
        ]
        number = (
            f"floor(date_diff('day', DATE '{_ALIGNED_TO}', wall::DATE) / {self.size})"
            if self.unit == "d"
            else f"floor((row_number() OVER (ORDER BY ts, thread_id, seq) - 1) / {self.size})"
        )
        where = f"WHERE {' AND '.join(bounds)}" if bounds else ""
        rows = con.execute(
            f"SELECT {number}::BIGINT AS number, event_id, thread_id, seq, epoch(ts)::BIGINT AS utc, "
            "epoch(wall)::BIGINT AS wall, alias, kind, text, language, reply_to, "
            "CASE WHEN len(links) > 0 THEN links END AS links, media, CASE WHEN kind = 'poll' THEN attrs END AS poll "
            f"FROM ({messages}) {where}"
        ).to_arrow_reader(_BATCH)
        rows = pa.Table.from_batches(rows, rows.schema)
        if not len(rows):
            raise self._empty(*con.execute(f"SELECT min(wall)::DATE, max(wall)::DATE FROM ({messages})").fetchone())
        rows = _in_order(rows)
        ids = rows.column("event_id").combine_chunks()
        parents = pc.index_in(rows.column("reply_to"), ids, skip_nulls=True)
        self.parents = np.asarray(parents.fill_null(-1)).astype(np.int64)
        said = pc.and_(pc.is_in(rows.column("kind"), pa.array(SPOKEN)), rows.column("alias").is_valid())
        self.rows = (
            rows.append_column("spoken", said)
            .append_column("chat", _numbered(rows.column("thread_id")))
            .append_column("person", _numbered(rows.column("alias")))
            .drop_columns(["thread_id", "seq", "reply_to"])
        )
        # What isn't needed any more is let go before the words take its place.
        del rows, ids, parents
        ends = pc.run_end_encode(self.rows.column("number").combine_chunks())
        self.numbers: list[int] = ends.values.to_pylist()
        self.bounds = [0, *ends.run_ends.to_pylist()]
        self.vocabulary = Vocabulary()
        self.tokens = tokenise(pc.if_else(said, self.rows.column("text"), ""), self.vocabulary)

    def _empty(self, first: date | None, last: date | None) -> ExportError:
        """No messages in range; the error names the days that there are."""
        if first is None:
            return ExportError("the chat has no messages", hint="check that the export is the right one")
        since, until = self.config.write.from_date, self.config.write.to_date
        when = f"between {since} and {until}" if since and until else f"from {since} on" if since else f"until {until}"
        return ExportError(
            f"no messages {when}",
            hint=f"choose days from {first} to {last}: those are the days of the chat",
        )

    @cached_property
    def languages(self) -> list[str]:
        """Languages of the chat, and those of the site's own words (ISO 639-1)."""
        # One message in fifty is a language of the chat; less is a guess gone wrong, or a quotation.
        spoken = pc.value_counts(self.rows.column("language").drop_null()).to_pylist()
        total = sum(item["counts"] for item in spoken)
        languages = {item["values"] for item in spoken if 50 * item["counts"] >= total}
        return sorted(languages | {"en", "pt", self.config.site.language[:2]})

    def background(self) -> Background:
        """Word counts of all windows."""
        aliases = pc.unique(self.rows.column("alias")).drop_null().to_pylist()
        return background(self.tokens, self.bounds, self.vocabulary, aliases, self.languages)

    def windows(self) -> Iterator[tuple[Window, datetime, datetime]]:
        """The windows in order of time, each with its first and last time (UTC)."""
        for number, (start, end) in zip(self.numbers, pairwise(self.bounds), strict=True):
            yield self._window(number, start, end)

    def _window(self, number: int, start: int, end: int) -> tuple[Window, datetime, datetime]:
        rows = self.rows.slice(start, end - start)
        parents = self.parents[start:end] - start
        both = pc.min_max(rows.column("utc")).as_py()
        if self.unit == "d":
            first_day = _ALIGNED_TO + timedelta(days=number * self.size)
            last_day = first_day + timedelta(days=self.size - 1)
            label = f"{first_day}" if self.size == 1 else f"{first_day}..{last_day}"
        else:
            first_day = (
                datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=pc.min(rows.column("wall")).as_py())
            ).date()
            label = f"messages {number * self.size + 1}..{(number + 1) * self.size}"
        window = Window(
            label=label,
            first_day=first_day,
            days=self.size if self.unit == "d" else None,
            rows=rows,
            parents=np.where((parents >= 0) & (parents < end - start), parents, -1),
            tokens=self.tokens.part(start, end),
        )
        return window, utc(both["min"]), utc(both["max"])


def _in_order(rows: pa.Table) -> pa.Table:
    """The rows by window, chat and order in the chat. They mostly are, so it is cheaper to look than to sort."""
    chats = rows.column("thread_id").combine_chunks().dictionary_encode()
    rank = np.argsort(np.argsort(chats.dictionary.to_pylist()))[np.asarray(chats.indices)]
    order = np.lexsort((np.asarray(rows.column("seq")), rank, np.asarray(rows.column("number"))))
    return rows.take(order) if (order[1:] < order[:-1]).any() else rows


def _numbered(column: pa.ChunkedArray) -> pa.Array:
    """The values of a column as numbers by first appearance, NULL as -1."""
    return column.combine_chunks().dictionary_encode().indices.fill_null(-1)


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def linked_posts(written: list[Written], words: Language) -> pa.Table:
    """The posts, with what each can only have once all are written: its own title, its identity, and links."""
    titles = _titles(written, words)
    ids = _post_ids(written, titles)
    related = _related(written)
    rows = []
    for i, (item, title) in enumerate(zip(written, titles, strict=True)):
        draft = item.draft
        blocks = list(draft.blocks)
        if related[i]:
            blocks.append(_earlier(related[i], titles, ids, words))
        rows.append(
            {
                "post_id": ids[i],
                "window": item.label,
                "title": title,
                "standfirst": draft.standfirst,
                "body": "\n\n".join(block.markdown for block in blocks),
                "tags": list(draft.tags),
                "people": list(draft.people),
                "language": draft.language,
                "first_ts": item.first_ts,
                "last_ts": item.last_ts,
                "sources": [list(block.sources) for block in blocks],
                "related": [ids[j] for j, _ in related[i]],
                "signals": draft.signals,
                "writer": draft.writer,
            }
        )
    return pa.Table.from_pylist(rows, schema=POSTS.arrow())


def _titles(written: list[Written], words: Language) -> list[str]:
    """One title for each post, no two alike: the writer's best that is free, else its best with the date."""
    taken: set[str] = set()
    titles = []
    for item in written:
        best = item.draft.titles[0]
        dated = words.say("title.dated", title=best, day=words.day_and_year(item.first_day))
        options = [*item.draft.titles, dated, *(f"{dated} {n}" for n in range(2, len(written) + 3))]
        title = next(option for option in options if option.casefold() not in taken)
        taken.add(title.casefold())
        titles.append(title)
    return titles


def _post_ids(written: list[Written], titles: list[str]) -> list[str]:
    """Slugs: the date and the title's first words in ASCII, with a number where two would be the same."""
    taken: set[str] = set()
    ids = []
    for item, title in zip(written, titles, strict=True):
        ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower().replace("'", "")
        words = re.findall(r"[a-z0-9]+", ascii_title)[:_SLUG_WORDS]
        slug = "-".join([item.first_day.isoformat(), *words] if words else [item.first_day.isoformat(), "post"])
        numbered = (slug if n == 1 else f"{slug}-{n}" for n in range(1, len(written) + 2))
        post_id = next(option for option in numbered if option not in taken)
        taken.add(post_id)
        ids.append(post_id)
    return ids


def _related(written: list[Written]) -> list[list[tuple[int, list[str]]]]:
    """For each post the earlier ones that share its terms, nearest first, with up to two of the terms shared.

    A term that many posts have connects nothing, so a term counts by how few have it.
    """
    holders: dict[str, list[int]] = {}
    for i, item in enumerate(written):
        for term in item.draft.terms:
            holders.setdefault(term, []).append(i)
    most = max(3, len(written) // 8)
    found = []
    for i, item in enumerate(written):
        shared: dict[int, list[tuple[float, str]]] = {}
        for term, weight in item.draft.terms.items():
            posts = holders[term]
            if len(posts) > most:
                continue
            for j in posts:
                if j >= i or written[j].label == item.label:
                    break
                strength = min(weight, written[j].draft.terms[term]) / (len(posts) - 1)
                shared.setdefault(j, []).append((strength, term))
        scores = [(sum(strength for strength, _ in terms), j) for j, terms in shared.items()]
        near = sorted((score for score in scores if score[0] >= _LEAST_ALIKE), key=lambda pair: (-pair[0], -pair[1]))
        found.append(
            [
                (
                    j,
                    [
                        item.draft.spelling[term]
                        for _, term in sorted(shared[j], key=lambda pair: (-pair[0], pair[1]))[:2]
                    ],
                )
                for _, j in near[:_MOST_RELATED]
            ]
        )
    return found


def _earlier(related: list[tuple[int, list[str]]], titles: list[str], ids: list[str], words: Language) -> Block:
    """The line that leads to earlier posts, each with what it has in common with this one."""
    links = [
        words.say("earlier.on", link=link(titles[j], f"{ids[j]}.html"), topics=escape(words.join(terms)))
        for j, terms in related
    ]
    return Block(words.say("earlier", links=words.join(links)))


STAGE = Stage(
    name="write",
    func=functools.partial(write, write_post=extractive.write_post),
    output=POSTS,
    config_keys=("write", "parse.timezone", "site.language"),
    distributions=("stopwordsiso",),
)
