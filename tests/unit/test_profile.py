"""What is measured of a run's result, and when it is out of line with the runs before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import pyarrow as pa
import pytest

from egregora.database.storage import StorageManager
from egregora.errors import SchemaError
from egregora.pipeline.profile import Mark, Profile, figure_of, figure_text, judge, usual_figures
from egregora.pipeline.runner import run_stage_with_tracking

Ask = Callable[..., list[Any]]


def past(count: int = 5, **changes: Any) -> list[Profile]:
    """Earlier runs that are all alike, but for what is given."""
    return [profile(run_id=f"run-{number}", **changes) for number in range(count)]


def profile(**changes: Any) -> Profile:
    """A run of 1,000 rows in and out."""
    values: dict[str, Any] = {
        "run_id": "now",
        "config_hash": "c",
        "rows_in": 1000,
        "rows_out": 1000,
        "seconds": 2.0,
        "cost_usd": None,
        "figures": {},
    }
    return Profile(**{**values, **changes})


def of(**figures: float) -> dict[str, Any]:
    """Figures, their dots written as two underscores."""
    return {"figures": {name.replace("__", "."): value for name, value in figures.items()}}


OUT_OF_LINE = {
    "rows fell": (of(rows=200), of(rows=1000), "200 rows came out, usually 1,000"),
    "rows rose": (of(rows=5000), of(rows=1000), "5,000 rows came out, usually 1,000"),
    "an export shrank": (
        {"rows_in": None, "rows_out": 500, **of(rows=500)},
        {"rows_in": None, **of(rows=1000)},
        "500 rows came out, usually 1,000",
    ),
    "a column is empty": (
        of(nulls__language=0.97),
        of(nulls__language=0.31),
        "97.0 % of the rows have no language, usually 31 %",
    ),
    "a kind that never was": (
        of(kind__call=0.2),
        of(kind__call=0.0),
        "20 % of the messages are of the kind call, usually 0 %",
    ),
    "short posts": (of(words_per_post=12.4), of(words_per_post=180.0), "12.4 words a post, usually 180"),
    "a figure of a stranger's": (of(conversion=0.9), of(conversion=0.2), "conversion is 0.9, usually 0.2"),
    "a stranger's figure vanished": (of(conversion=0.0), of(conversion=0.2), "conversion is 0, usually 0.2"),
    "times reach too far": (
        of(first__ts=0.0, last__ts=86400.0 * 300),
        of(first__ts=0.0, last__ts=86400.0 * 60),
        "the column ts spans 300 days, usually 60",
    ),
    "slow": ({"seconds": 41.0}, {}, "it took 41.00 s, where 2.00 s are usual for so much"),
    "dear": (
        {"cost_usd": 0.9, **of(paid=10)},
        {"cost_usd": 0.3, **of(paid=10)},
        "a window or pair cost $0.0900, usually $0.0300",
    ),
    "dear rows": ({"cost_usd": 9.0}, {"cost_usd": 1.0}, "a row cost $0.0090, usually $0.0010"),
}

FINE = {
    "as ever": (of(rows=1000, nulls__a=0.3), of(rows=1000, nulls__a=0.3)),
    "more of more": ({"rows_in": 9000, **of(rows=9000)}, of(rows=1000)),
    "as much of more": ({"rows_in": 9000, **of(rows=1000)}, of(rows=1000)),
    "less of less": ({"rows_in": 90, "rows_out": 90, **of(rows=90)}, of(rows=1000)),
    "a longer export": ({"rows_in": None, **of(rows=90_000)}, {"rows_in": None, **of(rows=1000)}),
    "somewhat less of an export": ({"rows_in": None, **of(rows=800)}, {"rows_in": None, **of(rows=1000)}),
    "another configuration": ({"config_hash": "d", **of(rows=10)}, of(rows=1000)),
    "a handful": (of(windows=5), of(windows=1)),
    "chance with few rows": ({"rows_out": 10, **of(nulls__a=0.5)}, {"rows_out": 10, **of(nulls__a=0.2)}),
    "not judged": (of(opted_out=50), of(opted_out=1)),
    "only wrong when high": (of(lines_not_understood=0.0), of(lines_not_understood=0.5)),
    "ten times slower, but what is a second": ({"seconds": 0.9}, {"seconds": 0.02}),
    "slower with more": ({"seconds": 40.0, "rows_in": 20_000}, {}),
    "fewer windows to pay for": (
        {"cost_usd": 0.06, "seconds": 2.0, **of(paid=1)},
        {"cost_usd": 3.0, "seconds": 100.0, **of(paid=60)},
    ),
    "all windows to pay for": (
        {"cost_usd": 3.0, "seconds": 100.0, **of(paid=60)},
        {"cost_usd": 0.05, "seconds": 2.0, **of(paid=1)},
    ),
    "a longer chat": (
        {"rows_out": 9000, **of(first__ts=0.0, last__ts=86400.0 * 90)},
        of(first__ts=0.0, last__ts=86400.0 * 10),
    ),
}


@pytest.mark.parametrize(("now", "before", "said"), OUT_OF_LINE.values(), ids=OUT_OF_LINE)
def test_what_is_out_of_line_is_said_in_a_sentence(now: dict[str, Any], before: dict[str, Any], said: str) -> None:
    """The figure, what is usual, and one mark only."""
    assert [mark.text for mark in judge(profile(**now), past(**before))] == [said]


@pytest.mark.parametrize(("now", "before"), FINE.values(), ids=FINE)
def test_what_is_fine_is_silent(now: dict[str, Any], before: dict[str, Any]) -> None:
    """No mark where there is a good reason, or hardly a difference."""
    assert judge(profile(**now), past(**before)) == []


@pytest.mark.parametrize("case", [*OUT_OF_LINE])
def test_nothing_is_unusual_after_two_runs(case: str) -> None:
    """Without three runs before nobody knows what is usual."""
    now, before, _ = OUT_OF_LINE[case]
    assert judge(profile(**now), past(2, **before)) == []


def test_a_figure_that_swings_may_swing() -> None:
    """What differs from run to run is not out of line when it does so again."""
    swinging = [profile(**of(conversion=value)) for value in (0.01, 0.2, 0.03, 0.4, 0.02, 0.1)]
    assert judge(profile(**of(conversion=0.7)), swinging) == []


def test_nothing_out_of_something_looks_wrong_by_itself() -> None:
    """Even in a first run; unless that is how it usually is, or there was nothing to begin with."""
    nothing = {"rows_out": 0, **of(rows=0)}
    said = [Mark("rows", "no row came out of 1,000", 0.0, None, "now")]
    assert judge(profile(**nothing), []) == said
    assert judge(profile(**nothing), past()) == [
        Mark("rows", "no row came out of 1,000, usually 1,000", 0.0, 1000, "now")
    ]
    assert judge(profile(**nothing), past(**nothing)) == []
    assert judge(profile(rows_in=0, **nothing), []) == []
    told = replace(said[0], text="no post from 1,000 messages")
    assert judge(profile(marks=[told], **nothing), past()) == [told]


def test_since_which_run() -> None:
    """The first of an unbroken row of runs in which the figure was out of line."""
    before = past()
    first = profile(run_id="first", **of(rows=100))
    marks = judge(first, [replace(one, figures={"rows": 1000.0}) for one in before])
    second = profile(run_id="second", **of(rows=100))
    seen = [replace(first, marks=marks), *(replace(one, figures={"rows": 1000.0}) for one in before)]
    assert [mark.since for mark in marks + judge(second, seen)] == ["first", "first"]


def test_figures_in_words() -> None:
    """A figure is printed with its unit."""
    values = {
        "rows": 12345.0,
        "words_per_post": 181.44,
        "nulls.reply_to": 0.004,
        "nulls.media": 0.3149,
        "kind.text": 0.9996,
        "kind.call": 0.0,
        "last.ts": 1709542800.0,
        "quiet_from": 2.0,
        "bytes": 1234567.0,
        "date_order_ambiguous": 1.0,
        "first.endless": 1e300,
    }
    said = [figure_text(figure_of(name), value) for name, value in values.items()]
    assert said == [
        *("12,345", "181", "0.4 %", "31 %", "100.0 %", "0 %", "2024-03-04 09:00", "02:00", "1.2 MB", "yes", "1e+300")
    ]


# -- in runs ----------------------------------------------------------------------------------------------------------


def numbers(count: int) -> pa.Table:
    return pa.table({"n": pa.array(range(count), pa.int64()), "day": pa.array([0] * count, pa.timestamp("us"))})


def some(table: ibis.Table, config: dict[str, Any], *, run_id: str, context: Any) -> Any:
    """As many rows as the configuration says, half of them without a number."""
    table = ibis.memtable(table)
    context.profile("conversion", config["conversion"])
    if config["conversion"] > 1:
        context.mark("conversion", "more was sold than was asked for", config["conversion"])
    return table.limit(config["rows"]).mutate(n=ibis.ifelse(table.n % 2 == 0, table.n, ibis.null()))


def run(storage: StorageManager, rows: int = 100, conversion: float = 0.25, **options: Any) -> None:
    config = {"rows": rows, "conversion": conversion}
    run_stage_with_tracking("some", some, numbers(100), config, storage, config_keys=("rows", "conversion"), **options)


def test_every_run_has_a_profile(storage: StorageManager, ask: Ask) -> None:
    """Of any table: rows, share of NULLs in each column, first and last of times; and what the stage tells."""
    run(storage)
    assert dict(ask(storage, "FROM profiles SELECT name, value")) == {
        "rows": 100.0,
        "nulls.n": 0.5,
        "nulls.day": 0.0,
        "first.day": 0.0,
        "last.day": 0.0,
        "conversion": 0.25,
    }
    run(storage)
    assert ask(storage, "FROM runs SELECT source, marks ORDER BY started_at") == [
        ("executed", None),
        ("checkpoint", None),
    ]
    assert ask(storage, "FROM profiles SELECT count(DISTINCT run_id)") == [1]


def test_a_mark_is_in_the_row_and_a_hit_takes_it_over(storage: StorageManager, ask: Ask) -> None:
    """What was found wrong when the checkpoint was made is still wrong when it is used."""
    run(storage, conversion=1.5)
    run(storage, conversion=1.5)
    made, hit = ask(storage, "FROM runs SELECT marks ORDER BY started_at")
    (first,) = ask(storage, "FROM runs SELECT run_id::VARCHAR WHERE source = 'executed'")
    assert made == hit
    assert json.loads(made) == [
        {"name": "conversion", "text": "more was sold than was asked for", "value": 1.5, "usual": None, "since": first}
    ]


def test_marks_come_from_runs_of_other_processes(storage: StorageManager, ask: Ask) -> None:
    """History is in the catalog: a new process knows what is usual, and which run it was since."""

    def fresh() -> StorageManager:
        return StorageManager(storage.db_path)

    for _ in range(3):
        run(fresh(), force=True)
    with_less = numbers(100).set_column(1, "day", pa.array([0] * 50 + [86400 * 10**6 * 90] * 50, pa.timestamp("us")))
    for _ in range(2):
        config = {"rows": 100, "conversion": 0.25}
        options: dict[str, Any] = {"config_keys": ("rows", "conversion"), "force": True}
        run_stage_with_tracking("some", some, with_less, config, fresh(), **options)
    rows = ask(storage, "FROM runs SELECT run_id::VARCHAR, marks ORDER BY started_at")
    since = rows[3][0]
    said = {
        "name": "days.day",
        "text": "the column day spans 90 days, usually 0",
        "value": 90.0,
        "usual": 0.0,
        "since": since,
    }
    assert [json.loads(marks) if marks else [] for _, marks in rows] == [[], [], [], [said], [said]]


def test_a_strangers_columns_made_of_raw_messages_are_not_named(storage: StorageManager, ask: Ask) -> None:
    """A table with a column for each person would tell who they are."""

    def pivoted(table: ibis.Table, config: Any, *, run_id: str) -> ibis.Table:
        return ibis.memtable(table).mutate(**{"Maria Silva": ibis.null("int64")}).drop("author_raw")

    raw = pa.table({"author_raw": ["Maria Silva"], "n": [1]})
    run_stage_with_tracking("pivoted", pivoted, raw, {}, storage)
    assert dict(ask(storage, "FROM profiles SELECT name, value")) == {"rows": 1.0, "nulls.0": 0.0, "nulls.1": 1.0}


def test_failed_runs_have_no_profile(storage: StorageManager, ask: Ask) -> None:
    """There is no result to measure."""

    def fails(table: Any, config: Any, *, run_id: str, context: Any) -> Any:
        context.profile("conversion", 0.1)
        context.mark("conversion", "wrong", 0.1)
        raise SchemaError("no")

    with pytest.raises(SchemaError):
        run_stage_with_tracking("fails", fails, numbers(1), {}, storage)
    assert ask(storage, "FROM profiles SELECT count(*)") == [0]
    assert ask(storage, "FROM runs SELECT status, marks") == [("failed", None)]


def test_what_is_usual_is_the_median_of_like_runs() -> None:
    """Figures of another configuration say nothing, and few say little."""
    runs = [*(profile(**of(a=value)) for value in (1, 5, 2)), profile(config_hash="d", **of(a=100)), profile(**of(b=1))]
    assert usual_figures(runs, "c") == {"a": 2}


# -- the life of a site -----------------------------------------------------------------------------------------------


def life(seed: int, runs: int = 40) -> list[Profile]:
    """Runs of a stage over a growing chat, with noise as life makes it; nothing in it is wrong."""
    chance = random.Random(seed)
    people = chance.randint(2, 60)
    messages = chance.randint(50, 5000)
    a_day = chance.uniform(0.5, 300)
    media, language, links = chance.uniform(0.01, 0.3), chance.uniform(0.1, 0.6), chance.uniform(0.005, 0.2)
    words = chance.uniform(60, 400)
    day = 86400.0 * chance.randint(10, 300)
    found = []
    for number in range(runs):
        # Somebody writes it anew every few days; sometimes after months, and of a chat that has its seasons.
        pause = chance.choice((0, 1, 1, 2, 7, 7, 30, 120))
        day += 86400.0 * pause
        messages += int(a_day * pause * chance.lognormvariate(0, 0.8))
        people += chance.randint(0, 1) * pause // 7
        windows = max(1, int(day / 86400 / 7))

        def share(of_all: float, size: int = messages) -> float:
            seen = chance.gauss(of_all, (of_all * (1 - of_all) / size) ** 0.5) * chance.uniform(0.9, 1.1)
            return min(1.0, max(0.0, seen))

        # Prompts change now and then, and then all windows are written anew.
        paid = windows if number % 7 == 0 else max(1, pause // 7)
        posts = max(1, sum(chance.random() < 0.9 for _ in range(windows)))
        found.append(
            profile(
                run_id=f"{seed}-{number}",
                rows_in=messages,
                rows_out=posts,
                # A machine that is busy, and the first run of a day reads everything from a cold disk.
                seconds=(0.3 + messages * 4e-4 + paid * 2) * chance.choice((1, 1, 1, 1.5, 3)),
                cost_usd=0.03 * paid * chance.lognormvariate(0, 0.2),
                figures={
                    "rows": posts,
                    "people": people,
                    "windows": windows,
                    "posts_per_window": posts / windows,
                    "words_per_post": words * chance.lognormvariate(0, 0.15),
                    "kind.media": share(media),
                    "nulls.language": share(language),
                    "links": share(links),
                    "first.ts": 0.0,
                    "last.ts": day,
                    "paid": paid,
                },
            )
        )
    return found


def test_a_normal_life_is_quiet() -> None:
    """Of 4,000 healthy runs of growing sites, fewer than one in two hundred gets a mark."""
    marked: list[str] = []
    for seed in range(100):
        runs = life(seed)
        for number, one in enumerate(runs):
            marks = judge(one, runs[max(0, number - 20) : number][::-1])
            marked += [f"run {seed}-{number}: {marks}"] if marks else []
    assert len(marked) < 20, "\n".join(marked)
