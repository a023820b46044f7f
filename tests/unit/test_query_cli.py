"""`egregora runs list`, `runs export` and `egregora sql`: asking for just these runs, and in one's own words."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from egregora.cli.moments import point_in_time
from egregora.database.runs_schema import RUNS, TABLES
from egregora.database.storage import StorageManager
from egregora.errors import CatalogBusyError, EgregoraError
from egregora.observe.query import answer, answer_lines
from egregora.observe.selection import Selection, runs_like
from runs_rows import Shown, run_id, seed

INVOCATIONS = ("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002")
ROWS: list[dict[str, Any]] = [
    {"stage": "parse", "invocation_id": INVOCATIONS[0], "duration_seconds": 9.0},
    {"stage": "write", "invocation_id": INVOCATIONS[0], "status": "failed", "error": "boom", "duration_seconds": 1.0},
    {"stage": "write", "parent_run_id": run_id(2), "label": "2024-03-04", "invocation_id": INVOCATIONS[0]},
    {"stage": "write", "parent_run_id": run_id(2), "label": "2024-04-01", "invocation_id": INVOCATIONS[0]},
    {"stage": "parse", "invocation_id": INVOCATIONS[1], "source": "checkpoint", "duration_seconds": 0.5},
    {"stage": "write", "invocation_id": INVOCATIONS[1], "status": "running"},
]
"""Six runs, a second apart from 2024-03-04 09:00:00 UTC on."""


def listed(shown: Shown, *words: str) -> list[int]:
    """The numbers, from 1, of the runs that are listed."""
    code, out, err = shown("runs", "list", "--json", *words)
    assert (code, err) == (0, "")
    ids = [run_id(number + 1) for number in range(len(ROWS))]
    return [ids.index(row["run_id"]) + 1 for row in json.loads(out)]


# -- list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ((), [6, 5, 2, 1]),
        (("--children",), [6, 5, 4, 3, 2, 1]),
        (("--stage", "parse"), [5, 1]),
        (("--stage", "parse,write", "--status", "failed,running"), [6, 2]),
        (("--source", "checkpoint"), [5]),
        (("--since", "2024-03-04T09:00:04Z"), [6, 5]),
        (("--until", "2024-03-04 09:00:01"), [1]),
        (("--until", "2024-03-04"), [6, 5, 2, 1]),
        (("--until", "2024-03-03"), []),
        (("--since", "2h"), []),
        (("--invocation", "last"), [6, 5]),
        (("--invocation", "last~1", "--children"), [4, 3, 2, 1]),
        (("--invocation", INVOCATIONS[0]), [2, 1]),
        (("--invocation", "aaaaaaaa000040008000000000000002"), [6, 5]),
        (("--label", "2024-03*"), [3]),
        (("--label", "2024-04-01"), [4]),
        (("--where", "duration_seconds > 2 OR error = 'boom' -- both"), [2, 1]),
        (("--where", "run_id IN (SELECT parent_run_id FROM runs)"), [2]),
        (("--sort", "duration"), [5, 2, 1, 6]),
        (("--sort", "-duration_seconds"), [1, 2, 5, 6]),
        (("--sort", "stage", "--limit", "3"), [5, 1, 6]),
        (("--limit", "1"), [6]),
        (("--limit", "0"), [6, 5, 2, 1]),
    ],
)
def test_what_is_given_must_hold(
    words: tuple[str, ...], numbers: list[int], storage: StorageManager, shown: Shown
) -> None:
    """Each option leaves out what it says, folded or not, newest first unless sorted."""
    seed(storage, ROWS[:3])
    storage.fold()
    events = [{**row, "run_id": run_id(4 + n)} for n, row in enumerate(ROWS[3:])]
    seed(storage, [{**row, "started_at": f"2024-03-04 09:00:0{3 + n}"} for n, row in enumerate(events)])
    assert listed(shown, *words) == numbers


def test_the_footer_counts_all_that_match(storage: StorageManager, shown: Shown) -> None:
    """What is counted is what was asked for, not what is listed; of a cut list one learns how to see the rest."""
    seed(storage, ROWS)
    lines = shown("runs", "list", "--stage", "parse", "--limit", "1")[1].splitlines()
    assert len(lines) == 2 + 1 + 2
    assert lines[-2] == "2 runs: 2 completed (1 from checkpoints), 0 failed, 0 running"
    assert lines[-1] == "1 of them are listed; all: --limit 0, or: egregora runs export -o runs.csv"
    assert shown("runs", "list", "--stage", "nosuch")[1] == (
        "No run is like that. The newest of all: egregora runs list\n"
    )


def test_no_runs_at_all(shown: Shown) -> None:
    """An empty site says what to type, and is an empty array to a program."""
    assert "egregora write EXPORT" in shown("runs", "list")[1]
    assert shown("runs", "list", "--json")[1] == "[]\n"


def test_columns_are_chosen(storage: StorageManager, shown: Shown) -> None:
    """In the order given, by name or the beginning of one, with the headings of `show`."""
    seed(storage, [{"duration_seconds": 61.0, "cost_usd": 0.5, "tokens": 12345, "error": None}])
    out = shown("runs", "list", "--columns", "stage,tokens,dura,cost,run,started")[1]
    assert [line.split() for line in out.splitlines()[:2]] == [
        ["Stage", "Tokens", "Duration", "Cost", "Run", "Started", "(UTC)"],
        ["write", "12,345", "61.00", "s", "$0.5000", run_id(1)[:8], "2024-03-04", "09:00:00"],
    ]
    assert json.loads(shown("runs", "list", "--columns", "tokens,stage", "--json")[1]) == [
        {"tokens": 12345, "stage": "write"}
    ]


def test_marks_are_read_as_text(storage: StorageManager, shown: Shown) -> None:
    """What is odd about a run is a sentence to people, JSON to programs."""
    mark = {"name": "rows", "value": 3.0, "usual": 900.0, "since": None, "text": "3 rows instead of 900"}
    seed(storage, [{"marks": json.dumps([mark])}, {}])
    out = shown("runs", "list", "--where", "marks IS NOT NULL", "--columns", "stage,marks")[1]
    assert out.splitlines()[1].split(None, 1) == ["write", "3 rows instead of 900"]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 400])
@pytest.mark.parametrize("columns", ["stage,error", "run,started,status,error,label", ",".join(RUNS.names)])
def test_any_columns_fit_any_width(width: int, columns: str, storage: StorageManager, shown: Shown) -> None:
    """Wide cells are cut; where that leaves too little each run is a block. Nothing runs over, nothing hostile acts."""
    seed(storage, [{"status": "failed", "error": "\x1b[31m" + "long " * 50, "label": None}, {}])
    code, out, _ = shown("runs", "list", "--columns", columns, width=width)
    assert code == 0
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= width


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--status", "done"), "'done' is none of completed, failed, running"),
        (("--source", "hit"), "'hit' is none of executed, checkpoint"),
        (("--since", "blub"), "'blub' is no time"),
        (("--columns", "durration"), "did you mean duration_seconds"),
        (("--columns", "code"), "'code' may be code_ref or code_hash"),
        (("--sort", "-nothing"), "'nothing' is no column of runs"),
        (("--limit", "-1"), "--limit"),
    ],
)
def test_wrong_words_are_usage_errors(words: tuple[str, ...], said: str, site: Path, shown: Shown) -> None:
    """Exit 2 and what could be meant, before anything is asked."""
    code, out, err = shown("runs", "list", *words, width=200)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("durration > 3", "there is no column durration"),
        ("stage =", "the condition can't be understood"),
        ("", "the condition can't be understood"),
        ("true) UNION ALL (SELECT 1", "more than one expression"),
        ("true) ORDER BY (1", "more than one expression"),
        ("true) WHERE (true", "more than one expression"),
        ("true), (false", "more than one expression"),
        ("true; DROP TABLE runs", "the condition can't be understood"),
        ("(SELECT count(*) FROM read_csv('/etc/passwd')) > 0", "reaches the catalog and nothing else"),
        ("run_id = ?", "can't be answered"),
        ("stage", "can't be answered"),
    ],
)
def test_a_condition_is_one_expression(condition: str, said: str, storage: StorageManager, shown: Shown) -> None:
    """Nothing but a condition gets through, and what is wrong is said in a line, with the next thing to type."""
    seed(storage, [{}])
    code, out, err = shown("runs", "list", "--where", condition)
    assert (code, out) == (1, "")
    assert said in err.splitlines()[0]
    assert err.splitlines()[1].startswith("hint: ")


def test_a_misspelt_column_is_told_the_nearest(storage: StorageManager, shown: Shown) -> None:
    """The error names columns that may be meant, and where all of them are."""
    seed(storage, [{}])
    err = shown("runs", "list", "--where", "duration_second > 3")[2]
    assert "did you mean duration_seconds" in err
    assert "egregora sql 'DESCRIBE runs'" in err


def test_invocations_that_are_not_there(storage: StorageManager, shown: Shown) -> None:
    """Unknown, ambiguous, too far back: each says what to type instead."""
    assert "no invocations yet" in shown("runs", "list", "--invocation", "last")[2]
    seed(storage, ROWS)
    for word, said in (
        ("aaaa", "several invocations begin with 'aaaa'"),
        ("bbbb", "no invocation 'bbbb'"),
        ("my-word", "no invocation 'my-word'"),
        ("last~2", "there are no 3 invocations"),
    ):
        code, _, err = shown("runs", "list", "--invocation", word)
        assert (code, err.splitlines()[0]) == (1, f"error: {said}")
        assert err.splitlines()[1].startswith("hint: ")


def complete(monkeypatch: pytest.MonkeyPatch, shown: Shown, *words: str) -> list[str]:
    """What a shell offers for the last of these words."""
    monkeypatch.setenv("_EGREGORA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("egregora", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    code, out, err = shown()
    assert (code, err) == (0, "")
    return out.split()


def test_the_shell_completes_what_runs_are_chosen_by(
    storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Stages that have run, columns, statuses, invocations; also behind a comma. Nothing where there is no site."""
    seed(storage, ROWS)
    assert complete(monkeypatch, shown, "runs", "list", "--stage", "") == ["parse", "write"]
    assert complete(monkeypatch, shown, "runs", "list", "--stage", "write,") == ["write,parse"]
    assert complete(monkeypatch, shown, "runs", "list", "--status", "f") == ["failed"]
    assert complete(monkeypatch, shown, "runs", "export", "--columns", "stage,dur") == ["stage,duration_seconds"]
    assert complete(monkeypatch, shown, "runs", "list", "--sort", "cost") == ["cost_usd"]
    assert complete(monkeypatch, shown, "runs", "list", "--invocation", "a") == [i[:13] for i in INVOCATIONS[::-1]]
    monkeypatch.delenv("EGREGORA_SITE")
    monkeypatch.chdir(tmp_path)
    assert complete(monkeypatch, shown, "runs", "list", "--stage", "") == []


# -- times as people type them ----------------------------------------------------------------------------------------

NOON = datetime.fromisoformat("2024-03-04T12:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("90s", "2024-03-04 11:58:30", "2024-03-04 11:58:30"),
        ("30m", "2024-03-04 11:30:00", "2024-03-04 11:30:00"),
        ("5 min ago", "2024-03-04 11:55:00", "2024-03-04 11:55:00"),
        ("2h", "2024-03-04 10:00:00", "2024-03-04 10:00:00"),
        ("3d", "2024-03-01 12:00:00", "2024-03-01 12:00:00"),
        ("1w", "2024-02-26 12:00:00", "2024-02-26 12:00:00"),
        ("today", "2024-03-04 00:00:00", "2024-03-05 00:00:00"),
        ("Yesterday", "2024-03-03 00:00:00", "2024-03-04 00:00:00"),
        ("2024-02-28", "2024-02-28 00:00:00", "2024-02-29 00:00:00"),
        ("9:30", "2024-03-04 09:30:00", "2024-03-04 09:30:00"),
        ("21:05:06", "2024-03-04 21:05:06", "2024-03-04 21:05:06"),
        ("2024-02-28 09:30", "2024-02-28 09:30:00", "2024-02-28 09:30:00"),
        ("2024-02-28T09:30:00.5+02:00", "2024-02-28 07:30:00.500000", "2024-02-28 07:30:00.500000"),
        ("2024-02-28t09:30z", "2024-02-28 09:30:00", "2024-02-28 09:30:00"),
    ],
)
def test_times_as_people_type_them(text: str, since: str, until: str, site: Path) -> None:
    """Ages, days and clock times are understood; a day includes itself at the end."""
    assert str(point_in_time(text, "--since", now=NOON)) == since
    assert str(point_in_time(text, "--until", end=True, now=NOON)) == until


def test_times_are_local(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day is the viewer's day, with that day's offset."""
    import time

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    assert str(point_in_time("2024-03-01", "--since", now=NOON)) == "2024-03-01 05:00:00"
    assert str(point_in_time("2024-03-10", "--until", end=True, now=NOON)) == "2024-03-11 04:00:00"
    assert point_in_time(None, "--since") is None


# -- export -----------------------------------------------------------------------------------------------------------

HOSTILE = 'a,b "quoted"\r\nsecond line; ção 👍\x1b[31m'


def test_every_format_holds_the_same_rows(storage: StorageManager, shown: Shown, tmp_path: Path) -> None:
    """JSON lines are rows as `list --json` prints them; csv reads back by RFC 4180; parquet has the declared types."""
    seed(
        storage, [*ROWS, {"status": "failed", "error": HOSTILE, "cost_usd": 0.1, "started_at": "2024-03-05 01:02:03.4"}]
    )
    expected = json.loads(shown("runs", "list", "--children", "--json", "--sort", "run_id", "--limit", "0")[1])
    for name in ("runs.jsonl", "runs.csv", "runs.parquet"):
        code, out, err = shown("runs", "export", "--children", "--sort", "run_id", "-o", str(tmp_path / name))
        assert (code, out, err) == (0, "", f"7 runs in {tmp_path / name}\n")
    assert [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()] == expected

    text = (tmp_path / "runs.csv").read_bytes().decode()
    records = list(csv.DictReader(io.StringIO(text, newline="")))
    as_text = [
        {name: "" if value is None else value if isinstance(value, str) else str(value) for name, value in row.items()}
        for row in expected
    ]
    assert records == as_text
    assert text.count("\r\n") == 1 + 7 + 1

    kept = duckdb.sql(f"FROM '{tmp_path / 'runs.parquet'}'")
    assert dict(zip(kept.columns, map(str, kept.types), strict=True)) == {
        column.name: "VARCHAR" if column.type == "UUID" else column.type for column in RUNS.columns
    }
    assert [row[kept.columns.index("error")] for row in kept.fetchall()] == [row["error"] for row in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.csv", "runs.jsonl", "runs.parquet", "site"]


def test_export_writes_where_it_is_told(storage: StorageManager, site: Path, python: Callable[..., Any]) -> None:
    """Without a file it is standard output; filters, columns and a limit are those of `list`."""
    seed(storage, ROWS)
    storage.close()
    words = [
        "runs",
        "export",
        "--stage",
        "write",
        "--limit",
        "3",
        "--columns",
        "stage,label",
        "--children",
        "--format",
        "csv",
    ]
    script = f"import sys; from egregora.cli import main; sys.exit(main({words!r}))"
    done = python(script, EGREGORA_SITE=str(site))
    assert (done.stdout, done.stderr) == ("stage,label\nwrite,\nwrite,2024-04-01\nwrite,2024-03-04\n", "")


def test_export_says_what_it_can_not_do(storage: StorageManager, shown: Shown, tmp_path: Path) -> None:
    """Parquet needs a file, a folder must be there; nothing is left half."""
    seed(storage, ROWS)
    as_json = shown("runs", "export", "--json", "--limit", "1", "-o", str(tmp_path / "one.csv"))
    assert (as_json[0], [*json.loads((tmp_path / "one.csv").read_text())]) == (0, [*RUNS.names])
    (tmp_path / "one.csv").unlink()
    assert "give a file with -o FILE" in shown("runs", "export", "--format", "parquet", width=200)[2]
    assert "'xml' is none of json, csv, parquet" in shown("runs", "export", "--format", "xml", width=200)[2]
    code, _, err = shown("runs", "export", "-o", str(tmp_path / "nowhere" / "runs.csv"))
    assert code == 1
    assert "can't be written (No such file or directory)" in err
    (tmp_path / "runs.csv").write_text("before")
    assert shown("runs", "export", "-o", str(tmp_path / "runs.csv"), "--where", "nosuch")[0] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.csv", "site"]
    assert (tmp_path / "runs.csv").read_text() == "before"


# -- sql --------------------------------------------------------------------------------------------------------------


def test_all_tables_are_there_and_complete(storage: StorageManager, shown: Shown, tmp_path: Path) -> None:
    """The declared tables, `messages` and `posts`, with what is not folded yet; nothing of how that is done."""
    seed(storage, ROWS[:2])
    storage.fold()
    made = tmp_path / "messages.parquet"
    duckdb.sql(f"COPY (SELECT 'hello' AS text) TO '{made}' (FORMAT parquet)")
    storage.keep_dataset("messages", made, "sha256:1")
    seed(storage, [{**row, "run_id": run_id(3 + n)} for n, row in enumerate(ROWS[2:])])
    found = answer(storage, "SHOW TABLES")
    assert [name for (name,) in found.rows] == sorted([*(table.name for table in TABLES), "messages"])
    assert answer(storage, "SELECT count(*) FROM runs").rows == [("6",)]
    assert shown("sql", "FROM messages")[1] == "text\nhello\n\n1 row\n"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT stage, count(*) AS n FROM runs GROUP BY stage ORDER BY stage;", [("parse", "2"), ("write", "4")]),
        (
            "FROM runs SELECT label WHERE label IS NOT NULL ORDER BY label -- with a remark",
            [("2024-03-04",), ("2024-04-01",)],
        ),
        ("WITH a AS (SELECT 1 AS x) FROM a", [("1",)]),
        ("VALUES (1, NULL)", [("1", None)]),
        ("SELECT 1 AS a, 2 AS a", [("1", "2")]),
        (
            "PIVOT runs ON stage USING count(*) GROUP BY source ORDER BY source",
            [("checkpoint", "1", "0"), ("executed", "1", "4")],
        ),
        ("SELECT column_name FROM (DESCRIBE runs) LIMIT 1", [("run_id",)]),
        ("SELECT current_date > DATE '2020-01-01', now() IS NULL", [("true", "false")]),
    ],
)
def test_whatever_asks_is_answered(sql: str, rows: list[tuple[str | None, ...]], storage: StorageManager) -> None:
    """Every way to word a question that DuckDB has."""
    seed(storage, ROWS)
    assert answer(storage, sql).rows == rows


def test_a_plan_is_shown(storage: StorageManager, shown: Shown) -> None:
    """EXPLAIN is for reading."""
    seed(storage, ROWS)
    assert shown("sql", "SELECT 1 AS n", "--json")[1] == '{"n":1}\n'
    assert "SEQ_SCAN" in shown("sql", "EXPLAIN SELECT * FROM lineage")[1]
    assert "leave --format out" in shown("sql", "EXPLAIN SELECT 1", "--format", "json")[2]


@pytest.mark.parametrize(
    ("sql", "said", "hint"),
    [
        ("SELECT durration FROM runs", "there is no column durration", "did you mean duration_seconds"),
        ("SELECT mesage FROM run_logs", "there is no column mesage", "egregora sql 'DESCRIBE run_logs'"),
        ("FROM rnus", "there is no table rnus", "did you mean runs"),
        ("SELECT lenght(stage) FROM runs", "there is no function lenght", "did you mean length?"),
        ("SELEC 1", "the question can't be understood: syntax error", "for example: egregora sql"),
        ("", "there is nothing in the question", "for example: egregora sql"),
        ("SELECT 1; SELECT 2", "one question at a time", "';'"),
        ("DELETE FROM runs", "only for asking here, DELETE is not", "SELECT"),
        ("CREATE TABLE mine AS SELECT 1", "only for asking here, CREATE is not", "SELECT"),
        ("ATTACH 'other.db'", "only for asking here, ATTACH is not", "SELECT"),
        ("COPY runs TO 'out.csv'", "only for asking here, COPY is not", "SELECT"),
        ("SET threads = 1", "only for asking here, SET is not", "SELECT"),
        ("FROM read_text('/etc/passwd')", "reaches the catalog and nothing else", "for example"),
        ("SELECT 'x'::INTEGER", "can't be answered: Could not convert string 'x'", "DESCRIBE"),
        ("SELECT error('Corrupt database file')", "can't be answered: Corrupt database file", "DESCRIBE"),
    ],
)
def test_what_can_not_be_answered_is_said(
    sql: str, said: str, hint: str, storage: StorageManager, shown: Shown
) -> None:
    """Exit 1, one line what is wrong, one line what to type; the catalog stays where it is."""
    seed(storage, ROWS)
    storage.fold()
    code, out, err = shown("sql", sql)
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert said in first
    assert hint in second
    assert [path.name for path in storage.directory.glob("*.duckdb*")] == ["egregora.duckdb"]


def test_programs_get_json_or_csv(storage: StorageManager) -> None:
    """Types stay: numbers, lists, null; times are ISO in UTC, NaN is null; csv quotes what must be."""
    sql = (
        "SELECT 1 AS n, 'a\"b' AS \"q,\", TIMESTAMP '2024-03-04 09:00:00' AS t, 'nan'::DOUBLE AS x, [1, 2] AS l, "
        "NULL AS z, TIMESTAMP '2024-03-04 09:00:00.5' AS u"
    )
    assert "".join(line for part in answer_lines(storage, sql, "json") for line in part) == (
        '{"n":1,"q,":"a\\"b","t":"2024-03-04T09:00:00+00:00","x":null,"l":[1,2],"z":null,'
        '"u":"2024-03-04T09:00:00.500000+00:00"}\n'
    )
    assert "".join(line for part in answer_lines(storage, sql, "csv") for line in part) == (
        'n,"q,",t,x,l,z,u\r\n1,"a""b",2024-03-04T09:00:00+00:00,,"[1, 2]",,2024-03-04T09:00:00.500000+00:00\r\n'
    )
    assert "".join(line for part in answer_lines(storage, "SELECT NULL AS a", "csv") for line in part) == 'a\r\n""\r\n'


def test_a_terminal_gets_a_hundred_rows(storage: StorageManager, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """More only if asked for, and the cut is told; a pipe gets all of them."""
    seed(storage, [{}])
    assert shown("sql", "FROM range(250)")[1].splitlines()[-1] == "250 rows"
    assert shown("sql", "FROM range(250)", "--limit", "3")[1].splitlines()[-1] == (
        "the first 3 rows; more with --limit N, all with --limit 0"
    )
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "the first 100 rows" in shown("sql", "FROM range(250)")[1]
    assert "250 rows" in shown("sql", "FROM range(250)", "--limit", "0")[1]


def test_what_people_wrote_does_nothing_to_a_terminal(storage: StorageManager, shown: Shown) -> None:
    """Values and names of columns are escaped, in a table of any width."""
    seed(storage, [{}])
    for width in (20, 80, 200):
        out = shown("sql", "SELECT 'a' || chr(27) || '[31m' || chr(10) || 'b' AS \"\x1b]0;title\"", width=width)[1]
        assert "\x1b" not in out
        assert r"a\x1b[31m\nb" in out


def test_the_question_may_come_from_input(storage: StorageManager, site: Path, python: Callable[..., Any]) -> None:
    """`egregora sql - < question.sql`."""
    seed(storage, ROWS)
    storage.close()
    script = """
        import io, sys
        from egregora.cli import main
        sys.stdin = io.StringIO("SELECT count(*) AS n\\nFROM runs;\\n")
        sys.exit(main(["sql", "-", "--format", "csv"]))
        """
    assert python(script, EGREGORA_SITE=str(site)).stdout == "n\n6\n"


def test_asking_loads_little(storage: StorageManager, site: Path, python: Callable[..., Any]) -> None:
    """`list`, `export` of text and `sql` start as fast as `tail`."""
    seed(storage, ROWS)
    storage.close()
    for words in (["runs", "list"], ["runs", "export"], ["sql", "FROM runs"]):
        script = f"""
            import sys
            from egregora.cli import main
            assert main({words!r}) == 0
            loaded = set(sys.modules) & {{"ibis", "pyarrow", "pandas", "numpy", "pydantic", "jinja2", "rich.table"}}
            assert not loaded, loaded
            """
        python(script, EGREGORA_SITE=str(site))


def test_a_long_question_ends_with_the_process(storage: StorageManager, site: Path) -> None:
    """Ctrl-C ends it, and the site is free again."""
    import os
    import signal
    import subprocess
    import time

    seed(storage, ROWS)
    storage.fold()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "egregora",
            "sql",
            "SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ},
    )
    # Nobody else can write while the question is under way, but everybody can read.
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            storage.fold()
        except CatalogBusyError as busy:
            if "another program" in str(busy):
                break
        time.sleep(0.02)
    assert [row["status"] for row in runs_like(storage, Selection(stages=("parse",))).rows] == [
        "completed",
        "completed",
    ]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    # Of a question nothing is kept, and nothing goes on.
    assert err.strip() == b"egregora: interrupted"
    storage.fold()


def test_a_selection_says_what_is_wrong_with_it(storage: StorageManager) -> None:
    """As a library too: an error with a hint."""
    seed(storage, [{}])
    with pytest.raises(EgregoraError) as caught:
        runs_like(storage, Selection(where="1 +"))
    assert caught.value.hint
