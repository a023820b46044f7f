"""Questions that somebody else words in SQL: what may be asked, the answers, what goes wrong in plain words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from egregora.database.sql import literal
from egregora.errors import EgregoraError

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Answer", "answer", "answer_lines", "checked_expression", "ending", "in_plain_words", "lines_of"]

EXAMPLE = 'egregora sql "SELECT stage, count(*) FROM runs GROUP BY stage"'
AT_ONCE = 2_000
"""Lines that are fetched and given at a time."""
NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)")


Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """The rows of an answer as text.

    Attributes:
        columns: Their names.
        numbers: For each whether it holds numbers.
        rows: Values as DuckDB writes them; None for NULL.
        more: Whether there are more rows than were asked for.
    """

    columns: list[str]
    numbers: list[bool]
    rows: list[tuple[str | None, ...]]
    more: bool


def answer(storage: StorageManager, sql: str, *, limit: int | None = None) -> Answer:
    """Ask the catalog, with what isn't folded yet, in somebody's own words.

    Args:
        storage: The site's records.
        sql: One statement that asks: SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.
        limit: How many rows at most.

    Raises:
        EgregoraError: it is no such statement, or DuckDB can't answer it.
        StorageError: the site's records can't be read.
    """
    with storage.reading(unhurried=True) as con, in_plain_words(con, sql):
        kind, sql = _only_question(con, sql)
        if kind == "EXPLAIN":
            plan = "\n".join(text for _, text in con.execute(sql).fetchall())
            return Answer(["plan"], [False], [(line,) for line in plan.splitlines()], False)
        columns = _columns(con, sql)
        cut = "" if limit is None else f" LIMIT {limit + 1}"
        rows = ending(con, lambda: con.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({sql}\n){cut}").fetchall())
        more = limit is not None and len(rows) > limit
        numbers = [bool(NUMBERS.fullmatch(kind)) for _, kind in columns]
        return Answer([name for name, _ in columns], numbers, rows[:limit], more)


def answer_lines(storage: StorageManager, sql: str, form: str, *, limit: int | None = None) -> Iterator[list[str]]:
    """The same as lines for programs, some thousand at a time.

    Args:
        storage, sql, limit: See `answer`.
        form: See `lines_of`.

    Raises:
        EgregoraError: see `answer`.
    """
    with storage.reading(unhurried=True) as con, in_plain_words(con, sql):
        kind, sql = _only_question(con, sql)
        if kind == "EXPLAIN":
            raise EgregoraError("a plan is for reading", hint="leave --format out")
        cut = "" if limit is None else f" LIMIT {limit}"
        yield from lines_of(con, f"FROM ({sql}\n){cut}", _columns(con, sql), form)


def lines_of(
    con: duckdb.DuckDBPyConnection, source: str, columns: Sequence[tuple[str, str]], form: str
) -> Iterator[list[str]]:
    """Rows as lines, some thousand at a time. DuckDB makes them: a million rows take seconds.

    Args:
        con: A connection from `storage.reading(unhurried=True)`.
        source: A query that begins at its FROM.
        columns: Names and types of the columns that are wanted.
        form: `json` for an object a line, times as ISO 8601 in UTC; `csv` for RFC 4180, headed, the same times.
    """
    if form == "csv":
        yield [",".join(_quoted(name) for name, _ in columns) + "\r\n"]
    row = _json_object(columns) if form == "json" else _csv_record(columns)
    end = "\n" if form == "json" else "\r\n"
    ending(con, lambda: con.execute(f"SELECT {row} {source}"))
    while found := ending(con, lambda: con.fetchmany(AT_ONCE)):
        yield [text + end for (text,) in found]


def ending(con: duckdb.DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    """Do work on a connection so that Ctrl-C ends it: while DuckDB computes, Python's main thread hears no signal."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            while True:
                with suppress(TimeoutError):
                    return future.result(timeout=0.5)
        except KeyboardInterrupt:
            con.interrupt()
            raise


def _json_object(columns: Sequence[tuple[str, str]]) -> str:
    fields = ", ".join(f"{_name(name)} := {_plain(name, kind)}" for name, kind in columns)
    return f"to_json(struct_pack({fields}))::VARCHAR"


def _plain(name: str, kind: str) -> str:
    """A column as it stands in JSON and CSV."""
    column = _name(name)
    if kind == "TIMESTAMP":
        # As Python's isoformat() writes it.
        parts = f"CASE WHEN microsecond({column}) % 1000000 = 0 THEN '' ELSE strftime({column}, '.%f') END"
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S') || {parts} || '+00:00'"
    if kind in ("DOUBLE", "FLOAT"):
        # JSON knows neither NaN nor infinity.
        return f"CASE WHEN isfinite({column}) THEN {column} END"
    return column


def _csv_record(columns: Sequence[tuple[str, str]]) -> str:
    # A record of nothing would be an empty line.
    none = "''" if len(columns) > 1 else "'\"\"'"
    fields = []
    for name, kind in columns:
        text = f"({_plain(name, kind)})::VARCHAR"
        if kind not in ("TIMESTAMP", "UUID") and not NUMBERS.fullmatch(kind):
            special = " OR ".join(f"contains({text}, {sign})" for sign in ("','", "'\"'", "chr(10)", "chr(13)"))
            text = f"CASE WHEN {special} THEN '\"' || replace({text}, '\"', '\"\"') || '\"' ELSE {text} END"
        fields.append(f"coalesce({text}, {none})")
    return " || ',' || ".join(fields)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _columns(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    """Names and types of what a question gives."""
    return [(row[0], row[1]) for row in con.execute(f"DESCRIBE FROM ({sql}\n)").fetchall()]


# -- what may be asked ------------------------------------------------------------------------------------------------


def _only_question(con: duckdb.DuckDBPyConnection, text: str) -> tuple[str, str]:
    """SELECT or EXPLAIN, and the question without what ends it, if this is one statement that asks.

    Raises:
        EgregoraError: it is something else.
    """
    import duckdb

    question = text.encode()
    tokens = duckdb.tokenize(text)
    while tokens and question[tokens[-1][0] :].startswith(b";"):
        question = question[: tokens.pop()[0]]
    sql = question.decode()
    kinds = [statement.type.name for statement in con.extract_statements(sql)]
    if not kinds:
        raise EgregoraError("there is nothing in the question", hint=f"for example: {EXAMPLE}")
    # Before a PIVOT its columns are looked up, in a statement of their own. In brackets, later, several are an error.
    if len(kinds) > 1 and kinds != ["CREATE", "SELECT"]:
        raise EgregoraError("one question at a time", hint="leave out what stands behind the first ';'")
    if kinds[-1] not in ("SELECT", "EXPLAIN"):
        raise EgregoraError(
            f"the catalog is only for asking here, {kinds[-1]} is not",
            hint="SELECT, FROM, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are",
        )
    return kinds[-1], sql


def checked_expression(con: duckdb.DuckDBPyConnection, text: str) -> str:
    """A condition in SQL, in brackets, if it is one expression and nothing else.

    Raises:
        EgregoraError: it isn't.
    """
    found = con.execute(f"SELECT json_serialize_sql({literal(f'SELECT ({text}' + chr(10) + ')')})").fetchone()
    assert found is not None
    parsed = json.loads(found[0])
    problem = parsed.get("error_message", "")
    if not problem:
        node = parsed["statements"][0]["node"] if len(parsed["statements"]) == 1 else {}
        alone = (
            node.get("type") == "SELECT_NODE"
            and len(node["select_list"]) == 1
            and node["from_table"]["type"] == "EMPTY"
            and not any(node[part] for part in ("modifiers", "where_clause", "group_expressions", "having", "qualify"))
        )
        problem = "" if alone else "it is more than one expression"
    if problem:
        raise EgregoraError(
            f"the condition can't be understood: {problem.splitlines()[0]}",
            hint="a condition on the columns of runs, for example: \"duration_seconds > 60 AND stage <> 'parse'\"",
        )
    return f"({text}\n)"


# -- what goes wrong --------------------------------------------------------------------------------------------------

_NO_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "(?P<name>[^"]*)"')
_NO_TABLE = re.compile(r"Table with name (?P<name>.+?) does not exist!")
_NO_FUNCTION = re.compile(r"(?:Scalar|Table|Aggregate|Macro)? ?Function with name (?P<name>\S+) does not exist!")
_CANDIDATES = re.compile(r"Candidate bindings: *:? *(?P<names>.*)")
_MEANT = re.compile(r'Did you mean "(?P<name>[^"]*)"')


@contextmanager
def in_plain_words(con: duckdb.DuckDBPyConnection, sql: str = "FROM runs") -> Iterator[None]:
    """Turns what DuckDB says of a question into an error with the next thing to type."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        message, hint = _explained(con, str(error), sql)
        raise EgregoraError(message, hint=hint) from None


def _explained(con: duckdb.DuckDBPyConnection, text: str, sql: str) -> tuple[str, str]:
    tables = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
    asked = next((word for word in re.findall(r"\w+", sql.lower()) if word in tables), "runs")
    columns = f"all columns: egregora sql 'DESCRIBE {asked}'"
    kind, _, said = text.partition(" Error: ")
    first = (said or text).strip().splitlines()[0]
    if found := _NO_COLUMN.search(text):
        listed = _CANDIDATES.search(text)
        near = [name.split(".")[-1] for name in re.findall(r'"([^"]*)"', listed["names"])] if listed else []
        return f"there is no column {found['name']}", f"{_meant(near)}{columns}"
    if found := _NO_TABLE.search(text):
        near = difflib.get_close_matches(found["name"].lower(), tables, n=3, cutoff=0.5)
        return f"there is no table {found['name']}", f"{_meant(near)}the tables: {', '.join(tables)}"
    if found := _NO_FUNCTION.search(text):
        meant = _MEANT.search(text)
        return f"there is no function {found['name']}", f"did you mean {meant['name']}?" if meant else ""
    if kind == "Permission":
        return "a question reaches the catalog and nothing else: no file, no network", f"for example: {EXAMPLE}"
    if kind == "Parser":
        return f"the question can't be understood: {first}", f"for example: {EXAMPLE}"
    if kind == "Out of Memory":
        return "the question needs more memory than there is", "narrow it down with WHERE, or ask for fewer columns"
    return f"the question can't be answered: {first}", columns


def _meant(near: Sequence[str]) -> str:
    return f"did you mean {', '.join(list(dict.fromkeys(near))[:5])}? " if near else ""
