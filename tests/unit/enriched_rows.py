"""Builds `ENRICHED` rows for the writer's tests, from a small notation of chats or from values."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from egregora.database.ir_schema import ENRICHED

CHAT = Path(__file__).with_name("write_chat.txt")
URL = re.compile(r"https?://\S+")
PORTUGUESE = re.compile(r"[ãõçáéíóúê]|\b(?:eu|gente|alguém|levo|pode)\b", re.IGNORECASE)
POLL = {
    "question": "What do we do on the rainy evening?",
    "options": [{"text": "Cards", "votes": 4}, {"text": "Film on the projector", "votes": 2}],
}


def row(seq: int, when: datetime, alias: str | None, text: str, **values: Any) -> dict[str, Any]:
    """One row, with everything that isn't given empty."""
    given = {
        "event_id": hashlib.sha256(f"{seq} {when} {text}".encode()).hexdigest()[:32],
        "tenant_id": "default",
        "source": "whatsapp",
        "thread_id": "t" * 32,
        "seq": seq,
        "ts": when,
        "author_id": alias,
        "alias": alias,
        "kind": "text" if alias else "system",
        "text": text,
        "attachment": None,
        "media_type": None,
        "edited": False,
        "attrs": "{}",
        "language": "en",
        "reply_to": None,
        "links": [
            {"url": url, "site": url.split("/")[2], "title": url.rsplit("/", 1)[-1].replace("-", " "), "kind": "page"}
            for url in URL.findall(text)
        ],
        "media": None,
    }
    return given | values


def chat_rows(path: Path = CHAT) -> list[dict[str, Any]]:
    """The rows of a chat in notation: `# day`, then `hh:mm Alias: text`; `↩n` answers the n-th line before."""
    rows: list[dict[str, Any]] = []
    day = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            day = line[2:]
            continue
        time, alias, text = re.fullmatch(r"(\d\d:\d\d) (\w+): (.*)", line).groups()  # type: ignore[union-attr]
        back = re.match(r"↩(\d*) ", text)
        values: dict[str, Any] = {}
        if back:
            text = text[back.end() :]
            values["reply_to"] = rows[-int(back[1] or 1)]["event_id"]
        if text.startswith("[image]"):
            blob = hashlib.sha256(line.encode()).hexdigest()
            text = ""
            values |= {"kind": "media", "media_type": "image", "media": picture(blob)}
        elif text == "[deleted]":
            values["kind"], text = "deleted", "This message was deleted"
        elif text == "[poll]":
            values |= {"kind": "poll", "attrs": json.dumps(POLL, sort_keys=True)}
            text = POLL["question"]
        values["language"] = "pt" if PORTUGUESE.search(text) else "en"
        when = datetime.fromisoformat(f"{day} {time}")
        rows.append(row(len(rows), when, None if alias == "system" else alias, text, **values))
    return rows


def picture(name: str) -> dict[str, Any]:
    """A media struct."""
    return {
        "blob": f"{name}.jpg", "thumbnail": f"{name}-t.jpg", "mime": "image/jpeg", "width": 9, "height": 9, "bytes": 99,
    }  # fmt: skip


def table_of(rows: list[dict[str, Any]]) -> Any:
    """The rows as the runner hands them over: an Ibis table on an in-memory DuckDB."""
    con = ibis.duckdb.connect()
    con.con.execute(ENRICHED.ddl())
    con.con.from_arrow(pa.Table.from_pylist(rows, schema=ENRICHED.arrow())).insert_into("messages")
    return con.table("messages")
