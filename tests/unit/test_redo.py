"""Runs that are run again: what they take, what follows, and when they refuse."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from egregora.cli import main
from egregora.config import Config, load_config
from egregora.database.storage import StorageManager
from egregora.errors import ConfigError
from egregora.pipeline.fingerprint import hash_relation
from egregora.pipeline.recorded import recorded_config
from egregora.pipeline.runner import record_run
from egregora.testing import write_export
from runs_rows import Shown, run_id, seed

STAGES = ["parse", "privacy", "enrich", "write", "rank", "publish"]
TITLE = "Invented Rowers"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export and the site of it."""
    folder = tmp_path_factory.mktemp("redo")
    chat = write_export(folder / f"WhatsApp Chat with {TITLE}.zip", messages=400, people=5, days=20)
    assert main(["write", str(chat), "--site", str(folder / "site")]) == 0
    return folder


@pytest.fixture
def blog(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that site, named by EGREGORA_SITE, whose export lies where it lay."""
    StorageManager(written / "site" / ".egregora" / "egregora.duckdb").close()
    site = tmp_path / "blog"
    shutil.copytree(written / "site", site)
    monkeypatch.setenv("EGREGORA_SITE", str(site))
    monkeypatch.delenv("COLUMNS", raising=False)
    return site


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Shown:
    """`say("runs", "tail")`: exit status, standard output and standard error of a command."""

    def command(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def rows(site: Path, which: str = "parent_run_id IS NULL") -> list[dict[str, Any]]:
    """The site's runs, oldest first."""
    from egregora.observe.runs import select_runs

    with StorageManager(site / ".egregora" / "egregora.duckdb").reading() as con:
        return select_runs(con, f"FROM runs WHERE {which} ORDER BY started_at")


def pages(site: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (site / "site").rglob("*") if path.is_file()}


def export(written: Path) -> Path:
    return next(written.glob("*.zip"))


def set_toml(site: Path, text: str) -> None:
    (site / "egregora.toml").write_text(text, encoding="utf-8")


# -- where exports lie ------------------------------------------------------------------------------------------------


def test_only_the_private_folder_of_parse_knows_where_an_export_lies(blog: Path, written: Path, say: Shown) -> None:
    """It is closed to others, goes with the raw checkpoints, and comes back with the next write."""
    register = blog / ".egregora" / "checkpoints" / "parse" / "exports.json"
    (parse,) = rows(blog, "stage = 'parse'")
    assert json.loads(register.read_text(encoding="utf-8")) == {
        json.loads(parse["input_parts"])["table"]: [str(export(written))]
    }
    assert oct(register.stat().st_mode)[-3:] == "600"
    assert say("cache", "clear", "--stage", "parse")[0] == 0
    assert not register.exists()
    assert say("write", export(written), "--up-to", "parse")[0] == 0
    assert register.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bars_leave_room_for_ctrl_c(blog: Path, written: Path) -> None:
    """A terminal writes ^C behind them: on a full line that would go to the next one, and tear the bars apart."""
    import fcntl
    import pty
    import struct
    import termios

    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    words = [sys.executable, "-m", "egregora", "write", str(export(written))]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=inner, env=environment)
    os.close(inner)
    drawn = b""
    with contextlib.suppress(OSError):
        while piece := os.read(outer, 1 << 16):
            drawn += piece
    os.close(outer)
    assert process.wait(60) == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode()))
    assert any("publish" in line for line in lines)
    assert max(map(len, lines)) == 78


# -- retry ------------------------------------------------------------------------------------------------------------


def test_what_was_given_on_the_command_line_counts_again(tmp_path: Path, written: Path, say: Shown) -> None:
    """In the retry and in a retry of that, and nothing is written anew, until the file is changed there."""
    site = tmp_path / "tokyo"
    assert say("write", export(written), "--site", site, "--timezone", "Asia/Tokyo", "--max-calls", "9")[0] == 0
    before = pages(site)
    for _ in range(2):
        code, out, err = say("runs", "retry", "parse", "--site", site)
        assert (code, err) == (0, "")
        assert "Given on the command line then, and again: parse.timezone = Asia/Tokyo\n" in out
        assert "Its settings are as they were then." in out
        assert pages(site) == before
    assert '"given": {"parse.timezone": {"given": "Asia/Tokyo", "file": "UTC"}}' in say(
        "runs", "show", "parse", "--json", "--site", site
    )[1].replace("\\", "").replace('"{', "{").replace('}"', "}")
    set_toml(site, '[parse]\ntimezone = "Europe/Lisbon"\n')
    out = say("runs", "retry", "parse", "--site", site)[1]
    assert "parse.timezone: Asia/Tokyo → Europe/Lisbon" in out
    assert "Given" not in out
    assert rows(site, "stage = 'parse'")[-1]["given"] is None


def test_a_failed_run_goes_on_where_it_failed(blog: Path, written: Path, say: Shown) -> None:
    """With a wrong setting corrected, its stage and those behind it run; the ones before it are not even looked at."""
    set_toml(blog, '[write]\nfrom_date = "2099-01-01"\n')
    assert say("write", export(written))[0] == 1
    failed = rows(blog)[-1]
    assert (failed["stage"], failed["status"]) == ("write", "failed")
    set_toml(blog, '[write]\nwindow = "1d"\n')

    code, out, err = say("runs", "retry", "last-failed")

    assert (code, err) == (0, "")
    assert f"Retrying write (run {failed['run_id'][:8]}, failed, " in out
    assert "then rank, publish" in out
    assert [line for line in out.splitlines() if "→" in line] == [
        "  write.from_date: 2099-01-01 → not set (the default)",
        "  write.window: 7d (the default) → 1d",
    ]
    again = rows(blog)[-3:]
    assert [(row["stage"], row["status"], row["reason"]) for row in again] == [
        ("write", "completed", f"config changed, retry of {failed['run_id']}"),
        ("rank", "completed", "input changed"),
        ("publish", "completed", "input changed"),
    ]
    assert len({row["invocation_id"] for row in again}) == 1
    assert again[0]["input_parts"] == failed["input_parts"]
    posts = len([name for name in pages(blog) if name.startswith("2")])
    assert posts == again[0]["rows_out"]


def lineage(site: Path, child: str) -> list[str]:
    with StorageManager(site / ".egregora" / "egregora.duckdb").reading() as con:
        found = con.execute(f"SELECT parent_run_id::VARCHAR FROM lineage WHERE child_run_id = '{child}'").fetchall()
    return [run for (run,) in found]


@pytest.mark.parametrize("stage", STAGES)
def test_a_completed_run_runs_again_all_the_same(blog: Path, say: Shown, stage: str) -> None:
    """From any stage on: same inputs, same result, what follows is taken from its checkpoints, the site stays."""
    before, old = pages(blog), rows(blog)
    code, out, err = say("runs", "retry", stage, "--json")
    assert (code, err) == (0, "")
    following = STAGES[STAGES.index(stage) :]
    again = rows(blog)[-len(following) :]
    first = next(row for row in old if row["stage"] == stage)
    assert [(row["stage"], row["source"], row["reason"], row["output_hash"]) for row in again] == [
        (
            name,
            "executed" if name == stage else "checkpoint",
            f"retry of {first['run_id']}" if name == stage else "unchanged",
            next(row["output_hash"] for row in old if row["stage"] == name),
        )
        for name in following
    ]
    assert sorted(lineage(blog, again[0]["run_id"])) == sorted(lineage(blog, first["run_id"]))
    assert json.loads(out) == {
        "retried": first["run_id"],
        "stage": stage,
        "run_id": again[0]["run_id"],
        "settings": [],
        "given": {},
        "runs": {row["stage"]: row["run_id"] for row in again},
        "rows": {row["stage"]: row["rows_out"] for row in again},
        "marks": {},
        "site": str(blog / "site" / "index.html"),
        "written": 0,
        "removed": 0,
        "warnings": [],
    }
    assert pages(blog) == before


def test_an_older_run_alone_is_run_again(blog: Path, written: Path, say: Shown) -> None:
    """Newer runs have come after it, so what is on the site and in the catalog stays theirs."""
    say("write", export(written), "--window", "1d")
    before = pages(blog)
    count = len(rows(blog))
    code, out, _ = say("runs", "retry", "write~1")
    assert code == 0
    assert "Only this stage ran, and the site is as it was" in out
    (again,) = rows(blog)[count:]
    first = next(row for row in rows(blog) if row["stage"] == "write")
    assert again["reason"] == f"config changed, retry of {first['run_id']}"
    assert again["output_hash"] == first["output_hash"]
    assert pages(blog) == before
    # Of that stage it is the newest now; the next write says so, and comes back to what it had.
    assert say("write", export(written), "--window", "1d")[0] == 0
    assert pages(blog) == before


def test_a_child_stands_for_its_run(blog: Path, say: Shown) -> None:
    """A window is retried by retrying the stage that it is part of."""
    child = rows(blog, "parent_run_id IS NOT NULL")[0]
    code, out, _ = say("runs", "retry", child["run_id"], "--json")
    assert (code, json.loads(out)["retried"]) == (0, child["parent_run_id"])


def gone(blog: Path, written: Path) -> None:
    export(written).rename(written / "moved.zip.away")


def changed(blog: Path, written: Path) -> None:
    path = export(written)
    shutil.copyfile(path, written / "moved.zip.away")
    path.write_bytes(path.read_bytes() + b"x")


def cleared(blog: Path, written: Path) -> None:
    shutil.rmtree(blog / ".egregora" / "checkpoints" / "parse")


def without_enrich(blog: Path, written: Path) -> None:
    for path in (blog / ".egregora" / "checkpoints" / "enrich").glob("*.parquet"):
        path.unlink()


def damaged_enrich(blog: Path, written: Path) -> None:
    for path in (blog / ".egregora" / "checkpoints" / "enrich").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize(
    ("damage", "stage", "error", "hint"),
    [
        (gone, "parse", "the export of that run is no longer where it was", "egregora write EXPORT --up-to parse"),
        (gone, "enrich", "the export of that run is no longer where it was", "egregora write EXPORT --up-to parse"),
        (changed, "parse", "the export of that run has other content by now", "egregora write EXPORT"),
        (cleared, "parse", "it is not on record where the export of that run lies", "egregora write EXPORT"),
        (cleared, "privacy", "it is not on record where the export", "egregora write EXPORT"),
        (cleared, "write", "the result of parse that went into it is no longer kept", "egregora write EXPORT"),
        (without_enrich, "write", "the result of enrich that went into it is no longer kept", "egregora write EXPORT"),
        (damaged_enrich, "rank", "the result of enrich that went into it is no longer kept", "egregora write EXPORT"),
    ],
)
def test_a_run_whose_input_is_gone_is_refused(
    blog: Path,
    written: Path,
    say: Shown,
    damage: Callable[[Path, Path], None],
    stage: str,
    error: str,
    hint: str,
) -> None:
    """With the reason and what to type, before anything runs, and without the export's name."""
    count = len(rows(blog))
    damage(blog, written)
    try:
        code, out, err = say("runs", "retry", stage)
    finally:
        away = written / "moved.zip.away"
        if away.exists():
            away.replace(written / f"WhatsApp Chat with {TITLE}.zip")
    assert (code, out) == (1, "")
    assert error in err
    assert hint in err
    assert TITLE not in err
    assert len(rows(blog)) == count


def test_runs_that_can_not_be_run_again_say_why(storage: StorageManager, shown: Shown) -> None:
    """A run at work, a stranger's stage, and one that ended before its input was read."""
    seed(storage, [{"stage": "per_city"}, {"stage": "write", "status": "failed"}])
    record_run(storage, run_id(9), "write", "running", None, "sha256:00")
    for wanted, error, hint in (
        ("per_city", "whose function only your own program knows", "run that program again"),
        ("last-failed", "ended before its input was read", "egregora write EXPORT"),
        ("last", "is still at work", "egregora runs watch"),
        ("nonsense", "no run 'nonsense'", "egregora runs tail"),
    ):
        code, out, err = shown("runs", "retry", wanted)
        assert (code, out) == (1, "")
        assert error in err
        assert hint in err


def test_pages_that_were_not_laid_out_are_no_run_to_retry(storage: StorageManager, shown: Shown) -> None:
    """The row that tells why leads to the stage that can change it."""
    seed(storage, [{"stage": "layout", "status": "failed", "error": "a name on the index page"}])
    code, _, err = shown("runs", "retry", "last-failed")
    assert (code, "egregora runs retry privacy" in err) == (1, True)


# -- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_is_repeated_makes_the_same(blog: Path, say: Shown, stage: str) -> None:
    """With the settings that it read, whatever they are today; and no file is left of it."""
    (first,) = [row for row in rows(blog) if row["stage"] == stage]
    files = sorted((blog / ".egregora" / "checkpoints").rglob("*"))
    set_toml(
        blog,
        '[site]\ntitle = "Other"\n[write]\nwindow = "1d"\n[rank]\ncomparisons = 2\n[enrich]\nthumbnail_pixels = 100\n'
        '[parse]\ntimezone = "Asia/Tokyo"\n[privacy]\nalso_redact = ["Zorro"]\n',
    )
    code, out, err = say("runs", "replay", stage)
    assert (code, err) == (0, "")
    assert f"identical: the same {first['rows_out']:,} " in out
    again = rows(blog)[-1]
    assert (again["stage"], again["source"], again["reason"]) == (stage, "replay", f"replay of {first['run_id']}")
    # It is the last run, but none of its stage.
    for word, meant in (("last", again), (stage, first)):
        assert json.loads(say("runs", "show", word, "--json")[1])["run_id"] == meant["run_id"]
    assert {group["runs"] for group in json.loads(say("runs", "stats", "--json")[1])["rows"]} == {1}
    assert (again["output_hash"], again["config_hash"]) == (first["output_hash"], first["config_hash"])
    assert sorted(lineage(blog, again["run_id"])) == sorted(lineage(blog, first["run_id"]))
    assert sorted((blog / ".egregora" / "checkpoints").rglob("*")) == files


def nondeterministic(blog: Path) -> dict[str, Any]:
    """The site's newest write run, as if it had made one post less, under another title, than it makes."""
    (first,) = [row for row in rows(blog) if row["stage"] == "write"]
    path = blog / ".egregora" / "checkpoints" / "write" / f"{first['input_fingerprint'].partition(':')[2]}.parquet"
    with duckdb.connect() as con:
        other = f"SELECT * REPLACE ('Another' AS title) FROM '{path}' ORDER BY post_id OFFSET 1"
        con.execute(f"COPY ({other}) TO '{path}.new' (FORMAT parquet)")
        con.execute(f"CREATE TABLE kept AS FROM read_parquet('{path}.new')")
        digest, count, *_ = hash_relation(con, "FROM kept")
    Path(f"{path}.new").replace(path)
    state = path.stat()
    storage = StorageManager(blog / ".egregora" / "egregora.duckdb")
    record_run(
        storage, first["run_id"], "write", "completed", None, first["input_fingerprint"], output_hash=digest,
        rows_out=count, checkpoint_bytes=state.st_size, checkpoint_mtime_ns=state.st_mtime_ns,
        checkpoint_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )  # fmt: skip
    return first


def test_what_differs_is_said_and_goes_nowhere_else(blog: Path, written: Path, say: Shown) -> None:
    """Exit 1, how the rows differ, and how to see them; neither a hit, nor gc, nor retry takes it for the stage's."""
    first = nondeterministic(blog)
    posts = first["rows_out"]
    code, out, err = say("runs", "replay", "write")
    assert (code, err) == (1, "")
    again = rows(blog)[-1]
    assert f"differs: 1 post added and {posts - 1:,} changed (in title)" in out
    assert "doesn't always make the same" in out
    assert f"egregora runs diff {first['run_id'][:8]} {again['run_id'][:8]}" in out
    told = json.loads(say("runs", "replay", first["run_id"], "--json")[1])
    assert (told["replayed"], told["identical"], told["rows"]["added"]) == (first["run_id"], False, 1)

    kept = json.loads(say("cache", "ls", "--json")[1])
    assert sum(one["replay"] for one in kept) == 2
    assert [one["current"] for one in kept if one["stage"] == "write"].count(True) == 1
    say("cache", "gc")
    left = json.loads(say("cache", "ls", "--json")[1])
    assert [one["path"] for one in left] == [one["path"] for one in kept if not one["replay"]]
    say("write", export(written), "--up-to", "write")
    newest = rows(blog)[-1]
    assert (newest["source"], newest["reason"], newest["rows_out"]) == ("checkpoint", "unchanged", posts - 1)


def test_a_secret_of_then_is_taken_from_today(blog: Path, written: Path, say: Shown) -> None:
    """By its id, wherever it stands by now; without it the run can't be repeated, and it says which setting."""
    set_toml(blog, '[privacy]\nalso_redact = ["Zorro", "Batman"]\n')
    assert say("write", export(written), "--up-to", "privacy")[0] == 0
    set_toml(blog, '[privacy]\nalso_redact = ["Robin", "Batman", "Zorro"]\n')
    assert say("runs", "replay", "privacy")[0] == 0
    set_toml(blog, '[privacy]\nalso_redact = ["Robin", "Batman"]\n')
    count = len(rows(blog))
    code, out, err = say("runs", "replay", "privacy")
    assert (code, out) == (1, "")
    assert "the setting privacy.also_redact held something secret then" in err
    assert "Zorro" not in err
    (blog / ".egregora" / "key").write_text("ab" * 32, encoding="ascii")
    assert "put it back into .egregora/key" in say("runs", "replay", "privacy")[2]
    assert len(rows(blog)) == count


def test_a_setting_that_is_none_any_more_is_named(storage: StorageManager, blog: Path) -> None:
    """A run of another version can't be repeated by this one if it read a setting that is gone."""
    today = load_config(blog / "egregora.toml")
    with pytest.raises(ConfigError, match=r"the setting write\.quill "):
        recorded_config('{"write":{"quill":"goose"}}', today, ("write",), lambda: b"k")
    found = recorded_config('{"write":{"window":"3d"}}', today, ("write", "rank"), lambda: b"k")
    assert (found.write.window, found.write.max_quotes, found.rank) == ("3d", 24, Config().rank)


def test_a_run_whose_input_is_gone_is_not_repeated(blog: Path, say: Shown) -> None:
    """It says what is gone; so it does when its settings are."""
    without_enrich(blog, blog)
    code, out, err = say("runs", "replay", "write")
    assert (code, out) == (1, "")
    assert "the result of enrich that went into it is no longer kept" in err


def test_a_failed_run_is_repeated_to_its_failure(blog: Path, written: Path, say: Shown) -> None:
    """With the settings of then it fails as it did then, though today's are right."""
    set_toml(blog, '[write]\nfrom_date = "2099-01-01"\n')
    before = say("write", export(written))[2]
    set_toml(blog, "")
    code, _, err = say("runs", "replay", "last-failed")
    assert (code, err) == (1, before)
    assert rows(blog)[-1]["source"] == "replay"
