"""The tables that flow through the pipeline: raw messages, messages, posts, pages."""

from __future__ import annotations

from dataclasses import replace

from egregora.database.columns import Column, TableSpec

__all__ = [
    "DESCRIBED",
    "DRAFTS",
    "ENRICHED",
    "FETCHED",
    "MESSAGES",
    "PAGES",
    "POSTS",
    "RANKED",
    "RAW_MESSAGES",
    "VERDICTS",
]

_SHARED = (
    Column("event_id", "VARCHAR", "identity of the message: hash of thread, time, kind, body and the n-th such", False),
    Column("tenant_id", "VARCHAR", "the site that the message belongs to", False),
    Column("source", "VARCHAR", "name of the source that read it, e.g. `whatsapp`", False),
    Column("thread_id", "VARCHAR", "identity of the chat", False),
    Column("seq", "BIGINT", "order within the chat, from 0", False),
    Column("ts", "TIMESTAMP", "when it was sent, in UTC", False),
)
_BODY = (
    Column(
        "kind", "VARCHAR", "one of `text`, `media`, `poll`, `location`, `contact`, `call`, `deleted`, `system`", False
    ),
    Column("text", "VARCHAR", "the body without markers (`<attached: …>`, `<edited>`, …); may be empty", False),
    Column("attachment", "VARCHAR", "file name of the attachment"),
    Column("media_type", "VARCHAR", "`image`, `video`, `audio`, `sticker`, `gif`, `document`"),
    Column("edited", "BOOLEAN", "whether the sender changed it later", False),
    Column(
        "attrs", "VARCHAR", "JSON object of what only this kind has (poll options, place, archive member, …)", False
    ),
)

RAW_MESSAGES = TableSpec(
    "raw_messages",
    "What parse makes of an export. The only table that holds names as they are.",
    (
        *_SHARED,
        Column("thread_raw", "VARCHAR", "the chat's title as the export gives it"),
        Column("author_raw", "VARCHAR", "the author as the export names them; NULL for a system notice"),
        *_BODY,
    ),
    ("event_id",),
)

MESSAGES = TableSpec(
    "messages",
    "Messages after the privacy stage: pseudonymous, with names and personal data in bodies replaced.",
    (
        *_SHARED,
        Column("author_id", "VARCHAR", "keyed uuid5 of the author; NULL for a system notice"),
        Column("alias", "VARCHAR", "the author's friendly name; NULL for a system notice"),
        *_BODY,
    ),
    ("event_id",),
)

ENRICHED = TableSpec(
    "messages",
    "Messages with what can be said of them without a network.",
    (
        *MESSAGES.columns,
        Column("language", "VARCHAR", "ISO 639-1 code of the body's language, where it could be told"),
        Column("reply_to", "VARCHAR", "`event_id` of the earlier message that this one most likely answers"),
        Column(
            "links",
            "STRUCT(url VARCHAR, site VARCHAR, title VARCHAR, kind VARCHAR, description VARCHAR)[]",
            "the links in the body, in order; empty list where there are none; `description`: what the page is about, "
            "if it was fetched",
            False,
        ),
        Column(
            "media",
            "STRUCT(blob VARCHAR, thumbnail VARCHAR, mime VARCHAR, width BIGINT, height BIGINT, bytes BIGINT, "
            "description VARCHAR)",
            "the cleaned attachment and its thumbnail, as blob ids (`<sha256>.<ext>`); `description`: what a picture "
            "shows, if a model was asked",
        ),
    ),
    ("event_id",),
)

DRAFTS = TableSpec(
    "drafts",
    "What a model wrote of one window, as it was accepted: one row a post. The result of a child run of write.",
    (
        Column("nth", "BIGINT", "place among the window's posts, from 0", False),
        Column("title", "VARCHAR", "title, plain text", False),
        Column("standfirst", "VARCHAR", "one or two sentences under the title, plain text", False),
        Column("tags", "VARCHAR[]", "tags, most distinctive first", False),
        Column(
            "paragraphs",
            "STRUCT(heading VARCHAR, text VARCHAR, sources VARCHAR[], "
            "quotes STRUCT(source VARCHAR, words VARCHAR)[])[]",
            "paragraphs, each with the `event_id`s that it rests on and the words that it quotes",
            False,
        ),
        Column("problem", "VARCHAR", "why nothing of the answer was accepted; all else is empty then"),
    ),
)

FETCHED = TableSpec(
    "fetched",
    "What a linked page says of itself: one row. The result of a child run of enrich.",
    (
        Column("title", "VARCHAR", "its title", False),
        Column("description", "VARCHAR", "its own description", False),
        Column("text", "VARCHAR", "the beginning of its text", False),
        Column("problem", "VARCHAR", "why it can't be fetched, ever; all else is empty then"),
    ),
)

DESCRIBED = TableSpec(
    "described",
    "What a model says a page or a picture is: one row. The result of a child run of enrich.",
    (Column("description", "VARCHAR", "one sentence; NULL if there is nothing to say"),),
)

POSTS = TableSpec(
    "posts",
    "Posts as written.",
    (
        Column("post_id", "VARCHAR", "identity and slug of the post: date and title", False),
        Column("window", "VARCHAR", "label of the window that it was written from", False),
        Column("title", "VARCHAR", "title, plain text", False),
        Column("standfirst", "VARCHAR", "one or two sentences under the title, plain text", False),
        Column(
            "body", "VARCHAR", "Markdown; blocks are divided by blank lines; images are `![alt](blob:<blob id>)`", False
        ),
        Column("tags", "VARCHAR[]", "tags, most distinctive first", False),
        Column("people", "VARCHAR[]", "aliases of those who took part, most active first", False),
        Column("language", "VARCHAR", "ISO 639-1 code of most of the window", False),
        Column("first_ts", "TIMESTAMP", "time of the first message used, UTC", False),
        Column("last_ts", "TIMESTAMP", "time of the last message used, UTC", False),
        Column("sources", "VARCHAR[][]", "for each block of `body`, the `event_id`s that it rests on", False),
        Column("related", "VARCHAR[]", "`post_id`s of earlier posts that it takes up, nearest first", False),
        Column(
            "signals",
            "STRUCT(messages BIGINT, people BIGINT, exchanges BIGINT, reactions BIGINT, decisions BIGINT, "
            "questions BIGINT, links BIGINT, media BIGINT)",
            "counts in the window that the offline judge compares; of a very long window the liveliest stretches count",
            False,
        ),
        Column("writer", "VARCHAR", "who wrote it: `extractive`, or a model's name", False),
    ),
    ("post_id",),
)

RANKED = replace(
    POSTS,
    meaning="Posts with their rating.",
    columns=(
        *POSTS.columns,
        Column("rating", "DOUBLE", "strength from pairwise comparisons; higher is better", False),
        Column("rank", "BIGINT", "place by rating, from 1", False),
        Column("why", "VARCHAR", "what a model found better in it than in another post; NULL if none judged"),
    ),
)

VERDICTS = TableSpec(
    "verdicts",
    "How a model compared two posts: one row. The result of a child run of rank.",
    (
        Column("winner", "BIGINT", "0 for the post that it was shown first, 1 for the other; NULL for a tie"),
        Column("reason", "VARCHAR", "why, in one sentence", False),
    ),
)

PAGES = TableSpec(
    "pages",
    "The files of the site.",
    (
        Column("path", "VARCHAR", "path below the site folder, `/` between parts", False),
        Column("blob", "VARCHAR", "blob id of its bytes (`<sha256>.<ext>`)", False),
        Column("bytes", "BIGINT", "size in bytes", False),
        Column("kind", "VARCHAR", "`page`, `feed`, `data`, `asset` or `media`", False),
    ),
    ("path",),
)
