"""The enrich stage: what can be said of messages without a network.

Links with a title and a kind, attachments cleaned of their metadata, the language, and which message answers which. One
pass over the messages in the order of their chats, a chunk at a time; what a chat's later messages need of its earlier
ones is a few words and counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import ENRICHED, MESSAGES
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.enrich_language import Evidence, Tongues
from egregora.stages.enrich_links import LINK_HINTS, find_links, without_links
from egregora.stages.enrich_media import Attachments
from egregora.stages.enrich_replies import Replies

if TYPE_CHECKING:
    import ibis

__all__ = ["STAGE", "enrich"]

CHUNK = 1 << 15
"""Messages that are looked at together. What a chat has spoken so far is known from chunk to chunk, so this counts."""

# All that isn't part of a word, but for spaces and the apostrophe inside a word: ASCII, typographic marks, emoji.
_BETWEEN_WORDS = (
    r"[!-&(-/:-@\[-`{-~“”„«»…–—¡¿·•°，。！？、：；（）「」"
    r"\x{200b}-\x{200f}\x{2066}-\x{2069}\x{2600}-\x{27bf}\x{fe0f}\x{1f000}-\x{1faff}]+"
)


def enrich(table: ibis.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Find links, media, languages and replies.

    Args:
        table: `MESSAGES` rows, any order.
        config: Reads `enrich.thumbnail_pixels` and `enrich.reply_minutes`.
        context: `inputs["exports"]`, the `Files` that parse read, is where attachments come from; without it there are
            none. Cleaned pictures and thumbnails are kept as blobs.

    Returns:
        `ENRICHED` rows, ordered by `thread_id` and `seq`; one row for each input row.
    """
    known = (
        table.aggregate(total=table.count(), aliases=table["alias"].collect(distinct=True)).to_pyarrow().to_pylist()[0]
    )
    talk = _Talk(config.enrich.reply_minutes, known["aliases"] or ())
    schema = ENRICHED.arrow()
    ordered = table.select(*MESSAGES.names).order_by(["thread_id", "seq", "event_id"])
    batches = []
    done = 0
    with Attachments(context, config.enrich.thumbnail_pixels) as attachments:
        for batch in ordered.to_pyarrow_batches(chunk_size=CHUNK):
            links, bodies = _links(batch.column("text"))
            languages, replies = talk.follow(batch, bodies)
            media = attachments.of(batch.column("attrs"))
            found = {"language": languages, "reply_to": replies, "links": links, "media": media}
            arrays = [pa.array(values, schema.field(name).type) for name, values in found.items()]
            batches.append(pa.RecordBatch.from_arrays([*batch.columns, *arrays], names=[*MESSAGES.names, *found]))
            done += batch.num_rows
            context.progress(done, known["total"])
    return pa.Table.from_batches(batches).cast(schema) if batches else schema.empty_table()


def _links(texts: pa.Array) -> tuple[list[list[dict[str, str]]], pa.Array]:
    """For each text its links as structs, and the text without them."""
    links: list[list[dict[str, str]]] = [[]] * len(texts)
    hinted = reduce(pc.or_, (pc.match_substring(texts, hint) for hint in LINK_HINTS))
    bodies = []
    for position in pc.indices_nonzero(hinted).to_pylist():
        text = texts[position].as_py()
        links[position] = [link._asdict() for link in find_links(text)]
        bodies.append(without_links(text))
    return links, pc.replace_with_mask(texts, hinted, pa.array(bodies, texts.type))


class _Talk:
    """Languages and replies, chunk by chunk, chat by chat."""

    def __init__(self, reply_minutes: float, aliases: Iterable[str]) -> None:
        self._reply_minutes = reply_minutes
        self._aliases = sorted(alias for alias in aliases if alias)
        self._evidence = Evidence()
        self._thread: str | None = None
        self._tongues = Tongues()
        self._replies = Replies(reply_minutes, self._aliases)

    def follow(self, batch: pa.RecordBatch, bodies: pa.Array) -> tuple[list[str | None], list[str | None]]:
        """The language of each message and the `event_id` that it answers, for the next chunk in order."""
        words = pc.replace_substring_regex(bodies, _BETWEEN_WORDS, " ")
        words = pc.replace_substring(pc.utf8_lower(words), "’", "'")
        rows = zip(
            batch.column("event_id").to_pylist(),
            batch.column("alias").to_pylist(),
            pc.divide(batch.column("ts").cast(pa.int64()), 1_000_000).to_pylist(),
            batch.column("kind").to_pylist(),
            bodies.to_pylist(),
            map(str.split, words.to_pylist()),
            strict=True,
        )
        languages: list[str | None] = []
        replies: list[str | None] = []
        threads = pc.run_end_encode(batch.column("thread_id"))
        start = 0
        for thread, end in zip(threads.values.to_pylist(), threads.run_ends.to_pylist(), strict=True):
            if thread != self._thread:
                self._thread = thread
                self._tongues = Tongues()
                self._replies = Replies(self._reply_minutes, self._aliases)
            evidence = []
            for _ in range(start, end):
                event_id, alias, seconds, kind, text, spoken = next(rows)
                evidence.append(self._evidence.of(spoken) if alias else 0)
                replies.append(self._replies.add(event_id, alias, seconds, kind, text, spoken))
            languages += self._tongues.decide(evidence)
            start = end
        return languages, replies


STAGE = Stage(
    name="enrich",
    func=enrich,
    output=ENRICHED,
    config_keys=("enrich",),
    distributions=("pillow",),
)
