"""Journal and catalog as one: folded once, read at any time, never lost, mended when damaged."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from egregora.database import storage as module
from egregora.database.journal import host_id
from egregora.database.lineage import UPWARDS, reached
from egregora.database.runs_schema import SCHEMA_VERSION
from egregora.database.storage import StorageManager, migrate
from egregora.errors import CatalogBusyError, StorageError
from egregora.pipeline.runner import record_run

Ask = Callable[..., list[Any]]
COUNTS = "SELECT status, count(*) FROM runs GROUP BY status ORDER BY status"


def note(storage: StorageManager, status: str = "completed", **metrics: Any) -> str:
    run_id = str(uuid.uuid4())
    record_run(storage, run_id, "a", status, metrics.pop("error", None), "sha256:x", **metrics)
    return run_id


def journal_of(storage: StorageManager, owner: str, *events: dict[str, Any], tail: bytes = b"") -> Path:
    """A journal as another process would have left it."""
    storage.journal_dir.mkdir(parents=True, exist_ok=True)
    path = storage.journal_dir / f"{owner}.jsonl"
    path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events) + tail)
    return path


def begun(owner: str, run_id: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "e": "run",
        "run_id": run_id or str(uuid.uuid4()),
        "stage": "a",
        "status": "running",
        "input_fingerprint": "sha256:x",
        "started_at": "2024-01-01 00:00:00",
        "owner": owner,
        "tenant_id": "default",
        **fields,
    }


# -- the folder


def test_the_folder_is_closed_to_others_and_to_git(storage: StorageManager) -> None:
    """What lies beside the catalog is for its owner's eyes, and stays out of version control."""
    note(storage)
    assert stat.S_IMODE(storage.directory.stat().st_mode) == 0o700
    assert (storage.directory / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(next(storage.journal_dir.glob("*.jsonl")).stat().st_mode) == 0o600


def test_a_folder_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    """A file in the folder's place is something the user can act on."""
    (tmp_path / "site").write_text("")
    with pytest.raises(StorageError) as caught:
        StorageManager(tmp_path / "site" / "egregora.duckdb").create()
    assert caught.value.hint


def test_the_key_is_made_once_and_kept(storage: StorageManager, tmp_path: Path) -> None:
    """32 random bytes, the same for ever, for nobody else to read."""
    key = storage.site_key()
    assert len(key) == 32
    assert key == StorageManager(storage.db_path).site_key()
    assert stat.S_IMODE((storage.directory / "key").stat().st_mode) == 0o600
    assert key != StorageManager(tmp_path / "other" / "egregora.duckdb").site_key()
    (storage.directory / "key").write_text("no hex")
    with pytest.raises(StorageError, match="key can't be read"):
        storage.site_key()


def test_looking_makes_nothing(tmp_path: Path, ask: Ask) -> None:
    """Asking a site that isn't there gives no rows and leaves no folder."""
    storage = StorageManager(tmp_path / "none" / "egregora.duckdb")
    assert ask(storage, COUNTS) == []
    assert not (tmp_path / "none").exists()


# -- folding and reading


def test_a_run_is_seen_before_and_after_it_is_folded(storage: StorageManager, ask: Ask) -> None:
    """A reader sees the same rows, whether they are in the journal or in the catalog."""
    run_id = note(storage, rows_in=3)
    rows = "SELECT run_id, status, rows_in, started_at, finished_at, owner FROM runs"
    before = ask(storage, rows)
    storage.fold()
    assert before == ask(storage, rows)
    assert uuid.UUID(run_id) == before[0][0]
    storage.fold()
    assert before == ask(storage, rows)
    for _ in range(3):
        note(storage)
    assert ask(storage, COUNTS) == [("completed", 4)]


def test_what_stands_beside_runs_is_counted_once(storage: StorageManager, ask: Ask) -> None:
    """Logs and model calls have no key: only the journal's position keeps them from being taken twice."""
    run_id = note(storage)
    storage.append([{"e": "log", "run_id": run_id, "ts": module.now(), "level": "info", "message": "x"}] * 2)
    storage.append([{"e": "config", "config_hash": "h", "config": "{}"}] * 2)
    asked = "SELECT (SELECT count(*) FROM run_logs), (SELECT count(*) FROM configs)"
    for _ in range(3):
        assert ask(storage, asked) == [(2, 1)]
        storage.fold()
    storage.append([{"e": "log", "run_id": run_id, "ts": module.now(), "level": "info", "message": "y"}])
    storage.append([{"e": "config", "config_hash": "h", "config": "{}"}])
    assert ask(storage, asked) == [(3, 1)]


def test_lineage_is_followed_through_journal_and_catalog(storage: StorageManager) -> None:
    """DuckDB loses rows of a recursive query that reads a UNION with two threads: asked often, all are found."""
    chain = [str(uuid.uuid4()) for _ in range(12)]
    runs = [
        begun(storage.owner, run_id, status="completed", parents=chain[max(number - 1, 0) : number])
        for number, run_id in enumerate(chain)
    ]
    storage.append(runs[:4])
    storage.fold()
    # One stands in both, as it does while a fold is under way.
    storage.append(runs[3:])
    for _ in range(20):
        with storage.reading() as con:
            assert reached(con, chain[-1:], UPWARDS) == {run_id: 11 - n for n, run_id in enumerate(chain)}
            assert con.execute("SELECT count(*) FROM lineage").fetchall() == [(11,)]


def test_a_line_that_can_not_go_in_holds_up_nothing(storage: StorageManager, ask: Ask) -> None:
    """Events that lack what a row must have, or have nonsense for it, are passed over; the others go in."""
    run_id = str(uuid.uuid4())
    storage.append(
        [
            begun(storage.owner, started_at="yesterday"),
            begun(storage.owner, status=None),
            begun(storage.owner, "no id"),
            begun(storage.owner, input_fingerprint=None),
            {"e": "run", "run_id": str(uuid.uuid4()), "rows_in": 1},
            {"e": "log", "run_id": run_id, "ts": "soon", "level": "info", "message": "x"},
            {"e": "log", "run_id": run_id, "ts": module.now(), "level": "info", "message": None},
            {"e": "config", "config_hash": "h"},
            {
                "e": "call",
                "run_id": run_id,
                "ts": module.now(),
                "model": "m",
                "prompt_hash": "p",
                "cost_usd": float("nan"),
            },
            begun(storage.owner, run_id, rows_in=10**40, rows_out=[1], label="\0\ud800", duration_seconds="long"),
        ]
    )
    for _ in range(2):
        assert [(uuid.UUID(run_id), None, None, "\0?", None)] == ask(
            storage, "SELECT run_id, rows_in, rows_out, label, duration_seconds FROM runs"
        )
        assert ask(
            storage,
            "SELECT (SELECT count(*) FROM run_logs), (SELECT count(*) FROM configs), (SELECT count(*) FROM llm_calls)",
        ) == [(0, 0, 1)]
        storage.fold()


def test_lines_that_can_not_be_read_are_counted(storage: StorageManager, ask: Ask) -> None:
    """`journals` tells how many lines of each process are lost."""
    owner = f"{host_id()}-1-1"
    journal_of(storage, owner, begun(owner), tail=b"garbage\n\xff\n{torn")
    storage.fold()
    assert [(owner, 2)] == ask(storage, "SELECT owner, unreadable FROM journals")
    assert ask(storage, COUNTS) == [("failed", 1)]


def test_the_later_word_counts_whoever_says_it(storage: StorageManager, ask: Ask) -> None:
    """Two processes may tell of one run; the order of their journals' names doesn't matter."""
    run_id = str(uuid.uuid4())
    other = f"{'0' * 8}-9-9"
    journal_of(storage, other, begun(other, run_id, status="completed", finished_at="2024-01-01 00:00:09", at=2))
    journal_of(storage, f"{'1' * 8}-1-1", begun("", run_id, at=1))
    assert ask(storage, COUNTS) == [("completed", 1)]
    storage.fold()
    assert ask(storage, COUNTS) == [("completed", 1)]


def test_a_row_can_be_corrected(storage: StorageManager, ask: Ask) -> None:
    """A failed run that is recorded as completed has no error any more, one that runs again no end."""
    rows = "SELECT status, error, error_type, finished_at IS NULL, rows_in FROM runs"
    for fold in (False, True):
        run_id = note(storage, "failed", error="broken", error_type="X", rows_in=4)
        if fold:
            storage.fold()
        record_run(storage, run_id, "a", "running", None, "sha256:x")
        assert ("running", None, None, True, 4) in ask(storage, rows)
        if fold:
            storage.fold()
        record_run(storage, run_id, "a", "completed", "no error", "sha256:x")
        assert ("completed", None, None, False, 4) in ask(storage, rows)


# -- dead and alive


def test_what_a_dead_process_left_running_is_interrupted(storage: StorageManager, ask: Ask) -> None:
    """The first look shows it, the next fold stores it, its journal is packed and its lock file goes."""
    owner = f"{host_id()}-1-1"
    path = journal_of(storage, owner, begun(owner))
    (storage.journal_dir / f"{owner}.lock").touch()
    os.utime(path, (1704067205, 1704067205))
    row = [("failed", "interrupted", "the process ended before the run did", datetime(2024, 1, 1, 0, 0, 5))]
    asked = "SELECT status, error_type, error, finished_at FROM runs"
    assert row == ask(storage, asked)
    assert path.exists()
    storage.fold()
    assert row == ask(storage, asked)
    assert [f"{owner}.jsonl.gz"] == [entry.name for entry in storage.journal_dir.iterdir()]
    storage.fold()
    assert row == ask(storage, asked)


def test_a_word_that_comes_late_is_truer_than_interrupted(storage: StorageManager, ask: Ask) -> None:
    """A run that was taken for dead and then tells its end has ended well."""
    owner = f"{host_id()}-1-1"
    run_id = str(uuid.uuid4())
    journal_of(storage, owner, begun(owner, run_id))
    storage.fold()
    record_run(storage, run_id, "a", "completed", None, "sha256:x")
    assert ask(storage, "SELECT status, error, error_type FROM runs") == [("completed", None, None)]
    storage.fold()
    assert ask(storage, "SELECT status, error, error_type FROM runs") == [("completed", None, None)]


def test_a_running_row_whose_journal_is_gone_is_interrupted(storage: StorageManager, ask: Ask) -> None:
    """Somebody cleaned up by hand: the row still doesn't run for ever."""
    owner = f"{host_id()}-1-1"
    other = f"{'0' * 8}-1-1"
    con = duckdb.connect()
    storage.fold() if storage.directory.exists() else storage.create()
    storage.fold()
    con.execute(f"ATTACH '{storage.db_path}' AS cat")
    insert = (
        "INSERT INTO cat.runs (run_id, stage, status, input_fingerprint, started_at, owner) "
        "VALUES (uuid(), 'a', 'running', 'x', now()::TIMESTAMP, ?)"
    )
    con.execute(insert, [owner])
    con.execute(insert, [other])
    con.close()
    asked = "SELECT owner, status FROM runs ORDER BY owner"
    expected = sorted([(owner, "failed"), (other, "running")])
    assert expected == ask(storage, asked)
    storage.fold()
    assert expected == ask(storage, asked)


def test_runs_on_another_machine_are_left_alone(storage: StorageManager, ask: Ask) -> None:
    """Whether they live can't be asked from here, so they run until told otherwise, and their journals stay."""
    owner = f"{'0' * 8}-1-1"
    path = journal_of(storage, owner, begun(owner))
    storage.fold()
    assert ask(storage, COUNTS) == [("running", 1)]
    assert path.exists()


def test_our_own_runs_are_not_taken_for_dead(storage: StorageManager, ask: Ask) -> None:
    """A process may ask about itself."""
    note(storage, "running")
    for _ in range(2):
        assert ask(storage, COUNTS) == [("running", 1)]
        assert ask(StorageManager(storage.db_path), COUNTS) == [("running", 1)]
        storage.fold()


def test_old_packed_journals_are_dropped(storage: StorageManager) -> None:
    """They are kept for thirty days, this machine's by this machine."""
    for owner in (f"{host_id()}-1-1", f"{host_id()}-2-2"):
        journal_of(storage, owner, begun(owner))
    storage.fold()
    first, second = sorted(storage.journal_dir.iterdir())
    old = time.time() - 31 * 86400
    os.utime(first, (old, old))
    storage.fold()
    assert [second] == sorted(storage.journal_dir.iterdir())


# -- others at the catalog


@pytest.mark.parametrize("read_only", [True, False])
def test_a_plain_client_holds_up_nothing(
    storage: StorageManager, ask: Ask, python: Any, tmp_path: Path, read_only: bool, capsys: Any
) -> None:
    """While somebody's DuckDB has the catalog open, folds are put off; nothing is lost, and later all is folded."""
    note(storage)
    storage.fold()
    con = duckdb.connect(str(storage.db_path), read_only=read_only)
    try:
        # The writer is another process, as it is when a person looks.
        python(
            f"""
            from egregora.database.storage import StorageManager
            from egregora.pipeline.runner import record_run, run_stage_with_tracking
            import pyarrow as pa, uuid
            storage = StorageManager({str(storage.db_path)!r})
            record_run(storage, str(uuid.uuid4()), "b", "completed", None, "sha256:x")
            def stage(table, config, *, run_id):
                return table
            made = run_stage_with_tracking("c", stage, pa.table({{"a": [1]}}), {{}}, storage)
            assert made.count().to_pyarrow().as_py() == 1 if hasattr(made, "count") else made
            """
        )
        assert con.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]
    finally:
        con.close()
    assert [(stage,) for stage in ask(storage, "SELECT stage FROM runs ORDER BY stage")] == [("a",), ("b",), ("c",)]
    storage.fold()
    plain = duckdb.connect(str(storage.db_path), read_only=True)
    assert plain.execute("SELECT stage, status FROM runs ORDER BY stage").fetchall() == [
        ("a", "completed"),
        ("b", "completed"),
        ("c", "completed"),
    ]
    plain.close()


def test_who_asks_while_the_catalog_is_held_is_told(storage: StorageManager) -> None:
    """A reader and a folder that can't have the catalog say that it is in use."""
    note(storage)
    storage.fold()
    con = duckdb.connect(str(storage.db_path))
    with pytest.raises(CatalogBusyError) as caught, storage.reading():
        pass
    assert "close it there" in caught.value.hint
    with pytest.raises(CatalogBusyError):
        storage.fold()
    con.close()
    with storage.reading(), pytest.raises(CatalogBusyError):
        storage.fold(wait_s=0.01)


def test_an_unhurried_reader_holds_up_nobody_but_folds(storage: StorageManager, python: Callable[..., Any]) -> None:
    """While a long question is under way other processes record runs and read them; the catalog is written after it."""
    note(storage)
    storage.fold()
    other = f"""
        from egregora.database.storage import StorageManager
        from egregora.errors import CatalogBusyError
        from egregora.pipeline.runner import record_run
        import sys, time, uuid
        storage = StorageManager({str(storage.db_path)!r})
        record_run(storage, str(uuid.uuid4()), "b", "completed", None, "sha256:x")
        began = time.monotonic()
        with storage.reading() as con:
            print(con.execute("SELECT count(*) FROM runs").fetchone()[0], time.monotonic() - began < 5)
        try:
            storage.fold()
        except CatalogBusyError:
            print("busy")
        """
    with storage.reading(unhurried=True) as con:
        assert python(other).stdout.split() == ["2", "True", "busy"]
        assert con.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        for attempt in (storage.fold, lambda: storage.reading().__enter__()):
            with pytest.raises(CatalogBusyError):
                attempt()
    storage.fold()
    with duckdb.connect(str(storage.db_path), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM runs").fetchone() == (2,)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO cat.lineage SELECT uuid(), uuid()",
        "DROP TABLE cat.runs",
        "FROM read_csv('/etc/hosts')",
        "FROM read_blob('{catalog}')",
        "FROM glob('/etc/*')",
        "COPY runs TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.db'",
        "ATTACH '{catalog}' AS again (READ_ONLY)",
        "FROM 'https://example.com/a.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET disabled_filesystems = ''",
        "SET temp_directory = '{folder}/spill'",
        "FROM rows",
    ],
)
def test_an_unhurried_reader_can_only_ask(statement: str, storage: StorageManager) -> None:
    """No write, file, network, extension, setting or Python object is reached by what somebody else words."""
    note(storage)
    storage.fold()
    rows = [1]
    before = sorted(path for path in storage.directory.rglob("*") if path.suffix != ".lock")
    with storage.reading(unhurried=True) as con:
        with pytest.raises(duckdb.Error):
            con.execute(statement.format(catalog=storage.db_path, folder=storage.directory))
        assert con.execute("SELECT count(*) FROM runs").fetchone() == tuple(rows)
    assert sorted(path for path in storage.directory.rglob("*") if path.suffix != ".lock") == before


def test_a_fold_that_was_put_off_is_done_later_by_itself(storage: StorageManager) -> None:
    """Somebody else's lock is waited for by a timer; a plain client sees the row soon after."""
    note(storage)
    time.sleep(0.3)
    with StorageManager(storage.db_path).reading():
        note(storage)
        time.sleep(0.5)
    deadline = time.monotonic() + 5
    seen = 0
    while seen < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        with storage._locked(1.0):
            con = duckdb.connect(str(storage.db_path), read_only=True)
            (seen,) = con.execute("SELECT count(*) FROM runs").fetchone() or (0,)
            con.close()
    assert seen == 2


def test_what_the_asker_raises_comes_out_as_it_is(storage: StorageManager) -> None:
    """A broken pipe while printing is no trouble of the catalog, nor is a wrong query."""
    note(storage)
    for error in (BrokenPipeError, OSError, ValueError):
        with pytest.raises(error), storage.reading():
            raise error
    with pytest.raises(duckdb.Error), storage.reading() as con:
        con.execute("FROM nothing")
    with storage.reading():
        pass


# -- damage and versions


def damaged(good: bytes) -> dict[str, bytes]:
    flipped = bytearray(good)
    for place in range(min(12288, len(flipped))):
        flipped[place] ^= 0x55
    return {
        "empty": b"",
        "garbage": os.urandom(len(good)),
        "text": b"This is no database.",
        "header": good[:4000],
        "no header": bytes(flipped),
    }


@pytest.mark.parametrize("how", damaged(b""))
@pytest.mark.parametrize("first", ["look", "fold"])
def test_a_damaged_catalog_is_set_aside_and_rebuilt(
    storage: StorageManager, ask: Ask, capsys: Any, how: str, first: str
) -> None:
    """Nothing of it is deleted, and all that the journals hold, packed ones too, is there again."""
    owner = f"{host_id()}-1-1"
    journal_of(
        storage,
        owner,
        begun(owner),
        {"e": "log", "run_id": str(uuid.uuid4()), "ts": module.now(), "level": "info", "message": "x"},
    )
    note(storage)
    storage.fold()
    assert (storage.journal_dir / f"{owner}.jsonl.gz").exists()
    damage = damaged(storage.db_path.read_bytes())[how]
    storage.db_path.write_bytes(damage)
    if first == "fold":
        storage.fold()
    for _ in range(2):
        assert ask(storage, COUNTS) == [("completed", 1), ("failed", 1)]
        assert ask(storage, "SELECT count(*) FROM run_logs") == [1]
        storage.fold()
    kept = [path for path in storage.directory.iterdir() if ".damaged-" in path.name]
    assert [damage] == [path.read_bytes() for path in kept]
    assert capsys.readouterr().err.count("is damaged; it was set aside") == 1


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_damage_inside_is_found_when_it_is_read(storage: StorageManager, ask: Ask, how: str) -> None:
    """A block that doesn't hold what it should is told, the file set aside, and the next look is right again."""
    for _ in range(50):
        storage.append([begun(storage.owner, label=os.urandom(2000).hex())])
    storage.fold()
    data = bytearray(storage.db_path.read_bytes())
    for place in range(12288, len(data), 997):
        data[place] ^= 0xFF
    storage.db_path.write_bytes(bytes(data if how == "flipped" else storage.db_path.read_bytes()[: len(data) // 2]))
    for _ in range(3):
        try:
            assert ask(storage, COUNTS) == [("running", 50)]
            break
        except StorageError as error:
            assert "damaged" in str(error)  # noqa: PT017
    else:
        pytest.fail("the catalog was not mended")
    assert [path for path in storage.directory.iterdir() if ".damaged-" in path.name]
    storage.fold()
    assert ask(storage, COUNTS) == [("running", 50)]


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_damage_inside_is_found_when_it_is_written(storage: StorageManager, ask: Ask, how: str) -> None:
    """A fold that meets a damaged block sets the file aside; the next one rebuilds it."""
    for _ in range(50):
        storage.append([begun(storage.owner, label=os.urandom(2000).hex())])
    storage.fold()
    data = bytearray(storage.db_path.read_bytes())
    for place in range(12288, len(data), 997):
        data[place] ^= 0xFF
    storage.db_path.write_bytes(bytes(data if how == "flipped" else storage.db_path.read_bytes()[: len(data) // 2]))
    storage.append([begun(storage.owner)])
    for _ in range(3):
        try:
            storage.fold()
            break
        except StorageError as error:
            assert "damaged" in str(error)  # noqa: PT017
    assert ask(storage, COUNTS) == [("running", 51)]


def test_a_newer_catalog_is_refused_untouched(storage: StorageManager, capsys: Any) -> None:
    """Its bytes stay as they are; a run is kept in the journal meanwhile."""
    note(storage)
    storage.fold()
    con = duckdb.connect(str(storage.db_path))
    con.execute("UPDATE schema_version SET version = 99")
    con.execute("ALTER TABLE runs ADD COLUMN later VARCHAR")
    con.close()
    before = storage.db_path.read_bytes()
    for attempt in (storage.fold, lambda: storage.reading().__enter__()):
        with pytest.raises(StorageError, match="newer Egregora") as caught:
            attempt()
        assert "upgrade" in caught.value.hint
    note(storage)
    storage.close()
    assert before == storage.db_path.read_bytes()
    assert not list(storage.directory.glob("*.damaged-*"))


def test_a_folder_in_the_catalogs_place_is_not_called_damaged(storage: StorageManager, capsys: Any) -> None:
    """What can't be opened for another reason is left where it is; the run is kept in the journal."""
    storage.db_path.mkdir(parents=True)
    note(storage)
    with pytest.raises(StorageError, match="can't be opened"):
        storage.fold()
    assert storage.db_path.is_dir()
    assert capsys.readouterr().err.count("warning") == 1
    storage.db_path.rmdir()
    storage.fold()


def test_migration_steps_are_done_whole_or_not_at_all(storage: StorageManager) -> None:
    """All steps stand in one transaction, so a power cut leaves the old version."""
    note(storage)
    storage.fold()
    steps = {
        SCHEMA_VERSION: ("ALTER TABLE {c}.runs ADD COLUMN extra VARCHAR", "UPDATE {c}.runs SET extra = stage"),
        SCHEMA_VERSION + 1: ("CREATE TABLE {c}.more AS SELECT 1 AS a",),
    }
    bad = {**steps, SCHEMA_VERSION + 1: ("CREATE TABLE {c}.more AS SELECT nonsense",)}
    con = duckdb.connect()
    con.execute(f"ATTACH '{storage.db_path}' AS cat")
    with pytest.raises(duckdb.Error):
        migrate(con, SCHEMA_VERSION, bad, SCHEMA_VERSION + 2)
    con.close()
    con = duckdb.connect()
    con.execute(f"ATTACH '{storage.db_path}' AS cat")
    assert con.execute("FROM cat.schema_version").fetchall() == [(SCHEMA_VERSION,)]
    assert "extra" not in [row[0] for row in con.execute("DESCRIBE cat.runs").fetchall()]
    migrate(con, SCHEMA_VERSION, steps, SCHEMA_VERSION + 2)
    assert con.execute("FROM cat.schema_version").fetchall() == [(SCHEMA_VERSION + 2,)]
    assert con.execute("SELECT extra FROM cat.runs").fetchall() == [("a",)]
    con.close()


def test_every_older_version_has_a_step() -> None:
    """A catalog of any age can be brought to today's."""
    assert sorted(module.MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_a_read_only_site_can_be_read(python: Any) -> None:
    """A copy on a disk that can't be written is read without a lock, what isn't folded and who is dead included."""
    top = Path(tempfile.mkdtemp())
    storage = StorageManager(top / "site" / "egregora.duckdb")
    owner = f"{host_id()}-1-1"
    try:
        note(storage)
        storage.fold()
        note(storage)
        storage.journal_dir.joinpath(f"{owner}.lock").touch()
        journal_of(storage, owner, begun(owner))
        for folder in (storage.journal_dir, storage.directory, top):
            for path in folder.iterdir():
                if path.is_file():
                    path.chmod(0o444)
            folder.chmod(0o555)
        done = python(
            f"""
            import os, tempfile
            from egregora.database.storage import StorageManager
            # Whatever is imported at the first look: nobody may not be allowed to read where it lies.
            with tempfile.TemporaryDirectory() as other, StorageManager(other + "/egregora.duckdb").reading() as con:
                con.execute("SELECT status, count(*) FROM runs GROUP BY ALL ORDER BY ALL").fetchall()
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with StorageManager({str(storage.db_path)!r}).reading() as con:
                print(con.execute("SELECT status, count(*) FROM runs GROUP BY ALL ORDER BY ALL").fetchall())
            """
        )
        assert done.stdout.strip() == "[('completed', 2), ('failed', 1)]"
    finally:
        for folder in (top, storage.directory, storage.journal_dir):
            folder.chmod(0o755)
        storage.close()
        shutil.rmtree(top)


# -- data for whoever opens the catalog


def test_a_dataset_is_replaced_where_it_changed(storage: StorageManager, tmp_path: Path) -> None:
    """The same result is written once; a folder's name never becomes a column."""
    folder = tmp_path / "year=2024"
    folder.mkdir()
    storage.create()
    for number, expected in ((1, True), (1, False), (2, True)):
        duckdb.execute(f"COPY (SELECT {number} AS a) TO '{folder}/t.parquet' (FORMAT parquet)")
        assert expected == storage.keep_dataset("posts", folder / "t.parquet", f"hash {number}")
    con = duckdb.connect(str(storage.db_path), read_only=True)
    assert con.execute("FROM posts").fetchall() == [(2,)]
    assert con.execute("FROM datasets").fetchall() == [("posts", "hash 2")]
    con.close()
    with pytest.raises(StorageError):
        storage.keep_dataset("posts", folder / "none.parquet", "hash 3")


def test_computing_never_holds_the_catalog(storage: StorageManager) -> None:
    """Stages compute in a database that is only in memory."""
    assert storage.backend.con.execute(
        "SELECT path FROM duckdb_databases() WHERE database_name = 'memory'"
    ).fetchall() == [(None,)]
    assert storage.backend is storage.backend
