"""The whole pipeline through the command line: every stage tracked, hits the second time, no name out."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo_secrets import SECRETS
from egregora import demo
from egregora.database.runs_schema import RUNS
from egregora.testing import write_export

STAGES = ["parse", "privacy", "enrich", "write", "rank", "publish"]


def egregora(*words: str | Path, status: int = 0, cwd: Path | None = None, **variables: str) -> str:
    """What a command prints; it must end with this status."""
    done = subprocess.run(
        [sys.executable, "-m", "egregora", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **variables},
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def tail(site: Path, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(egregora("runs", "tail", "--json", "-n", "100", "--site", site, *words))
    return rows


def sources(site: Path, count: int = 6) -> dict[str, tuple[str, str]]:
    """Source and reason of the newest run of each stage."""
    return {row["stage"]: (row["source"], row["reason"]) for row in reversed(tail(site)[:count])}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "site"
    egregora("demo", folder)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_export(tmp_path / "WhatsApp Chat with Invented.zip", messages=400, people=5, days=20)


def test_every_stage_is_a_run(site: Path) -> None:
    """Six stages, six completed rows, chained by lineage, with everything that a row has."""
    rows = tail(site)[::-1]
    assert [row["stage"] for row in rows[:6]] == STAGES
    assert {row["status"] for row in rows} == {"completed"}
    assert all(list(row) == list(RUNS.names) for row in rows)
    first = rows[:6]
    assert [row["reason"] for row in first] == ["first run"] * 6
    assert [row["rows_in"] for row in first[1:4]] == [row["rows_out"] for row in first[:3]]
    assert len({row["invocation_id"] for row in first}) == 1
    shown = json.loads(egregora("runs", "show", "last", "--json", "--site", site))
    assert list(shown) == [*RUNS.names, "profile"]


def test_a_second_time_everything_is_a_hit(site: Path) -> None:
    """Unchanged work is never done again, and the site's bytes stay."""
    before = {path: path.read_bytes() for path in (site / "site").rglob("*") if path.is_file()}
    egregora("demo", site)
    assert sources(site) == dict.fromkeys(STAGES, ("checkpoint", "unchanged"))
    assert {path: path.read_bytes() for path in (site / "site").rglob("*") if path.is_file()} == before


def test_nobodys_name_leaves_the_privacy_stage(site: Path) -> None:
    """No name or number of the example is in the site, later checkpoints, the catalog, the journal, the logs."""
    texts: dict[str, str] = {}
    for path in (site / "site").rglob("*"):
        texts[path.name] = path.name
        if path.is_file():
            texts[str(path.relative_to(site))] = path.read_bytes().decode("utf-8", "replace")
    for path in (site / ".egregora" / "journal").iterdir():
        data = path.read_bytes()
        texts[path.name] = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    for stage in STAGES[1:]:
        for path in (site / ".egregora" / "checkpoints" / stage).glob("*.parquet"):
            rows = duckdb.execute(f"SELECT to_json(c)::VARCHAR FROM read_parquet('{path}') AS c").fetchall()
            texts[f"{stage} checkpoint"] = "\n".join(row[0] for row in rows)
    catalog = duckdb.connect(str(site / ".egregora" / "egregora.duckdb"), read_only=True)
    for (table,) in catalog.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        texts[f"catalog {table}"] = str(catalog.execute(f'SELECT to_json(t)::VARCHAR FROM "{table}" AS t').fetchall())
    catalog.close()
    found = [
        (where, secret)
        for where, text in texts.items()
        for secret in SECRETS
        if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text, re.IGNORECASE)
    ]
    assert found == []


def test_a_changed_setting_runs_only_what_reads_it(small: Path, tmp_path: Path) -> None:
    """Another window size rewrites the posts; parse, privacy and enrich hit, and say so."""
    site = tmp_path / "site"
    egregora("write", small, "--site", site, "--window", "7d")
    egregora("write", small, "--site", site, "--window", "1d")
    assert sources(site) == {
        "parse": ("checkpoint", "unchanged"),
        "privacy": ("checkpoint", "unchanged"),
        "enrich": ("checkpoint", "unchanged"),
        "write": ("executed", "config changed"),
        "rank": ("executed", "input changed"),
        "publish": ("executed", "input changed"),
    }
    egregora("write", small, "--site", site, "--window", "7d")
    since = {row["stage"]: row["reason"] for row in tail(site)[:3]}
    assert all(reason.startswith("unchanged since ") for reason in since.values())


def test_an_export_that_grew_is_an_input_that_changed(tmp_path: Path) -> None:
    """One more message, and every stage that sees it runs."""
    site, export = tmp_path / "site", tmp_path / "chat.txt"
    lines = [f"0{1 + i // 30}/03/2024, 1{i % 10}:{i % 60:02} - Person {i % 3}: invented line {i}\n" for i in range(120)]
    export.write_text("".join(lines), encoding="utf-8")
    egregora("write", export, "--site", site)
    export.write_text("".join([*lines, "05/03/2024, 20:00 - Person 1: and one more\n"]), encoding="utf-8")
    egregora("write", export, "--site", site)
    assert [row["reason"] for row in tail(site)[:6]][-1] == "input changed"
    assert tail(site)[5]["rows_out"] == 121


def test_a_deleted_page_and_a_lost_blob_come_back(small: Path, tmp_path: Path) -> None:
    """Laying out the site repairs it, from the blobs or, where these are gone, by making them again."""
    site = tmp_path / "site"
    egregora("write", small, "--site", site)
    index = site / "site" / "index.html"
    page = index.read_bytes()
    index.unlink()
    egregora("write", small, "--site", site)
    assert index.read_bytes() == page
    for blob in (site / ".egregora" / "blobs").glob("*.html"):
        blob.unlink()
    index.unlink()
    egregora("write", small, "--site", site)
    assert index.read_bytes() == page
    assert tail(site)[0]["reason"] == "checkpoint corrupt"


def test_two_sites_with_one_key_are_the_same_bytes(small: Path, tmp_path: Path) -> None:
    """A site is a pure function of exports, configuration and key."""
    pages = []
    for name in ("one", "two"):
        site = tmp_path / name
        (site / ".egregora").mkdir(parents=True)
        (site / ".egregora" / "key").write_text("ab" * 32, encoding="ascii")
        egregora("write", small, "--site", site)
        pages.append({p.relative_to(site): p.read_bytes() for p in (site / "site").rglob("*") if p.is_file()})
    assert pages[0] == pages[1]
    assert len(pages[0]) > 10


def test_force_and_up_to(small: Path, tmp_path: Path) -> None:
    """`--up-to` stops after a stage, `--force STAGE` runs one, a bare `--force` runs all."""
    site = tmp_path / "site"
    egregora("write", small, "--up-to", "enrich", "--site", site)
    assert [row["stage"] for row in tail(site)] == ["enrich", "privacy", "parse"]
    assert not (site / "site").exists()
    egregora("write", small, "--site", site, "--force", "privacy")
    assert sources(site)["privacy"] == ("executed", "forced")
    assert sources(site)["enrich"] == ("checkpoint", "unchanged")
    egregora("write", "--force", small, "--site", site)
    assert set(sources(site).values()) == {("executed", "forced")}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.zip", b"", "error: "),
        ("truncated.zip", b"PK\x03\x04\x14\x00", "error: "),
        ("notes.txt", b"just some notes\nnothing else\n", "error: "),
        ("empty.txt", b"", "error: "),
    ],
)
def test_a_bad_export_is_an_error_a_hint_and_a_failed_row(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    """One line, one hint, exit 1, no site, and a row that says why, without the file's name."""
    export, site = tmp_path / name, tmp_path / "site"
    export.write_bytes(data)
    lines = egregora("write", export, "--site", site, status=1).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(said)
    assert lines[1].startswith("hint: ")
    assert not (site / "site").exists()
    row = tail(site)[0]
    assert (row["stage"], row["status"], row["error_type"]) == ("parse", "failed", "ExportError")
    assert name not in json.dumps(row)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.zip"], "there is no file"),
        (["chat.txt", "--timezone", "Europe/Lisbom"], "did you mean 'Europe/Lisbon'"),
        (["chat.txt", "--window", "7x"], "is no window"),
        (["chat.txt", "--from", "2031-01-01"], "no messages"),
    ],
)
def test_wrong_words_make_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    """A missing file, an unknown timezone, a window of nothing: told in a line, before or without a site."""
    (tmp_path / "chat.txt").write_text("05/03/2024, 21:07 - Person: invented\n", encoding="utf-8")
    error = egregora("write", *words, "--site", "site", status=1, cwd=tmp_path)
    assert said in error
    assert "hint: " in error
    assert not (tmp_path / "site" / "site").exists()


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    """A misspelt key is an error that says what was meant."""
    (tmp_path / "egregora.toml").write_text("[write]\nwindwo = '7d'\n", encoding="utf-8")
    (tmp_path / "chat.txt").write_text("05/03/2024, 21:07 - Person: invented\n", encoding="utf-8")
    assert "did you mean 'window'" in egregora("write", "chat.txt", "--site", ".", status=1, cwd=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cant_be_written(tmp_path: Path, small: Path) -> None:
    """A site folder without permission is a clear error."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "can't be written" in egregora("write", small, "--site", closed / "site", status=1)


def test_a_site_in_the_way_of_a_file(tmp_path: Path, small: Path) -> None:
    """A site can't be where a file is."""
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    egregora("write", small, "--site", tmp_path / "taken" / "site", status=1)
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_a_killed_pipeline_is_seen_as_interrupted_and_goes_on(tmp_path: Path) -> None:
    """After kill -9 the open run is a failed one at the first look, and the next write takes what was done."""
    site = tmp_path / "site"
    export = write_export(tmp_path / "WhatsApp Chat with Many.zip", messages=60_000, people=8, days=300)
    process = subprocess.Popen([sys.executable, "-m", "egregora", "write", str(export), "--site", str(site)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if not (site / ".egregora" / "journal").exists():
            continue
        rows = tail(site)
        if rows and rows[0]["stage"] == "privacy" and rows[0]["status"] == "running":
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    newest = tail(site)[0]
    assert (newest["status"], newest["error_type"]) == ("failed", "interrupted")
    egregora("write", export, "--site", site)
    assert sources(site)["parse"] == ("checkpoint", "unchanged")
    assert {row["status"] for row in tail(site)[:6]} == {"completed"}
    assert [row["status"] for row in tail(site)].count("failed") == 1


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Script, markup, ANSI and bidi characters in names, messages and titles come out as text, in terminal and page."""
    site = tmp_path / "site"
    nasty = [
        "<script>alert(1)</script>",
        "[bold red]x[/]",
        "\x1b[31mred\x1b[0m",
        "\u202egnp.exe",
        "{{ 7*7 }}",
        "![x](javascript:alert(1))",
    ]
    lines = [
        f"{1 + i // 40:02}/03/2024, {10 + i % 10}:{i % 60:02} - <b>P{i % 4}</b>: "
        f"shall we decide about {nasty[i % len(nasty)]} today?\n"
        for i in range(200)
    ]
    (tmp_path / "WhatsApp Chat with <img src=x>.txt").write_text("".join(lines), encoding="utf-8")
    (site).mkdir()
    (site / "egregora.toml").write_text('[site]\ntitle = "<script>alert(2)</script>"\n', encoding="utf-8")
    printed = egregora("write", tmp_path / "WhatsApp Chat with <img src=x>.txt", "--site", site)
    printed += egregora("runs", "show", "last", "--site", site)
    assert "\x1b" not in printed
    pages = "".join(path.read_text(encoding="utf-8") for path in (site / "site").rglob("*.html"))
    assert "<script>alert" not in pages
    assert not re.search(r"""(?:href|src)=["']?\s*javascript:""", pages)
    assert "\u202e" not in pages
    assert "&lt;script&gt;alert(2)" in pages


def test_the_catalog_has_messages_and_posts(site: Path) -> None:
    """Whoever opens the catalog finds the pseudonymous messages and the posts, and no raw ones."""
    catalog = duckdb.connect(str(site / ".egregora" / "egregora.duckdb"), read_only=True)
    columns = [row[0] for row in catalog.execute("DESCRIBE messages").fetchall()]
    assert "alias" in columns
    assert "author_raw" not in columns
    posts = catalog.execute("SELECT count(*), count(rating) FROM posts").fetchone()
    assert posts is not None
    assert posts[0] == posts[1] > 5
    ids = catalog.execute(
        "SELECT count(*) FROM (SELECT unnest(flatten(sources)) AS id FROM posts) "
        "WHERE id NOT IN (SELECT event_id FROM messages)"
    ).fetchone()
    assert ids == (0,)
    catalog.close()


def test_the_example_is_what_it_promises(site: Path) -> None:
    """The demo's settings stand in its folder, and its pictures are on the site."""
    assert (site / "egregora.toml").read_text(encoding="utf-8") == demo.settings()
    assert list((site / "site" / "media").iterdir())
