"""What a run's fingerprint takes in, part by part: tables, files, configuration."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
import json
import uuid
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr

from egregora.config import Config
from egregora.errors import ConfigError, ExportError
from egregora.pipeline.fingerprint import (
    UnhashableError,
    canonical_config,
    combine,
    fingerprint_stage_input,
    hash_files,
    hash_relation,
    hash_table,
    select_config,
)
from egregora.pipeline.stage import Files


def hashed(sql: str, *, threads: int = 2) -> str:
    con = duckdb.connect(config={"threads": threads})
    return hash_relation(con, sql if " AS " in sql else f"{sql} AS a")[0]


# -- tables


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT ''", "SELECT NULL::VARCHAR"),
        ("SELECT NULL::INT[]", "SELECT []::INT[]"),
        ("SELECT []::INT[]", "SELECT [NULL]::INT[]"),
        ("SELECT NULL::INT[]", "SELECT [NULL]::INT[]"),
        ("SELECT NULL::STRUCT(x INT)", "SELECT {'x': NULL::INT}"),
        ("SELECT {'x': 1, 'y': 2}", "SELECT {'x': 2, 'y': 1}"),
        ("SELECT [[1], [2]]", "SELECT [[1, 2]]"),
        ("SELECT ['a', 'b']", "SELECT ['ab']"),
        ("SELECT 0.0::DOUBLE", "SELECT -0.0::DOUBLE"),
        ("SELECT 0.0::FLOAT", "SELECT -0.0::FLOAT"),
        ("SELECT [0.0::DOUBLE]", "SELECT [-0.0::DOUBLE]"),
        ("SELECT {'x': 0.0::DOUBLE}", "SELECT {'x': -0.0::DOUBLE}"),
        ("SELECT 'nan'::DOUBLE", "SELECT NULL::DOUBLE"),
        ("SELECT 'nan'::DOUBLE", "SELECT 'inf'::DOUBLE"),
        ("SELECT INTERVAL 1 MONTH", "SELECT INTERVAL 30 DAYS"),
        ("SELECT INTERVAL 1 DAY", "SELECT INTERVAL 24 HOURS"),
        ("SELECT '10:00:00+00'::TIMETZ", "SELECT '11:00:00+01'::TIMETZ"),
        ("SELECT 'A' COLLATE NOCASE", "SELECT 'a' COLLATE NOCASE"),
        ("SELECT chr(0)", "SELECT ''"),
        ("SELECT '\\x00'::BLOB", "SELECT ''::BLOB"),
        ("SELECT '001'::BIT", "SELECT '1'::BIT"),
        ("SELECT union_value(x := 1)::UNION(x INT, y INT)", "SELECT union_value(y := 1)::UNION(x INT, y INT)"),
        ("SELECT MAP {'a': 1}", "SELECT MAP {'a': 2}"),
        ("SELECT 'x'::ENUM('x', 'y')", "SELECT 'y'::ENUM('x', 'y')"),
        ("SELECT 1::DECIMAL(9,2)", "SELECT 1::DECIMAL(9,3)"),
        ("SELECT 1::INT", "SELECT 1::BIGINT"),
        ("SELECT 1 AS a", "SELECT 1 AS b"),
        ("SELECT 1 AS a, 2 AS b", "SELECT 2 AS a, 1 AS b"),
        ("SELECT 1 AS a, 2 AS b", "SELECT 2 AS b, 1 AS a"),
        ("SELECT 'ab' AS a, 'c' AS b", "SELECT 'a' AS a, 'bc' AS b"),
        ("SELECT true AS a", "SELECT false AS a"),
        ("SELECT 1 AS a WHERE false", "SELECT 1 AS a"),
        ("SELECT 1 AS a WHERE false", "SELECT NULL::INT AS a"),
        ("SELECT TIMESTAMP '2024-01-01'", "SELECT TIMESTAMP '2024-01-01 00:00:00.000001'"),
        ("SELECT range AS i FROM range(1001)", "SELECT if(range = 1000, -1, range) AS i FROM range(1001)"),
        ("SELECT unnest([1, 1, 2])", "SELECT unnest([1, 2, 2])"),
        ("SELECT unnest([1, 1])", "SELECT 1"),
        ("SELECT unnest([1, 2]) AS a, unnest([3, 4]) AS b", "SELECT unnest([1, 2]) AS a, unnest([4, 3]) AS b"),
    ],
)
def test_every_difference_counts(one: str, other: str) -> None:
    """Two tables that differ in a value, a NULL, a sign, a name, a type, an order or a count hash differently."""
    assert hashed(one) != hashed(other)


def test_order_of_rows_does_not_count() -> None:
    """A table is a bag of rows."""
    assert hashed("SELECT unnest(['a', 'b', NULL, 'b'])") == hashed("SELECT unnest(['b', NULL, 'b', 'a'])")


def test_names_like_those_of_the_query_do_no_harm() -> None:
    """Columns may be called as the hashing query calls its own."""
    con = duckdb.connect()
    sql = 'SELECT 1 AS k, NULL::INT AS h, 2 AS c0, 3 AS "a""b"'
    assert hash_relation(con, sql, measure=9)[1:] == (1, {"k": 0, "h": 1, "c0": 0, 'a"b': 0}, {})


def test_what_is_measured_beside_the_hash() -> None:
    """NULLs of each column, and first and last of each column of times, whatever their type; not of lists of them."""
    con = duckdb.connect()
    day = "TIMESTAMP '1970-01-02'"
    columns = {
        "plain": day,
        "zone": "TIMESTAMPTZ '1970-01-02 00:00:00+00'",
        "date": "DATE '1970-01-02'",
        "ns": "TIMESTAMP_NS '1970-01-02'",
        "s": "TIMESTAMP_S '1970-01-02'",
        "list": f"[{day}]",
        "endless": "CASE WHEN i = 1 THEN 'infinity'::TIMESTAMP ELSE NULL END",
    }
    timed = ("plain", "zone", "date", "ns", "s")
    sql = f"SELECT {', '.join(f'{value} AS {name}_' for name, value in columns.items())} FROM range(3) r(i)"
    found = hash_relation(con, sql, measure=9)
    assert found == hash_relation(con, sql)._replace(
        nulls={**dict.fromkeys((f"{name}_" for name in columns), 0), "endless_": 2},
        times=dict.fromkeys((f"{name}_" for name in timed), (86400.0, 86400.0)),
    )
    assert hash_relation(con, sql, measure=2).nulls == {"plain_": 0, "zone_": 0}
    assert hash_relation(con, f"{sql} LIMIT 0", measure=1)[1:] == (0, {"plain_": 0}, {})


def test_the_value_is_the_same_in_another_process_with_other_settings(python: Any) -> None:
    """Neither threads, timezone, locale nor the seed of Python's own hash change it."""
    sql = (
        "SELECT range AS i, range::VARCHAR AS t, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS z, 1.5 + range AS d "
        "FROM range(200000)"
    )
    done = python(
        f"""
        import duckdb
        from egregora.pipeline.fingerprint import hash_relation
        con = duckdb.connect(config={{"threads": 1}})
        con.execute("SET TimeZone = 'Asia/Tokyo'")
        print(hash_relation(con, {sql!r})[0])
        """,
        PYTHONHASHSEED="7",
        LC_ALL="C",
    )
    assert hashed(sql, threads=4) == done.stdout.strip()


VALUES: dict[str, tuple[st.SearchStrategy[Any], pa.DataType]] = {
    "text": (st.text(max_size=4), pa.string()),
    "number": (st.integers(-(2**63), 2**63 - 1), pa.int64()),
    "fraction": (st.floats(allow_nan=False), pa.float64()),
    "truth": (st.booleans(), pa.bool_()),
    "bytes": (st.binary(max_size=4), pa.binary()),
    "list": (st.lists(st.none() | st.integers(0, 2), max_size=3), pa.list_(pa.int64())),
    "struct": (
        st.fixed_dictionaries({"x": st.none() | st.text(max_size=2), "y": st.lists(st.text(max_size=1), max_size=2)}),
        pa.struct([("x", pa.string()), ("y", pa.list_(pa.string()))]),
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    count = draw(st.integers(0, 5))
    columns = {}
    for place, kind in enumerate(kinds):
        values, arrow = VALUES[kind]
        columns[f"c{place}"] = pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), arrow)
    return pa.table(columns)


def key(table: pa.Table) -> Any:
    """What a table holds, as Python compares it, zeros with their sign."""
    rows = sorted(repr(tuple(row.values())) for row in table.to_pylist())
    return [(field.name, str(field.type)) for field in table.schema], rows


@settings(max_examples=60, deadline=None)
@given(tables(), tables())
def test_tables_hash_alike_just_when_they_are_alike(one: pa.Table, other: pa.Table) -> None:
    """Equal bags of rows under equal names and types, and nothing else, have one hash."""
    assert (key(one) == key(other)) == (hash_table(one) == hash_table(other))


@settings(max_examples=60, deadline=None)
@given(tables(), st.randoms())
def test_shuffling_keeps_the_hash_and_doubling_changes_it(table: pa.Table, random: Any) -> None:
    """The order of rows doesn't count, how often each is there does; Arrow and Ibis tables hash alike."""
    order = list(range(table.num_rows))
    random.shuffle(order)
    shuffled = table.take(pa.array(order, pa.int64()))
    assert hash_table(table) == hash_table(shuffled)
    if table.num_rows:
        assert hash_table(table) != hash_table(pa.concat_tables([table, table.slice(0, 1)]))


def test_it_does_not_matter_where_a_table_lives(tmp_path: Path) -> None:
    """An Arrow table, a memtable, a table of DuckDB, one of another connection and a Parquet file hash alike."""
    arrow = pa.table({"a": [1, 2, None], "b": ["x", None, "z"], "c": [[1], [], None]})
    con = ibis.duckdb.connect()
    other = ibis.duckdb.connect()
    file = tmp_path / "t.parquet"
    con.create_table("t", arrow).to_parquet(file)
    found = {
        hash_table(table)
        for table in (
            arrow,
            ibis.memtable(arrow),
            con.table("t"),
            other.create_table("u", arrow),
            con.read_parquet(file),
        )
    }
    assert len(found) == 1
    assert {hash_table(arrow.select(["a", "b"]))} == {hash_table(con.table("t").select("a", "b"))}
    assert hash_table(con.table("t").filter(con.table("t").a > 1)) == hash_table(arrow.slice(1, 1))


def test_what_is_no_table_can_not_be_hashed() -> None:
    """A list is no input of a stage."""
    with pytest.raises(UnhashableError):
        hash_table([1, 2])


# -- files


def test_files_count_by_their_bytes_and_order(tmp_path: Path) -> None:
    """A renamed export is the same export; changed, added, swapped or split ones aren't."""
    for name, text in {"a.zip": "one", "b.zip": "two", "copy.zip": "one", "both": "onetwo"}.items():
        (tmp_path / name).write_text(text)

    def of(*names: str) -> str:
        return hash_files(Files(tuple(tmp_path / name for name in names)))

    assert of("a.zip") == of("copy.zip")
    different = [
        of("a.zip"),
        of("b.zip"),
        of("a.zip", "b.zip"),
        of("b.zip", "a.zip"),
        of("both"),
        of(),
        of("a.zip", "a.zip"),
    ]
    assert len(different) == len(set(different))


def test_folders_count_by_names_and_bytes(tmp_path: Path) -> None:
    """In a folder a file's name counts, because it tells files apart; the folder's own doesn't."""
    for folder, files in {"x": {"a": "1", "b": "2"}, "y": {"a": "1", "b": "2"}, "z": {"a": "2", "b": "1"}}.items():
        for name, text in files.items():
            (tmp_path / folder / "in").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "in" / name).write_text(text)
    x, y, z = (hash_files(Files((tmp_path / name,))) for name in "xyz")
    assert x == y
    assert x != z


def test_a_missing_file_is_told_by_its_number(tmp_path: Path) -> None:
    """Names of exports hold names of people, so the error doesn't hold them."""
    with pytest.raises(ExportError) as caught:
        hash_files(Files((tmp_path / "Chat with Zorro.zip",)))
    assert "Zorro" not in str(caught.value)
    assert "export 1" in str(caught.value)


# -- configuration


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.StrEnum):
    LOW = "low"


@dataclasses.dataclass
class Options:
    depth: int = 1
    names: tuple[str, ...] = ()


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: int = 1


UNLIKE: list[Any] = [
    {},
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {"a": True},
    {"a": 1.0},
    {"a": "1"},
    {"a": None},
    {"a": [1]},
    {"a": {"a": 1}},
    {"a": float("nan")},
    {"a": float("inf")},
    {"a": float("-inf")},
    {"a": 0.0},
    {"a": -0.0},
    {"a": Colour.BLUE, "b": 1},
    {"a": Decimal("1.0")},
    {"a": Decimal("1.00")},
    {"a": dt.date(2024, 1, 1)},
    {"a": dt.datetime(2024, 1, 1)},
    {"a": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)},
    {"a": dt.time(1)},
    {"a": dt.timedelta(seconds=1)},
    {"a": uuid.UUID(int=1)},
    {"a": PurePosixPath("x")},
    {"a": b"x"},
    {"a": {1, 2}},
    {"a": {1, 3}},
    {"a": SecretStr("x")},
    {"a": SecretStr("y")},
    {"a": 10**30},
    Options(3),
    Options(3, ("x",)),
    Model(size=3),
    Model(size=3, more=1),
    Model(size=3, more=2),
    "text",
    7,
]


def test_every_value_of_a_configuration_counts() -> None:
    """Configurations that differ in anything have different forms."""
    forms = [canonical_config(value) for value in UNLIKE]
    assert [form for form in forms if forms.count(form) > 1] == []


def test_order_of_keys_and_of_sets_does_not_count() -> None:
    """What has no order has none in the form."""
    assert canonical_config({"a": 1, "b": {"x", "y", "z"}}) == canonical_config({"b": {"z", "y", "x"}, "a": 1})
    assert canonical_config({"a": Level.LOW}) == canonical_config({"a": "low"})


def test_a_model_a_dataclass_and_a_mapping_of_the_same_are_the_same() -> None:
    """How a stranger keeps their settings is theirs."""
    assert canonical_config(Options(3)) == canonical_config({"depth": 3, "names": []})
    assert canonical_config(Model(size=3)) == canonical_config({"size": 3})


@pytest.mark.parametrize(
    "value", [object(), {1: "a"}, {"a": lambda: 1}, {"a": Options}, {"a": Model}, {"a": int}, {"a": Decimal}, iter(())]
)
def test_what_has_no_stable_form_is_refused(value: Any) -> None:
    """A function, a class, an unknown object or a key that isn't text can't be part of a fingerprint."""
    with pytest.raises(UnhashableError):
        canonical_config(value)


def test_secrets_are_told_apart_but_not_kept() -> None:
    """A secret stands in the form as an id under the site's key."""
    form = canonical_config({"a": SecretStr("Zorro"), "b": SecretBytes(b"Zorro")}, lambda: b"key")
    assert "Zorro" not in form
    other = canonical_config({"a": SecretStr("Zorro"), "b": SecretBytes(b"Zorro")}, lambda: b"other key")
    assert form != other
    assert hashlib.sha256(b"Zorro").hexdigest()[:8] not in form
    assert "Zorro" not in canonical_config({"a": SecretStr("Zorro")})


def test_the_key_is_asked_for_only_where_there_is_a_secret() -> None:
    """A stage without secrets makes no key."""

    def never() -> bytes:
        raise AssertionError

    assert canonical_config({"a": 1}, never) == '{"a":1}'


def test_a_stage_sees_what_it_declares_and_nothing_else() -> None:
    """Keys that aren't declared don't count, and can't be read."""
    config = Config()
    view, selected = select_config(config, ("parse.timezone", "write"))
    assert {"parse.timezone": "UTC", "write": config.write} == selected
    assert (view.parse.timezone, view.write.window, view["write"].window) == ("UTC", "7d", "7d")
    for read in (
        lambda: view.site,
        lambda: view.parse.source,
        lambda: view["parse"]["source"],
        lambda: view.site_key,
        lambda: view.pars,
    ):
        with pytest.raises((AttributeError, KeyError), match="does not declare"):
            read()
    with pytest.raises(AttributeError, match="read-only"):
        view.parse = 1
    assert not hasattr(view, "rank")
    with pytest.raises(ConfigError, match=r"no key 'parse\.tz'"):
        select_config(config, ("parse.tz",))


def test_a_mapping_can_be_a_configuration() -> None:
    """Dotted keys go down into plain mappings too."""
    view, selected = select_config({"a": {"b": 1, "c": 2}, "d": 3}, ("a.b",))
    assert (selected, view.a.b, view["a"]["b"]) == ({"a.b": 1}, 1, 1)
    with pytest.raises(KeyError):
        view["d"]


def test_the_fingerprint_is_made_of_its_parts(tmp_path: Path) -> None:
    """Stage, input, configuration and code each change it; its form is fixed."""
    table = pa.table({"a": [1]})
    (tmp_path / "f").write_text("x")
    prints = [
        fingerprint_stage_input(table, {"k": 1}, "code"),
        fingerprint_stage_input(pa.table({"a": [2]}), {"k": 1}, "code"),
        fingerprint_stage_input(table, {"k": 2}, "code"),
        fingerprint_stage_input(table, {"k": 1}, "other"),
        fingerprint_stage_input(table, {"k": 1}, "code", stage="s"),
        fingerprint_stage_input(Files((tmp_path / "f",)), {"k": 1}, "code"),
        combine("s", "a", "bc", "d"),
        combine("s", "ab", "c", "d"),
    ]
    assert len(set(prints)) == len(prints)
    assert all(print_[:7] == "sha256:" and len(print_) == 71 and int(print_[7:], 16) for print_ in prints)
    assert prints[0] == fingerprint_stage_input(ibis.memtable(table), json.loads('{"k": 1}'), "code")
