"""The example's site with everything that a model can do: what leaves the machine, and what the pages show of it."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from demo_secrets import NAMES, NICKNAMES, SECRETS
from egregora import demo
from egregora.cli import main
from egregora.database.storage import StorageManager
from egregora.testing_llm import Asked, ScriptedServer
from model_replies import kind, well


def asked_of(site: Path, query: str) -> list[tuple[Any, ...]]:
    """What a site's records say."""
    with StorageManager(site / ".egregora" / "egregora.duckdb").reading() as con:
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Asked]]]:
    """The example's site with everything that a model can do, and what it was asked."""
    folder = tmp_path_factory.mktemp("example")
    export = folder / demo.EXPORT_NAME
    export.write_bytes(demo.EXPORT.read_bytes())
    settings = demo.settings() + "\n[enrich]\ndescribe_images = true\n[llm]\n"
    with ScriptedServer(well) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", "sk-of-a-test")
        llm = f'model = "openai:gpt-5-mini"\nbase_url = "{server.base_url}"\n'
        (folder / "egregora.toml").write_text(settings + llm, encoding="utf-8")
        assert main(["write", str(export), "--site", str(folder)]) == 0
        yield folder, server.asked


def test_everything_that_can_be_asked_is_asked_once(example: tuple[Path, list[Asked]]) -> None:
    """Each window, each picture, four comparisons a post, each person who wrote enough; each in a child of its own."""
    folder, asked = example
    assert Counter(map(kind, asked)) == {"posts": 10, "verdict": 17, "portrait": 7, "description": 8}
    children = "SELECT stage, count(*), sum(llm_calls) FROM runs WHERE parent_run_id IS NOT NULL GROUP BY 1 ORDER BY 1"
    assert asked_of(folder, children) == [("enrich", 8, 8), ("publish", 7, 7), ("rank", 17, 17), ("write", 10, 10)]


def test_nothing_that_leaves_names_anybody(example: tuple[Path, list[Asked]]) -> None:
    """No request holds a name, a number, an address, a title, or what the person who opted out wrote; nor the key."""
    _, asked = example
    names = re.compile(r"\b(?:" + "|".join(map(re.escape, (*NAMES, *NICKNAMES))) + r")\b", re.IGNORECASE)
    for one in asked:
        assert [secret for secret in SECRETS if secret.casefold() in one.text.casefold()] == []
        assert names.findall(one.text) == []
        assert "sk-of-a-test" not in one.text


def test_the_audit_finds_nothing(example: tuple[Path, list[Asked]]) -> None:
    """Neither in what children keep nor in the texts that a model is told."""
    folder, _ = example
    assert main(["privacy", "audit", "--site", str(folder)]) == 0


def test_pictures_that_leave_say_nothing_of_where_and_with_what(example: tuple[Path, list[Asked]]) -> None:
    """What a model is shown is small and has no metadata."""
    _, asked = example
    shown = [image for one in asked for image in one.images]
    assert len(shown) == 8
    for image in shown:
        with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))) as picture:
            assert (dict(picture.getexif()), max(picture.size) <= 480) == ({}, True)


def test_every_block_of_a_post_rests_on_messages_of_its_window(example: tuple[Path, list[Asked]]) -> None:
    """So that it can be told where a sentence comes from."""
    folder, _ = example
    posts = asked_of(folder, "SELECT body, sources, first_ts, last_ts FROM cat.posts")
    known = dict(asked_of(folder, "SELECT event_id, ts FROM cat.messages"))
    for body, sources, first, last in posts:
        blocks = body.split("\n\n")
        assert len(blocks) == len(sources)
        assert all(of or block.startswith(("## ", "Earlier: ")) for block, of in zip(blocks, sources, strict=True))
        used = [known[event] for of in sources for event in of]
        assert (min(used), max(used)) == (first, last)


def test_pages_say_what_a_model_found(example: tuple[Path, list[Asked]]) -> None:
    """Portraits, reasons and who wrote it are on the pages."""
    folder, _ = example
    people = "".join(path.read_text(encoding="utf-8") for path in (folder / "site" / "people").glob("*.html"))
    assert people.count("says what there is to say.") == people.count("Written by openai:gpt-5-mini from") == 7
    assert "It has a goat in it." in (folder / "site" / "best-of.html").read_text(encoding="utf-8")
    post_page = next((folder / "site" / "posts").glob("*.html")).read_text(encoding="utf-8")
    assert re.search(r"Written by openai:gpt-5-mini from \d+ messages", post_page)
