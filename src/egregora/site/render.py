"""The files of the site, one after another, from what it tells of."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from egregora.errors import ConfigError
from egregora.site.feed import Entry, atom_feed
from egregora.site.markup import MarkupRenderer, Picture
from egregora.site.model import Group, Post
from egregora.site.policy import CSP
from egregora.site.text import visible
from egregora.site.words import month, plural, words_for

__all__ = ["SiteFile", "SiteSettings", "render_site"]

_HERE = Path(__file__).parent
_LATEST = 10
_IN_FEED = 30
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)

# Two thin walls around what was a private talk: `noindex` on every page for those who read pages, and this for those
# who ask first. Whoever wants to be found removes both on purpose, with a robots.txt of their own server.
_ROBOTS = "User-agent: *\nDisallow: /\n"


@dataclass(frozen=True)
class SiteSettings:
    """What the configuration says of the site, checked: `base_url` is empty or an http(s) address that ends in `/`."""

    title: str
    description: str
    language: str
    base_url: str
    tenant: str
    best_of: int

    @classmethod
    def checked(
        cls, *, title: str, description: str, language: str, base_url: str, tenant: str, best_of: int
    ) -> SiteSettings:
        """The settings as the pages need them.

        Raises:
            ConfigError: the address is none.
        """
        address = base_url.strip()
        if address:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ConfigError(
                    "site.base_url is not the address of a site", hint="give one such as https://example.org/blog/"
                )
            address = address.rstrip("/") + "/"
        return cls(visible(title).strip(), visible(description).strip(), language, address, tenant, best_of)


@dataclass(frozen=True)
class SiteFile:
    """One file: `path` below the site folder, and what it is (`page`, `feed`, `data`, `asset`)."""

    path: str
    data: bytes
    kind: str


def render_site(group: Group, settings: SiteSettings, pictures: Mapping[str, Picture]) -> Iterator[SiteFile]:
    """Every file of the site but its media, one at a time.

    Args:
        group: What the site tells of.
        settings: What the configuration says.
        pictures: The pictures that are published, by blob id; others are left out of the posts.
    """
    site = _Pages(group, settings)
    accents = {person.alias: (person.accent, f"../{person.path}") for person in group.people}
    markup = MarkupRenderer(pictures, accents, {post.name for post in group.posts})
    entries: list[Entry] = []
    search: list[dict[str, Any]] = []
    for post in group.posts:
        body = markup.render(post.body)
        post.picture = body.picture
        post.count_words(body.text)
        search.append(_searchable(post, body.text))
        if len(entries) < _IN_FEED:
            entries.append(_feed_entry(post, body.plain))
        yield site.page("post.html", post.path, "archive.html", post=post, body=Markup(body.html))  # noqa: S704 (cleaned)
    for person in group.people:
        if person.portrait:
            body = markup.render(person.portrait.body)
            person.portrait_html = Markup(body.html)  # noqa: S704 (cleaned)
    yield from site.lists()
    yield SiteFile("assets/search-index.js", _search_index(search), "data")
    feed = atom_feed(
        entries,
        title=settings.title,
        subtitle=settings.description,
        language=settings.language,
        base_url=settings.base_url,
        tenant=settings.tenant,
    )
    yield SiteFile("feed.xml", feed, "feed")
    yield SiteFile("robots.txt", _ROBOTS.encode(), "asset")
    yield from _assets()


class _Pages:
    """The templates, with what every page knows."""

    def __init__(self, group: Group, settings: SiteSettings) -> None:
        self._group = group
        self._settings = settings
        self._best = group.best(settings.best_of)
        self._words = words_for(settings.language)
        menu = [("archive", "archive.html"), ("tags", "tags/index.html"), ("people", "people/index.html")]
        if self._best:
            menu.append(("best", "best-of.html"))
        menu.append(("search", "search.html"))
        self._shared = {"site": settings, "w": self._words, "menu": menu, "csp": CSP, "plural": plural}

    def page(self, template: str, path: str, section: str = "", root: str | None = None, **values: Any) -> SiteFile:
        """One page. `section` is the menu's page that it belongs to; `root` leads to the site's folder."""
        if root is None:
            root = "../" * path.count("/")
        text = _templates().get_template(template).render(self._shared, path=path, section=section, root=root, **values)
        return SiteFile(path, text.encode(), "page")

    def lists(self) -> Iterator[SiteFile]:
        """Every page that isn't a post's."""
        posts, people, tags = self._group.posts, self._group.people, self._group.tags
        parts: Any = _templates().get_template("_parts.html").module
        for post in posts:
            post.entry = parts.entry(post, "../", 2)
            post.entry_below = parts.entry(post, "../", 3)
        span = ""
        if posts:
            span = f"{self._month(posts[-1].first)} – {self._month(posts[0].first)}"
            if self._month(posts[-1].first) == self._month(posts[0].first):
                span = self._month(posts[0].first)
        yield self.page(
            "index.html",
            "index.html",
            latest=posts[:_LATEST],
            best=self._best,
            total=len(posts),
            people=people,
            span=span,
        )
        yield self.page("archive.html", "archive.html", years=self._years(), total=len(posts))
        yield self.page("tags.html", "tags/index.html", tags=tags)
        for tag in tags:
            yield self.page("tag.html", tag.path, "tags/index.html", tag=tag)
        yield self.page("people.html", "people/index.html", people=people)
        for person in people:
            yield self.page("person.html", person.path, "people/index.html", person=person)
        if self._best:
            yield self.page("best-of.html", "best-of.html", best=self._best)
        yield self.page("search.html", "search.html")
        # A server shows this page at any depth, so its links start at the site's own root where that is known.
        yield self.page("404.html", "404.html", root=urlsplit(self._settings.base_url).path)

    def _month(self, when: date) -> str:
        name = month(when.year, when.month, self._settings.language)
        return name[:1].upper() + name[1:]

    def _years(self) -> list[tuple[int, list[tuple[str, str, list[Post]]]]]:
        """Years and, in them, months (name, id, posts), from the newest."""
        years = []
        for year, in_year in groupby(self._group.posts, key=lambda post: post.first.year):
            months = [
                (self._month(date(year, number, 1)), f"{year}-{number:02}", list(in_month))
                for number, in_month in groupby(in_year, key=lambda post: post.first.month)
            ]
            years.append((year, months))
        return years


def _searchable(post: Post, text: str) -> dict[str, Any]:
    """A post as the search knows it. Letters are composed, so that a letter without its accent is one letter too."""
    text, title, standfirst = (unicodedata.normalize("NFC", part) for part in (text, post.title, post.standfirst))
    return {
        "path": post.path,
        "title": title,
        "standfirst": standfirst,
        "dates": post.dates,
        "language": post.language,
        "tags": [tag.label for tag in post.tags],
        "people": [person.alias for person in post.people],
        "text": text,
    }


def _search_index(posts: list[dict[str, Any]]) -> bytes:
    """The posts as a script that a page opened from disk may load, where it may not fetch a JSON file."""
    listed = json.dumps(posts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"window.egregoraPosts={listed};\n".encode()


def _feed_entry(post: Post, content: str) -> Entry:
    return Entry(
        post_id=post.post_id,
        path=post.path,
        title=post.title,
        summary=post.standfirst,
        content=content,
        language=post.language,
        people=[person.alias for person in post.people],
        tags=[tag.label for tag in post.tags],
        published=post.first_ts,
        updated=post.last_ts,
    )


def _assets() -> Iterator[SiteFile]:
    """Style, scripts and icon. MiniSearch carries its licence, without the pointer to a source map that isn't there."""
    vendored = _HERE / "vendor" / "minisearch"
    version = _read(vendored / "VERSION").strip()
    licence = _read(vendored / "LICENSE.txt").strip().replace("*/", "* /")
    code = _SOURCE_MAP.sub("", _read(vendored / "minisearch.js")).rstrip()
    yield SiteFile("assets/minisearch.js", f"/*! MiniSearch {version}\n\n{licence}\n*/\n{code}\n".encode(), "asset")
    for path in sorted((_HERE / "theme").iterdir()):
        yield SiteFile(f"assets/{path.name}", _read(path).encode(), "asset")


@cache
def _templates() -> Environment:
    """The templates, compiled once a process."""
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def _read(path: Path) -> str:
    # Line endings as in the repository, whatever a checkout made of them: the same site on every system.
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")
