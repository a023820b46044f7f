"""What looks wrong about an export or what was made of it, through the program, as somebody would meet it."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from egregora.demo import EXPORT
from egregora.testing import write_export
from runs_rows import Shown

Ask = Callable[..., list[Any]]
WEEKS = datetime(2024, 3, 4)
WORDS = ("boat", "sail", "paint", "rope", "shed", "tide", "glue", "plank", "nail", "mast", "keel", "oar")


def chat(
    messages: int = 600,
    *,
    people: int = 4,
    begin: datetime = WEEKS,
    days: float = 28,
    hours: tuple[int, int] = (8, 23),
    form: str = "%d/%m/%Y, %H:%M",
) -> str:
    """A chat that is awake in these hours of the phone's clock."""
    chance = random.Random(1)
    moments = sorted(
        begin + timedelta(days=chance.randrange(int(days)), hours=chance.uniform(*hours)) for _ in range(messages)
    )
    lines = [
        f"{moment.strftime(form)} - Person {chance.randrange(people)}: {' '.join(chance.sample(WORDS, 5))}?"
        for moment in moments
    ]
    return "\n".join(lines) + "\n"


def swapped(text: str) -> str:
    """The chat as if three messages stood in it that were written a week before those around them."""
    lines = text.splitlines()
    for place in (200, 350, 500):
        day = datetime.strptime(lines[place][:10], "%d/%m/%Y") - timedelta(days=7)
        lines[place] = day.strftime("%d/%m/%Y") + lines[place][10:]
    return "\n".join(lines) + "\n"


# From midnight on: with the time at which the test runs the chat would be awake at other hours.
IN_TWENTY_DAYS = datetime.now().replace(hour=0, minute=0) + timedelta(days=20)
CASES: dict[str, tuple[str, str, str]] = {
    "healthy": (chat(), "parse", ""),
    "awake around midnight": (chat(hours=(13, 28)), "parse", ""),
    "around the clock": (chat(hours=(0, 24)), "parse", ""),
    "two people who share a day": (chat(60, people=2, days=1), "parse", ""),
    "in the future": (
        chat(begin=IN_TWENTY_DAYS - timedelta(days=27)),
        "parse",
        r"\d+ % of 600 messages lie in the future; is the date order right\?",
    ),
    "backwards": (swapped(chat()), "parse", "3 times the chat goes back by more than a day; is the date order right?"),
    "one author": (
        chat(people=1),
        "parse",
        "all 600 messages are by one author; are the others missing?",
    ),
    "another clock": (
        chat(hours=(20, 34)),
        "parse",
        "the quietest hours of the day are 10:00 to 16:00; is it the clock of where they live (parse.timezone)?",
    ),
    "a guess": (
        chat(days=1, begin=datetime(2024, 3, 4)),
        "parse",
        "the order of day and month is a guess; check a date, and set parse.date_order if it is wrong",
    ),
    "not a chat at all, mostly": (
        "what is this?\n" * 100 + chat(),
        "parse",
        "14 % of the lines were not understood; is it a whole chat, as the app exported it?",
    ),
    "no post": (
        re.sub(r"Person \d: .*", "Person 1: ok", chat(days=300), count=0).replace("Person 1", "Person 2", 300),
        "write",
        r"no post came out of 600 messages in 43 windows; would a larger write.window, or a smaller .*, do\?",
    ),
}


@pytest.mark.parametrize(("text", "stage", "said"), CASES.values(), ids=CASES)
def test_what_can_not_be_right_is_marked(
    text: str, stage: str, said: str, tmp_path: Path, shown: Shown, site: Path, ask: Ask
) -> None:
    """One mark, in the row, in the report and in `tail`; none for a chat of people who live as people do."""
    export = tmp_path / "chat.txt"
    export.write_text(text, encoding="utf-8")
    order = [] if "guess" in said else ["--date-order", "dmy"]
    (site / "egregora.toml").write_text("[write]\nmin_messages = 100\n" if stage == "write" else "", encoding="utf-8")
    code, out, err = shown("write", str(export), *order, "--up-to", stage)
    assert code == 0, err
    rows = {row["stage"]: row for row in json.loads(shown("runs", "tail", "--json")[1])}
    found = [mark["text"] for row in rows.values() for mark in json.loads(row["marks"] or "[]")]
    assert all(re.fullmatch(said, text) or text == said for text in found), found
    assert len(found) == bool(said)
    assert (f"{stage} looks wrong: " in out) == bool(said)
    listed = shown("runs", "tail", width=80)[1]
    assert ("completed !" in listed) == bool(said)
    assert f"! 1 looks wrong: egregora runs explain {rows[stage]['run_id'][:8]}" in listed or not said


def test_a_file_that_has_lost_its_time_is_no_judge(tmp_path: Path, shown: Shown, site: Path) -> None:
    """Unpacked with a date of 1980, an export doesn't make all its messages lie in the future."""
    export = tmp_path / "chat.txt"
    export.write_text(chat(), encoding="utf-8")
    os.utime(export, (315532800, 315532800))
    shown("write", str(export), "--date-order", "dmy", "--up-to", "parse")
    assert json.loads(shown("runs", "tail", "--json")[1])[0]["marks"] is None


def test_later_than_its_export_is_the_future_too(tmp_path: Path, shown: Shown, site: Path) -> None:
    """An export made in April holds no messages of December, whatever the year is by now."""
    export = tmp_path / "chat.txt"
    text = chat().splitlines()
    late = [line.replace("/03/2024", "/12/2024") for line in text[-20:]]
    export.write_text("\n".join(text + late), encoding="utf-8")
    made = (WEEKS + timedelta(days=30)).timestamp()
    os.utime(export, (made, made))
    shown("write", str(export), "--date-order", "dmy", "--up-to", "parse")
    (mark,) = json.loads(json.loads(shown("runs", "tail", "--json")[1])[0]["marks"])
    assert (mark["name"], round(mark["value"], 4)) == ("future", round(20 / 620, 4))


def test_the_example_is_quiet(shown: Shown, site: Path, ask: Ask) -> None:
    """Written, written again, with other windows, other days, forced thrice: nothing looks wrong."""
    written = ["--up-to", "write"]
    words: list[list[str]] = [[], [], ["--window", "1d"], *[[*written, "--force", "write"]] * 3]
    words += [
        [*written, *option] for option in (["--from", "2024-03-20"], ["--to", "2024-04-01"], ["--window", "100m"])
    ]
    for options in words:
        code, out, err = shown("write", str(EXPORT), *options)
        assert (code, err) == (0, "")
        assert "looks wrong" not in out
    rows = json.loads(shown("runs", "tail", "-n", "100", "--json")[1])
    assert {row["marks"] for row in rows} == {None}


def test_an_export_that_lost_half_of_it(tmp_path: Path, shown: Shown, site: Path) -> None:
    """After three whole exports a shorter one stands out, in `show` beside what is usual; a longer one doesn't."""
    for number, messages in enumerate((800, 810, 830, 2000)):
        export = write_export(tmp_path / f"{number}.zip", messages=messages, days=40)
        assert "looks wrong" not in shown("write", str(export), "--up-to", "parse")[1]
    short = write_export(tmp_path / "short.zip", messages=400, days=40)
    _, out, _ = shown("write", str(short), "--up-to", "parse", width=80)
    assert "parse looks wrong: 402 rows came out, usually 822\n  see: egregora runs explain parse\n" in out
    _, out, _ = shown("runs", "show", "last", width=80)
    assert "\nLooks wrong\n  rows             402 rows came out, usually 822\n" in out
    assert re.search(r"\n! rows +402 +822\n", out)
    shown("write", str(short), "--up-to", "parse")
    _, out, _ = shown("runs", "show", "last", width=80)
    assert "completed ! from its checkpoint" in out
    assert "Profile  of the run that made the checkpoint, " in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_figures_cost_next_to_nothing(tmp_path: Path) -> None:
    """Counting a million messages takes a small part of the second in which they are parsed."""
    import numpy as np
    import pyarrow as pa

    from egregora.stages.parse_figures import Measures

    times = np.arange(1_000_000, dtype=np.int64) * 60_000_000
    names = pa.DictionaryArray.from_arrays(pa.array(times % 20, pa.int32()), [f"Person {n}" for n in range(20)])
    kinds = pa.DictionaryArray.from_arrays(pa.array(times % 2, pa.int32()), ["text", "media"])
    whole = pa.record_batch({"ts": pa.array(times, pa.timestamp("us")), "author_raw": names, "kind": kinds})
    batches = [whole.slice(start, 10_000) for start in range(0, 1_000_000, 10_000)]
    began = time.process_time()
    measures = Measures("Europe/Lisbon", (tmp_path,))
    for batch in batches:
        measures.count(batch)
    assert time.process_time() - began < 0.5
