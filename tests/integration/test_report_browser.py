"""A report in a real browser: it asks for nothing, runs nothing, fits, follows the scheme, and prints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egregora.database.storage import StorageManager
from egregora.observe.report import make_report, write_page
from report_rows import hostile_invocation

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

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
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two thousand windows, every text of which is hostile."""
    folder = tmp_path_factory.mktemp("report")
    storage = StorageManager(folder / "site" / ".egregora" / "egregora.duckdb")
    hostile_invocation(storage, windows=2000)
    write_page(make_report(storage, "last"), folder / "report.html")
    storage.close()
    return folder / "report.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_stands_for_itself(browser: Browser, page_file: Path, width: int) -> None:
    """One request, for itself; no complaint; no wider than the window; dark in the dark; all open on paper."""
    grounds = set()
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("dialog", lambda dialog, said=said: (said.append(dialog.message), dialog.dismiss()))
        page.goto(page_file.as_uri())
        assert (asked, said) == ([page_file.as_uri()], [])
        assert page.title().startswith("failed: parse")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('img, script, iframe').length") == 0
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        # A window's bar can be seen, however short it was.
        assert page.locator(".part.failed").first.bounding_box() is not None
        hidden = page.get_by_text("Settings it read").first
        assert not hidden.is_visible()
        page.emulate_media(media="print")
        assert hidden.is_visible()
        context.close()
    assert len(grounds) == 2
