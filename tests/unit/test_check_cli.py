"""`egregora sources` and `egregora doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
from egregora.testing import write_export

Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shown:
    """`shown("doctor", width=80)`: exit status, standard output and standard error, outside of any site."""
    monkeypatch.chdir(tmp_path)
    for name in ("EGREGORA_SITE", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def command(*words: str, width: int | None = None) -> tuple[int, str, str]:
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture
def site(storage: StorageManager) -> Path:
    """The folder of a site with a key and one run."""
    storage.create()
    storage.site_key()
    run_stage_with_tracking("keep", keep, ibis.memtable(pa.table({"a": [1]})), {}, storage)
    storage.fold()
    return storage.directory.parent


def keep(table: Any, config: Any, *, run_id: str, context: Any) -> Any:
    """A stage that changes nothing and leaves a file."""
    context.put_blob(b"page", "html")
    return table


def findings(shown: Shown, *words: str) -> dict[str, tuple[str, str]]:
    """State and text of each finding, by name."""
    _, out, err = shown("doctor", "--json", *words)
    assert err == ""
    return {one["name"]: (one["state"], one["said"]) for one in json.loads(out)}


def test_sources_are_listed(shown: Shown) -> None:
    """The name to put into the settings, and what people call it."""
    code, out, _ = shown("sources")
    assert code == 0
    assert "whatsapp  WhatsApp\n" in out
    assert {"name": "whatsapp", "title": "WhatsApp"} in json.loads(shown("sources", "--json")[1])


def test_without_a_site_the_machine_is_looked_at(shown: Shown) -> None:
    """`doctor` works before there is anything, and says how to look at a site."""
    code, out, _ = shown("doctor")
    assert code == 0
    assert "ok    Python" in out
    assert "ok    duckdb" in out
    assert "No site here; look at one with: egregora doctor --site DIR" in out


def test_a_healthy_site_is_ok(site: Path, shown: Shown) -> None:
    """Nothing to complain of on a site as the program makes it."""
    code, out, _ = shown("doctor", "--site", str(site), width=80)
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    assert " warn " not in out
    assert " fail " not in out
    found = findings(shown, "--site", str(site))
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["catalog"][1].startswith("1 run, ")
    assert found["checkpoints"][1].startswith("1, ")
    assert found["journals"][1].startswith("1, 1 of them of a process at work, 0 bytes")


def test_unfolded_journals_are_counted(storage: StorageManager, site: Path, shown: Shown) -> None:
    """What is in no catalog yet, and lines that can't be read."""
    (storage.journal_dir / "feedbeef-1-1.jsonl").write_text("half a li\n{}\n")
    found = findings(shown, "--site", str(site))
    assert found["journals"][0] == "warn"
    assert "13 bytes not in the catalog yet; 2 lines can't be read" in found["journals"][1]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_open_secrets_are_told(storage: StorageManager, site: Path, shown: Shown) -> None:
    """A key that other accounts can read is a warning; so are records."""
    (storage.directory / "key").chmod(0o644)
    storage.directory.chmod(0o755)
    found = findings(shown, "--site", str(site))
    assert found["key"] == ("warn", "other accounts can read it")
    assert found["privacy of records"][0] == "warn"
    code, out, _ = shown("doctor", "--site", str(site))
    assert code == 0
    assert "chmod 600 " in out


def test_what_does_not_work_fails(storage: StorageManager, site: Path, shown: Shown) -> None:
    """A broken key and settings that can't be read: exit 1, with what to do."""
    (storage.directory / "key").write_text("no hex")
    (site / "egregora.toml").write_text("[parse]\ntimezon = 'UTC'\n")
    code, out, _ = shown("doctor", "--site", str(site))
    assert code == 1
    assert "fail  key" in out
    assert "fail  settings" in out
    assert "did you mean 'timezone'?" in out
    (storage.directory / "key").unlink()
    (site / "egregora.toml").write_text("[parse]\n")
    found = findings(shown, "--site", str(site))
    assert found["key"] == ("ok", "none yet; the first run makes it")
    assert found["settings"] == ("ok", "egregora.toml can be read")


def test_a_damaged_catalog_is_told(storage: StorageManager, site: Path, shown: Shown) -> None:
    """The first look sets it aside and says so; later ones remember."""
    storage.close()
    storage.db_path.write_bytes(b"\0" * 4096)
    code, out, err = shown("doctor", "--json", "--site", str(site))
    assert code == 1
    assert {one["name"]: one["state"] for one in json.loads(out)}["catalog"] == "fail"
    assert "set aside" in err
    found = findings(shown, "--site", str(site))
    assert (found["catalog"][0], found["damaged catalogs"][0]) == ("ok", "warn")


def test_a_catalog_held_by_others_fails(storage: StorageManager, site: Path, shown: Shown) -> None:
    """A DuckDB shell that has the catalog open for writing is named as what it is."""
    storage.close()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; c = duckdb.connect({str(storage.db_path)!r}); print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        found = findings(shown, "--site", str(site))
    finally:
        holder.communicate("\n", timeout=20)
    assert {name: state for name, (state, _) in found.items() if state == "fail"} == {
        "catalog": "fail",
        "journals": "fail",
        "checkpoints": "fail",
    }


def test_damaged_checkpoints_are_told(storage: StorageManager, site: Path, shown: Shown) -> None:
    """A look at sizes is enough for a warning."""
    record_run(storage, str(uuid.uuid4()), "x", "completed", None, "sha256:0")
    [blob] = (storage.directory / "blobs").iterdir()
    blob.unlink()
    assert findings(shown, "--site", str(site))["checkpoints"] == ("warn", "1 of 1 are damaged, the first one of keep")


def test_an_export_is_explained(shown: Shown, tmp_path: Path, site: Path) -> None:
    """What the source decided, from which evidence, and whether it stays a guess; no names and no texts."""
    path = tmp_path / "chat.zip"
    write_export(path, messages=300, style="android")
    code, out, _ = shown("doctor", str(path), "--site", str(site))
    assert code == 0
    assert "The export" in out
    assert "date order" in out
    assert "evidence" in out
    found = findings(shown, str(path))
    assert found["source"][1].startswith("WhatsApp; ")
    assert int(found["messages"][1].replace(",", "")) >= 300


def test_an_ambiguous_export_is_a_warning(shown: Shown, tmp_path: Path) -> None:
    """Where day and month can't be told apart the way to say it is named."""
    path = tmp_path / "chat.txt"
    path.write_text("01/02/2024, 10:00 - Ana: hello\n01/02/2024, 10:01 - Bea: hi\n", encoding="utf-8")
    code, out, _ = shown("doctor", str(path))
    assert code == 0
    assert "--date-order" in out
    assert "Ana" not in out
    assert "Bea" not in out


def test_lines_of_another_format_are_a_warning(shown: Shown, tmp_path: Path) -> None:
    """Two exports pasted into one: the lines of the second are told."""
    path = tmp_path / "chat.txt"
    path.write_text("14/02/2024, 10:00 - Ana: hello\n" * 3 + "[14/02/2024, 10:00:07] Bea: hi\n", encoding="utf-8")
    assert findings(shown, str(path))["not understood"] == ("warn", "1")


def test_exports_are_looked_at_together(shown: Shown, tmp_path: Path) -> None:
    """Of two exports of one chat it is told how much they share; so `write` does, and only when it reads them."""
    lines = [f"14/02/2024, 10:{minute:02} - Ana: message {minute}\n" for minute in range(40)]
    for name, part in (("old", lines[:30]), ("new", lines[10:])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "WhatsApp Chat with Crew.txt").write_text("".join(part), encoding="utf-8")
    code, out, _ = shown("doctor", "old", "new", width=80)
    assert code == 0
    titles = [line for line in out.splitlines() if "xport" in line[:12]]
    assert titles == ["Export 1, old", "Export 2, new", "The exports together"]
    together = out.partition("The exports together\n")[2]
    assert [line.split(None, 2)[1:] for line in together.splitlines()[:3]] == [
        ["chats", "1"],
        ["messages", "40"],
        ["overlap", "20 are in several exports, and kept once"],
    ]
    said = "20 messages were in more than one of the exports; each is kept once.\n"
    write = ("write", "old", "new", "--site", "blog", "--up-to", "parse")
    assert said in shown(*write)[1]
    assert said not in shown(*write)[1]


def test_one_of_several_exports_that_can_not_be_read_is_told(shown: Shown, tmp_path: Path) -> None:
    """Which it is, and what of the others; then there is nothing to say of them together."""
    (tmp_path / "good.txt").write_text("14/02/2024, 10:00 - Ana: hello\n", encoding="utf-8")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    code, out, err = shown("doctor", "good.txt", "cut.zip", "missing.zip", width=80)
    assert (code, err) == (1, "")
    titles = [line for line in out.splitlines() if line.startswith(("Export", "The exports"))]
    assert titles == ["Export 1, good.txt", "Export 2, cut.zip", "Export 3, missing.zip"]
    failed = [line.split(None, 2)[1:] for line in out.splitlines() if line.startswith("  fail")]
    assert [name for name, _ in failed] == ["export", "export"]
    assert "damaged or cut off" in failed[0][1]
    assert "no such file" in failed[1][1]


def test_what_is_no_export_is_an_error(shown: Shown, tmp_path: Path) -> None:
    """One line, one hint."""
    path = tmp_path / "notes.txt"
    path.write_text("milk\neggs\n")
    code, _, err = shown("doctor", str(path))
    assert code == 1
    assert len(err.splitlines()) == 2
    assert shown("doctor", str(tmp_path / "missing.zip"))[0] == 1


@pytest.mark.parametrize("name", ["sources", "doctor"])
def test_help_has_examples(name: str, shown: Shown) -> None:
    """`--help` shows what to type, within 80 columns."""
    code, out, _ = shown(name, "--help", width=80)
    assert code == 0
    assert f"Examples:\n  egregora {name}" in out
    assert all(len(line) <= 80 for line in out.splitlines())
