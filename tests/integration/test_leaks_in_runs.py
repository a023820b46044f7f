"""What the commands on runs say of runs that read raw rows, a stranger's too: nobody's name, no text, no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from test_leaks import egregora

from egregora.config import load_config
from egregora.database.storage import StorageManager
from egregora.errors import EgregoraError
from egregora.pipeline.runner import run_stage, run_stage_with_tracking
from egregora.pipeline.stage import Files
from egregora.stages.chain import stage_called
from leaks import BASTIAN, EUNICE, SETTINGS, export, secrets_in


def kept(table: Any, config: Any, *, run_id: str) -> Any:
    """A stage that passes on what it reads."""
    return table


def failing(table: Any, config: Any, *, run_id: str) -> Any:
    """A stage whose error has all that it read in it."""
    raise ValueError(f"bad rows: {table.to_pyarrow().to_pylist()}")


def cast(table: Any, config: Any, *, run_id: str) -> Any:
    """A stage in whose result DuckDB stumbles over a text."""
    return table.select(number=table["text"].cast("int64"))


def a_column_each(table: Any, config: Any, *, run_id: str) -> pa.Table:
    """A stage whose columns are called like people."""
    people = sorted(name for name in set(table.to_pyarrow()["author_raw"].to_pylist()) if name)
    return pa.table({name: [1] for name in people})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A site with runs over raw rows, and their ids: parse, a failed one too, and a stranger's of all kinds."""
    folder = tmp_path_factory.mktemp("runs")
    site = folder / "site"
    site.mkdir()
    (site / "egregora.toml").write_text(SETTINGS, encoding="utf-8")
    chat = export(folder, crowd=False)
    broken = folder / f"{BASTIAN}.zip"
    broken.write_bytes(chat.read_bytes()[:900])
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    config = load_config(site / "egregora.toml", site_key=storage.site_key)
    parse = stage_called("parse", config)
    with pytest.raises(EgregoraError):
        run_stage(parse, Files((broken,)), config, storage)
    run_stage(parse, Files((chat,)), config, storage)
    longer = export(folder, f"{EUNICE}: one word more", crowd=False)
    raw = run_stage(parse, Files((longer,)), config, storage).table

    def ran(name: str, func: Callable[..., Any], table: Any) -> Any:
        return run_stage_with_tracking(name, func, table, {}, storage)

    projections = [raw, raw.select("text"), raw.select(kind="text", who="author_raw"), raw.limit(9).select(kind="text")]
    for table in projections:
        again = ran("kept", kept, table)
        for one in (table, again):
            with pytest.raises(ValueError, match="bad rows"):
                ran("failing", failing, one)
        ran("kept again", kept, again)
    with pytest.raises(Exception, match="Could not convert"):
        ran("cast", cast, projections[1])
    for table in (raw, raw.filter(raw["author_raw"] == EUNICE)):
        ran("a column each", a_column_each, table)
    storage.settle()
    with storage.reading() as con:
        # Of each stage the newest that completed and the newest that failed; all are in what is told of all.
        newest = "SELECT arg_max(run_id, started_at)::VARCHAR FROM runs GROUP BY stage, status ORDER BY ALL"
        ids = [run_id for (run_id,) in con.execute(newest).fetchall()]
    storage.close()
    return site, ids


ABOUT_A_RUN = (
    ("show", "{}"),
    ("show", "{}", "--json"),
    ("explain", "{}"),
    ("explain", "{}", "--json"),
    ("lineage", "{}"),
    ("lineage", "{}", "--json"),
    ("lineage", "{}", "--format", "mermaid"),
    ("logs", "{}", "--children"),
    ("logs", "{}", "--json"),
)
ABOUT_ALL = (
    ("runs", "tail", "--json"),
    ("runs", "list", "--children"),
    ("runs", "stats", "--json"),
    ("runs", "export", "--children"),
    ("runs", "report", "-o", "-"),
    *(("sql", f"FROM {name}") for name in ("run_logs", "lineage", "configs", "codes", "profiles")),
    ("cache", "ls", "--json"),
)


@pytest.mark.parametrize("command", ABOUT_A_RUN, ids=" ".join)
def test_what_is_told_of_a_run_names_nobody(made: tuple[Path, list[str]], command: tuple[str, ...]) -> None:
    """Of a run over raw rows: its error, its traceback, what it logged, where it came from."""
    site, ids = made
    for run_id in ids:
        said = egregora("runs", *(word.format(run_id) for word in command), "--site", site)
        assert secrets_in(said.replace(str(site), "")) == set()


@pytest.mark.parametrize("command", ABOUT_ALL, ids=" ".join)
def test_what_is_told_of_all_runs_names_nobody(made: tuple[Path, list[str]], command: tuple[str, ...]) -> None:
    """In lists, reports and tables of the catalog."""
    site, _ = made
    assert secrets_in(egregora(*command, "--site", site).replace(str(site), "")) == set()


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    "pair",
    [
        ("parse",),
        *((f"kept~{n}", f"kept~{m}") for n, m in ((3, 2), (2, 1), (1, 0), (2, 0))),
        ("kept again",),
        ("a column each",),
    ],
    ids=" ".join,
)
def test_rows_that_differ_name_nobody(
    made: tuple[Path, list[str]], pair: tuple[str, ...], form: tuple[str, ...]
) -> None:
    """Whatever their columns are called, and however far from parse they are."""
    site, _ = made
    said = egregora("runs", "diff", *pair, "--rows", "100", *form, "--site", site)
    assert secrets_in(said.replace(str(site), "")) == set()
    assert "zoraida" not in said.lower()


def test_no_file_can_be_read_by_a_question(made: tuple[Path, list[str]]) -> None:
    """Neither the raw checkpoint nor where the exports lay."""
    site, _ = made
    folder = site / ".egregora" / "checkpoints" / "parse"
    raw = next(folder.glob("*.parquet"))
    for query in (f"FROM '{raw}'", f"FROM read_text('{folder}/exports.json')", f"FROM glob('{site.parent}/*')"):
        said = egregora("sql", query, "--site", site, status=1)
        assert secrets_in(said.replace(str(site.parent), "")) == set()
    said = egregora("runs", "list", "--where", f"stage IN (SELECT author_raw FROM '{raw}')", "--site", site, status=1)
    assert secrets_in(said.replace(str(site.parent), "")) == set()
