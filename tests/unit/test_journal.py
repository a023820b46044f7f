"""The journal: whole lines, half lines, lines that are none, and a process that is gone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest

from egregora.database.journal import Journal, host_id, is_alive, journals, owner_host, read_events

RUN = str(uuid.uuid4())


def event(**fields: Any) -> dict[str, Any]:
    return {"e": "run", "run_id": RUN, **fields}


def plain(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in found.items() if name != "at"} for found in events]


def test_what_is_appended_can_be_read(tmp_path: Path) -> None:
    """Events come back in their order, and from a position on only the later ones."""
    journal = Journal(tmp_path / "journal")
    journal.append([event(rows_in=1), event(rows_in=2)], sync=True)
    events, end, unreadable = read_events(journal.path)
    assert ([event(rows_in=1), event(rows_in=2)], 0) == (plain(events), unreadable)
    journal.append([event(stage="ü\n\u2028\0\x85")], sync=False)
    events, _, unreadable = read_events(journal.path, end)
    assert ([event(stage="ü\n\u2028\0\x85")], 0) == (plain(events), unreadable)
    assert journal.events == 3
    journal.close()


def test_what_has_no_utf8_is_recorded_all_the_same(tmp_path: Path) -> None:
    """Half of a surrogate pair, as in the name of a badly named file, doesn't stop a record."""
    journal = Journal(tmp_path)
    journal.append([event(label="a\udcffb", cost_usd=float("nan"), rows_in=float("inf"))], sync=True)
    assert [event(label="a?b", cost_usd=None, rows_in=None)] == plain(read_events(journal.path)[0])
    journal.close()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"{}",
        b"[1]",
        b"null",
        b'{"e":"run"}',
        b'{"e":"run","run_id":"1"}',
        b'{"e":"run","run_id":7}',
        b'{"e":"log","run_id":"../../x"}',
        b'{"e":"config"}',
        b'{"e":"code","code_hash":1}',
        b'{"e":"nonsense","run_id":"11111111-1111-1111-1111-111111111111"}',
        b'{"e":"run","run_id":"11111111-1111-1111-1111-111111111111","parents":["x"]}',
        b'{"e":"run","run_id":"11111111-1111-1111-1111-111111111111","parents":3}',
        b'{"e":"run","run_id":"11111111-1111-1111-1111-111111111111"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_event_is_counted_and_passed_over(tmp_path: Path, line: bytes) -> None:
    """What stands around it is read."""
    good = json.dumps(event(rows_in=1)).encode()
    path = tmp_path / "x.jsonl"
    path.write_bytes(good + b"\n" + line + b"\n\n" + good + b"\n")
    assert ([event(rows_in=1)] * 2, path.stat().st_size, 1) == read_events(path)


def test_a_line_without_its_end_is_left_for_later(tmp_path: Path) -> None:
    """The last line may still be on its way."""
    good = json.dumps(event(rows_in=1)).encode()
    path = tmp_path / "x.jsonl"
    path.write_bytes(good + b"\n" + good[:20])
    events, end, unreadable = read_events(path)
    assert ([event(rows_in=1)], len(good) + 1, 0) == (events, end, unreadable)
    path.write_bytes(good + b"\n" + good + b"\n")
    assert ([event(rows_in=1)], 2 * len(good) + 2, 0) == read_events(path, end)


def test_a_missing_or_damaged_file_has_no_events(tmp_path: Path) -> None:
    """Somebody else may just have packed it; a packed one may be cut short."""
    assert read_events(tmp_path / "none.jsonl", 5) == ([], 5, 0)
    packed = tmp_path / "x.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(event()).encode() + b"\n"))
    assert ([event()], 1) == (read_events(packed)[0], len(read_events(packed)[0]))
    packed.write_bytes(packed.read_bytes()[:-6])
    assert read_events(packed) == ([], 0, 1)
    packed.write_bytes(b"no gzip")
    assert read_events(packed) == ([], 0, 1)


def test_a_process_has_one_journal_while_it_is_packed(tmp_path: Path) -> None:
    """Between the packed file's coming and the plain one's going, only one of the two is read."""
    for name in ("a.jsonl", "a.jsonl.gz", "b.jsonl.gz", "c.jsonl.new", "d.lock", "e.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in journals(tmp_path)] == ["a.jsonl", "b.jsonl.gz"]


def test_a_process_is_alive_as_long_as_it_holds_its_lock(tmp_path: Path) -> None:
    """Alive is a fact, asked of the lock; a lock file alone is nothing."""
    journal = Journal(tmp_path)
    journal.append([event()], sync=False)
    owner = journal.owner
    assert is_alive(tmp_path, owner)
    assert is_alive(tmp_path, owner)
    assert host_id() == owner_host(owner)
    journal.close()
    assert (tmp_path / f"{owner}.lock").exists()
    assert not is_alive(tmp_path, owner)
    assert not is_alive(tmp_path, "none")


def test_a_lock_that_can_not_be_opened_is_nobodys(tmp_path: Path) -> None:
    """Where nobody may write, nobody does."""
    (tmp_path / "x.lock").mkdir()
    assert not is_alive(tmp_path, "x")


def test_a_folder_that_can_not_be_written_costs_a_warning(tmp_path: Path, capsys: Any) -> None:
    """What can't be written is kept in memory, told once, and given to stderr at the end."""
    (tmp_path / "journal").write_text("a file in the folder's place")
    journal = Journal(tmp_path / "journal")
    journal.append([event(rows_in=1)], sync=True)
    journal.append([event(rows_in=2)], sync=True)
    assert [json.loads(line)["rows_in"] for line in journal.unwritten().splitlines()] == [1, 2]
    assert capsys.readouterr().err.count("can't be recorded on disk") == 1
    journal.close()
    assert [json.loads(line)["rows_in"] for line in capsys.readouterr().err.splitlines()] == [1, 2]


SHORT = """
    import json, resource, signal, sys
    from pathlib import Path
    from egregora.database.journal import Journal, read_events
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = Journal(Path(sys.argv[1]))
    def note(number):
        run_id = "11111111-1111-1111-1111-111111111111"
        journal.append([{"e": "log", "run_id": run_id, "message": f"{number:050}"}], sync=True)
    note(1)
    size = journal.path.stat().st_size
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for room in (size // 2, size // 2 + 7, 3 * size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
        note(room)
    assert journal.unwritten(), "the disk should be full"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    note(99)
    assert not journal.unwritten()
    events, end, unreadable = read_events(journal.path)
    print(json.dumps([[int(e["message"]) for e in events], unreadable, end == journal.path.stat().st_size, size]))
"""


def test_after_a_short_write_the_next_record_starts_on_a_new_line(tmp_path: Path) -> None:
    """On a full disk half lines are left behind; when there is room again all events stand there once, whole."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHORT), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    numbers, unreadable, whole, size = json.loads(done.stdout)
    assert [1, size // 2, size // 2 + 7, 3 * size, 99] == numbers
    assert unreadable in (1, 2, 3)
    assert whole
    assert done.stderr.count("can't be recorded") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_without_any_room_loses_nothing(tmp_path: Path, capsys: Any) -> None:
    """Where not a byte can be written, all is kept in memory."""
    journal = Journal(tmp_path)
    journal.open()
    journal.path.unlink()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._handle)
    os.close(full)
    journal.append([event(rows_in=1)], sync=True)
    journal.append([event(rows_in=2)], sync=True)
    assert [json.loads(line)["rows_in"] for line in journal.unwritten().splitlines()] == [1, 2]
    journal.close()
    assert capsys.readouterr().err.count('"rows_in"') == 2
