"""`egregora runs why`: from the site back to messages and runs, as somebody would ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest

from egregora import demo
from egregora.cli import main
from egregora.database.storage import StorageManager
from egregora.errors import RunLookupError, StorageError
from egregora.observe.why import Why, why
from egregora.pipeline.checkpoint import checkpoint_path
from egregora.pipeline.runner import run_stage_with_tracking
from egregora.testing import write_export
from egregora.testing_llm import ScriptedServer
from model_replies import well

FIRST = "2024-03-04-the-plan-and-prima"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageManager]:
    """The example's site, written twice, so that what made the pages is behind hits."""
    folder = tmp_path_factory.mktemp("example")
    export = folder / demo.EXPORT_NAME
    export.write_bytes(demo.EXPORT.read_bytes())
    (folder / "egregora.toml").write_text(demo.settings(), encoding="utf-8")
    for _ in range(2):
        assert main(["write", str(export), "--site", str(folder)]) == 0
    storage = StorageManager(folder / ".egregora" / "egregora.duckdb")
    yield storage
    storage.close()


WHOLE = "parent_run_id IS NULL ORDER BY started_at DESC"


def asked(storage: StorageManager, query: str) -> list[Any]:
    """The values that a query on the records gives."""
    with storage.reading() as con:
        return [row[0] for row in con.execute(query).fetchall()]


def rows(storage: StorageManager, stage: str) -> list[dict[str, Any]]:
    """The rows of a stage's checkpoint."""
    (fingerprint, *_) = asked(storage, f"SELECT input_fingerprint FROM runs WHERE stage = '{stage}' AND {WHOLE}")
    path = checkpoint_path(storage, stage, fingerprint)
    found = duckdb.connect().execute(f"FROM read_parquet('{path}')")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def ids(storage: StorageManager, where: str) -> list[str]:
    return [str(run_id) for run_id in asked(storage, f"FROM runs SELECT run_id WHERE {where}")]


# A block that one message is quoted in; the words are of the invented chat.
QUOTED = "nobody has sailed her in eleven years"
WAYS = {
    "a path": (f"site/posts/{FIRST}.html", "post", FIRST, False),
    "a path from elsewhere": (f"/tmp/blog/posts/{FIRST}.html#top", "post", FIRST, False),
    "a Windows path": (f"site\\posts\\{FIRST}.html", "post", FIRST, False),
    "an address": (f"https://example.org/our/blog/posts/{FIRST}.html", "post", FIRST, False),
    "a file's address": (f"file:///home/me/site/posts/{FIRST}.html#b7", "post", FIRST, True),
    "an id": (FIRST, "post", FIRST, False),
    "an id and a block": (f"{FIRST}#b7", "post", FIRST, True),
    "a title": ("The PLAN and prima", "post", FIRST, False),
    "a window": ("2024-03-04..2024-03-10", "post", FIRST, False),
    "a sentence": (QUOTED, "post", FIRST, True),
    "a sentence as it is pasted": (f"“…{QUOTED.upper()}!”", "post", FIRST, True),
    "a person": ("site/people/{person}.html", "person", None, False),
    "a tag": ("site/tags/boat.html", "tag", None, False),
    "a page": ("site/index.html", "page", None, False),
}


@pytest.mark.parametrize(("wanted", "kind", "post", "block"), WAYS.values(), ids=WAYS)
def test_the_ways_to_ask(example: StorageManager, wanted: str, kind: str, post: str | None, block: bool) -> None:
    """Whatever one has at hand leads to what is meant by it."""
    person = next((example.directory.parent / "site" / "people").glob("*-*.html")).stem
    found = why(example, wanted.format(person=person))
    assert (found.kind, found.post and found.post["post_id"], found.block is not None) == (kind, post, block)


def quoted(example: StorageManager) -> Why:
    return why(example, QUOTED)


def test_a_block_rests_on_the_messages_that_its_post_names(example: StorageManager) -> None:
    """The messages of the block, in the chat's time, and the runs behind: those that executed, though others hit."""
    found = quoted(example)
    post = next(row for row in rows(example, "rank") if row["post_id"] == FIRST)
    assert found.block
    assert list(found.block.sources) == post["sources"][found.block.number - 1]
    (message,) = found.messages
    sent = next(row for row in rows(example, "enrich") if row["event_id"] == message.event_id)
    assert (message.alias, message.kind, message.text) == (sent["alias"], sent["kind"], sent["text"])
    assert QUOTED in message.text
    assert (found.zone, message.ts.strftime("%Y-%m-%d %H:%M")) == ("Europe/Lisbon", "2024-03-04 19:27")
    origins = found.origins
    executed = {
        stage: ids(example, f"stage = '{stage}' AND source = 'executed' AND parent_run_id IS NULL")
        for stage in ("parse", "privacy", "enrich", "write")
    }
    assert [row["run_id"] for row in origins.upstream] == [one for found in executed.values() for one in found]
    assert origins.writer["run_id"] == executed["write"][0]
    (child,) = origins.children
    assert (child["label"], child["parent_run_id"]) == ("2024-03-04..2024-03-10", executed["write"][0])
    assert found.window_messages == child["rows_in"]
    assert origins.posts["run_id"] == ids(example, "stage = 'rank' AND source = 'checkpoint'")[0]
    assert [row["stage"] for row in origins.readers] == ["publish"]
    assert (origins.asked, origins.settings) == ([], {"parse.timezone": '"Europe/Lisbon"'})
    assert found.next == f"egregora runs explain {child['run_id'][:8]}"


def test_every_block_of_every_page_can_be_asked_for(example: StorageManager) -> None:
    """Each `#b<n>` of a page is that block of the post, with as many messages as it names."""
    pages = example.directory.parent / "site" / "posts"
    for post in rows(example, "rank")[:3]:
        text = (pages / f"{post['post_id']}.html").read_text(encoding="utf-8")
        blocks = sorted({int(number) for number in re.findall(r'id="b(\d+)"', text)})
        assert blocks[-1] <= len(post["sources"])
        for number in blocks[::9]:
            found = why(example, f"site/posts/{post['post_id']}.html#b{number}")
            assert len(found.messages) == len(set(post["sources"][number - 1]))


def test_people_tags_and_files_lead_to_posts_and_messages(example: StorageManager) -> None:
    """A person's page rests on their posts and messages, a tag's on posts, a picture on the message that it came in."""
    posts, messages = rows(example, "rank"), rows(example, "enrich")
    alias = max(
        {row["alias"] for row in messages if row["alias"]}, key=lambda a: sum(r["alias"] == a for r in messages)
    )
    found = why(example, f"site/people/{alias.lower().replace(' ', '-')}.html")
    assert found.title == alias
    assert {post.post_id for post in found.posts} == {row["post_id"] for row in posts if alias in row["people"]}
    assert {message.alias for message in found.messages} == {alias}
    tag = why(example, "site/tags/boat.html")
    assert {post.post_id for post in tag.posts} == {row["post_id"] for row in posts if "boat" in row["tags"]}
    (name, *_) = sorted(path.name for path in (example.directory.parent / "site" / "media").iterdir())
    file = why(example, f"site/media/{name}")
    (sent,) = [row for row in messages if row["media"] and name in (row["media"]["blob"], row["media"]["thumbnail"])]
    assert [message.event_id for message in file.messages] == [sent["event_id"]]
    assert {post.post_id for post in file.posts} == {row["post_id"] for row in posts if name in row["body"]}


def test_a_message_that_no_post_quotes(example: StorageManager) -> None:
    """It is found in the chat, by its words or its id, and the posts that rest on it, if any, are named."""
    used = {event for post in rows(example, "rank") for block in post["sources"] for event in block}
    spoken = [row for row in rows(example, "enrich") if row["kind"] == "text" and len(row["text"]) > 40]
    left_out = next(row for row in spoken if row["event_id"] not in used)
    for wanted in (left_out["text"], left_out["event_id"][:10]):
        found = why(example, wanted)
        assert (found.kind, found.total, [m.event_id for m in found.messages]) == ("message", 0, [left_out["event_id"]])
    taken = next(row for row in spoken if row["event_id"] in used)
    assert why(example, taken["event_id"]).total == sum(
        any(taken["event_id"] in block for block in post["sources"]) for post in rows(example, "rank")
    )


MISSES = {
    "a post that is not there": ("site/posts/2024-03-04-the-plan.html", "nothing on the site is, or says, "),
    "a sentence that nobody wrote": ("our lawyers will be in touch", "nothing on the site is, or says, "),
    "a block too far": (f"{FIRST}#b999", f"the post {FIRST} has no block 999; its blocks are #b1 to #b"),
    "nothing": ("  ", "nothing on the site is, or says, ''"),
    "signs": ("'; DROP TABLE posts; --", "nothing on the site is, or says, "),
}


@pytest.mark.parametrize(("wanted", "said"), MISSES.values(), ids=MISSES)
def test_no_match_names_what_is_near(example: StorageManager, wanted: str, said: str) -> None:
    """An error, and a command that leads to a post."""
    with pytest.raises(RunLookupError) as raised:
        why(example, wanted)
    assert str(raised.value).startswith(said)
    following = re.search(r"egregora runs why (\S+)$", raised.value.hint)
    assert following
    assert why(example, following[1]).kind == "post"


def test_the_command(example: StorageManager, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Short, within 80 columns, in words without quotes too; what it names next can be typed and works."""
    monkeypatch.setenv("COLUMNS", "80")
    site = str(example.directory.parent)
    assert main(["runs", "why", *QUOTED.split(), "--site", site]) == 0
    out = capsys.readouterr().out
    found = quoted(example)
    child, block, blocks = found.origins.children[0]["run_id"][:8], found.block, len(found.blocks)
    assert block
    number = block.number
    assert out.startswith(f"The plan and prima, block {number} of {blocks}\nposts/{FIRST}.html#b{number}\n\n  ")
    assert "\nRests on   1 message  (times in Europe/Lisbon)\n           2024-03-04 19:27  " in out
    assert f" ago; its window by {child}\n" in out
    assert out.endswith(f"\nNext       egregora runs explain {child} --site {site}\n")
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert main(["runs", "why", FIRST, "--site", site, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["kind"], whole["post"]["post_id"], len(whole["blocks"])) == ("post", FIRST, blocks)
    command = whole["next"].split()
    assert main(command[1:]) == 0


def test_posts_of_an_earlier_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--run` looks at what was written then; without it the newest counts. A run without posts says so."""
    export = write_export(tmp_path / "e.zip", messages=150, days=14)
    storage = StorageManager(tmp_path / "site" / ".egregora" / "egregora.duckdb")
    for window in ("7d", "400d"):
        words = ["write", str(export), "--site", str(tmp_path / "site"), "--up-to", "rank", "--window", window]
        assert main(words) == 0
    assert why(storage, "site/index.html").total == 1
    earlier = why(storage, "site/index.html", run="rank~1")
    assert earlier.total > 1
    with pytest.raises(RunLookupError, match="has no posts"):
        why(storage, "site/index.html", run="parse")
    for path in (storage.checkpoint_dir / "rank").glob("*"):
        path.unlink()
    with pytest.raises(StorageError, match="what rank made is no longer kept"):
        why(storage, "site/index.html")
    storage.close()


def test_a_site_without_posts(storage: StorageManager) -> None:
    """There is nothing to ask about yet. Where something ran all the same, that can be asked about."""
    storage.create()
    with pytest.raises(RunLookupError, match="no posts yet") as none:
        why(storage, "anything")
    assert none.value.hint == "write some with: egregora write EXPORT"
    run_stage_with_tracking(
        "price", lambda table, config, *, run_id: table, ibis.memtable(pa.table({"n": [1]})), {}, storage
    )
    with pytest.raises(RunLookupError, match="no posts yet") as none:
        why(storage, "last")
    assert none.value.hint == "how a run came out is told by: egregora runs explain last"


def test_a_post_that_a_model_wrote(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Which model, how often it was asked, with what prompt, and what that cost."""
    export = write_export(tmp_path / "e.zip", messages=150, days=14)
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    words = ["write", str(export), "--site", str(site), "--up-to", "write"]
    with ScriptedServer(well) as server:
        llm = f'[llm]\nmodel = "openai:gpt-5-mini"\nbase_url = "{server.base_url}"\n'
        (site / "egregora.toml").write_text(llm, encoding="utf-8")
        assert main(words) == 0
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    post = rows(storage, "write")[0]
    found = why(storage, f"{post['post_id']}#b1")
    with storage.reading() as con:
        (call,) = con.execute(
            "SELECT model, prompt_hash, input_tokens + output_tokens, c.cost_usd "
            "FROM llm_calls AS c JOIN runs USING (run_id) "
            f"WHERE label = '{post['window']}'"
        ).fetchall()
    (sums,) = found.origins.asked
    assert (sums.model, sums.prompts, sums.tokens, sums.cost_usd) == (call[0], (call[1],), call[2], call[3])
    assert (sums.calls, sums.failed) == (1, 0)
    assert found.origins.settings["llm.model"] == '"openai:gpt-5-mini"'
    storage.close()
    capsys.readouterr()
    assert main(["runs", "why", f"{post['post_id']}#b1", "--site", str(site)]) == 0
    said = re.search("\nModel +(.*)\n", capsys.readouterr().out)
    assert said
    assert re.fullmatch(r"openai:gpt-5-mini: 1 call, [\d,]+ tokens, \$0\.\d{4}; prompt [0-9a-f]{8}", said[1])
