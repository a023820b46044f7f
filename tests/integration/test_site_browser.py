"""The site in a real browser: opened from disk, it works, fits, follows the scheme, and nothing hostile runs."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from egregora.site.serve import open_server
from site_rows import HOSTILE, a_season, hostile_posts, message, picture, post, publish_site, talk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Without one the tests are skipped, unless EGREGORA_REQUIRE_BROWSER=1."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("EGREGORA_REQUIRE_BROWSER") == "1":
            pytest.fail("EGREGORA_REQUIRE_BROWSER=1, but no Chromium is on the PATH")
        pytest.skip("no Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A harmless site with a picture, as a folder."""
    import hashlib

    folder = tmp_path_factory.mktemp("season")
    blob = f"{hashlib.sha256(picture(2)).hexdigest()}.jpg"
    pictured = post("2025-02-03-pictured", title="Pictured", body=f"Look.\n\n![The jetty](blob:{blob})", rank=8)
    config: dict[str, Any] = {"publish": {"media": True}, "site": {"title": "The Long Table"}}
    return publish_site(folder, [*a_season(), pictured], talk(), {blob: picture(2)}, **config).write(folder / "site")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of which every text is hostile, as a folder."""
    folder = tmp_path_factory.mktemp("hostile")
    messages = [message(n, text, post()["first_ts"]) for n, text in enumerate(HOSTILE)]
    site = {"title": HOSTILE[0], "description": HOSTILE[2]}
    return publish_site(folder, hostile_posts(), messages, site=site).write(folder / "site")


class Watched:
    """A browser's page, with all that it asked for and all that it complained of."""

    def __init__(self, browser: Browser, *, width: int = 1280, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda told: self.complaints.append(told.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("requestfailed", self.failed)

    def failed(self, request: Request) -> None:
        """A file that could not be had; not one that was still on its way when the next page was opened."""
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure}: {request.url}")

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def html_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def test_every_page_loads_without_complaint_and_asks_for_its_own_files_alone(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        for path in html_files(season):
            watched.page.goto(path.as_uri())
            assert watched.page.evaluate("document.styleSheets.length") == 1
        assert watched.complaints == []
        assert {address.partition(":")[0] for address in watched.asked} == {"file"}
        assert all(address.startswith(season.as_uri()) for address in watched.asked)


def test_pictures_are_shown(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        watched.page.goto((season / "posts" / "2025-02-03-pictured.html").as_uri())
        watched.page.locator(".picture img").scroll_into_view_if_needed()
        watched.page.wait_for_function("document.querySelector('.picture img').naturalWidth === 64")
        assert watched.complaints == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("violao", ["Quem vai levar o violão?"]),  # without the accent
        ("CORAÇÃO", ["Quem vai levar o violão?"]),  # in capitals
        ("imposs", ["On the impossibility"]),  # the beginning of a word
        ("imposibility", ["On the impossibility"]),  # a letter missing
        ("soup spoon", ["Pea soup"]),  # both words
        ("marten", ["Quem vai levar o violão?"]),  # who takes part
        ("xyzzy", []),
    ],
)
def test_search_works_from_disk(browser: Browser, season: Path, typed: str, found: list[str]) -> None:
    with Watched(browser) as watched:
        page = watched.page
        page.goto((season / "search.html").as_uri())
        page.keyboard.type(typed)
        titles = page.locator("#results h2").all_inner_texts()
        assert [title.startswith(start) for title, start in zip(titles, found, strict=True)] == [True] * len(found)
        expected = {0: f"Nothing found for “{typed}”.", 1: "1 post"}[len(found)]
        assert page.locator("#status").inner_text() == expected
        assert watched.complaints == []


def test_search_is_used_with_the_keyboard_and_leads_to_the_post(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        page = watched.page
        page.goto((season / "search.html").as_uri())
        page.keyboard.type("keys")
        count = page.locator("#results a").count()
        assert count > 1
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        chosen = page.evaluate("document.activeElement.href")
        assert chosen == page.locator("#results a").first.evaluate("link => link.href")
        page.keyboard.press("Enter")
        page.wait_for_url("**/posts/*.html")
        page.go_back()
        assert page.locator("#query").input_value() == "keys"
        assert page.locator("#results a").count() == count
        assert watched.complaints == []


def test_what_was_found_is_marked(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        watched.page.goto((season / "search.html").as_uri() + "#coracao")
        assert watched.page.locator("#results mark").all_inner_texts() == ["coração"]


def test_hostile_text_runs_nothing_and_loads_nothing(browser: Browser, hostile: Path) -> None:
    with Watched(browser) as watched:
        fired: list[str] = []
        watched.page.expose_function("fired", lambda what: fired.append(what))
        for path in html_files(hostile):
            watched.page.goto(path.as_uri())
        watched.page.goto((hostile / "search.html").as_uri())
        for text in ("fired", "<script>fired(1)</script>", "tracker.example"):
            watched.page.fill("#query", text)
            watched.page.mouse.move(300, 400)
            watched.page.mouse.move(300, 500)
        assert watched.page.locator("#results li").count() > 0
        assert fired == []
        assert watched.complaints == []
        assert all(address.startswith(hostile.as_uri()) for address in watched.asked)


def test_the_policy_stops_a_script_that_got_into_a_page(browser: Browser, season: Path, tmp_path: Path) -> None:
    """Should all else fail: the browser itself refuses inline scripts, handlers, and what lies elsewhere."""
    folder = tmp_path / "site"
    shutil.copytree(season, folder)
    target = folder / "posts" / "2025-01-06-rain.html"
    hole = (
        "<script>document.title='fired'</script><img src=nothing onerror=\"document.title='fired'\">"
        "<img src='http://127.0.0.1:9/pixel.png'><style>h1{color:red}</style>"
    )
    target.write_text(target.read_text().replace("</main>", hole + "</main>"))
    with Watched(browser) as watched:
        watched.page.goto(target.as_uri())
        assert "fired" not in watched.page.title()
        told = "\n".join(watched.complaints)
        assert "script-src 'self'" in told
        assert "style-src 'self'" in told
        assert "img-src 'self'" in told


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, season: Path, hostile: Path, width: int) -> None:
    with Watched(browser, width=width) as watched:
        # Of the hostile pages those that differ in kind: one tag's page is like another's.
        alike = ("tags", "people")
        some = [path for path in html_files(hostile) if path.parent.name not in alike or path.name == "index.html"]
        for path in [*html_files(season), *some]:
            watched.page.goto(path.as_uri())
            wide = watched.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, path.name


def test_dark_and_light_follow_the_system(browser: Browser, season: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        with Watched(browser, color_scheme=scheme) as watched:
            watched.page.goto((season / "index.html").as_uri())
            style = (
                "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.documentElement))"
            )
            seen[scheme] = watched.page.evaluate(style)
    assert seen["light"] == ["rgb(251, 248, 242)", "rgb(35, 32, 27)"]
    assert seen["dark"] == ["rgb(23, 22, 19)", "rgb(236, 230, 218)"]


def test_print_is_black_on_white_without_menus(browser: Browser, season: Path) -> None:
    with Watched(browser, color_scheme="dark") as watched:
        page = watched.page
        page.emulate_media(media="print", color_scheme="dark")
        page.goto((season / "posts" / "2024-03-11-pea-soup.html").as_uri())
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".masthead nav").is_visible()
        assert not page.locator(".turn").is_visible()
        assert page.locator(".said").first.is_visible()


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        page = watched.page
        page.goto((season / "index.html").as_uri())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_a_sentence_can_be_linked_to(browser: Browser, season: Path) -> None:
    with Watched(browser) as watched:
        watched.page.goto((season / "posts" / "2024-03-11-pea-soup.html").as_uri() + "#b2")
        assert "The spoon stands" in watched.page.locator(":target").inner_text()


def test_from_our_server_it_works_the_same(browser: Browser, season: Path) -> None:
    server = open_server(season)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with Watched(browser) as watched:
            page = watched.page
            for path in ("/", "/archive.html", "/posts/2025-02-03-pictured.html", "/search.html#violao"):
                page.goto(address + path)
            assert page.locator("#results h2").all_inner_texts() == ["Quem vai levar o violão?"]
            assert watched.complaints == []
            answer = page.goto(f"{address}/no/such/page")
            assert answer is not None
            assert answer.status == 404
            # The site's own page, with its style, though two folders deep.
            assert page.locator("h1").inner_text() == "Not found"
            assert page.evaluate("document.styleSheets.length") == 1
            assert all(asked.startswith(address) for asked in watched.asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
