"""How text of the chat stands in Markdown: as text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = [
    "clean",
    "escape",
    "image",
    "inline_quote",
    "link",
    "plain",
    "prose",
    "quote",
    "safe_url",
    "shorten",
    "site_name",
]

# Control and bidi characters and those of no width; not the joiner U+200D, which emoji are made of.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)
_NEWLINE = re.compile("\r\n?|[\u2028\u2029\x85]")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&])")
_LINE_START = re.compile(r"^([#+=:-]|\d{1,9}(?=[.)]))")
_URL_UNSAFE = re.compile(r"[\x00-\x20\x7f<>()\[\]\"'\\`{}|^]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s|$)")


def clean(text: str) -> str:
    """The text without characters that can't be seen, newlines made one kind."""
    if text.isprintable():
        return text
    return _UNSEEN.sub("", _NEWLINE.sub("\n", text))


def plain(text: str) -> str:
    """The text in one line, without control and bidi characters: for titles, alternative texts and tags."""
    return " ".join((text if text.isprintable() else clean(text)).split())


def _inside(text: str) -> str:
    """One line of text as Markdown that shows it and nothing else, where something stands before it in its line."""
    return _MARKUP.sub(r"\\\1", plain(text))


def escape(text: str) -> str:
    """One line of text as Markdown that shows it and nothing else, at the start of a line as well as inside one."""
    text = _inside(text)
    first = _LINE_START.match(text)
    if first is None:
        return text
    if first[1].isdigit():
        return f"{first[1]}\\{text[first.end() :]}"
    return f"\\{text}"


def safe_url(url: str) -> str | None:
    """The address as a Markdown link target; None unless it is http or https and has a host."""
    url = plain(url)
    if not re.match(r"https?://[^/\s?#]", url, re.IGNORECASE):
        return None
    url = _URL_UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", url)
    return _ENTITY.sub("&amp;", url)


def site_name(item: Mapping[str, Any]) -> str:
    """The site of a link struct, without `www.`."""
    return plain(item.get("site") or "").removeprefix("www.")


def link(title: str, target: str) -> str:
    """`[title](target)`; the target is taken as it stands."""
    return f"[{escape(title)}]({target})"


def image(alt: str, blob: str) -> str:
    """A picture from the site's blobs."""
    return f"![{escape(alt)}](blob:{blob})"


def shorten(text: str, limit: int) -> str:
    """The text up to a sentence's end within `limit` characters, else up to a word's, with ` …` where it was cut."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    ends = [match.end() for match in _SENTENCE_END.finditer(head)]
    cut = ends[-1] if ends and ends[-1] >= limit // 3 else max(head.rfind(" "), head.rfind("\n"))
    return head[: cut if cut >= limit // 3 else limit].rstrip() + " …"


def _with_links(line: str, links: Sequence[Mapping[str, Any]], escaped: Callable[[str], str]) -> str:
    """A line with its known addresses as links that show the site's name; all else is text."""
    if not links:
        return escaped(line)
    targets = {item["url"]: (site_name(item), safe_url(item["url"])) for item in links if item.get("url")}
    known = sorted((url for url, (_, target) in targets.items() if target), key=len, reverse=True)
    if not any(url in line for url in known):
        return escaped(line)
    out = []
    for part in re.split("(" + "|".join(re.escape(url) for url in known) + ")", line):
        site, target = targets.get(part, ("", None))
        if target:
            out.append(link(site if site and site in part else part, target))
        elif part.strip():
            # The split ends have lost their outer spaces to `plain`: give one back where there were any.
            out.append(
                (" " if part[0].isspace() else "")
                + (_inside(part) if out else escaped(part))
                + (" " if part[-1].isspace() else "")
            )
        else:
            out.append(part and " ")
    return "".join(out).strip()


def quote(alias: str, text: str, links: Sequence[Mapping[str, Any]] = (), *, limit: int = 420, lines: int = 8) -> str:
    """A message as a blockquote: `> **Alias** — text`, at most `limit` characters and `lines` lines of it."""
    whole = [line for line in (plain(part) for part in clean(text).split("\n")) if line]
    kept = shorten("\n".join(whole[:lines]), limit)
    if len(whole) > lines and not kept.endswith("…"):
        kept += " …"
    first, *further = kept.split("\n")
    body = "\\\n> ".join([_with_links(first, links, _inside), *(_with_links(line, links, escape) for line in further)])
    return f"> **{_inside(alias)}** — {body}"


def inline_quote(text: str, *, limit: int = 160) -> str:
    """A message in quotation marks, in one line."""
    return f"“{escape(shorten(plain(text), limit))}”"


_INLINE = re.compile(
    r"!?\[(?P<title>[^\[\]]*)\]\(\s*(?P<target>[^)\s]*)[^)]*\)|(?P<mark>\*\*|\*|__|_)(?=[^\s*_])(?P<stressed>[^*_]+?)(?<=[^\s*_])(?P=mark)(?!\w)"
)


def prose(text: str, target: Callable[[str], str | None]) -> str:
    """A paragraph that a model wrote, as Markdown with its emphasis and its links; all else in it is text.

    Args:
        target: The address that a link may lead to; None if it may lead nowhere, and only its words stay.
    """
    text = plain(text)
    out: list[str] = []
    at = 0
    for found in _INLINE.finditer(text):
        if found["mark"] and text[max(found.start() - 1, 0)].isalnum() and found.start():
            continue
        out.append(_between(text[at : found.start()], first=not out))
        if found["mark"]:
            mark = "**" if len(found["mark"]) == 2 else "*"
            out.append(f"{mark}{_inside(found['stressed'])}{mark}")
        else:
            address = target(found["target"])
            title = found["title"] or found["target"]
            out.append(link(title, address) if address else _between(title, first=not out))
        at = found.end()
    out.append(_between(text[at:], first=not out))
    return "".join(out).strip()


def _between(text: str, *, first: bool) -> str:
    """A piece of a line, with the spaces at its ends."""
    if not text.strip():
        return " " if text else ""
    body = escape(text) if first else _inside(text)
    return (" " if text[0].isspace() else "") + body + (" " if text[-1].isspace() else "")
