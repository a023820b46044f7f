"""One invocation as a page that can be mailed: what ran when, what came of what, what it cost, what went wrong."""

from __future__ import annotations

import base64
import functools
import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora import __version__
from egregora.amounts import dollars, took
from egregora.database.sql import literal, uuid_begins
from egregora.errors import StorageError
from egregora.observe.runs import Row, find_run, is_elsewhere, runs_by_ids, select_runs
from egregora.pipeline.fingerprint import canonical_config, dotted_settings

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["REPORTS", "Report", "kept_page", "make_report", "report_page", "write_page"]

REPORTS = "reports"
"""The folder beside the catalog that holds the pages that were opened. They go when runs are removed."""

RUNS_IN_FULL = 60
"""So many runs are told in full, those that failed and the newest first."""
CHILDREN_LISTED = 25
"""So many children of a run are listed, those that failed, then the longest first."""
CHILDREN_DRAWN = 50_000
LOG_LINES = 40
LANES = 12
"""Children of a stage that were at work side by side are drawn in so many lanes at most."""


@dataclass(frozen=True)
class Child:
    """A child run, as far as it is told."""

    run_id: str
    parent_run_id: str
    label: str | None
    status: str
    source: str | None
    started_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None
    rows_in: int | None
    rows_out: int | None
    llm_calls: int | None
    tokens: int | None
    cost_usd: float | None
    error: str | None


@dataclass(frozen=True)
class Counts:
    """How many children a run has, and how many of them failed, are at work, or came from a checkpoint."""

    total: int
    failed: int
    running: int
    checkpoint: int


@dataclass(frozen=True)
class Told:
    """A run in full.

    Attributes:
        row: Its row of `runs`.
        marks: In what its result is out of line.
        config: The settings it read: dotted key and value as it is recorded.
        code: What made up its code, in a few words.
        figures: What was measured of its result, by name.
        logs: Its last log lines: time, level, message; `earlier` is how many there are before these.
        children: How many there are.
        listed: Those of them that are listed.
    """

    row: Row
    marks: list[str]
    config: list[tuple[str, str]]
    code: str
    figures: list[tuple[str, float]]
    logs: list[tuple[datetime, str, str]]
    earlier: int
    children: Counts
    listed: list[Child]


@dataclass(frozen=True)
class Spent:
    """Calls of one model in one stage."""

    stage: str
    model: str
    calls: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    median_ms: float | None


@dataclass(frozen=True)
class Bar:
    """A run, or neighbours of the same kind, in the timeline: where it begins and how long it is, in percent."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True)
class Track:
    """A stage in the timeline: its runs, and its children in as many lanes as were at work side by side."""

    stage: str
    about: str
    bars: list[Bar]
    lanes: list[list[Bar]]
    y: int


@dataclass(frozen=True)
class Node:
    """A stage in the lineage; `earlier` if its runs belong to another invocation."""

    stage: str
    about: str
    kind: str
    x: int
    y: int
    earlier: bool


@dataclass(frozen=True)
class Picture:
    """The lineage as it is drawn: nodes, and paths between them."""

    nodes: list[Node]
    paths: list[str]
    width: int
    height: int


@dataclass(frozen=True)
class Report:
    """One invocation, with all that the page tells.

    Attributes:
        invocation_id: None for a run that belongs to none.
        state: `completed`, `failed` or `running`.
        sentence, cause: What came of it, and, of a failure, why.
        began, seconds: When it started, and how long it took, or has taken.
        rows: Its runs that are no children, oldest first.
        told: Those that are told in full, oldest first.
        settings: The settings that aren't the defaults, over all stages.
    """

    invocation_id: str | None
    state: str
    sentence: str
    cause: str
    began: datetime
    seconds: float
    rows: list[Row]
    told: list[Told]
    tracks: list[Track]
    ticks: list[tuple[float, str]]
    picture: Picture
    spent: list[Spent]
    settings: list[tuple[str, str]]
    figures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failed(self) -> list[Told]:
        return [one for one in self.told if one.row["status"] == "failed"]

    @property
    def marked(self) -> list[Told]:
        return [one for one in self.told if one.marks]

    @property
    def name(self) -> str:
        """Eight hex digits that name it."""
        return (self.invocation_id or self.rows[0]["run_id"])[:8]


def make_report(storage: StorageManager, wanted: str) -> Report:
    """All that is on record of an invocation.

    Args:
        storage: The site's records.
        wanted: An invocation's id or its beginning, or one of its runs; see `find_run`.

    Raises:
        RunLookupError: there is no such invocation or run.
        StorageError: the site's records can't be read.
    """
    with storage.reading(unhurried=True) as con:
        rows = _runs_of(con, wanted)
        ids = [row["run_id"] for row in rows]
        children = _children(con, ids)
        told = _told(con, rows, children)
        spent = _spent(con, rows, children)
        edges = _edges(con, ids)
        outside = runs_by_ids(con, sorted({parent for _, parent in edges} - set(ids)))
    now = datetime.now(UTC).replace(tzinfo=None)
    began = min(row["started_at"] for row in rows)
    ended = max(_end(row["started_at"], row["finished_at"], row["duration_seconds"], now) for row in rows)
    seconds = max((ended - began).total_seconds(), 0.001)
    state = next((s for s in ("running", "failed") if any(row["status"] == s for row in rows)), "completed")
    return Report(
        invocation_id=rows[0]["invocation_id"],
        state=state,
        sentence=_sentence(rows, state, seconds),
        cause=next((row["error"] or "" for row in rows[::-1] if row["status"] == "failed"), ""),
        began=began,
        seconds=seconds,
        rows=rows,
        told=told,
        tracks=_tracks(rows, children, began, seconds, now),
        ticks=_ticks(seconds),
        picture=_picture(rows, outside, edges),
        spent=spent,
        settings=_unusual(told),
        figures=_figures(rows, children, spent, seconds),
    )


# -- what is on record ------------------------------------------------------------------------------------------------


def _runs_of(con: duckdb.DuckDBPyConnection, wanted: str) -> list[Row]:
    """The runs of an invocation that are no children, oldest first."""
    digits = wanted.strip().lower().replace("-", "")
    invocation = None
    if re.fullmatch("[0-9a-f]{8,32}", digits):
        found = con.execute(
            f"FROM runs SELECT DISTINCT invocation_id::VARCHAR WHERE {uuid_begins('invocation_id', digits)} LIMIT 2"
        ).fetchall()
        invocation = found[0][0] if len(found) == 1 else None
    if invocation is None:
        row = find_run(con, wanted)
        invocation = row["invocation_id"]
        if invocation is None:
            return [row]
    return select_runs(
        con,
        f"FROM runs WHERE invocation_id = {literal(invocation)}::UUID AND parent_run_id IS NULL ORDER BY started_at",
    )


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(f"{literal(run_id)}::UUID" for run_id in ids) or "NULL"


def _children(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, list[Child]]:
    """Children by their parent, in the order in which they started."""
    names = [name if name[-2:] != "id" else f"{name}::VARCHAR" for name in Child.__dataclass_fields__]
    found = con.execute(
        f"SELECT {', '.join(names)} FROM runs WHERE parent_run_id IN ({_listed(ids)}) "
        f"ORDER BY started_at LIMIT {CHILDREN_DRAWN}"
    ).fetchall()
    children: dict[str, list[Child]] = {}
    for values in found:
        child = Child(*values)
        children.setdefault(child.parent_run_id, []).append(child)
    return children


def _told(con: duckdb.DuckDBPyConnection, rows: list[Row], children: Mapping[str, list[Child]]) -> list[Told]:
    """The runs that are told in full, with all that is on record of each."""
    chosen = sorted(rows, key=lambda row: (row["status"] == "completed", -row["started_at"].timestamp()))[:RUNS_IN_FULL]
    ids = _listed(row["run_id"] for row in chosen)
    configs = _texts(con, "configs", "config_hash", "config", chosen)
    codes = _texts(con, "codes", "code_hash", "modules", chosen)
    figures: dict[str, list[tuple[str, float]]] = {}
    for run_id, name, value in con.execute(
        f"FROM profiles SELECT run_id::VARCHAR, name, value WHERE run_id IN ({ids}) ORDER BY name"
    ).fetchall():
        figures.setdefault(run_id, []).append((name, value))
    logs: dict[str, list[tuple[datetime, str, str]]] = {}
    counts: dict[str, int] = {}
    for run_id, at, level, message, total in con.execute(
        "SELECT run_id::VARCHAR, ts, level, message, total FROM ("
        "SELECT *, count(*) OVER (PARTITION BY run_id) AS total, "
        "row_number() OVER (PARTITION BY run_id ORDER BY ts DESC) AS back "
        f"FROM run_logs WHERE run_id IN ({ids})) WHERE back <= {LOG_LINES} ORDER BY ts"
    ).fetchall():
        logs.setdefault(run_id, []).append((at, level, message))
        counts[run_id] = total
    told = []
    for row in sorted(chosen, key=lambda row: row["started_at"]):
        mine = children.get(row["run_id"], [])
        lines = logs.get(row["run_id"], [])
        told.append(
            Told(
                row=row,
                marks=[str(mark.get("text") or mark.get("name")) for mark in json.loads(row.get("marks") or "[]")],
                config=_settings(configs.get(row["config_hash"])),
                code=_code(codes.get(row["code_hash"])),
                figures=figures.get(row["run_id"], []),
                logs=lines,
                earlier=counts.get(row["run_id"], 0) - len(lines),
                children=_counted(mine),
                listed=sorted(
                    mine,
                    key=lambda child: (child.status == "completed", -(child.duration_seconds or 0.0), child.started_at),
                )[:CHILDREN_LISTED],
            )
        )
    return told


def _counted(children: list[Child]) -> Counts:
    return Counts(
        len(children),
        sum(child.status == "failed" for child in children),
        sum(child.status == "running" for child in children),
        sum(child.source == "checkpoint" for child in children),
    )


def _texts(con: duckdb.DuckDBPyConnection, table: str, key: str, column: str, rows: list[Row]) -> dict[str, str]:
    wanted = ", ".join(sorted({literal(row[key]) for row in rows if row[key]})) or "NULL"
    return dict(con.execute(f"FROM {table} SELECT {key}, {column} WHERE {key} IN ({wanted})").fetchall())


def _settings(config: str | None) -> list[tuple[str, str]]:
    return (
        [] if config is None else [(key, _value(value)) for key, value in dotted_settings(json.loads(config)).items()]
    )


def _unusual(told: list[Told]) -> list[tuple[str, str]]:
    """Settings of a site that aren't the defaults, each once."""
    from egregora.config import Config

    defaults = dict(_settings(canonical_config(Config())))
    # A key is no choice.
    read = dict(setting for one in told for setting in one.config if setting[0] != "site_key")
    return sorted((key, value) for key, value in read.items() if key in defaults and defaults[key] != value)


def _value(value: Any) -> str:
    """A setting's value as it is recorded: a secret is only said to be one."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        return "(a secret)" if kind == "$secret" else str(inner) if kind.startswith("$") else json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _code(modules: str | None) -> str:
    if modules is None:
        return ""
    kinds: dict[str, int] = {}
    for name in json.loads(modules):
        kind = name.split(" ", 1)[0] if " " in name else "value"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in kinds.items())


def _spent(con: duckdb.DuckDBPyConnection, rows: list[Row], children: Mapping[str, list[Child]]) -> list[Spent]:
    """What calls of models cost; a cost is unknown where one call's is."""
    by_stage: dict[str, list[str]] = {}
    for row in rows:
        mine = children.get(row["run_id"], [])
        if row["llm_calls"] or any(child.llm_calls for child in mine):
            by_stage.setdefault(row["stage"], []).extend([row["run_id"], *(child.run_id for child in mine)])
    spent = []
    for stage, ids in by_stage.items():
        found = con.execute(
            "SELECT model, count(*), count(error), sum(input_tokens)::BIGINT, sum(output_tokens)::BIGINT, "
            "CASE WHEN count(*) = count(cost_usd) THEN sum(cost_usd) END, median(latency_ms) "
            f"FROM llm_calls WHERE run_id IN ({_listed(ids)}) GROUP BY model ORDER BY min(ts)"
        ).fetchall()
        spent += [Spent(stage, *values) for values in found]
    return spent


def _edges(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[tuple[str, str]]:
    return con.execute(
        "FROM lineage SELECT child_run_id::VARCHAR, parent_run_id::VARCHAR "
        f"WHERE child_run_id IN ({_listed(ids)}) ORDER BY ALL"
    ).fetchall()


# -- what it says -----------------------------------------------------------------------------------------------------


def _sentence(rows: list[Row], state: str, seconds: float) -> str:
    """What came of an invocation."""
    hits = sum(row["source"] == "checkpoint" for row in rows)
    if state == "running":
        row = next(row for row in rows[::-1] if row["status"] == "running")
        if is_elsewhere(row):
            return f"{row['stage']} is running on another machine."
        far = ""
        if row["progress_done"] is not None:
            of = f" of {row['progress_total']:,}" if row["progress_total"] else ""
            far = f", at {row['progress_done']:,}{of} {row['progress_unit'] or ''}".rstrip()
        return f"Still at work on {row['stage']}{far}."
    if state == "failed":
        row = next(row for row in rows[::-1] if row["status"] == "failed")
        verb = "was interrupted" if row["error_type"] == "interrupted" else "failed"
        after = "" if row["duration_seconds"] is None else f" after {took(row['duration_seconds'])}"
        return f"{row['stage']} {verb}{after}."
    number = "The one stage" if len(rows) == 1 else f"All {len(rows):,} stages"
    if hits == len(rows):
        return f"Nothing had changed: {number.lower()} came from checkpoints, in {took(seconds)}."
    saved = f"; {hits:,} of them from checkpoints" if hits else ""
    return f"{number} completed in {took(seconds)}{saved}."


def _figures(
    rows: list[Row], children: Mapping[str, list[Child]], spent: list[Spent], seconds: float
) -> list[tuple[str, str]]:
    """The figures at the head of the page."""
    made = {row["stage"]: row["rows_out"] for row in rows if row["rows_out"] is not None}
    figures = [("took", took(seconds)), ("stage" if len(rows) == 1 else "stages", f"{len(rows):,}")]
    hits = sum(row["source"] == "checkpoint" for row in rows)
    if hits:
        figures.append(("from checkpoints", f"{hits:,}"))
    parts = sum(len(found) for found in children.values())
    if parts:
        units = {row["progress_unit"] for row in rows if row["run_id"] in children}
        figures.append((units.pop() or "parts" if len(units) == 1 else "parts", f"{parts:,}"))
    for stage, noun in (("enrich", "messages"), ("write", "posts"), ("publish", "files")):
        if stage in made:
            figures.append((noun, f"{made[stage]:,}"))
    if spent:
        costs = [one.cost_usd for one in spent]
        total = None if None in costs else sum(cost for cost in costs if cost is not None)
        figures.append(("model calls", f"{sum(one.calls for one in spent):,}"))
        figures.append(("cost", dollars(total, "unknown")))
    return figures


# -- the timeline -----------------------------------------------------------------------------------------------------

NARROW = 0.12
"""Bars that are narrower than this, in percent of the timeline, are drawn together with their neighbours."""
TRACK_TOP, BAR, LANE, GAP = 24, 16, 9, 20
"""Heights in pixels: a track's heading, a run, a lane of children, and what is between tracks."""


def _end(started: datetime, finished: datetime | None, seconds: float | None, now: datetime) -> datetime:
    if finished is not None:
        return max(finished, started)
    return now if seconds is None else started


def _tracks(
    rows: list[Row], children: Mapping[str, list[Child]], began: datetime, seconds: float, now: datetime
) -> list[Track]:
    by_stage: dict[str, list[Row]] = {}
    for row in rows:
        by_stage.setdefault(row["stage"], []).append(row)
    tracks = []
    y = 0

    def span(started: datetime, ended: datetime) -> tuple[float, float]:
        left = (started - began).total_seconds() / seconds * 100
        return max(0.0, min(left, 100.0)), max(0.0, min((ended - started).total_seconds() / seconds * 100, 100 - left))

    for stage, runs in by_stage.items():
        bars = []
        below: list[tuple[float, float, str, str]] = []
        for row in runs:
            end = _end(row["started_at"], row["finished_at"], row["duration_seconds"], now)
            kind = _kind(row["status"], row["source"])
            bars.append(Bar(*span(row["started_at"], end), kind, f"{stage} {row['run_id'][:8]}: {_about(row)}"))
            for child in children.get(row["run_id"], ()):
                ended = _end(child.started_at, child.finished_at, child.duration_seconds, now)
                within = "" if child.duration_seconds is None else f", {took(child.duration_seconds)}"
                what = f"{child.label or child.run_id[:8]}: {child.status}{within}"
                below.append((*span(child.started_at, ended), _kind(child.status, child.source), what))
        lanes = [list(_joined(lane)) for lane in _lanes(below)]
        about = _about(runs[0]) if len(runs) == 1 else f"{len(runs):,} runs"
        drawn = bars if len(bars) < 200 else list(_joined([(b.x, b.width, b.kind, b.title) for b in bars]))
        tracks.append(Track(stage, about, drawn, lanes, y))
        y += TRACK_TOP + BAR + LANE * len(lanes) + GAP
    return tracks


def _kind(status: str, source: str | None) -> str:
    """The class of CSS by which a run is coloured."""
    return "hit" if status == "completed" and source == "checkpoint" else status


def _about(row: Row) -> str:
    if row["status"] == "completed":
        made = "" if row["rows_out"] is None else f", {row['rows_out']:,} rows"
        how = "from its checkpoint" if row["source"] == "checkpoint" else took(row["duration_seconds"] or 0.0)
        return f"{how}{made}"
    if row["status"] == "running":
        return "at work"
    return "failed" if row["duration_seconds"] is None else f"failed after {took(row['duration_seconds'])}"


def _lanes(bars: list[tuple[float, float, str, str]]) -> list[list[tuple[float, float, str, str]]]:
    """Bars in lanes in which none begins before the one before it ends, as far as there are lanes."""
    lanes: list[list[tuple[float, float, str, str]]] = []
    ends: list[tuple[float, int]] = []
    free: list[int] = []
    for bar in sorted(bars):
        while ends and ends[0][0] <= bar[0] + 1e-9:
            heapq.heappush(free, heapq.heappop(ends)[1])
        if free:
            number = heapq.heappop(free)
        elif len(lanes) < LANES:
            number = len(lanes)
            lanes.append([])
        else:
            # More at a time than there are lanes: drawn over another one.
            min(lanes, key=len).append(bar)
            continue
        lanes[number].append(bar)
        heapq.heappush(ends, (bar[0] + bar[1], number))
    return lanes


def _joined(lane: Sequence[tuple[float, float, str, str]]) -> Iterator[Bar]:
    """A lane's bars, narrow neighbours of one kind as one."""
    start = end = 0.0
    kind, title, number = "", "", 0
    for x, width, next_kind, next_title in lane:
        if number and next_kind == kind and x + width - start < NARROW * 2 and x - end < NARROW:
            end, number = max(end, x + width), number + 1
            continue
        if number:
            yield Bar(round(start, 3), round(end - start, 3), kind, title if number == 1 else f"{number}: {kind}")
        start, end, kind, title, number = x, x + width, next_kind, next_title, 1
    if number:
        yield Bar(round(start, 3), round(end - start, 3), kind, title if number == 1 else f"{number}: {kind}")


_STEPS = (
    *(base * 10**power for power in range(-3, 1) for base in (1, 2, 5)),
    *(10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400),
)


def _ticks(seconds: float) -> list[tuple[float, str]]:
    """Where the timeline has its marks, in percent, and what they say: six at most, at round numbers."""
    step = next((step for step in _STEPS if seconds / step <= 6), _STEPS[-1])
    marks = []
    at = 0.0
    while at <= seconds * 0.97:
        said = f"{at:g} s" if step < 60 else f"{at / 60:g} min" if step < 3600 else f"{at / 3600:g} h"
        marks.append((round(at / seconds * 100, 3), said))
        at = round(at + step, 6)
    return marks


# -- the lineage ------------------------------------------------------------------------------------------------------

NODE_WIDTH, NODE_HEIGHT, BESIDE, BELOW, MARGIN = 190, 48, 22, 30, 8


def _picture(rows: list[Row], outside: list[Row], edges: list[tuple[str, str]]) -> Picture:
    """Stages, and which read what which other made: in layers from top to bottom."""
    groups: dict[tuple[str, bool], list[Row]] = {}
    group_of: dict[str, tuple[str, bool]] = {}
    for earlier, found in ((True, outside), (False, rows)):
        for row in found:
            group_of[row["run_id"]] = (row["stage"], earlier)
            groups.setdefault(group_of[row["run_id"]], []).append(row)
    links = sorted(
        {
            (group_of[source], group_of[reader])
            for reader, source in edges
            if source in group_of and reader in group_of and group_of[source] != group_of[reader]
        }
    )
    level = dict.fromkeys(groups, 0)
    for _ in range(min(len(groups), 50)):
        # As often as there are stages, so that a circle of stages ends, too.
        for source, reader in links:
            level[reader] = min(max(level[reader], level[source] + 1), len(groups))
    ordered = sorted(set(level.values()))
    nodes: dict[tuple[str, bool], Node] = {}
    widest = max((sum(1 for n in level.values() if n == one) for one in ordered), default=1)
    width = widest * (NODE_WIDTH + BESIDE) - BESIDE
    for depth, one in enumerate(ordered):
        here = [group for group in groups if level[group] == one]
        left = MARGIN + (width - len(here) * (NODE_WIDTH + BESIDE) + BESIDE) // 2
        for number, group in enumerate(here):
            runs = groups[group]
            kinds = [_kind(row["status"], row["source"]) for row in runs]
            kind = next((k for k in ("failed", "running", "completed") if k in kinds), "hit")
            about = _about(runs[0]) if len(runs) == 1 else f"{len(runs):,} runs"
            x, y = left + number * (NODE_WIDTH + BESIDE), MARGIN + depth * (NODE_HEIGHT + BELOW)
            nodes[group] = Node(group[0], f"{'earlier: ' if group[1] else ''}{about}", kind, x, y, group[1])
    depth_of = {one: depth for depth, one in enumerate(ordered)}
    paths = []
    aside = 0
    for source, reader in links:
        a, b = nodes[source], nodes[reader]
        if depth_of[level[reader]] - depth_of[level[source]] == 1:
            x1, y1, x2, y2 = a.x + NODE_WIDTH // 2, a.y + NODE_HEIGHT, b.x + NODE_WIDTH // 2, b.y - 2
            half = (y1 + y2) // 2
            paths.append(f"M{x1} {y1}C{x1} {half} {x2} {half} {x2} {y2}")
        else:
            # Past what lies between, on the right.
            aside += 1
            x1, y1, x2, y2 = a.x + NODE_WIDTH, a.y + NODE_HEIGHT // 2, b.x + NODE_WIDTH + 2, b.y + NODE_HEIGHT // 2
            out = max(x1, x2) + 14 + 16 * aside
            paths.append(f"M{x1} {y1}C{out} {y1} {out} {y2} {x2} {y2}")
    height = len(ordered) * (NODE_HEIGHT + BELOW) - BELOW + 2 * MARGIN
    return Picture(list(nodes.values()), paths, width + 2 * MARGIN + (20 + 16 * aside if aside else 0), height)


# -- the page ---------------------------------------------------------------------------------------------------------

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _tame(value: Any) -> Any:
    """Text without characters that are not seen or turn others around."""
    from markupsafe import Markup

    return _UNSEEN.sub("\ufffd", value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("egregora.observe"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_tame,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(seconds=took, dollars=dollars, moment=_moment, clock=_clock, whole=_count, figure=_figure)
    return made


def _moment(stored: datetime | None) -> str:
    """A stored time in full, in the zone of whoever makes the page."""
    return "–" if stored is None else stored.replace(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _clock(stored: datetime) -> str:
    return stored.replace(tzinfo=UTC).astimezone().strftime("%H:%M:%S")


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def report_page(report: Report) -> str:
    """The report as one HTML file: no script, nothing that is fetched, everything escaped."""
    from markupsafe import Markup

    style = (Path(__file__).with_name("templates") / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page: str = (
        _templates()
        .get_template("report.html")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704 - our own file
            csp=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            version=__version__,
            made=datetime.now(UTC).replace(tzinfo=None),
            sizes={"top": TRACK_TOP, "bar": BAR, "lane": LANE, "gap": GAP, "node_w": NODE_WIDTH, "node_h": NODE_HEIGHT},
        )
    )
    return page


def kept_page(storage: StorageManager, report: Report) -> Path:
    """Where the page of a report lies that is only looked at."""
    folder = storage.directory / REPORTS
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritten(folder, error) from None
    return folder / f"{report.name}.html"


def write_page(report: Report, path: Path) -> None:
    """Write a report's page to a file.

    Raises:
        StorageError: that can't be done.
    """
    page = report_page(report)
    temporary = path.with_name(f".new-{path.name}")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path.name} can't be written ({error.strerror})",
        hint="choose another place with: egregora runs report -o FILE",
    )
