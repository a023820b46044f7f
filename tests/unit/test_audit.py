"""The audit: it looks everywhere, reports nothing harmless, and spreads nothing itself."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from PIL import Image
from pydantic import SecretBytes

from egregora.cli import main
from egregora.config import Config, load_config
from egregora.database.storage import StorageManager
from egregora.errors import PrivacyError
from egregora.stages.audit import Finding, audit_pages, audit_site, html_texts, who
from egregora.testing import write_export

PEOPLE = 12
"""Of `write_export`: `Ana Beatriz`, `Otto Lindqvist`, …"""
NAME = "Otto Lindqvist"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a few posts."""
    folder = tmp_path_factory.mktemp("audit")
    export = write_export(folder / "chat.zip", messages=300, people=PEOPLE, days=20)
    assert main(["write", str(export), "--site", str(folder / "site")]) == 0
    StorageManager(folder / "site" / ".egregora" / "egregora.duckdb").close()
    return folder / "site"


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Path:
    """A copy of that site, to do things to."""
    return Path(shutil.copytree(made, tmp_path / "site"))


def opened(site: Path) -> tuple[StorageManager, Config]:
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    key = storage.site_key() if (storage.directory / "key").exists() else b""
    return storage, load_config(site / "egregora.toml", site_key=key)


def findings(site: Path) -> list[Finding]:
    return audit_site(*opened(site)).findings


Audit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def privacy(capsys: pytest.CaptureFixture[str]) -> Audit:
    """`privacy("audit", "--json")`: exit status, standard output and standard error."""

    def command(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["privacy", *map(str, words)])
        return (code, *capsys.readouterr())

    return command


def test_a_site_as_it_is_made_gives_nobody_away(site: Path, privacy: Audit) -> None:
    """Nothing is found, and a line says what was searched."""
    code, out, err = privacy("audit", "--site", site)
    assert (code, err) == (0, "")
    assert out.startswith("Searched ")
    assert out.replace("\n", " ").endswith(f"for {PEOPLE} participants and personal data: nothing found. ")
    told = json.loads(privacy("audit", "--site", site, "--json")[1])
    assert (told["findings"], told["participants"], told["unread"]) == ([], PEOPLE, [])
    assert set(told["searched"]) == {"files", "rows", "checkpoints", "journals", "tables"}


def rewrite(checkpoint: Path, change: str) -> None:
    """Change a column of every row of a checkpoint."""
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS FROM '{checkpoint}'")
        con.execute(f"COPY (SELECT * REPLACE ({change}) FROM t) TO '{checkpoint}' (FORMAT parquet)")


def plant_in_checkpoint(stage: str, change: str) -> Callable[[Path], str]:
    def plant(site: Path) -> str:
        (checkpoint,) = (site / ".egregora" / "checkpoints" / stage).glob("*.parquet")
        rewrite(checkpoint, change)
        return checkpoint.relative_to(site).as_posix() + ", " + change.rpartition(" AS ")[2]

    return plant


def plant_in_file(name: str, data: str | bytes) -> Callable[[Path], str]:
    def plant(site: Path) -> str:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return name

    return plant


def plant_in_catalog(table: str, statement: str, column: str) -> Callable[[Path], str]:
    def plant(site: Path) -> str:
        with duckdb.connect(site / ".egregora" / "egregora.duckdb") as con:
            con.execute(statement)
        return f"catalog, table {table}, {column}"

    return plant


def picture_of(text: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = text
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def picture_at(north: float, east: float) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (north, 0.0, 0.0), 3: "E", 4: (east, 0.0, 0.0)})
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    return out.getvalue()


RUN = "'00000000-0000-4000-8000-000000000000'"
LOG = json.dumps(
    {"e": "log", "run_id": RUN.strip("'"), "ts": "2024-01-01 00:00:00", "level": "info", "message": f"read {NAME}"}
)
FEED = f'<feed xmlns="http://www.w3.org/2005/Atom"><content type="html">&lt;p&gt;by {NAME}&lt;/p&gt;</content></feed>'

LEAKS: dict[str, tuple[Callable[[Path], str], str, str]] = {
    "a body of the privacy stage": (plant_in_checkpoint("privacy", f"'ask {NAME}' AS text"), "name", "O…"),
    "a poll's option": (
        plant_in_checkpoint("enrich", f"""'{{"options":[{{"text":"{NAME}","votes":1}}]}}' AS attrs"""),
        "name",
        "O…",
    ),
    "a link's title": (
        plant_in_checkpoint(
            "enrich", f"[{{'url': 'https://x.example', 'site': 'x', 'title': '{NAME}', 'kind': 'page'}}] AS links"
        ),
        "name",
        "O…",
    ),
    "a post's body": (
        plant_in_checkpoint("write", "'> **A B** — mail otto\\@lindqvist\\.example' AS body"),
        "email",
        "o…",
    ),
    "a post's tags": (plant_in_checkpoint("rank", "['boats', 'lindqvist'] AS tags"), "name", "l…"),
    "a path of the site": (plant_in_checkpoint("publish", "'tags/lindqvist.html' AS path"), "name", "l…"),
    "a page's text": (plant_in_file("site/a.html", f"<p>Then {NAME} came"), "name", "O…"),
    "a name with a part marked": (plant_in_file("site/b.html", "<p>Then <em>Lind</em>qvist came"), "name", "L…"),
    "entities": (plant_in_file("site/c.html", "<p>Then &#76;indqvist came"), "name", "L…"),
    "a page's comment": (plant_in_file("site/d.html", "<p>x</p><!-- Lindqvist -->"), "name", "L…"),
    "an attribute": (plant_in_file("site/e.html", '<img alt="Picture shared by Lindqvist on 9 March">'), "name", "L…"),
    "a link on a page": (
        plant_in_file("site/f.html", '<a href="https://example.org/u/otto.lindqvist?token=abc">x</a>'),
        "link",
        "h…",
    ),
    "a feed": (plant_in_file("site/feed2.xml", FEED), "name", "O…"),
    "a search index": (plant_in_file("site/index2.js", f'window.x=[{{"text":"Alias — ask {NAME}"}}];'), "name", "O…"),
    "a file name": (plant_in_file("site/media/report.txt", "nothing"), "", ""),
    "an icon": (plant_in_file("site/i.svg", "<svg><title>Lindqvist</title></svg>"), "name", "L…"),
    "a picture's description": (plant_in_file("site/media/p.jpg", picture_of("shot by Lindqvist")), "name", "L…"),
    "a picture's place": (plant_in_file("site/media/q.jpg", picture_at(38.5, 8.75)), "place", "3…"),
    "a blob": (plant_in_file(f".egregora/blobs/{'0' * 64}.html", "<p>+44 7700 900142"), "phone", "+…"),
    "a note beside the records": (plant_in_file(".egregora/notes.txt", "key for Lindqvist"), "name", "L…"),
    "a journal": (plant_in_file(".egregora/journal/0a1b2c3d-71-1795420136415741.jsonl", LOG + "\n"), "name", "O…"),
    "a packed journal": (
        plant_in_file(".egregora/journal/0a1b2c3d-71-1795420136415742.jsonl.gz", gzip.compress(LOG.encode() + b"\n")),
        "name",
        "O…",
    ),
    "half a journal's line": (
        plant_in_file(".egregora/journal/0a1b2c3d-71-1795420136415743.jsonl", LOG[:-9]),
        "name",
        "O…",
    ),
    "messages in the catalog": (
        plant_in_catalog("messages", "UPDATE messages SET text = 'for lindqvist' WHERE seq = 5", "text"),
        "name",
        "l…",
    ),
    "posts in the catalog": (plant_in_catalog("posts", f"UPDATE posts SET title = '{NAME}'", "title"), "name", "O…"),
    "an error": (plant_in_catalog("runs", f"UPDATE runs SET error = 'no {NAME}'", "error"), "name", "O…"),
    "a traceback": (
        plant_in_catalog("runs", f"UPDATE runs SET traceback = 'x.py:1 in f\nE: {NAME}'", "traceback"),
        "name",
        "O…",
    ),
    "a label": (plant_in_catalog("runs", f"UPDATE runs SET label = '{NAME}'", "label"), "name", "O…"),
    "a log line": (
        plant_in_catalog("run_logs", f"INSERT INTO run_logs VALUES ({RUN}, now(), 'info', 'a {NAME}')", "message"),
        "name",
        "O…",
    ),
    "a configuration": (
        plant_in_catalog("configs", f"""INSERT INTO configs VALUES ('x', '{{"a":["{NAME}"]}}')""", "config"),
        "name",
        "O…",
    ),
    "a module": (
        plant_in_catalog("codes", f"""INSERT INTO codes VALUES ('x', '{{"module otto": "{NAME}"}}')""", "modules"),
        "name",
        "O…",
    ),
}


def test_each_planted_leak_is_found_where_it_is(site: Path, privacy: Audit) -> None:
    """In every kind of place, with its kind and first letter; nothing that it prints gives the name away."""
    planted = {what: (plant(site), kind, masked) for what, (plant, kind, masked) in LEAKS.items()}
    code, out, err = privacy("audit", "--site", site, "--json")
    found = {(one["where"], one["kind"], one["masked"]) for one in json.loads(out)["findings"]}
    missing = [what for what, (where, kind, masked) in planted.items() if kind and (where, kind, masked) not in found]
    expected_places = {where for where, kind, _ in planted.values() if kind}
    unexpected = {where for where, _, _ in found if where not in expected_places}
    assert (missing, unexpected, code) == ([], set(), 1)
    printed = privacy("audit", "--site", site)[1]
    for text in (out, err, printed):
        assert not any(word in text.lower() for word in ("lindqvist", "otto ", "7700", "otto@"))


def test_a_finding_says_where_to_look(site: Path) -> None:
    """A line of a file, a row of a table; how many times; and names in paths are masked."""
    page = site / "site" / "tags" / "lindqvist.html"
    page.write_text("<p>one</p>\n<p>ask Lindqvist</p>\n<p>no, Lindqvist and Lindqvist!</p>\n", encoding="utf-8")
    assert findings(site) == [
        Finding("site/tags/l….html", "line 2", "name", "L…", 3),
        Finding("site/tags/l….html", "", "name", "l…", 1),
    ]
    page.unlink()
    (checkpoint,) = (site / ".egregora" / "checkpoints" / "rank").glob("*.parquet")
    rewrite(checkpoint, "title || ' for Lindqvist' AS title")
    with duckdb.connect() as con:
        rows = [row[0] for row in con.execute(f"SELECT post_id FROM '{checkpoint}'").fetchall()]
    where = checkpoint.relative_to(site).as_posix()
    assert findings(site) == [Finding(f"{where}, title", f"row {rows[0]}", "name", "L…", len(rows))]


def test_what_earlier_runs_left_is_marked(site: Path, privacy: Audit) -> None:
    """What nothing points to any more is told apart, with the command that removes it."""
    plant_in_file(".egregora/blobs/" + "1" * 64 + ".html", "<p>Lindqvist")(site)
    assert [one.older for one in findings(site)] == [True]
    assert "egregora cache gc" in privacy("audit", "--site", site)[2]


OWN = """
[site]
title = "Otto's blog"
description = "By Otto Lindqvist and friends"
base_url = "https://lindqvist.example/"
"""


def test_what_the_owner_publishes_is_no_leak(made: Path, tmp_path: Path) -> None:
    """Title, description and address are the owner's to choose, on every page and in the feed."""
    site = Path(shutil.copytree(made, tmp_path / "site"))
    (site / "egregora.toml").write_text(OWN, encoding="utf-8")
    assert main(["write", str(made.parent / "chat.zip"), "--site", str(site)]) == 0
    assert "Otto" in (site / "site" / "index.html").read_text(encoding="utf-8")
    assert findings(site) == []


SPOKEN = """
Marco Silva: vamos em marco? quinze de março fica melhor
Rose Best: a rose for the garden, and open questions
April Drew: it was the best of days
Paulo Page: fechado
Will Header: links are fine
Ada Links: first things first
"""


@pytest.mark.parametrize("language", ["en", "pt"])
def test_people_named_like_the_interface(tmp_path: Path, language: str, privacy: Audit) -> None:
    """The program's own words, dates, hashes and timezones aren't taken for Marco, April, Best, Page or Ada."""
    site, chat = tmp_path / "site", tmp_path / "WhatsApp Chat with x.txt"
    said = [line for line in SPOKEN.strip().splitlines() for _ in range(4)]
    chat.write_text(
        "".join(f"{3 + n % 9:02}/03/2024, 10:{n:02} - {line}{' really' * (n % 4)}\n" for n, line in enumerate(said)),
        encoding="utf-8",
    )
    site.mkdir()
    (site / "egregora.toml").write_text(
        f'[site]\nlanguage = "{language}"\n[parse]\ntimezone = "America/Sao_Paulo"\n[write]\nmin_messages = 2\n',
        encoding="utf-8",
    )
    assert main(["write", str(chat), "--site", str(site)]) == 0
    assert list((site / "site" / "posts").glob("*.html")) != []
    assert privacy("audit", "--site", site)[0] == 0


def test_without_the_raw_checkpoint_only_patterns_are_searched(site: Path, privacy: Audit) -> None:
    """It says so, and how to get the names back; a number is still found."""
    plant_in_file("site/a.html", "<p>Lindqvist")(site)
    shutil.rmtree(site / ".egregora" / "checkpoints" / "parse")
    code, out, _ = privacy("audit", "--site", site)
    assert code == 0
    assert out.splitlines()[:2] == [
        "Names were not searched: the checkpoint of the parse stage, which holds them, is not there.",
        "Have it made again with: egregora write EXPORT --up-to parse",
    ]
    plant_in_file("site/a.html", "<p>otto@lindqvist.example")(site)
    assert [(one.kind, one.masked) for one in findings(site)] == [("email", "o…")]


def test_what_cant_be_read_is_told(site: Path) -> None:
    """A damaged checkpoint, a damaged archive and a foreign file are named, not passed over."""
    plant_in_file(".egregora/checkpoints/write/" + "2" * 64 + ".parquet", "PAR1 not PAR1")(site)
    plant_in_file(".egregora/journal/0a1b2c3d-71-1795420136415749.jsonl.gz", b"\x1f\x8b no")(site)
    plant_in_file("site/film.mp4", b"\0\0\0 ftyp")(site)
    made = audit_site(*opened(site))
    assert made.findings == []
    assert sorted(Path(name).name for name in made.unread) == [
        "0a1b2c3d-71-1795420136415749.jsonl.gz",
        "2" * 64 + ".parquet",
        "film.mp4",
    ]


def test_a_site_without_its_key_is_an_error(site: Path, privacy: Audit) -> None:
    """Asking makes no new key."""
    (site / ".egregora" / "key").unlink()
    for words in (["audit"], ["who", "--alias", "Comic Wren"]):
        code, out, err = privacy(*words, "--site", site)
        assert (code, out) == (1, "")
        assert "key" in err
    assert not (site / ".egregora" / "key").exists()


def test_who_is_behind_an_alias(site: Path, privacy: Audit) -> None:
    """The name for its alias in any case, with a reminder; the nearest for one that is none."""
    storage, _ = opened(site)
    with storage.reading() as con:
        aliases = [
            row[0] for row in con.execute("SELECT DISTINCT alias FROM cat.messages WHERE alias <> 'x'").fetchall()
        ]
    told = {alias: privacy("who", "--alias", alias.lower(), "--site", site) for alias in aliases}
    assert [code for code, _, _ in told.values()] == [0] * PEOPLE
    lines = sorted(out for _, out, _ in told.values())
    assert len(set(lines)) == PEOPLE
    alias = next(alias for alias, (_, out, _) in told.items() if NAME in out)
    assert told[alias][1] == f"{alias} is {NAME}\n"
    assert "private" in told[alias][2]
    found = json.loads(privacy("who", "--alias", alias, "--site", site, "--json")[1])
    assert (found["alias"], found["names"], found["phone"]) == (alias, [NAME], None)
    code, out, err = privacy("who", "--alias", alias[:-1] + "xx", "--site", site)
    assert (code, out) == (1, "")
    assert f"the nearest: {alias}" in err
    assert "someone" in privacy("who", "--alias", "someone", "--site", site)[2]
    shutil.rmtree(site / ".egregora" / "checkpoints" / "parse")
    assert "--up-to parse" in privacy("who", "--alias", alias, "--site", site)[2]
    with pytest.raises(PrivacyError):
        who(*opened(site), alias)


def test_html_as_it_is_seen() -> None:
    """Blocks are texts of their own, what is marked within one is part of it; values of attributes count."""
    page = "<p title=\"a &amp; b\">one <b>two</b><br>three</p><!-- c --><li>four<img alt='x > y'>"
    assert sorted(html_texts(page)) == sorted(["one two\nthree", "<!-- c -->", "four", " y'>", "a & b"])


def test_of_many_pages_the_one_that_leaks_is_found(tmp_path: Path) -> None:
    """Two hundred pages of twelve kilobytes, one of them with a name."""
    blobs, parsed = tmp_path / "blobs", tmp_path / "parse.parquet"
    blobs.mkdir()
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT 'Group' AS thread_raw, 'Person' || chr((97 + i)::INT) || ' Surname' AS author_raw, "
            f"i AS seq, 'text' AS kind, '' AS text, '{{}}' AS attrs, NULL::VARCHAR AS attachment, 'x' AS thread_id, "
            f"TIMESTAMP '2024-01-01' AS ts FROM range(20) r(i)) TO '{parsed}' (FORMAT parquet)"
        )
    pages = []
    for number in range(200):
        text = "".join(f"<p id='b{n}'>a few words on page {number}, line {n}</p>\n" for n in range(250))
        (blobs / f"{number}.html").write_text(text + ("<p>Personc!" if number == 7 else ""), encoding="utf-8")
        pages.append((f"posts/{number}.html", f"{number}.html", "page"))
    found = audit_pages(pages, blobs=blobs, parsed=parsed, config=Config(site_key=SecretBytes(b"k" * 32)))
    assert found == [Finding("posts/7.html", "", "name", "P…", 1)]
