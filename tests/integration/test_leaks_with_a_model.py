"""An adversary's chat written by a model: what leaves the machine and what stays names nobody, nor holds the key."""

from __future__ import annotations

import base64
import io
import json
import secrets
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_leaks import egregora, files, texts_of

from egregora.cli import main
from egregora.errors import EgregoraError
from egregora.testing_llm import Asked, Reply, ScriptedServer
from leaks import BASTIAN, EUNICE, SETTINGS, ZORAIDA, export, secrets_in
from model_replies import kind, messages, well

KEY = f"sk-{secrets.token_hex(20)}"
"""Another one each time: nothing can know it."""


def settings(server: ScriptedServer, portraits: int) -> str:
    """The settings of a site for which a model does all that it can."""
    written = SETTINGS.replace("media = true", f"media = true\nportraits = {portraits}")
    llm = f'model = "openai:test-1"\nbase_url = "{server.base_url}"\nretries = 0\nreplay = "record"\n'
    return f"{written}\n[enrich]\ndescribe_images = true\n[llm]\n{llm}"


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[None]:
    """The key is where a real one is: in the environment."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Asked], str]:
    """The site of that chat, what was asked for it and what the commands printed; the key was refused at first."""
    folder = tmp_path_factory.mktemp("model")
    site = folder / "site"
    site.mkdir()
    refusing = lambda asked: Reply(f"Incorrect API key provided: {KEY}", status=401)  # noqa: E731
    chat = export(folder)
    with ScriptedServer(refusing) as server:
        (site / "egregora.toml").write_text(settings(server, 40), encoding="utf-8")
        printed = egregora("write", chat, "--site", site, status=1)
    with ScriptedServer(well) as server:
        (site / "egregora.toml").write_text(settings(server, 40), encoding="utf-8")
        printed += egregora("write", chat, "--site", site)
    printed += egregora("runs", "show", "last-failed", "--site", site)
    printed += egregora("runs", "explain", "last-failed", "--json", "--site", site)
    return site, server.asked, printed


def strings(value: Any) -> Iterator[str]:
    """All texts in decoded JSON, keys too, and in JSON inside them."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str) and not value.startswith("data:"):
        yield value
        if value.startswith(("{", "[")):
            try:
                yield from strings(json.loads(value))
            except ValueError:
                return


def test_nothing_that_leaves_names_anybody(made: tuple[Path, list[Asked], str]) -> None:
    """Neither address, headers nor body of a request, of whichever kind; the key is in one header only."""
    _, asked, _ = made
    assert set(Counter(map(kind, asked))) == {"posts", "verdict", "portrait", "description"}
    for one in asked:
        headers = dict(one.headers)
        assert headers.pop("authorization") == f"Bearer {KEY}"
        sent = "\n".join((one.path, *headers, *headers.values(), *strings(one.body)))
        assert secrets_in(sent) == set()
        assert KEY not in sent + one.text


def test_pictures_that_leave_have_no_metadata(made: tuple[Path, list[Asked], str]) -> None:
    """Neither who took them, where, nor with what; nor are such words anywhere in their bytes."""
    _, asked, _ = made
    shown = [base64.b64decode(image.partition(",")[2]) for one in asked for image in one.images]
    assert shown
    for data in shown:
        with Image.open(io.BytesIO(data)) as picture:
            assert (dict(picture.getexif()), set(picture.info) & {"exif", "comment", "xmp"}) == ({}, set())
        assert secrets_in(data.decode("latin-1"), binary=True) == set()


def test_nothing_that_stays_names_anybody_or_holds_the_key(made: tuple[Path, list[Asked], str]) -> None:
    """Replies on record, calls, logs, journals, children's results and pages; also after the key was refused."""
    site, _, printed = made
    assert any((site / ".egregora" / "replies").glob("*.json"))
    found = {
        (path.relative_to(site).as_posix(), secret)
        for path in files(site)
        for text in (path.relative_to(site).as_posix(), *texts_of(path))
        for secret in (*secrets_in(text), *(["the key"] if KEY in text else ()))
    }
    assert found == set()
    assert [path for path in site.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    assert (secrets_in(printed.replace(str(site), "")), KEY in printed) == (set(), False)
    assert "the key for openai:test-1 was refused (401)" in printed


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_service_that_says_the_key_is_not_quoted(tmp_path: Path, status: int) -> None:
    """Neither in the error, its traceback, nor in the records, whatever the key looks like."""
    saying = lambda asked: Reply(f"no rights for {KEY}, or {KEY[:15]}", status=status)  # noqa: E731
    with ScriptedServer(saying) as server, pytest.MonkeyPatch.context() as environment:
        (tmp_path / "egregora.toml").write_text(settings(server, 0), encoding="utf-8")
        environment.setenv("OPENAI_API_KEY", KEY[:15])
        chat = export(tmp_path, crowd=False)
        # With --debug an error goes on to Python, which prints its traceback.
        with pytest.raises(EgregoraError) as raised:
            main(["write", str(chat), "--site", str(tmp_path), "--debug"])
    shown = "".join(traceback.format_exception(raised.value))
    assert ("Traceback" in shown, KEY[:15] in shown, secrets_in(shown)) == (True, False, set())
    kept = [path for path in (tmp_path / ".egregora").rglob("*") if path.is_file()]
    assert [path for path in kept if KEY[:15].encode() in path.read_bytes()] == []


def test_opted_out_means_not_asked_about_either(tmp_path: Path) -> None:
    """The next write sends nothing of them, and no page has their words, alias or portrait."""
    said = [f"{EUNICE}: the zeppelin hangar number {n} is ours" for n in range(12)]
    talk = [line for one in said for line in (one, f"{ZORAIDA}: a hangar with helmets for {BASTIAN}")]
    site = tmp_path / "site"
    site.mkdir()
    with ScriptedServer(well) as server:
        (site / "egregora.toml").write_text(settings(server, 10), encoding="utf-8")
        egregora("write", export(tmp_path, *talk, crowd=False), "--site", site)
        before = len(server.asked)
        alias = next(who for one in server.asked for _, who, text in messages(one) if "zeppelin" in text)
        egregora("write", export(tmp_path, *talk, f"{EUNICE}: /egregora opt-out", crowd=False), "--site", site)
        after = server.asked[before:]
    assert any(alias in one.text for one in server.asked[:before] if kind(one) == "portrait")
    assert after
    assert [word for word in ("zeppelin", alias) for one in after if word in one.text] == []
    pages = [path for path in (site / "site").rglob("*") if path.is_file()]
    texts = [text for path in pages for text in texts_of(path)]
    left = {word for word in ("zeppelin", alias) if any(word in text for text in texts)}
    assert left == set()
