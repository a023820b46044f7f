"""`egregora cache`: what is kept, what can go, and whether it is intact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.cli import main
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import record_run, run_stage_with_tracking

HOUR = 3700


def parse(table: Any, config: dict[str, Any], *, run_id: str) -> Any:
    """A stage whose result holds names."""
    return table.mutate(author_raw=ibis.literal("Ana"))


def write(table: Any, config: dict[str, Any], *, run_id: str, context: Any) -> Any:
    """A stage with a file beside its result."""
    context.put_blob(f"page {config['size']}".encode(), "html")
    return pa.table({"n": list(range(config["size"]))})


def made(storage: StorageManager, *sizes: int) -> list[Path]:
    """Run `parse` once and `write` with each of these sizes; the checkpoints of `write`, oldest first."""
    first = run_stage_with_tracking("parse", parse, ibis.memtable(pa.table({"a": [1]})), {}, storage)
    for size in sizes:
        run_stage_with_tracking("write", write, first, {"size": size}, storage)
    with storage.reading() as con:
        found = con.execute("FROM runs SELECT input_fingerprint WHERE stage = 'write' ORDER BY started_at").fetchall()
    return [storage.checkpoint_dir / "write" / f"{row[0].removeprefix('sha256:')}.parquet" for row in found]


def aged(path: Path, seconds: int = HOUR) -> Path:
    """Make a file look as if it had been written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def files(storage: StorageManager) -> set[str]:
    """The names of all checkpoints and blobs on the disk."""
    return {path.name for folder in ("checkpoints", "blobs") for path in (storage.directory / folder).rglob("*.*")}


Cache = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cache(storage: StorageManager, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cache:
    """`cache("ls", "--json")`: exit status, standard output and standard error."""
    storage.create()
    monkeypatch.setenv("EGREGORA_SITE", str(storage.directory.parent))
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def command(*words: str, width: int | None = None) -> tuple[int, str, str]:
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
        code = main(["cache", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def test_an_empty_site_has_nothing_to_look_after(cache: Cache) -> None:
    """Each command says so, and succeeds."""
    assert cache("ls") == (0, "No checkpoints yet. A run leaves one: egregora write EXPORT.zip\n", "")
    assert cache("ls", "--json")[1] == "[]\n"
    assert cache("gc")[1] == "Nothing to delete; 0 files, 0 B, stay.\n"
    assert cache("verify")[1] == "0 checkpoints and 0 files read; all intact.\n"
    assert cache("clear")[1] == "Nothing to delete.\n"


def test_ls_tells_what_each_checkpoint_is(storage: StorageManager, cache: Cache) -> None:
    """By stage, the one used last first, with who made it; what holds names is marked."""
    older, newer = made(storage, 2, 3)
    stray = older.with_name("0" * 64 + ".parquet")
    stray.write_bytes(b"not Parquet")
    code, out, _ = cache("ls", width=80)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    assert lines[0] == ["Stage", "Checkpoint", "Size", "Rows", "Used", "Run"]
    assert [line[0] for line in lines[1:5]] == ["parse", "write", "write", "(unknown)"]
    assert lines[1][-2:] == ["current,", "raw"]
    assert (lines[2][1], lines[2][-1]) == (newer.name[:12], "current")
    assert (lines[3][1], lines[3][-1]) == (older.name[:12], "older")
    assert out.splitlines()[-1].startswith("4 checkpoints, ")
    assert out.splitlines()[-1].endswith("; 2 files that they list, 12 B")

    rows = json.loads(cache("ls", "--json")[1])
    with storage.reading() as con:
        makers = [str(row[0]) for row in con.execute("FROM runs SELECT run_id ORDER BY started_at").fetchall()]
    assert [(row["stage"], row["run_id"], row["current"], row["raw"], row["rows"], row["blobs"]) for row in rows] == [
        ("parse", makers[0], True, True, 1, 0),
        ("write", makers[2], True, False, 3, 1),
        ("write", makers[1], False, False, 2, 1),
        (None, None, False, True, None, 0),
    ]
    assert rows[1]["path"] == f".egregora/checkpoints/write/{newer.name}"
    assert rows[1]["bytes"] == newer.stat().st_size


def test_gc_keeps_what_the_newest_runs_point_to(storage: StorageManager, cache: Cache) -> None:
    """The older checkpoint goes with its list and the file that only it lists; a dry run touches nothing."""
    made(storage, 2, 3)
    before = files(storage)
    code, out, _ = cache("gc", "--dry-run")
    assert code == 0
    assert "Would delete 3 files" in out
    assert "there is a newer one" in out
    planned = json.loads(cache("gc", "--dry-run", "--json")[1])
    assert files(storage) == before
    done = json.loads(cache("gc", "--json")[1])
    assert done == {**planned, "deleted": True}
    assert ([*done], done["waiting"]) == (["deleted", "files", "bytes", "kept_files", "kept_bytes", "waiting"], None)
    assert {Path(file["path"]).name for file in done["files"]} == before - files(storage)
    assert len(before) - len(files(storage)) == 3
    assert cache("verify")[1] == "2 checkpoints and 1 file read; all intact.\n"
    assert "Nothing to delete" in cache("gc")[1]
    # The next run finds what it needs.
    made(storage, 3)
    with storage.reading() as con:
        assert (
            con.execute("FROM runs SELECT source ORDER BY started_at DESC LIMIT 2").fetchall() == [("checkpoint",)] * 2
        )


def test_gc_keeps_what_was_used_last(storage: StorageManager, cache: Cache) -> None:
    """A hit counts as use: what the newest run took stays, though it was made first."""
    first, _, _ = made(storage, 2, 3, 2)
    cache("gc")
    assert [path.name for path in (storage.checkpoint_dir / "write").glob("*.parquet")] == [first.name]


def test_gc_keeps_as_many_as_told(storage: StorageManager, cache: Cache) -> None:
    """--keep-last counts checkpoints of each stage."""
    made(storage, 2, 3, 4)
    out = cache("gc", "--keep-last", "2")[1]
    assert "there are 2 newer ones" in out
    assert len(list((storage.checkpoint_dir / "write").glob("*.parquet"))) == 2


def test_gc_fits_into_a_size(storage: StorageManager, cache: Cache) -> None:
    """--max-size takes the ones used longest ago, but never what the newest runs point to."""
    made(storage, 20, 30, 40)
    code, out, _ = cache("gc", "--keep-last", "9", "--max-size", "1GB")
    assert (code, out[:18]) == (0, "Nothing to delete;")
    sizes = sum(path.stat().st_size for path in storage.checkpoint_dir.rglob("*.parquet"))
    out = cache("gc", "--keep-last", "9", "--max-size", f"{sizes - 1}")[1]
    assert "used longest ago" in out
    assert len(list((storage.checkpoint_dir / "write").glob("*.parquet"))) == 2
    out = cache("gc", "--keep-last", "9", "--max-size", "0.001kB")[1]
    assert "That is more than 0.001kB: the newest runs point to all of it." in out
    assert len(list((storage.checkpoint_dir / "write").glob("*.parquet"))) == 1


def test_gc_takes_leftovers(storage: StorageManager, cache: Cache) -> None:
    """Half-written, damaged, and orphaned files go once they are old enough to belong to nobody."""
    [kept] = made(storage, 2)
    folder, blobs = kept.parent, storage.directory / "blobs"
    going = [
        folder / ".new-old.parquet",
        folder / "f.parquet.corrupt-1",
        folder / ("1" * 64 + ".blobs.json"),
        folder / ("2" * 64 + ".parquet"),
        blobs / ".new-old",
        blobs / "nobody.png",
    ]
    for path in going:
        path.write_bytes(b"x")
        aged(path)
    young = [folder / ".new-young.parquet", folder / ("3" * 64 + ".blobs.json"), folder / ("4" * 64 + ".parquet")]
    for path in young:
        path.write_bytes(b"x")
    code, out, _ = cache("gc")
    assert code == 0
    assert "Deleted 6 files, 6 B;" in out
    assert not [path.name for path in going if path.exists()]
    assert all(path.exists() for path in [kept, *young])


def test_gc_leaves_alone_what_is_at_work(storage: StorageManager, cache: Cache) -> None:
    """While a run is at work, checkpoints of its invocation and files that nobody lists yet stay."""
    made(storage, 2, 3)
    (storage.directory / "blobs" / "nobody.png").write_bytes(b"x")
    record_run(storage, str(uuid.uuid4()), "rank", "running", None, "sha256:0", invocation_id=storage.invocation_id)
    code, out, _ = cache("gc")
    assert code == 0
    assert out.startswith("Nothing to delete;")
    assert "left alone while a run is at work" in out


def test_sizes_are_understood(cache: Cache) -> None:
    """What is no size is a usage error that says what one looks like."""
    for size in ("500MB", "2gb", "1.5 k", "7"):
        assert cache("gc", "--max-size", size)[0] == 0, size
    code, _, err = cache("gc", "--max-size", "large")
    assert code == 2
    assert "such as 500MB" in err.replace("\n", " ")


def test_clear_takes_a_stage(storage: StorageManager, cache: Cache) -> None:
    """`clear --stage parse` leaves nothing that holds names, also none that was set aside."""
    made(storage, 2)
    aside = next((storage.checkpoint_dir / "parse").glob("*.parquet"))
    aside.rename(aside.with_name(aside.name + ".corrupt-1"))
    code, out, _ = cache("clear", "--stage", "parse")
    assert code == 0
    assert out.startswith("Deleted 1 file, ")
    assert not [path for path in (storage.checkpoint_dir / "parse").rglob("*") if path.name != ".gitignore"]
    assert len(list((storage.checkpoint_dir / "write").glob("*.parquet"))) == 1
    code, _, err = cache("clear", "--stage", "pars")
    assert code == 1
    assert err == "error: there are no checkpoints of a stage 'pars'\nhint: there are some of: parse, write\n"


def test_clear_of_everything_is_asked_for_twice(storage: StorageManager, cache: Cache) -> None:
    """Without --yes and nobody to ask nothing is deleted."""
    made(storage, 2)
    before = files(storage)
    code, _, err = cache("clear")
    assert code == 1
    assert "--yes" in err
    assert files(storage) == before
    assert cache("clear", "--json")[0] == 1
    assert json.loads(cache("clear", "--yes", "--json")[1])["deleted"] is True
    assert files(storage) - {".gitignore"} == set()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_clear_of_everything_asks_on_a_terminal(answer: str, code: int, storage: StorageManager) -> None:
    """Whoever is there is asked, with how much it is about; only a yes deletes."""
    import pty

    made(storage, 2)
    storage.close()
    outer, inner = pty.openpty()
    os.write(outer, f"{answer}\n".encode())
    site = str(storage.directory.parent)
    done = subprocess.run(
        [sys.executable, "-m", "egregora", "cache", "clear", "--site", site],
        stdin=inner,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(outer)
    os.close(inner)
    assert done.returncode == code, done.stderr
    assert "Delete all checkpoints and what they list (4 files, " in done.stdout + done.stderr
    assert bool(files(storage)) is bool(code)


def test_clear_waits_for_runs(storage: StorageManager, cache: Cache) -> None:
    """A run at work needs its checkpoints. One that another machine left long ago is no reason to wait."""
    made(storage, 2)
    run = str(uuid.uuid4())
    record_run(storage, run, "rank", "running", None, "sha256:0")
    code, _, err = cache("clear", "--yes")
    assert (code, err.splitlines()[0]) == (1, "error: a run is at work on this site")
    record_run(
        storage, run, "rank", "running", None, "sha256:0", owner="feedbeef-1-1", started_at="2020-01-01 00:00:00"
    )
    assert cache("clear", "--yes")[0] == 0


def test_verify_finds_every_damage(storage: StorageManager, cache: Cache) -> None:
    """Exit 1, with where and in what way: changed bytes, other rows, no Parquet, missing and changed files."""
    import duckdb

    paths = made(storage, 2, 3, 4, 5, 6)
    bytes_changed, rows_changed, no_parquet, blob_missing, blob_changed = paths
    con = duckdb.connect()
    for path, rows in ((bytes_changed, "VALUES (0), (1)"), (rows_changed, "VALUES (0), (1), (7)")):
        con.execute(f"COPY (SELECT n::BIGINT AS n FROM ({rows}) t(n)) TO '{path}' (FORMAT parquet, COMPRESSION gzip)")
    no_parquet.write_bytes(b"x")
    no_parquet.with_suffix(".blobs.json").write_text("{")
    no_parquet.with_name("0" * 64 + ".parquet").write_bytes(b"x")
    blobs = storage.directory / "blobs"
    missing, changed = (
        next(iter(json.loads(path.with_suffix(".blobs.json").read_text()))) for path in (blob_missing, blob_changed)
    )
    (blobs / missing).unlink()
    (blobs / changed).write_bytes(b"other!")
    code, out, err = cache("verify")
    assert code == 1
    damaged = {line.split(": ")[1].split("/")[-1]: line.split(": ", 2)[2] for line in out.splitlines()[:-1]}
    assert damaged == {
        bytes_changed.name: "its bytes were changed, though its rows are the same",
        rows_changed.name: "its rows are not those that its run recorded",
        no_parquet.name: "it can't be read as Parquet",
        "0" * 64 + ".parquet": "it can't be read as Parquet, and no run is on record for it",
        missing: "it is missing (of a checkpoint of write)",
        changed: "its bytes were changed (of a checkpoint of write)",
    }
    assert out.splitlines()[-1].endswith("(1 that no run on record made: egregora cache gc); 7 damaged.")
    assert err.splitlines()[-1] == "hint: delete them with: egregora cache verify --discard"
    code, out, err = cache("verify", "--json")
    told = json.loads(out)
    assert (code, err, told["checkpoints"], told["deleted"]) == (1, "", 7, False)
    assert {one["path"].split("/")[-1]: one["what"] for one in told["damaged"]} == damaged
    code, out, err = cache("verify", "--discard")
    assert (code, err) == (0, "")
    assert out.endswith("makes it again: egregora write EXPORT\n")
    made(storage, 2, 3, 4, 5, 6)
    assert cache("verify")[1] == "6 checkpoints and 5 files read; all intact.\n"


def test_the_shell_completes_stages(
    storage: StorageManager,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stages that have run; nothing, and no noise, where there is no site."""
    made(storage, 2)
    record_run(storage, str(uuid.uuid4()), "w\x1b[2J", "completed", None, "sha256:0")
    monkeypatch.setenv("_EGREGORA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "egregora cache clear --stage w")
    monkeypatch.setenv("COMP_CWORD", "4")
    main([])
    assert capsys.readouterr() == ("write\n", "")
    monkeypatch.delenv("EGREGORA_SITE")
    monkeypatch.chdir(tmp_path)
    main([])
    assert capsys.readouterr().out.split() == []


@pytest.mark.parametrize("name", ["ls", "gc", "clear", "verify"])
def test_help_has_examples(name: str, cache: Cache) -> None:
    """`--help` shows what to type, within 80 columns."""
    code, out, _ = cache(name, "--help", width=80)
    assert code == 0
    assert f"Examples:\n  egregora cache {name}" in out
    assert all(len(line) <= 80 for line in out.splitlines())
