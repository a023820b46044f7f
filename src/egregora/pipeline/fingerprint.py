"""Fingerprints: what goes into the identity of a run, and how each part is hashed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import json
import math
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from egregora.errors import ConfigError, ExportError
from egregora.pipeline.stage import Files

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "ConfigView",
    "Hashed",
    "UnhashableError",
    "canonical_config",
    "combine",
    "fingerprint_stage_input",
    "hash_files",
    "hash_relation",
    "hash_table",
    "memory_cursor",
    "select_config",
]

SCHEMA_TAG = "egregora/1"
"""Prefix of every pre-image. Raise the number when the way of hashing changes."""


class UnhashableError(Exception):
    """A part of the fingerprint has no stable form. Caught by the runner, which then runs the stage."""


def _sha(tag: str, *parts: Any) -> str:
    text = json.dumps([SCHEMA_TAG, tag, *parts], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def combine(stage: str, input_hash: str, config_hash: str, code_hash: str) -> str:
    """The fingerprint of its parts: `sha256:` and 64 hex digits."""
    return "sha256:" + _sha("run", stage, input_hash, config_hash, code_hash)


def fingerprint_stage_input(table: Any, config: Any, code_ref: str, *, stage: str = "") -> str:
    """The fingerprint of a table, a configuration and a code identity.

    Args:
        table: An `ibis.Table`, an Arrow table or `Files`; hashed whole.
        config: What the stage reads: a pydantic model, dataclass, mapping or JSON-like value.
        code_ref: The code identity that is hashed. The runner passes the code digest, not a git commit.
        stage: The stage's name.

    Returns:
        `sha256:` and 64 hex digits.

    Raises:
        UnhashableError: a part has no stable form.
    """
    input_hash = hash_files(table) if isinstance(table, Files) else hash_table(table)
    return combine(stage, input_hash, hash_config(canonical_config(config)), code_ref)


# -- input --------------------------------------------------------------------------------------------------------


_TIMES = re.compile(r"DATE|TIMESTAMP(_\w+| WITH TIME ZONE)?")


class Hashed(NamedTuple):
    """What one pass over a table finds.

    Attributes:
        digest: 64 hex digits for its whole content.
        rows: How many there are.
        nulls: For each column that was measured, how many NULLs it holds.
        times: For each of those with times that holds any, the first and the last, seconds since 1970.
    """

    digest: str
    rows: int
    nulls: dict[str, int]
    times: dict[str, tuple[float, float]]


def hash_relation(
    con: duckdb.DuckDBPyConnection, sql: str, *, measure: int = 0, same_as: bytes | None = None
) -> Hashed:
    """Hash the whole content of a query's result, independent of the order of rows, sensitive to duplicates.

    Each row is turned into DuckDB's sort key, hashed with MD5, and the two 64-bit lanes are summed; names, types, count
    and sums go into a SHA-256. The constant behind the columns is needed: the sort key of a single narrow column comes
    back as a number. Sort keys take 0.0 and -0.0 for the same, so where there are fractions their sign counts too.

    Args:
        con: A DuckDB connection.
        sql: The query.
        measure: How many columns are measured in the same pass, from the first on.
        same_as: What settles the columns' names and types; to ask DuckDB takes as long as to hash a few rows.
    """
    columns = _columns.get(same_as) if same_as else None
    if columns is None:
        columns = [(row[0], row[1]) for row in con.execute(f"DESCRIBE {sql}").fetchall()]
        if same_as:
            if len(_columns) >= COLUMNS_KEPT:
                _columns.clear()
            _columns[same_as] = columns
    keys = "".join(f"{key}, 'ASC NULLS LAST', " for name, kind in columns for key in _keys(name, kind))
    measured = columns[:measure]
    timed = [i for i, (_, kind) in enumerate(measured) if _TIMES.fullmatch(kind)]
    taken = "".join(f", {_ident(name)} AS c{i}" for i, (name, _) in enumerate(measured))
    counts = "".join(f", count(h.c{i})" for i in range(len(measured)))
    ends = "".join(f", epoch({end}(h.c{i}) FILTER (isfinite(h.c{i})))" for i in timed for end in ("min", "max"))
    row = con.execute(
        "SELECT count(*), sum((h.k >> 64)::UBIGINT), sum((h.k & 18446744073709551615::UHUGEINT)::UBIGINT)"
        f"{counts}{ends} "
        f"FROM (SELECT md5_number(create_sort_key({keys}'', 'ASC NULLS LAST')) AS k{taken} FROM ({sql})) AS h"
    ).fetchone()
    assert row is not None
    count, high, low = row[:3]
    digest = _sha("table", columns, int(count), str(high or 0), str(low or 0))
    there = dict(zip([name for name, _ in measured], row[3:], strict=False))
    found = row[3 + len(measured) :]
    spans = {measured[i][0]: found[2 * n : 2 * n + 2] for n, i in enumerate(timed)}
    return Hashed(
        digest,
        int(count),
        {name: int(count) - number for name, number in there.items()},
        {name: (float(first), float(last)) for name, (first, last) in spans.items() if first is not None},
    )


_columns: dict[bytes, list[tuple[str, str]]] = {}
COLUMNS_KEPT = 256
"""For how many schemas the columns as DuckDB has them are kept in mind."""


def _keys(name: str, kind: str) -> list[str]:
    """What stands for a column in the sort key of its row."""
    column = _ident(name)
    if kind in ("DOUBLE", "FLOAT"):
        return [column, f"{column} = 0 AND signbit({column})"]
    return [column, f"{column}::VARCHAR"] if "DOUBLE" in kind or "FLOAT" in kind else [column]


def hash_table(table: Any) -> str:
    """Hash the whole content of an `ibis.Table` or Arrow table, of whatever backend; 64 hex digits.

    Raises:
        UnhashableError: it is no table.
    """
    return hash_counted(table)[0]


_memory: tuple[int, duckdb.DuckDBPyConnection] | None = None
_connecting = threading.Lock()


def memory_cursor() -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory; the database is this process's, as one takes 20 ms to make."""
    global _memory
    import duckdb

    with _connecting:
        if _memory is None or _memory[0] != os.getpid():
            # A forked child's DuckDB has no threads.
            _memory = (os.getpid(), duckdb.connect())
        return _memory[1].cursor()


def hash_counted(table: Any) -> tuple[str, int]:
    """`hash_table`, and the number of rows."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        con = memory_cursor()
        try:
            con.register("input", table)
            # With its metadata, in which an extension's type may stand.
            schema = table.schema.serialize().to_pybytes()
            return hash_relation(con, "FROM input", same_as=b"arrow " + schema)[:2]
        finally:
            con.close()
    if not hasattr(table, "op"):
        raise UnhashableError(f"the input is a {type(table).__qualname__}, not a table")
    return hash_relation(*as_sql(table))[:2]


def combine_inputs(parts: Mapping[str, str]) -> str:
    """The input hash of the hashes of its parts by name; 64 hex digits."""
    return _sha("input", sorted(parts.items()))


def as_sql(table: Any) -> tuple[duckdb.DuckDBPyConnection, str]:
    """A DuckDB connection and a query on it that gives the rows of an Ibis table. Other backends come through Arrow."""
    import duckdb
    import ibis

    backend = table.get_backend()
    if backend.name == "duckdb":
        # Registers in-memory tables that the expression holds.
        backend._run_pre_execute_hooks(table)
        return backend.con, str(backend.compile(table))
    con = duckdb.connect()
    con.register("input", ibis.Table.to_pyarrow(table))
    return con, "FROM input"


def _ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def hash_files(files: Files) -> str:
    """Hash files, or all files of folders, by their bytes and their order; 64 hex digits.

    Names of single files don't count; inside a folder they do, because they tell the files apart.

    Raises:
        ExportError: one isn't there or can't be read.
    """
    parts: list[Any] = []
    for number, path in enumerate(files.paths, 1):
        try:
            if path.is_dir():
                inside = sorted(entry for entry in path.rglob("*") if entry.is_file())
                parts.append([[entry.relative_to(path).as_posix(), _hash_file(entry)] for entry in inside])
            else:
                parts.append(_hash_file(path))
        except OSError as error:
            raise ExportError(
                f"export {number} can't be read ({error.strerror})", hint="check that the file is there and may be read"
            ) from None
    return _sha("files", parts)


def _hash_file(path: Path) -> str:
    status = path.stat()
    return _hash_unchanged(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=4096)
def _hash_unchanged(path: Path, *_unless_changed: int) -> str:
    """Hash of a file that is as it was when this process last read it: several stages take the same export."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- configuration ------------------------------------------------------------------------------------------------


class ConfigView:
    """The part of a configuration that a stage declares it reads; anything else is not there.

    A stage that read an undeclared key would be taken for unchanged when that key changes, so it can't. What changes no
    result (see `is_hashed`) may be read in any section of which something is declared.
    """

    __slots__ = ("_config", "_keys", "_prefix")

    def __init__(self, config: Any, keys: tuple[str, ...], prefix: str = "") -> None:
        object.__setattr__(self, "_config", config)
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        dotted = f"{self._prefix}{name}"
        if dotted in self._keys:
            return _member(self._config, name)
        if any(key.startswith(dotted + ".") for key in self._keys):
            return ConfigView(_member(self._config, name), self._keys, dotted + ".")
        if self._prefix and not is_hashed(self._config, name):
            return _member(self._config, name)
        raise AttributeError(f"the stage reads the configuration key '{dotted}', which it does not declare")

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a stage's configuration is read-only")


def _member(config: Any, name: str) -> Any:
    if isinstance(config, Mapping):
        return config[name]
    return getattr(config, name)


def is_hashed(config: Any, name: str) -> bool:
    """Whether a setting of a pydantic model counts in fingerprints; its field says `{"hashed": False}` if not."""
    while isinstance(config, ConfigView):
        # A child's view is one of its parent's view.
        config = object.__getattribute__(config, "_config")
    field = getattr(type(config), "model_fields", {}).get(name)
    extra = getattr(field, "json_schema_extra", None)
    return not (isinstance(extra, Mapping) and extra.get("hashed") is False)


def select_config(config: Any, keys: tuple[str, ...] | None) -> tuple[Any, Any]:
    """What the stage gets, and what is hashed: both the whole configuration, or both only the declared keys.

    Raises:
        ConfigError: a declared key isn't in the configuration.
    """
    if keys is None:
        return config, config
    selected: dict[str, Any] = {}
    for key in keys:
        value = config
        for part in key.split("."):
            try:
                value = _member(value, part)
            except (AttributeError, KeyError):
                raise ConfigError(f"the configuration has no key '{key}'", hint="correct config_keys") from None
        selected[key] = value
    return ConfigView(config, keys), selected


def canonical_config(config: Any, key: Callable[[], bytes] | None = None) -> str:
    """A configuration as canonical JSON: sorted keys, no white space, secrets replaced by an id.

    The id is keyed with what `key` gives, which is asked for only where there is a secret; without it, with the secret.

    Raises:
        UnhashableError: a value has no stable form.
    """
    return json.dumps(_plain(config, key), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def dotted_settings(config: Any, before: str = "") -> dict[str, Any]:
    """The settings of a canonical configuration by dotted key.

    What stands for a value, such as `{"$secret": …}`, is one; a configuration that is no object has the key `config`.
    """
    if not isinstance(config, dict):
        return {before.removesuffix(".") or "config": config}
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value and not any(name.startswith("$") for name in value):
            found |= dotted_settings(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def secret_id(value: Any, key: Callable[[], bytes] | None) -> str:
    """What stands for a secret of pydantic in a canonical configuration; see `canonical_config`."""
    secret = value.get_secret_value()
    data = secret.encode() if isinstance(secret, str) else bytes(secret)
    return hmac.new(key() if key else data, b"egregora config " + data, hashlib.sha256).hexdigest()[:16]


def hash_config(canonical: str) -> str:
    """Hash of a canonical configuration; 64 hex digits."""
    return _sha("config", canonical)


def _plain(value: Any, key: Callable[[], bytes] | None) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if hasattr(value, "get_secret_value"):
        return {"$secret": secret_id(value, key)}
    if isinstance(value, Enum):
        return _plain(value.value, key)
    if isinstance(value, (datetime, date, time)):
        return {f"${type(value).__name__}": value.isoformat()}
    if isinstance(value, timedelta):
        return {"$seconds": value.total_seconds()}
    if isinstance(value, (Decimal, uuid.UUID)):
        return {f"${type(value).__name__}": str(value)}
    if isinstance(value, PurePath):
        return {"$path": value.as_posix()}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": hashlib.sha256(value).hexdigest()}
    return _container(value, key)


def _container(value: Any, key: Callable[[], bytes] | None) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise UnhashableError("a mapping in the configuration has keys that aren't text")
        return {name: _plain(item, key) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, key) for item in value]
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted(json.dumps(_plain(item, key), sort_keys=True) for item in value)}
    if isinstance(value, type):
        raise UnhashableError(f"the class {value.__qualname__} in the configuration has no stable form")
    items = dict(_fields(value))
    if items or dataclasses.is_dataclass(value) or hasattr(type(value), "model_fields"):
        return {name: _plain(item, key) for name, item in items.items()}
    raise UnhashableError(f"a {type(value).__qualname__} in the configuration has no stable form")


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(type(value), "model_fields"):
        for name in type(value).model_fields:
            if is_hashed(value, name):
                yield name, getattr(value, name)
        yield from (getattr(value, "model_extra", None) or {}).items()
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield field.name, getattr(value, field.name)
