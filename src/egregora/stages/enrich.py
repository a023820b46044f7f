"""The enrich stage: what can be said of messages without a network.

Links with a title and a kind, attachments cleaned of their metadata, the language, and which message answers which. One
pass over the messages in the order of their chats, a chunk at a time; what a chat's later messages need of its earlier
ones is a few words and counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import ENRICHED, MESSAGES
from egregora.pipeline.fingerprint import as_sql
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.enrich_language import Evidence, Tongues
from egregora.stages.enrich_links import Link, find_links
from egregora.stages.enrich_media import Attachments
from egregora.stages.enrich_replies import Dictionary, Replies
from egregora.stages.enrich_words import Words

if TYPE_CHECKING:
    import ibis

__all__ = ["STAGE", "enrich"]

CHUNK = 1 << 15
"""Messages that are looked at together. What a chat has spoken so far is known from chunk to chunk, so this counts."""

_KNOWN = """
    SELECT count(*), list(DISTINCT alias),
        coalesce(bool_and(thread_id > last_thread OR (thread_id = last_thread AND seq > last_seq)), true)
    FROM (
        SELECT alias, thread_id, seq, lag(thread_id) OVER () AS last_thread, lag(seq) OVER () AS last_seq FROM ({})
    )
"""
_FOUND = ("language", "reply_to", "links", "media")


def enrich(table: ibis.Table, config: Any, *, run_id: str, context: StageContext) -> pa.RecordBatchReader:
    """Find links, media, languages and replies.

    Attachments are worked on before this returns, so that what goes wrong with them goes wrong here; all else while the
    result is read.

    Args:
        table: `MESSAGES` rows, any order.
        config: Reads `enrich.thumbnail_pixels` and `enrich.reply_minutes`.
        context: `inputs["exports"]`, the `Files` that parse read, is where attachments come from; without it there are
            none. Cleaned pictures and thumbnails are kept as blobs.

    Returns:
        `ENRICHED` rows, ordered by `thread_id` and `seq`; one row for each input row. It streams from the connection of
        `table`, so whatever writes it with DuckDB needs a cursor of its own meanwhile.
    """
    con, query = as_sql(table)
    total, aliases, in_order = con.execute(_KNOWN.format(query)).fetchall()[0]
    types = ", ".join(f"NULL::{ENRICHED.column(name).type} AS {name}" for name in _FOUND)
    fields = con.execute(f"SELECT {types}").to_arrow_table().schema
    # Rows mostly come in order, and then need neither be sorted nor be in memory together.
    order = "" if in_order else "ORDER BY thread_id, seq, event_id"
    with Attachments(context, config.enrich.thumbnail_pixels, fields.field("media").type) as attachments:
        if attachments.readable:
            attached = con.execute(f"SELECT attrs FROM ({query}) WHERE contains(attrs, '\"member\"') {order}")
            attachments.read(attached.to_arrow_table()["attrs"].unique().to_pylist())
    messages = con.execute(f"SELECT {', '.join(MESSAGES.names)} FROM ({query}) {order}").to_arrow_reader(CHUNK)
    schema = pa.schema([*messages.schema, *fields])

    def batches() -> Iterator[pa.RecordBatch]:
        talk = _Talk(config.enrich.reply_minutes, aliases or [], fields.field("links").type)
        done = linked = 0
        for batch in messages:
            for part in _by_thread(batch):
                found = [*talk.follow(part), attachments.of(part.column("attrs"))]
                linked += pc.sum(pc.greater(pc.list_value_length(found[2]), 0)).as_py() or 0
                yield pa.RecordBatch.from_arrays([*part.columns, *found], schema=schema)
            done += len(batch)
            context.progress(done, total)
        if done:
            context.profile("links", linked / done)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _by_thread(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch cut where chats change."""
    start = 0
    for end in pc.run_end_encode(batch.column("thread_id")).run_ends.to_pylist():
        yield batch.slice(start, end - start)
        start = end


class _Talk:
    """Languages, replies and links, chunk by chunk, chat by chat."""

    def __init__(self, reply_minutes: float, aliases: list[str], links: pa.DataType) -> None:
        self._reply_minutes = reply_minutes
        self._links = links
        self._evidence = Evidence()
        self._dictionary = Dictionary(aliases)
        self._thread: str | None = None
        self._tongues = Tongues()
        self._replies = Replies(reply_minutes, self._dictionary)

    def follow(self, batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Language, answered `event_id` and links of each message, for the next messages of one chat."""
        thread = batch.column("thread_id")[0].as_py()
        if thread != self._thread:
            self._thread = thread
            self._tongues = Tongues()
            self._replies = Replies(self._reply_minutes, self._dictionary)
        words = Words(batch.column("text"))
        languages = self._tongues.decide(self._evidence.of(words), pc.is_valid(batch.column("alias")))
        return languages, self._replies.of(batch, words), _links(words, len(batch), self._links)


def _links(words: Words, count: int, kind: pa.DataType) -> pa.Array:
    """The links of each of `count` messages, each once, in order."""
    found = {piece: find_links(text) for piece, text in words.linked.items()}
    links: dict[int, dict[str, Link]] = {}
    for text, piece in words.linked_places():
        links.setdefault(text, {}).update({link.url: link for link in found[piece]})
    lengths = [0] * count
    for text, of_text in links.items():
        lengths[text] = len(of_text)
    flat = [link._asdict() for of_text in links.values() for link in of_text.values()]
    ends = pa.array(accumulate(lengths, initial=0), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(flat, kind.value_type), type=kind)


STAGE = Stage(
    name="enrich",
    func=enrich,
    output=ENRICHED,
    config_keys=("enrich",),
    distributions=("pillow",),
)
