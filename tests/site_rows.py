"""Invented posts and messages, and the site that publish makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from egregora.config import Config
from egregora.database.ir_schema import ENRICHED, RANKED
from egregora.pipeline.stage import StageContext
from egregora.stages.publish import publish
from egregora.testing import picture

HOSTILE = (
    "<script>fired('script')</script>",
    "<img src=x onerror=fired('img')>",
    "\"><svg onload=fired('svg')>",
    "' onmouseover='fired(1)' x='",
    "{{ 7 * 7 }}{% for x in y %}",
    "</title></textarea></style></script><script>fired('closed')</script>",
    "[a](javascript:fired('link'))",
    "[b](data:text/html,<script>fired('data')</script>)",
    "![c](https://tracker.example/pixel.png)",
    "![d](blob:../../../../etc/passwd)",
    "<https://ok.example/?a=\"><script>fired('auto')</script>>",
    "\x1b[31mred\x07 \u202eright to left\u2066 isolate \x00\x1e\ufffe end",
    "&lt;script&gt;fired('entity')&lt;/script&gt; &#x202e; &#30;",
    "```\n<script>fired('code')</script>",
    "]]><script>fired('cdata')</script>",
    "\u2028\u2029';fired('separator');'",
    "<meta http-equiv=refresh content='0;url=https://tracker.example/'>",
    "[e](//tracker.example/x) [f](\\\\tracker.example\\x)",
)
"""Text that would do something if it were more than text: call `fired`, load from `tracker.example`, turn words."""

LETTERS = ("Amber Heron", "Quiet Otter", "Tall Juniper", "Brisk Marten")


def post(
    post_id: str = "2024-03-04-the-lake-house",
    *,
    title: str = "The lake house",
    standfirst: str = "Four people want the first weekend of April.",
    body: str = "It began on Monday.\n\n> **Amber Heron** — Who has the keys\n\n> **Quiet Otter** — You do",
    tags: Iterable[str] = ("lake house", "keys"),
    people: Iterable[str] = ("Amber Heron", "Quiet Otter"),
    language: str = "en",
    first: datetime = datetime(2024, 3, 4, 9, 14),
    days: float = 5,
    related: Iterable[str] = (),
    rank: int = 1,
    messages: int = 148,
) -> dict[str, Any]:
    """A `RANKED` row."""
    return {
        "post_id": post_id,
        "window": "week",
        "title": title,
        "standfirst": standfirst,
        "body": body,
        "tags": list(tags),
        "people": list(people),
        "language": language,
        "first_ts": first,
        "last_ts": first + timedelta(days=days),
        "sources": [["e"] for _ in body.split("\n\n")],
        "related": list(related),
        "signals": {
            "messages": messages,
            "people": 6,
            "exchanges": 3,
            "reactions": 2,
            "decisions": 1,
            "questions": 2,
            "links": 1,
            "media": 1,
        },
        "writer": "extractive",
        "rating": 1500.0 - rank,
        "rank": rank,
        "why": None,
    }


def message(
    seq: int, alias: str | None, ts: datetime, *, kind: str = "text", media: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An `ENRICHED` row."""
    return {
        "event_id": f"{seq:032x}",
        "tenant_id": "default",
        "source": "whatsapp",
        "thread_id": "thread",
        "seq": seq,
        "ts": ts,
        "author_id": alias,
        "alias": alias,
        "kind": kind,
        "text": "something said",
        "attachment": None,
        "media_type": "image" if media else None,
        "edited": False,
        "attrs": "{}",
        "language": "en",
        "reply_to": None,
        "links": [],
        "media": media,
    }


def talk(messages: int = 40, aliases: tuple[str, ...] = LETTERS) -> list[dict[str, Any]]:
    """So many messages, one an hour, everybody in turn."""
    start = datetime(2024, 3, 4, 9)
    return [message(n, aliases[n % len(aliases)], start + timedelta(hours=n)) for n in range(messages)]


def a_season() -> list[dict[str, Any]]:
    """Seven posts over two years, in two languages, with long and short titles."""
    return [
        post(rank=2),
        post(
            "2024-03-11-pea-soup",
            title="Pea soup: a dispute",
            body="Whether it is soup.\n\n> **Tall Juniper** — The spoon *stands*\n\n> **Tall Juniper** — By itself\n\n"
            "## The table\n\n| Who | Eats it |\n|---|---|\n| Otter | yes |\n\n- one\n- two\n\n"
            "They read [a recipe](https://soup.example/?a=1&b=2). It began [here](2024-03-04-the-lake-house.html#b2).",
            tags=["soup", "Keys"],
            people=["Tall Juniper", "Quiet Otter"],
            first=datetime(2024, 3, 11, 8),
            related=["2024-03-04-the-lake-house", "gone"],
            rank=3,
        ),
        post(
            "2024-03-18-o-violao",
            title="Quem vai levar o violão?",
            standfirst="Ninguém tinha votado contra.",
            body="A conversa mudou de língua.\n\n> **Brisk Marten** — Não é tarde, coração",
            tags=["violão", "música"],
            people=["Brisk Marten"],
            language="pt",
            first=datetime(2024, 3, 18, 10),
            rank=1,
        ),
        post(
            "2024-03-25-logistics",
            title="On the impossibility of finding a ferry, a van, and seven people who agree about the time",
            standfirst="",
            tags=["Antidisestablishmentarianism" * 4],
            first=datetime(2024, 3, 25, 10),
            rank=4,
        ),
        post("2024-12-30-between-the-years", title="Between the years", first=datetime(2024, 12, 30), days=3, rank=5),
        post("2025-01-06-rain", title="Rain", standfirst="", tags=[], people=[], first=datetime(2025, 1, 6), rank=6),
        post("2025-01-13-soon", title="“Soon”", first=datetime(2025, 1, 13), days=0, rank=7),
    ]


def hostile_posts() -> list[dict[str, Any]]:
    """A post for each hostile text, with it in every field that holds text."""
    return [
        post(
            f"2024-05-{n:02}-hostile",
            title=text,
            standfirst=text,
            body=f"{text}\n\n> **{text}** — {text}\n\n## {text}\n\n- {text}\n\nbefore {text} after",
            tags=[text, f"tag {n}"],
            people=[text],
            language=text,
            related=[text],
            first=datetime(2024, 5, n),
            days=0,
            rank=n,
        )
        for n, text in enumerate(HOSTILE, start=1)
    ]


class Site:
    """A published site: its rows of `PAGES`, and the bytes of each file."""

    def __init__(self, rows: list[dict[str, Any]], context: StageContext) -> None:
        self.rows = rows
        self.context = context
        self.files = {row["path"]: context.get_blob(row["blob"]) for row in rows}

    def text(self, path: str) -> str:
        """A file's text."""
        return self.files[path].decode()

    def write(self, folder: Path) -> Path:
        """Put the files into a folder."""
        for path, data in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return folder


def publish_site(
    folder: Path,
    posts: list[dict[str, Any]],
    messages: list[dict[str, Any]] | None = None,
    blobs: Mapping[str, bytes] | None = None,
    **config: Any,
) -> Site:
    """Run the stage for real, on Parquet files, as the pipeline does. `config` is sections of the configuration."""
    context = StageContext(folder / ".egregora")
    con = ibis.duckdb.connect()
    tables = {}
    for name, rows, spec in (
        ("posts", posts, RANKED),
        ("messages", talk() if messages is None else messages, ENRICHED),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=spec.arrow()), folder / f"{name}.parquet")
        tables[name] = con.read_parquet(folder / f"{name}.parquet", table_name=name)
    context.inputs = {"messages": tables["messages"]}
    for data in (blobs or {}).values():
        context.put_blob(data, "jpg")
    result = publish(tables["posts"], Config(**config), run_id="run", context=context)
    return Site(result.to_pylist(), context)


__all__ = [
    "HOSTILE",
    "LETTERS",
    "Site",
    "a_season",
    "hostile_posts",
    "message",
    "picture",
    "post",
    "publish_site",
    "talk",
]
