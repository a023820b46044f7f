"""From the Markdown of a post to HTML that can be trusted, block by block."""

from __future__ import annotations

import html
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from egregora.site.text import visible

__all__ = ["Body", "MarkupRenderer", "Picture", "blobs_named"]

# Only what a browser draws as a raster: an SVG opened by itself could run scripts.
_BLOB = r"[0-9a-f]{64}\.(?:jpg|jpeg|png|webp|gif)"
_BLOB_IN_BODY = re.compile(rf"\]\(blob:({_BLOB})[ )]")
_PICTURE = re.compile(rf"blob:({_BLOB})")

_WEB_LINK = re.compile(r"https?://[^\s\\]+", re.IGNORECASE)
_POST_LINK = re.compile(r"([a-z0-9-]+)\.html(?:#b[0-9]+)?")

# What no inline rule of Markdown touches, but for backslash escapes and simple links: most of what people write.
# `_plain_block` renders blocks of it as the parser would (a test holds us to that) at a thirtieth of the price.
_TEXT = r"(?:[^\\`*_\[\]<&~\n]|\\[!-/:-@\[-`{-~])"
_LINK = rf"(?<!!)\[({_TEXT}+)\]\((https?://[a-z0-9.-]+(?:[/?](?:[A-Za-z0-9/._~?=,;@#+-]|%[0-9A-F]{{2}})*)?)\)"
_PLAIN = re.compile(rf"(?:{_TEXT}|{_LINK})+")
_SIMPLE_LINK = re.compile(_LINK)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_PROSE = re.compile(r"[A-Za-z“‘«…]|[^\W\d_]")
_QUOTED = re.compile(rf"> \*\*(?!\s)({_TEXT}*[^\s\\`*_\[\]<&~\n])\*\* ([—–-]) (?=\S)")
_HEADING = re.compile(r"(#{1,6}) (?=[^\s#])")

_SAID = re.compile(r"<blockquote>\s*<p><strong>([^<]+)</strong> [—–-] ")
_TAG = re.compile(r"<[^>]+>")
_PICTURE_IN_HTML = re.compile(r"<img\b[^>]*>")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_MARKABLE = re.compile(r"\s*<(?:p|h[2-6])>")
_FIRST_TAG = re.compile(r"<(\w+)([^>]*>)")
_ONLY_PICTURE = re.compile(r"\s*<p>(?:<img\b[^>]*>\s*)+</p>\s*")
_EMPTY = re.compile(r"(?:<(?:p|blockquote|ul|ol|li)>|</(?:p|blockquote|ul|ol|li)>|\s)*")

# Not in any text, since `visible` takes it out: it keeps blocks apart while all of them are cleaned in one go.
_BETWEEN = "\x1e"

_TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code"),
    *("em", "strong", "s", "a", "img", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title", "width", "height", "loading"}, "ol": {"start"}}


@dataclass(frozen=True)
class Picture:
    """A picture that the site shows. Sizes in pixels, where they are known."""

    blob: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Body:
    """A post's body.

    Attributes:
        html: Blocks with `id="b<n>"`, `n` counting the blocks of the Markdown from 1 as DuckDB counts `sources`.
        plain: The same blocks for the feed, without ids, accents of people or pictures.
        text: The words alone, for the search, with ` · ` between blocks.
        picture: The first picture shown.
    """

    html: str
    plain: str
    text: str
    picture: Picture | None


class _Markdown(MarkdownIt):
    """CommonMark with tables and strikethrough, without raw HTML, whose links lead to the web or to one of `posts`."""

    def __init__(self, posts: Container[str]) -> None:
        super().__init__("commonmark", {"html": False})
        self._posts = posts
        self.enable(["table", "strikethrough"])
        self.add_render_rule("image", _render_image)
        self.add_render_rule("softbreak", _render_softbreak)

    def validateLink(self, url: str) -> bool:  # noqa: N802 (the library's name)
        """Whether this is a link. What isn't stays text."""
        post = _POST_LINK.fullmatch(url)
        return bool(_WEB_LINK.fullmatch(url) or _PICTURE.fullmatch(url) or (post and post[1] in self._posts))


def _render_image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]) -> str:
    """An image of the site where pictures are shown; nothing where they are not; else its words."""
    token = tokens[index]
    alt = renderer.renderInlineAsText(token.children or [], options, env)
    found = _PICTURE.fullmatch(str(token.attrGet("src") or ""))
    if not found:
        return html.escape(alt)
    picture = env["pictures"].get(found[1])
    if picture is None:
        return ""
    env.setdefault("shown", picture)
    size = f' width="{picture.width}" height="{picture.height}"' if picture.width and picture.height else ""
    return f'<img src="../media/{picture.blob}" alt="{html.escape(alt)}"{size} loading="lazy">'


def _render_softbreak(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]) -> str:
    """People break lines on purpose, writers of prose don't."""
    return "<br>\n" if env["quote"] else "\n"


def blobs_named(body: str) -> list[str]:
    """The blob ids of the pictures in a body, in order."""
    return _BLOB_IN_BODY.findall(body)


class MarkupRenderer:
    """Renders bodies. One serves a whole site.

    Args:
        pictures: The pictures that may be shown, by blob id.
        accents: For each alias, its accent's number and the address of its page, as seen from a post.
        posts: The file names, without `.html`, that a post may link to.
    """

    def __init__(
        self, pictures: Mapping[str, Picture], accents: Mapping[str, tuple[int, str]], posts: Container[str]
    ) -> None:
        self._markdown = _Markdown(posts)
        self._pictures = pictures
        self._accents = accents

    def render(self, body: str) -> Body:
        """A post's Markdown as HTML. Blocks of which nothing is left (a picture that isn't shown) are left out."""
        env: dict[str, Any] = {"pictures": self._pictures, "level": 1}
        # `visible` again after rendering: a character reference in the Markdown can stand for what it takes out.
        raw = (visible(self._block(block, env)) for block in _BLANK_LINES.split(visible(body).strip()))
        cleaned = nh3.clean(
            _BETWEEN.join(raw),
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            url_schemes={"http", "https"},
            link_rel="noopener nofollow ugc",
        )
        blocks = cleaned.split(_BETWEEN)
        plain = [
            block for block in (_PICTURE_IN_HTML.sub("", block) for block in blocks) if not _EMPTY.fullmatch(block)
        ]
        words = html.unescape(_TAG.sub(" ", " · ".join(plain)))
        return Body(self._numbered(blocks), "".join(plain), " ".join(words.split()), env.get("shown"))

    def _block(self, block: str, env: dict[str, Any]) -> str:
        """One block as HTML that is still to be cleaned."""
        plain = _plain_block(block, env)
        if plain is not None:
            return plain
        env["quote"] = block.startswith(">")
        tokens = self._markdown.parse(block, env)
        for token in tokens:
            if token.type == "heading_open":
                env["level"] = _level(int(token.tag[1]), env)
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{env['level']}"
        return str(self._markdown.renderer.render(tokens, self._markdown.options, env))

    def _numbered(self, blocks: Sequence[str]) -> str:
        """The blocks with their ids; what people say, one after another, as an exchange."""
        parts: list[str] = []
        speaker: str | None = None
        for number, block in enumerate(blocks, start=1):
            if _EMPTY.fullmatch(block):
                continue
            said = _SAID.match(block)
            if said and speaker is None:
                parts.append('<div class="exchange">\n')
            elif not said and speaker is not None:
                parts.append("</div>\n")
            mark = f'<a class="mark" href="#b{number}" tabindex="-1" aria-hidden="true"></a>'
            if said:
                name = html.unescape(said[1])
                accent, page = self._accents.get(name, (0, ""))
                shown = f'<a href="{page}">{said[1]}</a>' if page else said[1]
                again = " again" if name == speaker else ""
                parts.append(
                    f'<blockquote class="said v{accent}{again}" id="b{number}">'
                    f'<p class="who">{mark}<bdi>{shown}</bdi></p><p dir="auto">{block[said.end() :]}'
                )
                speaker = name
            else:
                speaker = None
                picture = ' class="picture"' if _ONLY_PICTURE.fullmatch(block) else ""
                head = f'<\\1 id="b{number}"{picture} dir="auto"\\2'
                if _MARKABLE.match(block):
                    head += mark
                parts.append(_FIRST_TAG.sub(head, block, count=1))
        if speaker is not None:
            parts.append("</div>\n")
        return "".join(parts)


def _level(wanted: int, env: dict[str, Any]) -> int:
    """A heading's level on the page: its h1 is the title, and below it no level is skipped."""
    before: int = env["level"]
    return max(2, min(wanted, before + 1))


def _plain_block(block: str, env: dict[str, Any]) -> str | None:
    """A block as HTML where it is plain prose, a quoted message, a heading or a list of plain items; else None."""
    if quoted := _QUOTED.match(block):
        first, *more = block[quoted.end() :].split("\\\n> ")
        lines = _plain_lines([first, *more]) if all(map(_PROSE.match, more)) else None
        name, dash = (html.escape(_unescape(part)) for part in quoted.groups())
        return _around(f"<blockquote>\n<p><strong>{name}</strong> {dash} ", lines, "<br>\n", "</p>\n</blockquote>\n")
    if heading := _HEADING.match(block):
        lines = None if block.rstrip().endswith("#") else _plain_lines([block[heading.end() :]])
        if lines:
            env["level"] = _level(len(heading[1]), env)
        return _around(f"<h{env['level']}>", lines, "", f"</h{env['level']}>\n")
    if block.startswith("- "):
        items = block[2:].split("\n- ")
        lines = _plain_lines(items) if all(map(_PROSE.match, items)) else None
        return _around("<ul>\n<li>", lines, "</li>\n<li>", "</li>\n</ul>\n")
    return _around("<p>", _plain_lines([block]) if _PROSE.match(block) else None, "", "</p>\n")


def _plain_lines(lines: Sequence[str]) -> list[str] | None:
    """The lines as HTML, if no inline rule applies to any."""
    if not all(map(_PLAIN.fullmatch, lines)):
        return None
    return [_plain_inline(line.strip()) for line in lines]


def _plain_inline(line: str) -> str:
    if "](" not in line:
        return html.escape(_unescape(line))
    parts = _SIMPLE_LINK.split(line)
    out = [html.escape(_unescape(parts[0]))]
    for title, address, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        out.append(
            f'<a href="{html.escape(address)}">{html.escape(_unescape(title))}</a>{html.escape(_unescape(text))}'
        )
    return "".join(out)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def _around(head: str, lines: list[str] | None, between: str, tail: str) -> str | None:
    return None if lines is None else f"{head}{between.join(lines)}{tail}"
