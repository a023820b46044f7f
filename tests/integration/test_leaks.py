"""An adversary's chat through the command line: nothing of it is anywhere but in the raw checkpoint.

Every file that a run leaves is taken apart (Parquet and the catalog through DuckDB, packed journals, pictures) and
searched for the very words, in any case and with or without accents. That knows nothing of how names are found.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from PIL import Image

from egregora.cli import main
from egregora.database.storage import StorageManager
from leaks import BASTIAN, EUNICE, SECRETS, SETTINGS, TITLE, ZORAIDA, export, plain, secrets_in


def egregora(*words: str | Path, status: int = 0) -> str:
    """What a command prints, on both its outputs."""
    # With bytes below, as some commands write those.
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline=""), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, words)])
    assert (code, "Traceback" in err.getvalue()) == (status, False), err.getvalue()
    out.seek(0)
    return out.read() + err.getvalue()


def egregora_apart(*words: str | Path, status: int = 0) -> str:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "egregora", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A site of that chat, which also saw a run fail, and what the commands printed."""
    folder = tmp_path_factory.mktemp("leaks")
    site = folder / "site"
    site.mkdir()
    (site / "egregora.toml").write_text(SETTINGS, encoding="utf-8")
    chat = export(folder)
    broken = folder / f"{BASTIAN}.zip"
    broken.write_bytes(chat.read_bytes()[:900])
    printed = egregora_apart("write", broken, "--site", site, status=1)
    printed = printed.replace(str(broken), "")
    printed += egregora_apart("write", chat, "--site", site)
    printed += egregora("runs", "tail", "--children", "--site", site)
    printed += egregora("runs", "show", "last-failed", "--site", site)
    printed += egregora("privacy", "audit", "--site", site)
    # Another process packs the journals of those that have ended.
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    storage.fold()
    storage.close()
    return site, printed


BINARY = (".gz", ".parquet", ".duckdb", ".jpg", ".webp", ".wal")


def texts_of(path: Path) -> Iterator[str]:
    """All that can be read in a file: its bytes if they are text, or what it holds packed."""
    data = path.read_bytes()
    if path.suffix not in BINARY:
        yield data.decode("utf-8")
    if path.suffix == ".gz":
        yield gzip.decompress(data).decode("utf-8", errors="ignore")
    elif path.suffix == ".parquet":
        with duckdb.connect() as con:
            yield from map(str, con.execute(f"FROM '{path}'").fetchall())
    elif path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as con:
            for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                yield from map(str, con.execute(f'FROM "{table}"').fetchall())
    elif path.suffix in (".jpg", ".webp"):
        with Image.open(path) as picture:
            yield str(dict(picture.getexif()))
            yield str(dict(picture.getexif().get_ifd(0x8825)))
            yield str(picture.info)


def files(site: Path) -> list[Path]:
    """What a run leaves, but for the raw checkpoint and the key."""
    raw = site / ".egregora" / "checkpoints" / "parse"
    return [
        path
        for folder in (site / ".egregora", site / "site")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and raw not in path.parents and path.name != "key"
    ]


def test_nothing_of_the_chat_is_anywhere_but_in_the_raw_checkpoint(made: tuple[Path, str]) -> None:
    """Not in later checkpoints, catalog, journals, blobs, pages, feed, search index, pictures or file names."""
    site, _ = made
    found = {
        (path.relative_to(site).as_posix(), secret)
        for path in files(site)
        for text in (path.relative_to(site).as_posix(), *texts_of(path))
        for secret in secrets_in(text)
    }
    assert found == set()
    bytes_of = {
        (path.relative_to(site).as_posix(), secret)
        for path in files(site)
        for coding in ("utf-8", "utf-16-le")
        for secret in secrets_in(path.read_bytes().decode(coding, errors="ignore"), binary=True)
    }
    assert bytes_of == set()
    kinds = {path.suffix for path in files(site)}
    assert {".parquet", ".duckdb", ".gz", ".jpg", ".webp", ".html", ".xml", ".js", ".json"} <= kinds


def test_the_raw_checkpoint_has_it_all(made: tuple[Path, str]) -> None:
    """Which shows that the search would find it, and that only its owner can read it."""
    site, _ = made
    (raw,) = (site / ".egregora" / "checkpoints" / "parse").glob("*.parquet")
    elsewhere = {"4111111111111111", "estuary telephones"}
    text = plain("\n".join(texts_of(raw)))
    assert {secret for secret in SECRETS if secret not in text} <= elsewhere
    assert oct(raw.stat().st_mode)[-3:] == "600"
    # Beside it lies where the exports lay, whose names are the group's; nothing else is in that folder.
    register = raw.with_name("exports.json")
    assert TITLE in register.read_text(encoding="utf-8")
    assert oct(register.stat().st_mode)[-3:] == "600"
    assert sorted(raw.parent.iterdir()) == sorted([raw, register])


def test_nothing_is_printed_either(made: tuple[Path, str]) -> None:
    """Reports, lists of runs, the failed run's error and the audit's own lines name nobody."""
    site, printed = made
    assert secrets_in(printed.replace(str(site), "")) == set()
    assert "nothing found" in printed


def test_what_is_harmless_stays(made: tuple[Path, str]) -> None:
    """The site still tells of kayaks, a river and a Saturday."""
    site, _ = made
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "site" / "posts").glob("*.html"))
    assert [word for word in ("kayaks", "river", "Saturday") if word not in text] == []


def test_opted_out_means_gone(tmp_path: Path) -> None:
    """The next write takes what they wrote, showed and shared, and who they are, from everywhere; `cache gc` the rest.

    From posts, their titles and tags, people's pages, feed, search index, pictures and the catalog; also what others
    pasted of them. What others said themselves stays.
    """
    site = tmp_path / "site"
    site.mkdir()
    (site / "egregora.toml").write_text(SETTINGS, encoding="utf-8")
    chat = (
        f"{EUNICE}: the lighthouse keeper lent us nine yellow helmets for the weekend trip",
        f"{BASTIAN}: helmets? for the whole weekend trip, wow, that is generous",
        f"{BASTIAN}: [10/05/24, 10:01] {EUNICE}: bring the marmalade sandwiches",
        f"{EUNICE}: IMG-20240305-WA0007.jpg (file attached)\nthe zeppelin hangar in the morning fog",
        f"{EUNICE}: the zeppelin hangar, the zeppelin hangar is what we should decide on",
        f"{ZORAIDA}: what did Eunice say about it?",
        f"{EUNICE}: the zeppelin hangar on Sunday it is, decided, see https://example.com/zeppelin-hangar-tour",
    )
    egregora_apart("write", export(tmp_path, *chat, crowd=False, pictures=["IMG-20240305-WA0007.jpg"]), "--site", site)
    with duckdb.connect(site / ".egregora" / "egregora.duckdb", read_only=True) as con:
        ((alias, media),) = con.execute(
            "SELECT alias, media FROM messages WHERE text LIKE '%in the morning fog'"
        ).fetchall()
    assert EUNICE in egregora("privacy", "who", "--alias", alias, "--site", site)
    blobs = [media[name].partition(".")[0] for name in ("blob", "thumbnail")]
    gone = (alias, plain(alias).replace(" ", "-"), "yellow helmets", "zeppelin", "marmalade", *blobs)

    def left(*folders: str) -> set[str]:
        paths = [path for path in files(site) if path.relative_to(site).parts[0] in folders]
        texts = [text for path in paths for text in (path.relative_to(site).as_posix(), *texts_of(path))]
        return {word for word in gone if any(word in text for text in texts)}

    assert {alias, "yellow helmets", "zeppelin"} <= left("site")
    assert set(gone) == left("site", ".egregora")
    again = export(tmp_path, *chat, f"{EUNICE}: /egregora opt-out", crowd=False, pictures=["IMG-20240305-WA0007.jpg"])
    egregora_apart("write", again, "--site", site)
    assert left("site") == set()
    with duckdb.connect(site / ".egregora" / "egregora.duckdb", read_only=True) as con:
        rows = str([con.execute(f"FROM {table}").fetchall() for table in ("messages", "posts")])
    assert [word for word in gone if word in rows] == []
    assert "that is generous" in rows
    assert "opted out since the run before: 1" in egregora("runs", "show", "privacy", "--site", site)
    assert "nothing found" in egregora("privacy", "audit", "--site", site)
    egregora("cache", "gc", "--site", site)
    assert left("site", ".egregora") == set()


def test_a_site_that_would_give_somebody_away_is_not_laid_out(tmp_path: Path) -> None:
    """A word that must not appear, and that narration itself writes: refused each time, until it is allowed by name."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "egregora.toml").write_text(SETTINGS, encoding="utf-8")
    chat = export(tmp_path, crowd=False)
    egregora("write", chat, "--site", site)

    def snapshot() -> dict[str, bytes]:
        return {path.as_posix(): path.read_bytes() for path in (site / "site").rglob("*") if path.is_file()}

    before = snapshot()
    forbidden = SETTINGS.replace("[privacy]", '[privacy]\nalso_redact = ["took part"]')
    (site / "egregora.toml").write_text(forbidden.replace("On the water", "On the river"), encoding="utf-8")
    for _ in range(2):
        said = egregora("write", chat, "--site", site, status=1)
        assert re.search(r"error: the site would give away name t… in (?:feed\.xml|posts/[^ ]+\.html)", said)
        assert f"egregora privacy audit --site {site}" in said
        assert "--allow-leak" in said
        assert "took part" not in said
        assert snapshot() == before
    assert "name t…  " in egregora("privacy", "audit", "--site", site, status=1)
    said = egregora("write", chat, "--site", site, "--allow-leak")
    assert "warning: the site gives away name t…" in said
    assert "On the river" in (site / "site" / "index.html").read_text(encoding="utf-8")
    # The permission was for that one time.
    egregora("write", chat, "--site", site, status=1)
    # Who looks into it later sees that it failed, and why; the page that would give it away is named, the word is not.
    listed = egregora("runs", "tail", "--site", site)
    assert re.search(r"layout +failed", listed)
    told = egregora("runs", "show", "last-failed", "--site", site)
    assert "the site would give away name t…" in told
    assert "--allow-leak" in told
    assert "took part" not in listed + told
