"""publish: what the site holds, that it is safe, and that it is the same every time."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import date, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

import nh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from egregora.config import SiteConfig
from egregora.database.ir_schema import PAGES
from egregora.errors import ConfigError, StorageError
from egregora.site.markup import MarkupRenderer, _Markdown
from egregora.site.model import ACCENTS, Voice, gather
from egregora.site.policy import CSP
from egregora.site.text import file_names, visible
from egregora.site.words import WORDS, date_range, plural, words_for
from egregora.stages.publish import STAGE
from site_rows import HOSTILE, Site, a_season, hostile_posts, message, picture, post, publish_site, talk

ATOM = "{http://www.w3.org/2005/Atom}"
VOID = {"meta", "link", "br", "img", "input", "hr", "base"}
THEME = Path(__file__).parents[2] / "src" / "egregora" / "site" / "theme"


class Page(HTMLParser):
    """A page, read: elements with their attributes, ids, headings, text; and whether its tags are in balance."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, *tags: str) -> Iterator[dict[str, str]]:
        return (attrs for tag, attrs in self.elements if tag in tags)

    def by_id(self, name: str) -> tuple[str, dict[str, str]]:
        return next(element for element in self.elements if element[1].get("id") == name)


def pages(site: Site) -> dict[str, Page]:
    return {row["path"]: Page(site.text(row["path"])) for row in site.rows if row["kind"] == "page"}


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Site:
    config: dict[str, Any] = {"site": {"title": "The Long Table", "description": "Friends & soup"}}
    return publish_site(tmp_path_factory.mktemp("season"), a_season(), **config)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Site:
    messages = [message(n, text, datetime(2024, 5, 1)) for n, text in enumerate(HOSTILE)]
    site = {"title": HOSTILE[0], "description": HOSTILE[2]}
    return publish_site(tmp_path_factory.mktemp("hostile"), hostile_posts(), messages, site=site)


class TestPages:
    """What is there, and how it hangs together."""

    def test_rows_are_pages_ordered_by_path_and_name_the_bytes(self, season: Site) -> None:
        assert tuple(season.rows[0]) == PAGES.names
        paths = [row["path"] for row in season.rows]
        assert paths == sorted(set(paths))
        for row in season.rows:
            data = season.files[row["path"]]
            assert row["bytes"] == len(data)
            assert row["blob"].partition(".")[0] == hashlib.sha256(data).hexdigest()
            assert row["blob"].rpartition(".")[2] == row["path"].rpartition(".")[2]

    def test_every_kind_of_page_is_there(self, season: Site) -> None:
        expected = {
            *("index.html", "archive.html", "best-of.html", "search.html", "404.html"),
            *("tags/index.html", "tags/lake-house.html", "tags/violao.html", "tags/keys.html"),
            *("people/index.html", "people/amber-heron.html", "people/brisk-marten.html"),
            *("feed.xml", "robots.txt", "assets/style.css", "assets/search.js", "assets/search-index.js"),
            *("assets/minisearch.js", "assets/favicon.svg"),
            *(f"posts/{row['post_id']}.html" for row in a_season()),
        }
        assert expected <= set(season.files)

    def test_kinds(self, season: Site) -> None:
        kinds = {row["path"]: row["kind"] for row in season.rows}
        assert kinds["feed.xml"] == "feed"
        assert kinds["assets/search-index.js"] == "data"
        assert kinds["assets/style.css"] == "asset"
        assert kinds["posts/2025-01-06-rain.html"] == "page"

    def test_every_link_within_the_site_leads_to_a_file_of_it(self, season: Site, hostile: Site) -> None:
        for site in (season, hostile):
            read = pages(site)
            for path, page in read.items():
                for attrs in page.all("a", "link", "script", "img"):
                    address = attrs.get("href") or attrs.get("src") or ""
                    parts = urlsplit(address)
                    if parts.scheme:
                        continue
                    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
                    target = path if not parts.path else target
                    assert target in site.files, (path, address)
                    if parts.fragment and target in read:
                        assert read[target].by_id(parts.fragment)

    def test_every_page_has_landmarks_one_h1_and_headings_in_order(self, season: Site, hostile: Site) -> None:
        for site in (season, hostile):
            for path, page in pages(site).items():
                assert page.open == [], path
                tags = [tag for tag, _ in page.elements]
                assert [tags.count(tag) for tag in ("main", "h1", "title")] == [1, 1, 1], path
                assert {"header", "nav", "footer"} <= set(tags)
                levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
                assert all(after <= before + 1 for before, after in pairwise(levels)), path
                ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
                assert len(ids) == len(set(ids)), path
                assert next(page.all("html"))["lang"] == "en"
                assert all("alt" in attrs for attrs in page.all("img"))

    def test_blocks_are_numbered_from_one_as_sources_are(self, season: Site) -> None:
        page = pages(season)["posts/2024-03-11-pea-soup.html"]
        assert [page.by_id(f"b{n}")[0] for n in range(1, 8)] == [
            "p",
            "blockquote",
            "blockquote",
            "h2",
            "table",
            "ul",
            "p",
        ]

    def test_what_people_say_has_their_colour_and_their_page(self, season: Site) -> None:
        page = pages(season)["posts/2024-03-04-the-lake-house.html"]
        heron, otter = page.by_id("b2")[1]["class"].split(), page.by_id("b3")[1]["class"].split()
        assert heron[0] == otter[0] == "said"
        assert heron[1] != otter[1]
        assert "../people/amber-heron.html" in [attrs.get("href") for attrs in page.all("a")]
        assert "Amber Heron" in page.text
        assert "— Who" not in page.text

    def test_a_name_that_speaks_twice_is_marked_so(self, season: Site) -> None:
        page = pages(season)["posts/2024-03-11-pea-soup.html"]
        assert page.by_id("b2")[1]["class"] + " again" == page.by_id("b3")[1]["class"]

    def test_a_post_tells_what_is_known_of_it(self, season: Site) -> None:
        text = pages(season)["posts/2024-03-11-pea-soup.html"].text
        for words in ("Pea soup: a dispute", "11–16 March 2024", "Tall Juniper", "soup", "It takes up The lake house"):
            assert words in text
        assert "Written from 148 messages by 6 people." in text
        assert "← " not in text
        assert "Older The lake house" in text
        assert "Newer Quem vai levar o violão?" in text

    def test_a_post_in_another_language_says_so(self, season: Site) -> None:
        page = pages(season)["posts/2024-03-18-o-violao.html"]
        assert next(page.all("h1"))["lang"] == "pt"
        assert page.text.count("18–23 March 2024") == 1

    def test_tags_in_different_cases_are_one(self, season: Site) -> None:
        page = pages(season)["tags/keys.html"]
        assert page.text.count("The lake house") == 1
        assert "Pea soup: a dispute" in page.text

    def test_best_of_goes_by_rank_and_stops_at_its_number(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, a_season(), publish={"best_of": 2})
        titles = re.findall(r"<h2[^>]*><a[^>]*>(.*?)</a>", site.text("best-of.html"))
        assert titles == ["Quem vai levar o violão?", "The lake house"]

    def test_without_best_of_there_is_no_such_page(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, a_season(), publish={"best_of": 0})
        assert "best-of.html" not in site.files
        assert "best-of.html" not in site.text("index.html")

    def test_the_archive_goes_by_year_and_month_from_the_newest(self, season: Site) -> None:
        headings = re.findall(r"<h[23][^>]*>(.*?)</h[23]>", season.text("archive.html"))
        assert headings == ["2025", "January 2025", "2024", "December 2024", "March 2024"]

    def test_a_site_without_posts_says_so(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, [], [])
        assert "Nothing has been written yet." in pages(site)["index.html"].text
        assert ET.fromstring(site.files["feed.xml"]).findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"

    def test_no_event_id_is_on_the_site(self, tmp_path: Path) -> None:
        row = post() | {"sources": [["5ec1e7" * 5], ["0ddba11" * 4], []]}
        site = publish_site(tmp_path, [row])
        assert not any(b"5ec1e7" in data or b"0ddba11" in data for data in site.files.values())


class TestPeople:
    """Pages of aliases."""

    def test_counts_and_days_come_from_the_messages(self, tmp_path: Path) -> None:
        messages = [
            message(0, "Amber Heron", datetime(2024, 3, 4, 1)),
            message(1, "Amber Heron", datetime(2024, 3, 9, 1)),
            message(2, "Amber Heron", datetime(2024, 3, 10), kind="deleted"),
            message(3, None, datetime(2024, 3, 1), kind="system"),
            message(4, "Silent Newt", datetime(2024, 3, 5)),
        ]
        read = pages(publish_site(tmp_path, [post()], messages, parse={"timezone": "America/Sao_Paulo"}))
        heron = read["people/amber-heron.html"].text
        assert "2 messages" in heron
        # One in the night UTC is the evening before in São Paulo.
        assert "First message 3 March 2024 Last message 8 March 2024" in heron
        assert "Takes part in 1 post" in heron
        assert "1 message" in read["people/silent-newt.html"].text
        assert "0 messages" in read["people/quiet-otter.html"].text

    def test_twelve_people_have_twelve_colours(self) -> None:
        voices = [Voice(f"Person {n}", 1, datetime(2024, 1, 1), datetime(2024, 1, 1)) for n in range(ACCENTS)]
        group = gather([], voices, words=WORDS["en"], language="en", timezone="UTC")
        assert sorted(person.accent for person in group.people) == list(range(ACCENTS))

    def test_the_theme_has_each_colour_readable_in_both_schemes(self) -> None:
        style = (THEME / "style.css").read_text()
        light, dark = style.split("prefers-color-scheme: dark", 1)
        for scheme in (light, dark):
            colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", scheme))
            for name in ("ink", "soft", "accent", *(f"v{n}" for n in range(ACCENTS))):
                assert contrast(colours[name], colours["page"]) >= 4.5, name
            for name in ("ink", "soft"):
                assert contrast(colours[name], colours["raised"]) >= 4.5, name
            assert contrast(colours["ink"], colours["mark"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


class TestMedia:
    """Pictures are on the site only when asked for."""

    BODY = 'Before.\n\n![A "jetty"](blob:{blob})\n\nAfter, with ![one](blob:{blob}) inside.'

    def build(self, tmp_path: Path, **config: Any) -> tuple[Site, str]:
        data = picture(1)
        blob = f"{hashlib.sha256(data).hexdigest()}.jpg"
        media = {"blob": blob, "thumbnail": None, "mime": "image/jpeg", "width": 64, "height": 48, "bytes": len(data)}
        messages = [*talk(), message(99, "Amber Heron", datetime(2024, 3, 4), kind="media", media=media)]
        row = post(body=self.BODY.format(blob=blob))
        return publish_site(tmp_path, [row], messages, {blob: data}, **config), blob

    def test_left_out_neatly(self, tmp_path: Path) -> None:
        site, blob = self.build(tmp_path)
        assert not any(path.startswith("media/") for path in site.files)
        assert not any(blob.encode() in data for data in site.files.values())
        page = pages(site)["posts/2024-03-04-the-lake-house.html"]
        assert list(page.all("img")) == []
        assert page.by_id("b3")[0] == "p"
        with pytest.raises(StopIteration):
            page.by_id("b2")

    def test_shown_with_size_and_alt(self, tmp_path: Path) -> None:
        site, blob = self.build(tmp_path, publish={"media": True})
        assert site.files[f"media/{blob}"] == picture(1)
        page = pages(site)["posts/2024-03-04-the-lake-house.html"]
        first = next(page.all("img"))
        assert first == {
            "src": f"../media/{blob}",
            "alt": 'A "jetty"',
            "width": "64",
            "height": "48",
            "loading": "lazy",
        }
        assert page.by_id("b2")[1]["class"] == "picture"
        assert next(pages(site)["index.html"].all("img"))["src"] == f"media/{blob}"

    def test_a_missing_picture_is_an_error(self, tmp_path: Path) -> None:
        row = post(body=f"![x](blob:{'0' * 64}.jpg)")
        with pytest.raises(StorageError, match="missing"):
            publish_site(tmp_path, [row], publish={"media": True})

    def test_a_damaged_picture_is_an_error(self, tmp_path: Path) -> None:
        blob = f"{'0' * 64}.jpg"
        (tmp_path / ".egregora" / "blobs").mkdir(parents=True)
        (tmp_path / ".egregora" / "blobs" / blob).write_bytes(b"something else")
        with pytest.raises(StorageError, match="damaged"):
            publish_site(tmp_path, [post(body=f"![x](blob:{blob})")], publish={"media": True})

    @pytest.mark.parametrize("name", ["../x.jpg", f"{'0' * 64}.svg", f"{'0' * 64}.html", f"{'0' * 63}.jpg"])
    def test_nothing_but_a_raster_blob_is_a_picture(self, tmp_path: Path, name: str) -> None:
        site = publish_site(tmp_path, [post(body=f"![alt](blob:{name})")], publish={"media": True})
        assert "<img" not in site.text("posts/2024-03-04-the-lake-house.html")


class TestSafety:
    """Whatever people write, it stays text; and no page asks anybody else for anything."""

    def test_every_page_has_the_policy_and_asks_not_to_be_indexed(self, season: Site, hostile: Site) -> None:
        for site in (season, hostile):
            for page in pages(site).values():
                metas = list(page.all("meta"))
                # Before anything else that could load.
                assert metas[1] == {"http-equiv": "Content-Security-Policy", "content": CSP}
                assert {"name": "robots", "content": "noindex, nofollow"} in metas

    def test_nothing_is_loaded_from_elsewhere(self, season: Site, hostile: Site) -> None:
        for site in (season, hostile):
            for path, page in pages(site).items():
                for tag, attrs in page.elements:
                    loaded = [attrs["src"]] if "src" in attrs else []
                    loaded += [attrs["href"]] if tag == "link" else []
                    assert all(not urlsplit(address).scheme for address in loaded), path
                    assert all(not address.startswith(("/", "\\")) for address in loaded), path
            assert not re.search(r"url\(|@import|@font-face", site.text("assets/style.css"))

    def test_no_script_style_or_handler_stands_in_a_page(self, season: Site, hostile: Site) -> None:
        for site in (season, hostile):
            for path, page in pages(site).items():
                for tag, attrs in page.elements:
                    assert tag not in ("style", "iframe", "object", "embed", "svg", "base"), path
                    assert not any(name.startswith("on") or name in ("style", "srcdoc") for name in attrs), path
                    if tag == "script":
                        assert attrs["src"].startswith("assets/")
                    if tag == "a" and "href" in attrs:
                        assert urlsplit(attrs["href"]).scheme in ("", "http", "https")
                        assert not attrs["href"].startswith(("//", "\\"))

    def test_links_of_the_chat_give_nothing_away(self, season: Site) -> None:
        page = pages(season)["posts/2024-03-11-pea-soup.html"]
        link = next(attrs for attrs in page.all("a") if "soup.example" in attrs.get("href", ""))
        assert link == {"href": "https://soup.example/?a=1&b=2", "rel": "noopener nofollow ugc"}

    def test_hostile_titles_are_shown_as_they_were_written(self, hostile: Site) -> None:
        read = pages(hostile)
        for n, text in enumerate(HOSTILE, start=1):
            assert " ".join(visible(text).split()) in read[f"posts/2024-05-{n:02}-hostile.html"].text

    def test_no_invisible_character_is_anywhere(self, hostile: Site) -> None:
        for path, data in hostile.files.items():
            if path not in ("assets/minisearch.js",) and not path.startswith("media/"):
                assert visible(data.decode()) == data.decode(), path

    def test_hostile_tags_and_aliases_have_harmless_file_names(self, hostile: Site) -> None:
        assert all(re.fullmatch(r"(?:[a-z]+/)?[a-z0-9][a-z0-9-]*\.[a-z]+", path) for path in hostile.files)

    def test_a_template_in_text_is_text(self, hostile: Site) -> None:
        assert "{{ 7 * 7 }}" in hostile.text("posts/2024-05-05-hostile.html")

    def test_the_feed_is_sound_whatever_is_in_it(self, hostile: Site) -> None:
        feed = ET.fromstring(hostile.files["feed.xml"])
        for content in feed.iter(f"{ATOM}content"):
            tags = {tag for tag, _ in Page(content.text or "").elements}
            assert tags <= {"p", "blockquote", "strong", "em", "h2", "ul", "li", "a", "pre", "code", "br"}

    def test_the_search_index_is_one_assignment_of_json(self, hostile: Site) -> None:
        script = hostile.text("assets/search-index.js")
        assert script.startswith("window.egregoraPosts=[")
        assert "<" not in script
        listed = json.loads(script.removeprefix("window.egregoraPosts=").rstrip(";\n"))
        assert len(listed) == len(HOSTILE)


class TestFeed:
    """Atom, as its readers want it."""

    def test_has_what_atom_demands(self, season: Site) -> None:
        feed = ET.fromstring(season.files["feed.xml"])
        assert feed.tag == f"{ATOM}feed"
        for element in (feed, *feed.iter(f"{ATOM}entry")):
            for name in ("id", "title", "updated"):
                assert (element.findtext(f"{ATOM}{name}") or "").strip()
            assert re.fullmatch(r"\d{4}(-\d\d){2}T(\d\d:){2}\d\dZ", element.findtext(f"{ATOM}updated") or "")
            assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", element.findtext(f"{ATOM}id") or "")
        ids = [element.text for element in feed.iter(f"{ATOM}id")]
        assert len(ids) == len(set(ids)) == len(a_season()) + 1
        assert feed.find(f"{ATOM}author/{ATOM}name") is not None

    def test_is_as_old_as_its_messages(self, season: Site) -> None:
        feed = ET.fromstring(season.files["feed.xml"])
        assert feed.findtext(f"{ATOM}updated") == "2025-01-13T00:00:00Z"
        assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")][:2] == ["“Soon”", "Rain"]

    def test_links_are_relative_until_the_address_is_known(self, tmp_path: Path, season: Site) -> None:
        links = {link.get("href") for link in ET.fromstring(season.files["feed.xml"]).iter(f"{ATOM}link")}
        assert {"feed.xml", "posts/2025-01-06-rain.html"} <= links
        known = publish_site(tmp_path, a_season(), site={"base_url": "https://example.org/blog"})
        feed = ET.fromstring(known.files["feed.xml"])
        assert all(
            (link.get("href") or "").startswith("https://example.org/blog/") for link in feed.iter(f"{ATOM}link")
        )
        same = [element.text for element in ET.fromstring(season.files["feed.xml"]).iter(f"{ATOM}id")]
        assert [element.text for element in feed.iter(f"{ATOM}id")] == same

    def test_content_has_no_pictures_and_knows_its_base(self, season: Site) -> None:
        content = next(ET.fromstring(season.files["feed.xml"]).iter(f"{ATOM}content"))
        assert content.get("{http://www.w3.org/XML/1998/namespace}base") == "posts/2025-01-13-soon.html"
        assert "<img" not in (content.text or "")


class TestSameBytes:
    """The site is a function of its inputs."""

    def test_twice_and_in_any_order(self, tmp_path: Path, season: Site) -> None:
        config: dict[str, Any] = {"site": {"title": "The Long Table", "description": "Friends & soup"}}
        again = publish_site(tmp_path, a_season()[::-1], talk()[::-1], **config)
        assert again.rows == season.rows

    def test_a_post_that_changes_leaves_distant_ones_alone(self, tmp_path: Path) -> None:
        before = publish_site(tmp_path / "a", a_season())
        changed = [row | {"body": "Other words."} if row["rank"] == 6 else row for row in a_season()]
        after = publish_site(tmp_path / "b", changed)
        differ = {path for path in before.files if before.files[path] != after.files[path]}
        assert differ == {"posts/2025-01-06-rain.html", "feed.xml", "assets/search-index.js"}

    def test_what_it_reads_is_declared(self) -> None:
        assert STAGE.config_keys == ("site", "publish", "parse.timezone")
        assert STAGE.output is PAGES


class TestLanguage:
    """The site's own words."""

    def test_both_languages_have_the_same_words(self) -> None:
        assert WORDS["en"].keys() == WORDS["pt"].keys()
        for key, words in WORDS["en"].items():
            assert re.findall(r"\{\w+\}|\|", words) == re.findall(r"\{\w+\}|\|", WORDS["pt"][key]), key

    def test_every_word_is_used(self) -> None:
        folder = THEME.parent
        code = "".join(
            path.read_text() for pattern in ("templates/*.html", "*.py") for path in sorted(folder.glob(pattern))
        )
        words = re.sub(r"^WORDS.*?^}", "", code, flags=re.DOTALL | re.MULTILINE)
        unused = [key for key in WORDS["en"] if not re.search(rf'w\.{key}\b|"{key}"', words)]
        assert unused == []

    def test_a_portuguese_site(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, a_season(), site={"language": "pt"})
        page = pages(site)["posts/2024-03-04-the-lake-house.html"]
        assert next(page.all("html"))["lang"] == "pt"
        assert "4 a 9 de março de 2024" in page.text
        assert next(page.all("h1"))["lang"] == "en"

    def test_every_language_that_the_configuration_allows_has_words(self) -> None:
        allowed = get_args(SiteConfig.model_fields["language"].annotation)
        assert set(allowed) == set(WORDS)
        assert [words_for(language)["tags"] for language in allowed] == ["Tags", "Etiquetas"]

    @pytest.mark.parametrize("address", ["example.org", "ftp://example.org", "https://", "https://example.org/?q=1"])
    def test_an_address_that_is_none_is_refused(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(ConfigError, match="base_url"):
            publish_site(tmp_path, [], site={"base_url": address})

    def test_the_404_page_finds_the_site_from_any_depth(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, [], site={"base_url": "https://example.org/blog/"})
        assert 'href="/blog/assets/style.css"' in site.text("404.html")

    @pytest.mark.parametrize(
        ("first", "last", "english", "portuguese"),
        [
            ("2024-03-04", "2024-03-04", "4 March 2024", "4 de março de 2024"),
            ("2024-03-04", "2024-03-10", "4–10 March 2024", "4 a 10 de março de 2024"),
            ("2024-02-28", "2024-03-05", "28 February – 5 March 2024", "28 de fevereiro a 5 de março de 2024"),
            (
                "2023-12-30",
                "2024-01-02",
                "30 December 2023 – 2 January 2024",
                "30 de dezembro de 2023 a 2 de janeiro de 2024",
            ),
        ],
    )
    def test_dates_in_words(self, first: str, last: str, english: str, portuguese: str) -> None:
        days = date.fromisoformat(first), date.fromisoformat(last)
        assert date_range(*days, "en") == english
        assert date_range(*days, "pt") == portuguese

    def test_plurals(self) -> None:
        assert [plural("{n} post|{n} posts", n) for n in (0, 1, 2, 12345)] == [
            *("0 posts", "1 post", "2 posts", "12\u202f345 posts"),
        ]


class TestFileNames:
    """Names that every file system takes, none twice."""

    @pytest.mark.parametrize(
        ("label", "name"),
        [
            ("lake house", "lake-house"),
            ("Música & Violão!", "musica-violao"),
            ("ﬁnale", "finale"),
            ("2024-03-04-the-lake-house", "2024-03-04-the-lake-house"),
        ],
    )
    def test_plain(self, label: str, name: str) -> None:
        assert file_names([label]) == {label: name}

    @pytest.mark.parametrize("label", ["con", "NUL", "com1", "LPT9", "index", "日本", "🎉", "", "../..", "...", "-"])
    def test_empty_and_reserved_names_get_a_hash(self, label: str) -> None:
        assert re.fullmatch(r"[a-z0-9]+-[0-9a-f]{8}", file_names([label])[label])

    def test_look_alikes_get_names_of_their_own_and_the_plain_one_stays(self) -> None:
        names = file_names(["Sao", "são", "sao", "SAO"])
        assert names["sao"] == "sao"
        assert len(set(names.values())) == 4

    @given(st.lists(st.text(max_size=200), max_size=12))
    def test_any_labels(self, labels: list[str]) -> None:
        names = file_names(labels)
        assert names == file_names(reversed(labels))
        assert len(set(names.values())) == len(set(labels))
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,130}", name) for name in names.values())


WORDS_OF_MARKDOWN = st.sampled_from(
    [
        *("word", " ", "a", "É", "\\*", "\\.", "*", "_", "`", "[", "](x)", "<", "&amp;", "~~", "#", "- ", "1. ", "\n"),
        *("[word](https://a.example/b?c=%20d)", "](https://a.example)", "[", "(", ")", "https://a.example", "?", "."),
        *("> ", "\\\n> ", "**", " — ", "!", '"', "'", "é", "“", "\\", "=", "|", "\t", "\u00a0", ":", "—", "5"),
    ]
)


class TestMarkup:
    """Markdown becomes HTML that can be trusted."""

    @example("> **Amber** — ", "see [a\\.b](https://a.example/c?d=1#e) and [f](http://g.example), \\[h\\]")
    @example("> **A\\*b** — ", "one\\\n> two\\\n> - three")
    @example("- ", "[a](https://a.example)\n- b")
    @example("## ", "a \\# b #")
    @given(
        st.sampled_from(["", "> **Amber** — ", "> **", "## ", "### ", "- "]),
        st.lists(WORDS_OF_MARKDOWN, max_size=8).map("".join),
    )
    def test_the_short_way_gives_what_the_parser_gives(self, head: str, tail: str) -> None:
        block = visible(head + tail).strip()
        if "\n\n" in block or re.search(r"\n\s*\n", block):
            return
        markdown = _Markdown(())
        env: dict[str, Any] = {"pictures": {}, "level": 1, "quote": block.startswith(">")}
        tokens = markdown.parse(block, env)
        for token in tokens:
            if token.type.startswith("heading"):
                token.tag = "h2"
        slow = nh3.clean(markdown.renderer.render(tokens, markdown.options, env))
        fast = nh3.clean(MarkupRenderer({}, {}, ())._block(block, {"pictures": {}, "level": 1}))
        assert " ".join(fast.split()) == " ".join(slow.split())

    @given(st.text(max_size=200))
    def test_any_text_gives_balanced_html_without_scripts(self, text: str) -> None:
        body = MarkupRenderer({}, {}, ()).render(text)
        page = Page(body.html)
        assert page.open == []
        assert not {"script", "style", "img", "iframe"} & {tag for tag, _ in page.elements}

    def test_breaks_in_a_message_stay_and_in_prose_do_not(self) -> None:
        markup = MarkupRenderer({}, {}, ())
        assert "one<br>\ntwo" in markup.render("> **Amber** — one\n> two").html
        assert "one<br>\ntwo" in markup.render("> **Amber** — one\\\n> two").html
        assert "one\ntwo" in markup.render("one\ntwo").html

    def test_headings_begin_below_the_title_and_skip_nothing(self) -> None:
        html = MarkupRenderer({}, {}, ()).render("# a\n\n#### b\n\n## c *d*\n\nSetext\n======").html
        assert re.findall(r"<(h\d)", html) == ["h2", "h3", "h2", "h2"]

    def test_an_alias_with_markdown_in_it_is_found(self) -> None:
        html = MarkupRenderer({}, {"A*B": (7, "../people/a-b.html")}, ()).render("> **A\\*B** — hello").html
        assert 'class="said v7"' in html
        assert '<a href="../people/a-b.html">A*B</a>' in html

    def test_search_text_is_words_alone(self) -> None:
        assert MarkupRenderer({}, {}, ()).render("a *b* & c\n\n> **D** — e").text == "a b & c · D — e"

    @pytest.mark.parametrize("text", ["[", "*a ", "**", "> ", "`", "![", "- ", "[a](", "<", "\\", "~~", "| ", "_a"])
    def test_a_flood_of_marks_is_rendered_in_no_time(self, text: str) -> None:
        started = time.process_time()
        MarkupRenderer({}, {}, ()).render(text * 3000)
        assert time.process_time() - started < 5

    def test_letters_written_in_two_parts_are_found_as_one(self, tmp_path: Path) -> None:
        site = publish_site(tmp_path, [post(body="cora\u0063\u0327a\u0303o", title="viola\u0303o")])
        script = site.text("assets/search-index.js")
        assert '"title":"viol\u00e3o"' in script
        assert "corac\u0327" not in script
