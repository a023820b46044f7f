"""What differs between two runs of a stage: settings, code, inputs and rows, and which run upstream it began with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.errors import RunLookupError
from egregora.observe.lineage import Graph, ancestors
from egregora.observe.runs import Row, find_run, run_prefixes, select_runs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

    from egregora.database.columns import TableSpec
    from egregora.database.storage import StorageManager

__all__ = [
    "Beginning",
    "Changes",
    "CodeChange",
    "InputChange",
    "RowChanges",
    "SettingChange",
    "changes_between",
    "checkpoint_of",
    "compare_rows",
    "compare_runs",
    "completed_before",
    "differing_rows",
    "setting_changes",
    "with_rows",
]


@dataclass(frozen=True)
class SettingChange:
    """A setting that two runs read differently.

    Attributes:
        key: Dotted, as in `egregora.toml`.
        old, new: As JSON; None where the run didn't read it. Secrets are keyed ids in an object `{"$secret": …}`.
        default: The setting's default as JSON; None where there is none, or it isn't known.
    """

    key: str
    old: str | None
    new: str | None
    default: str | None = None


@dataclass(frozen=True)
class CodeChange:
    """A part of a stage's code that differs.

    Attributes:
        kind: `module`, `file`, `distribution`, `value`, `source`, `function` or `machinery`.
        name: Of the module, file, …; may be empty.
        how: `added`, `removed` or `changed`.
        old, new: Versions of a distribution or machinery, names of a function; else None.
    """

    kind: str
    name: str
    how: str
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True)
class RowChanges:
    """How the rows of two checkpoints differ.

    Attributes:
        key: Columns that tell which rows are the same; empty: whole rows were compared, as many times as they occur.
        old_rows, new_rows: How many there are.
        added, removed, changed: Rows only in the new one, only in the old one, and with the same key but another
            content. Without a key none counts as changed.
        columns: How many rows differ in which column, most first; only with a key.
        columns_added, columns_removed, columns_retyped: Names of columns.
    """

    key: tuple[str, ...]
    old_rows: int
    new_rows: int
    added: int
    removed: int
    changed: int
    columns: Mapping[str, int] = field(default_factory=dict)
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both hold the same."""
        return not (self.added or self.removed or self.changed) and not (
            self.columns_added or self.columns_removed or self.columns_retyped
        )


@dataclass(frozen=True)
class InputChange:
    """A part of the input that differs.

    Attributes:
        name: `table`, or the name of a further input.
        old_hash, new_hash: What was read; None where there was no such input.
        old, new: The runs whose results they are; None: an export, or a table from outside.
        rows: How their rows differ; None where that isn't known.
    """

    name: str
    old_hash: str | None
    new_hash: str | None
    old: Row | None
    new: Row | None
    rows: RowChanges | None = None


@dataclass(frozen=True)
class Changes:
    """What differs between two runs.

    Attributes:
        old, new: Their rows.
        settings, code, inputs: The parts that differ; all empty for runs with the same fingerprint.
        beginnings: Where the differences of the input begin, the first stage first: runs upstream whose own settings or
            code differ, and runs (these ones too) that read another export or table from outside.
        path: The pairs of runs upstream through which they came, the first stage first.
        result: How their results differ; None where that isn't known.
        prefixes: Beginnings of the ids of the runs in it, as they can be typed.
    """

    old: Row
    new: Row
    settings: tuple[SettingChange, ...] = ()
    code: tuple[CodeChange, ...] = ()
    inputs: tuple[InputChange, ...] = ()
    beginnings: tuple[Beginning, ...] = ()
    path: tuple[tuple[Row, Row], ...] = ()
    result: RowChanges | None = None
    prefixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether all that went into both could be identified; else other parts than `parts` may differ, too."""
        return _is_known(self.old) and _is_known(self.new)

    @property
    def parts(self) -> tuple[str, ...]:
        """Which of `input`, `config` and `code` differ."""
        return tuple(part for part in ("input", "config", "code") if _differ(self.old, self.new, part))


@dataclass(frozen=True)
class Beginning:
    """A pair of runs upstream with which a difference begins.

    Attributes:
        old, new: The runs.
        kind: `config`, `code`, `outside` (an export or a table from outside), `result` (the same went in, and something
            else came out), or `unknown` (what went in could not be identified).
        settings, code: What differs, if it is that.
        rows: How their results differ, of `outside`; None where that isn't known.
    """

    old: Row
    new: Row
    kind: str
    settings: tuple[SettingChange, ...] = ()
    code: tuple[CodeChange, ...] = ()
    rows: RowChanges | None = None


# -- which runs -------------------------------------------------------------------------------------------------------


def compare_runs(storage: StorageManager, old: str, new: str = "") -> Changes:
    """What differs between two runs, rows of their results included.

    Of runs of different stages only what both have is compared: the settings that both read, the code that is part of
    both, and the rows by the columns that both results have.

    Args:
        storage: The site's records.
        old, new: See `find_run`. Without a second one, the first is compared with the completed run of its stage before
            it.

    Raises:
        RunLookupError: there is no such run, there are several, or there is none before it.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        first = find_run(con, old)
        if new:
            second = find_run(con, new)
        else:
            before, second = completed_before(con, first), first
            if before is None:
                raise RunLookupError(
                    f"there is nothing to compare run {first['run_id'][:8]} with: no run of {first['stage']} has "
                    "completed before it",
                    hint=f"name another one: egregora runs diff {first['run_id'][:8]} RUN; see them with: "
                    "egregora runs tail",
                )
            first = before
        found = changes_between(con, first, second)
        if first["stage"] != second["stage"]:
            found = _in_common(found)
        mentioned = [first, second, *(run for begun in found.beginnings for run in (begun.old, begun.new))]
        found = replace(found, prefixes=run_prefixes(con, list({run["run_id"]: run for run in mentioned}.values())))
    return with_rows(storage, found)


def _in_common(found: Changes) -> Changes:
    """Of runs of different stages, what of it can be compared."""
    return replace(
        found,
        settings=tuple(change for change in found.settings if change.old is not None and change.new is not None),
        code=tuple(change for change in found.code if change.how == "changed" and change.kind != "function"),
        inputs=(),
        beginnings=(),
        path=(),
    )


def completed_before(con: duckdb.DuckDBPyConnection, row: Row) -> Row | None:
    """The newest completed run of the same stage, tenant and, of a child, label, that started before this one."""
    child = "parent_run_id IS NULL" if row["parent_run_id"] is None else f"label IS NOT DISTINCT FROM {_label(row)}"
    rows = select_runs(
        con,
        f"FROM runs WHERE stage = {literal(row['stage'])} AND status = 'completed' AND {child} AND {NO_REPLAY} "
        f"AND tenant_id IS NOT DISTINCT FROM {literal(row['tenant_id'])} AND started_at < {literal(row['started_at'])} "
        f"AND run_id <> {literal(row['run_id'])} ORDER BY started_at DESC LIMIT 1",
    )
    return rows[0] if rows else None


def _label(row: Row) -> str:
    return f"{literal(row['label'])} AND parent_run_id IS NOT NULL"


def changes_between(con: duckdb.DuckDBPyConnection, old: Row, new: Row) -> Changes:
    """What differs between two runs as far as the records tell; `with_rows` adds what their checkpoints tell.

    Args:
        con: A connection from `storage.reading()`.
        old, new: Rows of `runs`.
    """
    graph = ancestors(con, (old["run_id"], new["run_id"]))
    seen = {**graph.runs, old["run_id"]: old, new["run_id"]: new}
    texts = _Texts(con, seen.values())
    beginnings, path = _beginnings(graph, texts, old, new)
    return Changes(
        old,
        new,
        settings=texts.settings(old, new),
        code=texts.code(old, new),
        inputs=tuple(_inputs(graph, old, new)),
        beginnings=beginnings,
        path=path,
    )


def with_rows(storage: StorageManager, found: Changes) -> Changes:
    """The same with how the rows of inputs and results differ, where both checkpoints are there."""
    inputs = tuple(
        replace(part, rows=compare_rows(storage, part.old, part.new)) if part.old and part.new else part
        for part in found.inputs
    )
    beginnings = tuple(
        replace(begun, rows=compare_rows(storage, begun.old, begun.new)) if begun.kind == "outside" else begun
        for begun in found.beginnings
    )
    return replace(found, inputs=inputs, beginnings=beginnings, result=compare_rows(storage, found.old, found.new))


def _differ(old: Row, new: Row, part: str) -> bool:
    return bool(old[f"{part}_hash"] != new[f"{part}_hash"])


def _is_known(row: Row) -> bool:
    """Whether all that went into a run could be identified."""
    return str(row["input_fingerprint"]).startswith("sha256:")


def _parts(row: Row) -> dict[str, str]:
    found: dict[str, str] = json.loads(row["input_parts"]) if row["input_parts"] else {}
    return found


def _inputs(graph: Graph, old: Row, new: Row) -> Iterator[InputChange]:
    """The parts of the input that differ, with the runs whose results they are."""
    before, after = _parts(old), _parts(new)
    for name in sorted({*before, *after}, key=lambda name: (name != "table", name)):
        if before.get(name) != after.get(name):
            yield InputChange(
                name.removeprefix("inputs."),
                before.get(name),
                after.get(name),
                _maker(graph, old, before.get(name)),
                _maker(graph, new, after.get(name)),
            )


def _maker(graph: Graph, reader: Row, output_hash: str | None) -> Row | None:
    """The run whose result was read."""
    if output_hash is None:
        return None
    makers = graph.inputs_of(reader["run_id"])
    return next((row for row in makers if row["output_hash"] == output_hash), None)


def _beginnings(
    graph: Graph, texts: _Texts, old: Row, new: Row
) -> tuple[tuple[Beginning, ...], tuple[tuple[Row, Row], ...]]:
    """Where the differences of the input begin, and the pairs of runs through which they came."""
    path: list[tuple[Row, Row]] = []
    found: dict[tuple[str, str, str], Beginning] = {}
    seen: set[tuple[str, str]] = set()
    # An export that several stages read is told once.
    outside: set[tuple[str | None, str | None]] = set()

    def note(kind: str, old: Row, new: Row) -> None:
        settings = texts.settings(old, new) if kind == "config" else ()
        code = texts.code(old, new) if kind == "code" else ()
        found.setdefault((new["run_id"], old["run_id"], kind), Beginning(old, new, kind, settings, code))

    def visit(old: Row, new: Row, *, upstream: bool) -> None:
        if (old["run_id"], new["run_id"]) in seen:
            return
        seen.add((old["run_id"], new["run_id"]))
        changed = list(_inputs(graph, old, new))
        for part in changed:
            if part.old and part.new and part.old["stage"] == part.new["stage"]:
                visit(part.old, part.new, upstream=True)
            elif (part.old_hash, part.new_hash) not in outside:
                outside.add((part.old_hash, part.new_hash))
                note("outside", old, new)
        if not upstream:
            return
        path.append((old, new))
        for kind in ("config", "code"):
            if _differ(old, new, kind):
                note(kind, old, new)
        if not changed and not any(_differ(old, new, part) for part in ("input", "config", "code")):
            note("result" if _is_known(old) and _is_known(new) else "unknown", old, new)

    visit(old, new, upstream=False)
    return tuple(found.values()), tuple(path)


# -- settings and code ------------------------------------------------------------------------------------------------


class _Texts:
    """The configurations and code parts of some runs, read at once."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self.configs = _by_hash(con, "configs", "config_hash", "config", rows)
        self.codes = _by_hash(con, "codes", "code_hash", "modules", rows)

    def settings(self, old: Row, new: Row) -> tuple[SettingChange, ...]:
        """The settings that differ."""
        before, after = self.configs.get(old["config_hash"]), self.configs.get(new["config_hash"])
        if before is None or after is None:
            return ()
        return setting_changes(before, after, own=new["stage"] in _own_tables())

    def code(self, old: Row, new: Row) -> tuple[CodeChange, ...]:
        """The parts of the code that differ."""
        before, after = self.codes.get(old["code_hash"]), self.codes.get(new["code_hash"])
        if before is None or after is None or before == after:
            return ()
        return tuple(_code_changes(json.loads(before), json.loads(after)))


def setting_changes(before: str, after: str, *, own: bool) -> tuple[SettingChange, ...]:
    """The settings that differ between two configurations as they are recorded; `own`: of one of our own stages."""
    from egregora.pipeline.fingerprint import dotted_settings

    if before == after:
        return ()
    mine, theirs = dotted_settings(json.loads(after)), dotted_settings(json.loads(before))
    changed = [key for key in sorted({*mine, *theirs}) if mine.get(key, _ABSENT) != theirs.get(key, _ABSENT)]
    defaults = _defaults(changed) if own else {}
    return tuple(
        SettingChange(key, _as_json(theirs.get(key, _ABSENT)), _as_json(mine.get(key, _ABSENT)), defaults.get(key))
        for key in changed
    )


def _by_hash(
    con: duckdb.DuckDBPyConnection, table: str, key: str, column: str, rows: list[Row]
) -> dict[str | None, str]:
    wanted = {row[key] for row in rows if row[key]}
    if not wanted:
        return {}
    listed = ", ".join(map(literal, sorted(wanted)))
    return dict(con.execute(f"FROM {table} SELECT {key}, {column} WHERE {key} IN ({listed})").fetchall())


_ABSENT = object()


def _as_json(value: object) -> str | None:
    return None if value is _ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _defaults(keys: Iterable[str]) -> dict[str, str]:
    """The defaults of the site's settings, as JSON, of those of these keys that are settings of a site."""
    from egregora.config import Config
    from egregora.pipeline.fingerprint import canonical_config, dotted_settings

    whole: Any = json.loads(canonical_config(Config()))
    known = dotted_settings(whole)
    return {key: json.dumps(known[key], ensure_ascii=False, sort_keys=True) for key in keys if key in known}


def _code_changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[CodeChange]:
    order = ("function", "source", "module", "file", "value", "distribution", "machinery")
    kinds = {name: name.split(" ", 1)[0].split(".", 1)[0] for name in (*old, *new)}
    for name in sorted(kinds, key=lambda n: (order.index(kinds[n]) if kinds[n] in order else 0, n)):
        if old.get(name) == new.get(name):
            continue
        kind = kinds[name]
        how = "changed" if name in old and name in new else "added" if name in new else "removed"
        told = kind in ("distribution", "machinery", "function")
        yield CodeChange(
            kind,
            name.partition(" ")[2],
            how,
            old.get(name) if told else None,
            new.get(name) if told else None,
        )


# -- rows -------------------------------------------------------------------------------------------------------------


def _own_tables() -> dict[str, TableSpec]:
    """The declared result of each of our own stages."""
    from egregora.database import ir_schema as ir

    return {
        "parse": ir.RAW_MESSAGES,
        "privacy": ir.MESSAGES,
        "enrich": ir.ENRICHED,
        "write": ir.POSTS,
        "rank": ir.RANKED,
        "publish": ir.PAGES,
    }


UNCOUNTED = ("seq",)
"""A message's place moves with every message before it; that alone doesn't make it another one."""


def checkpoint_of(storage: StorageManager, row: Row | None) -> Path | None:
    """The checkpoint's file of a completed run, if it is there."""
    from egregora.pipeline.checkpoint import checkpoint_path

    if row is None or row["status"] != "completed" or row["checkpoint_sha256"] is None:
        return None
    path = checkpoint_path(storage, row["stage"], row["input_fingerprint"])
    return path if path.exists() else None


def _key(row: Row, columns: Iterable[str]) -> tuple[str, ...]:
    spec = _own_tables().get(row["stage"])
    return spec.primary_key if spec is not None and set(spec.primary_key) <= set(columns) else ()


def compare_rows(storage: StorageManager, old: Row | None, new: Row | None) -> RowChanges | None:
    """How the results of two runs differ; None unless both checkpoints are there and can be read.

    Rows of our own stages are told by their key, whole rows of others are counted.
    """
    if old and new and old["output_hash"] and old["output_hash"] == new["output_hash"]:
        return RowChanges((), old["rows_out"], new["rows_out"], 0, 0, 0)
    pair = _Pair.of(storage, old, new)
    if pair is None:
        return None
    with pair:
        return pair.count()


def differing_rows(storage: StorageManager, old: Row, new: Row, limit: int) -> list[dict[str, Any]]:
    """Rows that differ, at most `limit`: each an object with `change` (`added`, `removed` or `changed`), `key`, and
    `columns` (what differs: name → [old, new]; of a row that is only in one, its content: name → value).

    Of rows from before the privacy stage there is no text, only id, place, kind and time.
    """
    pair = _Pair.of(storage, old, new)
    if pair is None:
        return []
    with pair:
        return pair.rows(limit)


def _hold_names(storage: StorageManager, *rows: Row) -> bool:
    """Whether one of these runs read what parse made, at any distance, past no privacy run."""
    if all(row["stage"] in _own_tables() for row in rows):
        # Of these only parse's own rows hold names, and have a column that says so.
        return False
    with storage.reading() as con:
        graph = ancestors(con, [row["run_id"] for row in rows])
    seen: set[str] = set()
    waiting = list(rows)
    while waiting:
        row = waiting.pop()
        if row["stage"] == "parse":
            return True
        if row["stage"] != "privacy" and row["run_id"] not in seen:
            seen.add(row["run_id"])
            waiting += graph.inputs_of(row["run_id"])
    return False


_WITHOUT_TEXT = ("event_id", "seq", "ts", "kind", "media_type", "edited")
"""What may be shown of rows that hold names."""


_PLAIN = ("VARCHAR", "BIGINT", "INTEGER", "BOOLEAN", "TIMESTAMP", "DATE")


class _Pair:
    """Two checkpoints side by side on a connection, with the columns that both have."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, old: Row, new: Row, paths: tuple[Path, Path], *, raw: bool
    ) -> None:
        self.con = con
        for name, path in zip(("old", "new"), paths, strict=True):
            con.execute(f"CREATE VIEW {name} AS FROM read_parquet({literal(path)}, hive_partitioning = false)")
        self.before = {row[0]: row[1] for row in con.execute("DESCRIBE old").fetchall()}
        self.after = {row[0]: row[1] for row in con.execute("DESCRIBE new").fetchall()}
        self.shared = [name for name in self.after if self.before.get(name) == self.after[name]]
        self.key = _key(new, self.shared) if _key(old, self.shared) == _key(new, self.shared) else ()
        self.compared = [name for name in self.shared if name not in self.key and name not in UNCOUNTED]
        self.raw = raw or "author_raw" in self.before or "author_raw" in self.after
        # A stranger's table that is made of raw messages may have a column for each person.
        self.named = not self.raw or bool(self.key)

    @classmethod
    def of(cls, storage: StorageManager, old: Row | None, new: Row | None) -> _Pair | None:
        paths = checkpoint_of(storage, old), checkpoint_of(storage, new)
        if old is None or new is None or paths[0] is None or paths[1] is None:
            return None
        import duckdb

        raw = _hold_names(storage, old, new)
        con = duckdb.connect(config={"threads": 2})
        try:
            return cls(con, old, new, (paths[0], paths[1]), raw=raw)
        except duckdb.Error:
            # A damaged file is told by `cache verify`; here it only means that nothing can be compared.
            con.close()
            return None

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.con.close()

    def count(self) -> RowChanges | None:
        import duckdb

        try:
            found = self._by_key() if self.key else self._whole()
        except duckdb.Error:
            return None
        return replace(
            found,
            columns_added=self._called(self.after, [n for n in self.after if n not in self.before]),
            columns_removed=self._called(self.before, [n for n in self.before if n not in self.after]),
            columns_retyped=self._called(
                self.after, [n for n in self.after if n in self.before and n not in self.shared]
            ),
        )

    def _called(self, table: Mapping[str, str], columns: list[str]) -> tuple[str, ...]:
        """Columns by their names, or by their places from 1 where these may name people."""
        if self.named:
            return tuple(columns)
        places = {name: f"column {number}" for number, name in enumerate(table, 1)}
        return tuple(places[name] for name in columns)

    def _rows(self) -> tuple[int, int]:
        found = self.con.execute("SELECT (FROM old SELECT count(*)), (FROM new SELECT count(*))").fetchone()
        assert found is not None
        return found[0], found[1]

    def _by_key(self) -> RowChanges:
        there, here = f"o.{_ident(self.key[0])}", f"n.{_ident(self.key[0])}"
        both = f"{there} IS NOT NULL AND {here} IS NOT NULL"
        tests = [f"o.{_ident(name)} IS DISTINCT FROM n.{_ident(name)}" for name in self.compared]
        counts = "".join(f", count_if({both} AND {test})" for test in tests)
        row = self.con.execute(
            f"SELECT count_if({there} IS NULL), count_if({here} IS NULL), "
            f"count_if({both} AND ({' OR '.join(tests) or 'false'})){counts} FROM {self._joined()}"
        ).fetchone()
        assert row is not None
        differing = sorted(((n, name) for n, name in zip(row[3:], self.compared, strict=True) if n), reverse=True)
        columns = {name: number for number, name in differing}
        old_rows, new_rows = self._rows()
        return RowChanges(self.key, old_rows, new_rows, row[0], row[1], row[2], columns)

    def _joined(self) -> str:
        on = " AND ".join(f"o.{_ident(name)} = n.{_ident(name)}" for name in self.key)
        return f"old AS o FULL JOIN new AS n ON {on}"

    def _whole(self) -> RowChanges:
        names = ", ".join(map(_ident, self.shared))
        row = (
            self.con.execute(
                f"SELECT (SELECT count(*) FROM (SELECT {names} FROM new EXCEPT ALL SELECT {names} FROM old)), "
                f"(SELECT count(*) FROM (SELECT {names} FROM old EXCEPT ALL SELECT {names} FROM new))"
            ).fetchone()
            if self.shared
            else (0, 0)
        )
        assert row is not None
        return RowChanges((), *self._rows(), row[0], row[1], 0)

    def rows(self, limit: int) -> list[dict[str, Any]]:
        import duckdb

        try:
            return self._rows_by_key(limit) if self.key else self._rows_whole(limit)
        except duckdb.Error:
            return []

    def _shown(self) -> list[str]:
        if not self.raw:
            return self.shared
        # In a stranger's table a column of that name may hold anything, text too.
        return [name for name in self.shared if name in _WITHOUT_TEXT and (self.key or self.after[name] != "VARCHAR")]

    def _told(self, side: str, name: str) -> str:
        """A value as JSON can hold it: what is no plain number or text as text."""
        column = f"{side}{_ident(name)}"
        return column if self.after[name] in _PLAIN else f"{column}::VARCHAR"

    def _rows_by_key(self, limit: int) -> list[dict[str, Any]]:
        there, here = f"o.{_ident(self.key[0])}", f"n.{_ident(self.key[0])}"
        tests = [f"o.{_ident(name)} IS DISTINCT FROM n.{_ident(name)}" for name in self.compared]
        shown = self._shown()
        sides = ", ".join(self._told(f"{side}.", name) for name in shown for side in ("o", "n"))
        # Which columns differ is told of raw rows too; what stands in them is not.
        flags = ", ".join(tests) or "false"
        kind = f"CASE WHEN {here} IS NULL THEN 0 WHEN {there} IS NULL THEN 1 ELSE 2 END"
        # Of each kind as many as of the others, as far as there are any.
        found = self.con.execute(
            f"SELECT {kind} AS kind, row_number() OVER (PARTITION BY {kind} ORDER BY {self._order()}) AS turn, "
            f"{there}, {here}, [{flags}], {sides} FROM {self._joined()} "
            f"WHERE {there} IS NULL OR {here} IS NULL OR {' OR '.join(tests) or 'false'} "
            f"ORDER BY turn, kind LIMIT {int(limit)}"
        ).fetchall()
        found.sort(key=lambda row: row[:2])
        rows = []
        for _, _, before, after, differ, *values in found:
            pairs = {name: [values[2 * i], values[2 * i + 1]] for i, name in enumerate(shown)}
            if before is not None and after is not None:
                names = [name for name, differs in zip(self.compared, differ, strict=False) if differs]
                rows.append({"change": "changed", "key": after, "columns": {n: pairs.get(n) for n in names}})
            else:
                side, change = (1, "added") if before is None else (0, "removed")
                told = {name: pair[side] for name, pair in pairs.items() if name not in self.key}
                rows.append({"change": change, "key": after or before, "columns": told})
        return rows

    def _order(self) -> str:
        names = [name for name in ("seq", "rank", "first_ts", *self.key) if name in self.shared]
        return ", ".join(f"coalesce(n.{_ident(name)}, o.{_ident(name)})" for name in names)

    def _rows_whole(self, limit: int) -> list[dict[str, Any]]:
        names = ", ".join(map(_ident, self.shared))
        if not names:
            return []
        shown = self._shown()
        rows: list[dict[str, Any]] = []
        for change, one, other in (("removed", "old", "new"), ("added", "new", "old")):
            found = self.con.execute(
                f"SELECT {', '.join(self._told('', name) for name in shown) or 'NULL'} FROM "
                f"(SELECT {names} FROM {one} EXCEPT ALL SELECT {names} FROM {other}) ORDER BY ALL LIMIT {int(limit)}"
            ).fetchall()
            rows += [
                {"change": change, "key": None, "columns": dict(zip(shown, values, strict=False))} for values in found
            ]
        # Both kinds are shown, where there are both.
        half = max(limit // 2, limit - sum(row["change"] == "added" for row in rows))
        removed = [row for row in rows if row["change"] == "removed"][:half]
        return (removed + [row for row in rows if row["change"] == "added"])[:limit]


def _ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
