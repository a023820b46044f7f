"""What the pages tell of: posts, tags and people, linked to each other."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from egregora.site.markup import Picture
from egregora.site.text import file_names, fold, visible
from egregora.site.words import date_range, day, plural

__all__ = ["ACCENTS", "Group", "Person", "Portrait", "Post", "Tag", "Voice", "gather"]

ACCENTS = 12
"""How many colours the theme has for people."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_NOTHING = Markup("")
_WORDS_A_MINUTE = 220


@dataclass(frozen=True)
class Voice:
    """What the messages say of one alias: how many, and the times of the first and the last, UTC."""

    alias: str
    messages: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Portrait:
    """What a model wrote of one person.

    Attributes:
        body: Markdown.
        language: ISO 639-1.
        model: Name of the model.
        messages: How many of their messages it read.
    """

    body: str
    language: str
    model: str
    messages: int


@dataclass(eq=False)
class Tag:
    """A tag, with its posts from the newest."""

    label: str
    name: str = ""
    posts: list[Post] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"tags/{self.name}.html"


@dataclass(eq=False)
class Person:
    """An alias, with its accent (from 0 to `ACCENTS` − 1) and its posts from the newest.

    `portrait_html` is filled in by whoever renders.
    """

    alias: str
    name: str
    accent: int
    messages: int = 0
    first: date | None = None
    last: date | None = None
    first_words: str = ""
    last_words: str = ""
    posts: list[Post] = field(default_factory=list)
    portrait: Portrait | None = None
    portrait_html: Markup = _NOTHING
    portrait_lang: Markup = _NOTHING

    @property
    def path(self) -> str:
        return f"people/{self.name}.html"

    @property
    def initial(self) -> str:
        return next((char for char in self.alias if char.isalnum()), "·").upper()


@dataclass(eq=False)
class Post:
    """A post: text without invisible characters, days in the site's timezone, neighbours as posts.

    `body` is its Markdown. `lang` is the attribute that says its language where it isn't the site's. What rendering
    finds out (`minutes`, `picture`, and how lists show it) is filled in by whoever renders.
    """

    post_id: str
    name: str
    title: str
    standfirst: str
    body: str
    language: str
    lang: Markup
    first_ts: datetime
    last_ts: datetime
    first: date
    dates: str
    rank: int
    why: str
    written_from: str
    tags: list[Tag]
    people: list[Person]
    related: list[Post] = field(default_factory=list)
    older: Post | None = None
    newer: Post | None = None
    minutes: int = 1
    picture: Picture | None = None
    entry: Markup = _NOTHING
    entry_below: Markup = _NOTHING

    @property
    def path(self) -> str:
        return f"posts/{self.name}.html"

    def count_words(self, text: str) -> None:
        """Say how long it takes to read."""
        self.minutes = max(1, round(len(text.split()) / _WORDS_A_MINUTE))


@dataclass(frozen=True)
class Group:
    """Everything that the site tells of: posts from the newest, tags and people in alphabetical order."""

    posts: list[Post]
    tags: list[Tag]
    people: list[Person]

    def best(self, count: int) -> list[Post]:
        """The `count` posts of the highest rank."""
        return sorted(self.posts, key=lambda post: (post.rank, post.post_id))[:count]


def gather(
    rows: Sequence[Mapping[str, Any]],
    voices: Iterable[Voice],
    *,
    words: Mapping[str, str],
    language: str,
    timezone: str,
    portraits: Mapping[str, Portrait] = MappingProxyType({}),
) -> Group:
    """Link posts, tags and people to each other.

    Args:
        rows: `RANKED` rows, any order.
        voices: One for each alias that wrote.
        words, language: The site's own words and their language.
        timezone: In which days are told.
        portraits: By alias.
    """
    zone = ZoneInfo(timezone)
    rows = sorted(rows, key=lambda row: (row["first_ts"], row["last_ts"], row["post_id"]))
    people = _people(rows, voices, local=lambda when: _day(when, zone), language=language)
    for alias, portrait in portraits.items():
        if person := people.get(_line(alias)):
            spoken = _spoken(portrait.language, language)
            person.portrait, person.portrait_lang = portrait, _lang(spoken, language)
    tags = _tags(rows)
    names = file_names(row["post_id"] for row in rows)
    posts: list[Post] = []
    for row in rows:
        first, last = _day(row["first_ts"], zone), _day(row["last_ts"], zone)
        dates = date_range(first, last, language)
        signals = row["signals"]
        spoken = _spoken(row["language"], language)
        posts.append(
            Post(
                post_id=row["post_id"],
                name=names[row["post_id"]],
                title=_line(row["title"]) or dates,
                standfirst=_line(row["standfirst"]),
                body=row["body"],
                language=spoken,
                lang=_lang(spoken, language),
                first_ts=row["first_ts"],
                last_ts=row["last_ts"],
                first=first,
                dates=dates,
                rank=row["rank"],
                why=_line(row["why"] or ""),
                written_from=words["in_window" if row["writer"] == "extractive" else "in_window_by"].format(
                    messages=plural(words["messages"], signals["messages"]),
                    people=plural(words["people_count"], signals["people"]),
                    writer=row["writer"],
                )
                if signals["messages"]
                else "",
                tags=[tags[key] for key in dict.fromkeys(map(_tag_key, row["tags"])) if key],
                people=[people[alias] for alias in dict.fromkeys(map(_line, row["people"])) if alias],
            )
        )
    by_id = {post.post_id: post for post in posts}
    for row, post, older, newer in zip(rows, posts, [None, *posts], [*posts[1:], None], strict=False):
        post.related = [by_id[i] for i in dict.fromkeys(row["related"]) if i in by_id and i != post.post_id]
        post.older, post.newer = older, newer
    posts.reverse()
    for post in posts:
        for tag in post.tags:
            tag.posts.append(post)
        for person in post.people:
            person.posts.append(post)
    return Group(
        posts,
        sorted(tags.values(), key=lambda tag: (fold(tag.label), tag.label)),
        sorted(people.values(), key=lambda person: (fold(person.alias), person.alias)),
    )


def _spoken(written: str, language: str) -> str:
    """The language of a text, if what is said of it can stand in an attribute; else the site's."""
    return written if _LANGUAGE.fullmatch(written) else language


def _lang(spoken: str, language: str) -> Markup:
    """The attribute that says a language which isn't the site's."""
    return _NOTHING if spoken == language else Markup(' lang="{}"').format(spoken)


def _line(text: str) -> str:
    """One line of visible text."""
    return " ".join(visible(text).split())


def _day(when: datetime, zone: ZoneInfo) -> date:
    return when.replace(tzinfo=UTC).astimezone(zone).date()


def _tag_key(label: str) -> str:
    return _line(label).casefold()


def _tags(rows: Iterable[Mapping[str, Any]]) -> dict[str, Tag]:
    """The tags by key; written in different cases they are one, shown as it is written most often."""
    spellings: dict[str, Counter[str]] = {}
    for row in rows:
        for label in map(_line, row["tags"]):
            if label:
                spellings.setdefault(label.casefold(), Counter())[label] += 1
    tags = {key: Tag(min(counts, key=lambda label: (-counts[label], label))) for key, counts in spellings.items()}
    names = file_names(tag.label for tag in tags.values())
    for tag in tags.values():
        tag.name = names[tag.label]
    return tags


def _people(
    rows: Iterable[Mapping[str, Any]], voices: Iterable[Voice], *, local: Callable[[datetime], date], language: str
) -> dict[str, Person]:
    """The people by alias: who wrote, and who takes part in a post."""
    heard = {_line(voice.alias): voice for voice in voices}
    aliases = {alias for row in rows for alias in map(_line, row["people"])} | set(heard)
    aliases.discard("")
    names = file_names(aliases)
    people: dict[str, Person] = {}
    free: set[int] = set()
    for alias in sorted(aliases):
        # A hash, so that a newcomer doesn't recolour everyone; the next free colour, so that twelve people have twelve.
        free = free or set(range(ACCENTS))
        accent = int.from_bytes(hashlib.sha256(alias.encode()).digest()[:4]) % ACCENTS
        while accent not in free:
            accent = (accent + 1) % ACCENTS
        free.discard(accent)
        people[alias] = person = Person(alias, names[alias], accent)
        if voice := heard.get(alias):
            person.messages = voice.messages
            person.first, person.last = local(voice.first), local(voice.last)
            person.first_words, person.last_words = day(person.first, language), day(person.last, language)
    return people
