"""The Atom feed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Entry", "atom_feed"]


@dataclass(frozen=True)
class Entry:
    """One post in the feed: `path` below the site, times in UTC, `content` as HTML with links relative to its page."""

    post_id: str
    path: str
    title: str
    summary: str
    content: str
    language: str
    people: Sequence[str]
    tags: Sequence[str]
    published: datetime
    updated: datetime


def atom_feed(
    entries: Sequence[Entry], *, title: str, subtitle: str, language: str, base_url: str, tenant: str
) -> bytes:
    """An Atom 1.0 document.

    Ids are UUIDs of the site and the post, so that they outlive a move to another address. Times are the messages',
    never the clock's: an unchanged site has an unchanged feed. Without a `base_url` links are relative to the feed.
    """
    newest = max((entry.updated for entry in entries), default=datetime(1970, 1, 1))  # noqa: DTZ001 (UTC, as stored)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang={quoteattr(language)}>',
        f"<id>{_urn(tenant)}</id>",
        f"<title>{escape(title)}</title>",
        *([f"<subtitle>{escape(subtitle)}</subtitle>"] if subtitle else []),
        f"<updated>{_time(newest)}</updated>",
        f"<author><name>{escape(title)}</name></author>",
        f'<link rel="self" type="application/atom+xml" href={quoteattr(base_url + "feed.xml")}/>',
        f'<link rel="alternate" type="text/html" href={quoteattr(base_url + "index.html")}/>',
        "<generator>Egregora</generator>",
    ]
    for entry in entries:
        address = quoteattr(base_url + entry.path)
        lines += [
            f"<entry xml:lang={quoteattr(entry.language)}>",
            f"<id>{_urn(tenant, entry.post_id)}</id>",
            f"<title>{escape(entry.title)}</title>",
            f'<link rel="alternate" type="text/html" href={address}/>',
            f"<published>{_time(entry.published)}</published>",
            f"<updated>{_time(entry.updated)}</updated>",
            *(f"<author><name>{escape(alias)}</name></author>" for alias in entry.people),
            *(f"<category term={quoteattr(tag)}/>" for tag in entry.tags),
            *([f"<summary>{escape(entry.summary)}</summary>"] if entry.summary else []),
            f'<content type="html" xml:base={address}>{escape(entry.content)}</content>',
            "</entry>",
        ]
    lines.append("</feed>\n")
    return "\n".join(lines).encode()


def _urn(*parts: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("egregora:", *parts))).urn


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds") + "Z"
