"""The page of an invocation: what it says, and that nothing in it can be more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from egregora.database.storage import StorageManager, now
from egregora.errors import RunLookupError
from egregora.observe.report import LANES, Report, make_report, report_page
from report_rows import EVIL, INVOCATION, hostile_invocation, run
from runs_rows import Shown, run_id, seed


class Parsed(HTMLParser):
    """A page's elements with their attributes, its text, and its style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.style = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "style":
            self.style += data
        else:
            self.text.append(data)

    def of(self, kind: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == kind]


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", "".join(Parsed(page).text))


@pytest.fixture
def hostile(storage: StorageManager) -> Report:
    hostile_invocation(storage)
    return make_report(storage, "last")


def test_nothing_in_the_page_is_more_than_text(hostile: Report) -> None:
    """No element, attribute or style comes from what is on record, and the policy allows the page's own style alone."""
    parsed = Parsed(report_page(hostile))
    tags = {tag for tag, _ in parsed.elements}
    assert (
        tags & {"script", "img", "iframe", "object", "embed", "form", "input", "link", "base", "a", "use", "image"}
        == set()
    )
    names = {name for _, attributes in parsed.elements for name in attributes}
    assert {name for name in names if name.startswith("on") or name in ("href", "src", "style", "xlink:href")} == set()
    assert len(parsed.of("style")) == 1
    assert "broken" not in parsed.style
    (policy,) = (
        found["content"] for found in parsed.of("meta") if found.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_all_that_is_on_record_stands_there_as_text(hostile: Report) -> None:
    """Error, hint, frames, marks, settings, figures, windows, models and log lines; turned-around text is not."""
    page = report_page(hostile)
    text = text_of(page)
    evil = EVIL.replace("\u202e", "\ufffd")
    for said in (
        *(f"nonsense {evil}", f"try {evil}", f"a.py:1 in {evil}", f"links: 3 {evil}", f"no {evil}", f"m {evil}"),
        *(f"warning {evil}", f"info {evil}", "(a secret)", "$0.5000", "2 of 40 windows failed", INVOCATION, run_id(3)),
    ):
        assert re.sub(r"\s+", " ", said) in text, said
    assert "\u202e" not in page
    assert "49" not in re.findall(r"\{\{.*?\}\}|7\*7|\b49\b", page)


def test_an_invocation_is_found_by_its_id_and_by_its_runs(storage: StorageManager) -> None:
    """By the beginning of its own id, by a run, by a window of a run, by `last`."""
    ids = hostile_invocation(storage)
    seed_other = {**run("parse", -60, 1), "run_id": run_id(99), "invocation_id": "12345678-0000-0000-0000-000000000000"}
    seed(storage, [seed_other])
    for wanted in ("last", "parse", ids[2], ids[3], ids[5][:13], INVOCATION, INVOCATION[:8].upper()):
        assert make_report(storage, wanted).invocation_id == INVOCATION, wanted
    assert [row["run_id"] for row in make_report(storage, run_id(99)).rows] == [run_id(99)]
    with pytest.raises(RunLookupError):
        make_report(storage, "nonsense")


@pytest.mark.parametrize(
    ("rows", "state", "sentence"),
    [
        ([run("parse", 0, 2), run("write", 2, 3)], "completed", "All 2 stages completed in 5.00 s."),
        (
            [run("parse", 0, 2, source="checkpoint"), run("write", 2, 3)],
            "completed",
            "All 2 stages completed in 5.00 s; 1 of them from checkpoints.",
        ),
        (
            [run("parse", 0, 0.1, source="checkpoint")],
            "completed",
            "Nothing had changed: the one stage came from checkpoints, in 0.10 s.",
        ),
        (
            [run("parse", 0, 2), run("write", 2, 130, status="failed", error="too bad")],
            "failed",
            "write failed after 2 min 10 s.",
        ),
        (
            [run("write", 0, 1, status="failed", error="x", error_type="interrupted", duration_seconds=None)],
            "failed",
            "write was interrupted.",
        ),
    ],
)
def test_the_first_sentence_says_what_came_of_it(
    storage: StorageManager, rows: list[dict[str, Any]], state: str, sentence: str
) -> None:
    """In figures, without looking further."""
    seed(storage, rows)
    made = make_report(storage, "last")
    assert (made.state, made.sentence) == (state, sentence)
    assert sentence in text_of(report_page(made))


def test_what_is_at_work_is_told_as_far_as_it_is(storage: StorageManager) -> None:
    """Which stage, and at which window."""
    more = {"progress_done": 34, "progress_total": 60, "progress_unit": "windows", "status": "running"}
    working = {**run("write", 0, 0, **more), "started_at": now(), "finished_at": None, "duration_seconds": None}
    seed(storage, [working])
    made = make_report(storage, "last")
    assert (made.state, made.sentence) == ("running", "Still at work on write, at 34 of 60 windows.")
    assert "at work" in text_of(report_page(made))


@pytest.mark.parametrize("side_by_side", [1, 8, 40])
def test_two_thousand_windows_stay_readable(storage: StorageManager, side_by_side: int) -> None:
    """In a few lanes, narrow neighbours drawn as one, each failure told by name; the page can still be mailed."""
    hostile_invocation(storage, windows=2000, at_once=side_by_side)
    made = make_report(storage, "last")
    page = report_page(made)
    lanes = made.tracks[-1].lanes
    assert len(lanes) == min(side_by_side, LANES)
    bars = [bar for lane in lanes for bar in lane]
    assert len(bars) <= 2000
    assert max(map(len, lanes)) < 700
    assert sum(int(bar.title.split(":")[0]) if bar.title[0].isdigit() else 1 for bar in bars) == 2000
    assert all(0 <= bar.x <= 100 and bar.x + bar.width <= 100.001 for bar in bars)
    assert sum(bar.kind == "failed" for bar in bars) > 0
    assert "and 1,975 more" in text_of(page)
    assert len(page) < 1_000_000


def test_stages_stand_below_what_they_read(storage: StorageManager) -> None:
    """Each in a layer below its inputs; inputs from earlier invocations are there, and said to be."""
    old = {**run("parse", -60, 1), "invocation_id": "12345678-0000-0000-0000-000000000000"}
    rows = [old, run("privacy", 0, 1, parents=[run_id(1)]), run("write", 1, 1, parents=[run_id(2)])]
    rows.append(run("publish", 2, 1, parents=[run_id(3), run_id(1)]))
    seed(storage, rows)
    picture = make_report(storage, "last").picture
    stages = [node.stage for node in sorted(picture.nodes, key=lambda node: node.y)]
    assert stages == ["parse", "privacy", "write", "publish"]
    assert [node.stage for node in picture.nodes if node.earlier] == ["parse"]
    assert len(picture.paths) == 4
    assert picture.nodes[0].about.startswith("earlier: ")


def test_a_cost_that_is_not_known_is_not_nothing(storage: StorageManager) -> None:
    """One call without a price makes the sum unknown."""
    seed(storage, [run("write", 0, 1, llm_calls=2)])
    calls = [
        {
            "e": "call",
            "run_id": run_id(1),
            "ts": "2024-03-04 09:00:00",
            "model": "m",
            "prompt_hash": "p",
            "cost_usd": cost,
        }
        for cost in (0.5, None)
    ]
    storage.append(calls, sync=True)
    made = make_report(storage, "last")
    assert dict(made.figures)["cost"] == "unknown"
    assert made.spent[0].cost_usd is None


def test_report_writes_a_file(
    storage: StorageManager, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here by default, where `-o` says, or to standard output; programs get its place and its first sentence."""
    seed(storage, [run("write", 0, 1)])
    monkeypatch.chdir(tmp_path)
    code, out, err = shown("runs", "report")
    assert (code, out, err) == (
        0,
        "All 1 stages completed in 1.00 s.\nReport: egregora-report-abcdef01.html\n".replace(
            "All 1 stages", "The one stage"
        ),
        "",
    )
    page = (tmp_path / "egregora-report-abcdef01.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert shown("runs", "report", "last", "-o", "-")[1].startswith("<!doctype html>")
    told = json.loads(shown("runs", "report", run_id(1), "-o", "there.html", "--json")[1])
    assert told == {
        "path": str(tmp_path / "there.html"),
        "invocation_id": INVOCATION,
        "status": "completed",
        "sentence": "The one stage completed in 1.00 s.",
    }
    code, _, err = shown("runs", "report", "-o", "nowhere/there.html")
    assert (code, "there.html can't be written" in err) == (1, True)


def test_open_keeps_the_page_beside_the_records(
    storage: StorageManager, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser gets it from there; when runs are removed it goes, too."""
    seed(storage, [run("write", 0, 1, status="failed", error="x")])
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n', encoding="utf-8")
    browser.chmod(0o755)
    environment = {**os.environ, "BROWSER": str(browser)}
    words = [sys.executable, "-m", "egregora", "runs", "open", "last", "--site", str(storage.directory.parent)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    (page,) = (storage.directory / "reports").iterdir()
    assert opened.read_text(encoding="utf-8").strip() == page.as_uri()
    assert shown("runs", "rm", run_id(1), "--yes")[0] == 0
    assert not page.exists()
