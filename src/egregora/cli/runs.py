"""`egregora runs`: what ran, and everything about one run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand, QuickGroup
from egregora.cli.render import NONE, Line, count, duration, moment
from egregora.cli.site import SiteOption, open_site
from egregora.database.runs_schema import RUNS

if TYPE_CHECKING:
    from egregora.database.storage import StorageManager
    from egregora.observe.runs import Details, Recent, Row, Summary

__all__ = ["app", "complete_run", "show", "tail"]

app = typer.Typer(
    help="See what ran, while it runs, and why.", no_args_is_help=True, rich_markup_mode=None, cls=QuickGroup
)

STATUS_STYLES = {"completed": "green", "failed": "red", "running": "yellow"}
LOOK_EVERY_S = 0.5
"""How often `tail --follow` looks."""


def complete_run(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Run ids for the shell. Silent, whatever goes wrong: a completion has nowhere to say it."""
    import duckdb

    from egregora.errors import EgregoraError
    from egregora.observe.runs import matching_ids

    words = [(word, "") for word in ("last", "last-failed") if word.startswith(incomplete)]
    with suppress(EgregoraError, OSError, duckdb.Error):
        found = matching_ids(open_site(context.params.get("site")), incomplete)
        words += [(word, render.safe(about)) for word, about in found]
    return words


# -- tail -------------------------------------------------------------------------------------------------------------


@app.command(
    cls=QuickCommand,
    epilog="egregora runs tail\negregora runs tail -n 50 --children\negregora runs tail -f\negregora runs tail --json",
)
def tail(
    number: Annotated[int, typer.Option("-n", "--n", min=1, metavar="N", help="How many runs to list.")] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on, and show what changes, until Ctrl-C.")] = False,
    children: Annotated[
        bool, typer.Option("--children", help="List runs of single windows and pairs as well.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON array of rows of `runs`; with -f a row a line, as rows change.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """List the newest runs, newest first.

    The run ids are beginnings that `egregora runs show` takes. With -f a terminal shows the list live; elsewhere each
    run is written as a line when it starts and when it ends, oldest first.
    """
    storage = open_site(site)
    if follow:
        # Ctrl-C is how one leaves.
        with suppress(KeyboardInterrupt):
            _follow(storage, number, children, as_json)
        return
    from egregora.observe.runs import recent_runs

    recent = recent_runs(storage, limit=number, children=children)
    if as_json:
        typer.echo(render.as_json(recent.rows))
        return
    render.echo(_listing(recent, render.width_to_fit()))


def _follow(storage: StorageManager, number: int, children: bool, as_json: bool) -> None:
    import sys

    if not as_json and render.is_terminal(sys.stdout):
        _follow_live(storage, number, children)
    else:
        for rows, prefixes in _changes(storage, number, children):
            if as_json:
                for row in rows:
                    typer.echo(render.as_json(row))
            else:
                render.echo(_table(rows, prefixes, None)[1:])


def _follow_live(storage: StorageManager, number: int, children: bool) -> None:
    from rich.live import Live

    from egregora.observe.runs import recent_runs

    console = render.console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            # Above the summary and the prompt there is room for so many.
            fitting = max(1, min(number, console.height - 5))
            recent = recent_runs(storage, limit=fitting, children=children)
            live.update(render.to_text(_listing(recent, console.width)), refresh=True)
            time.sleep(LOOK_EVERY_S)


def _changes(storage: StorageManager, number: int, children: bool) -> Iterator[tuple[list[Row], dict[str, str]]]:
    """The newest runs, then again and again what is new or has another status; oldest first."""
    from egregora.observe.runs import changed_runs, recent_runs

    recent = recent_runs(storage, limit=number, children=children)
    seen = {row["run_id"]: row for row in recent.rows}
    rows, prefixes = recent.rows[::-1], recent.prefixes
    while True:
        if rows:
            yield rows, prefixes
        time.sleep(LOOK_EVERY_S)
        rows, prefixes = changed_runs(storage, seen, children=children)
        seen.update((row["run_id"], row) for row in rows)


def _listing(recent: Recent, width: int | None) -> list[Line]:
    """The table and the summary; without runs what to type."""
    summary = _summary(recent.summary)
    if not recent.rows:
        return [[(NO_RUNS, "")]]
    table = _table(recent.rows, recent.prefixes, width)
    zone = _zone(recent.rows)
    if not any(zone in text for text, _ in table[0]):
        summary.append((f"; times in {zone}", "dim"))
    lines = [*table, [], summary]
    failed = next((row for row in recent.rows if row["status"] == "failed"), None)
    if failed:
        lines.append([("why it failed: ", "dim"), (f"egregora runs show {recent.prefixes[failed['run_id']]}", "")])
    return lines


def _summary(found: Summary) -> Line:
    line: Line = [(f"{count(found.runs)} run{'' if found.runs == 1 else 's'}: ", "bold")]
    line += [(f"{count(found.completed)} completed", "green" if found.completed else "dim")]
    line += [(f" ({count(found.from_checkpoints)} from checkpoints)", "")]
    for status, number in (("failed", found.failed), ("running", found.running)):
        line += [(", ", ""), (f"{count(number)} {status}", STATUS_STYLES[status] if number else "dim")]
    return line


NO_RUNS = "No runs yet. Make the first with: egregora write EXPORT.zip (or see how it goes: egregora demo)"
HEADINGS = ("Run", "Stage", "Status", "Source", "Started", "Rows in", "Rows out", "Duration")
FLUSH_RIGHT = (5, 6, 7)
STAGE_WIDTHS = (24, 20, 16, 16, 12, 10, 6)
PLAIN_WIDTHS = (8, 8, 9, 10, 19, 8, 8, 9)
"""Least widths where nobody's terminal sets one, so that lines written at different times stand under each other."""


def _table(rows: list[Row], prefixes: dict[str, str], width: int | None) -> list[Line]:
    """The rows under headings, shortened step by step until they fit into `width` columns; then the reasons."""
    if width is None:
        return _aligned(rows, prefixes, 0, PLAIN_WIDTHS)
    lines: list[Line] = []
    for level in range(1, 8):
        lines = _aligned(rows, prefixes, level)
        needed = max(render.line_width(line) for line in lines)
        if needed <= width:
            break
    if needed + 18 <= width:
        lines = _aligned(rows, prefixes, level, why=True)
    return [render.cut(line, width) for line in lines]


def _aligned(
    rows: list[Row], prefixes: dict[str, str], level: int, least: tuple[int, ...] = (), *, why: bool = False
) -> list[Line]:
    headings = [*HEADINGS]
    if level <= 1:
        headings[4] = f"Started ({_zone(rows)})"
    if level >= 3:
        headings[5:7] = ["In", "Out"]
    table: list[list[Line]] = [[[(text, "bold")] for text in headings]]
    table += (_cells(row, prefixes, level) for row in rows)
    if why:
        for cells, text in zip(table, [("Why", "bold"), *(_why(row) for row in rows)], strict=True):
            cells.append([text])
    return render.align(table, right=FLUSH_RIGHT, least=least, gap=2 if level < 5 else 1)


def _zone(rows: list[Row]) -> str:
    return render.zone_of(row["started_at"] for row in rows)


def _cells(row: Row, prefixes: dict[str, str], level: int) -> list[Line]:
    """A row's cells: whole on level 0, the shorter the higher the level is."""
    source = row["source"] or NONE
    stage = row["stage"]
    if level:
        stage = render.cut([(stage, "")], STAGE_WIDTHS[level - 1])[0][0]
    return [
        [(prefixes[row["run_id"]], "cyan")],
        [(stage, "")],
        [(_status(row, level), STATUS_STYLES.get(row["status"], ""))],
        [(source, "" if source == "executed" else "dim")],
        [(_started(row, level), "")],
        [(count(row["rows_in"]), "")],
        [(count(row["rows_out"]), "")],
        [(_seconds(row), "" if row["duration_seconds"] is not None else "dim")],
    ]


def _status(row: Row, level: int) -> str:
    """The status; of a run at work how far it is, and where, if not here."""
    from egregora.observe.runs import is_elsewhere

    status = str(row["status"])
    if status != "running":
        return status
    if is_elsewhere(row):
        return "running on another machine" if level < 4 else "elsewhere"
    done, total, unit = (row[f"progress_{part}"] for part in ("done", "total", "unit"))
    if done is None:
        return status
    far = f"{done:,}/{total:,}" if total else f"{done:,}"
    if level < 4:
        return f"{status} {far} {unit or ''}".rstrip()
    return f"{status} {far}" if level < 6 else far


def _started(row: Row, level: int) -> str:
    at = render.local(row["started_at"])
    if level <= 1:
        return at.strftime("%Y-%m-%d %H:%M:%S")
    now = at.now(at.tzinfo)
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%d %b %H:%M" if at.year == now.year else "%Y-%m-%d")


def _seconds(row: Row) -> str:
    """How long a run took; of one at work here how long it has been."""
    from egregora.observe.runs import is_elsewhere

    if row["duration_seconds"] is None and row["status"] == "running" and not is_elsewhere(row):
        return duration(render.elapsed(row["started_at"]))
    return duration(row["duration_seconds"])


def _why(row: Row) -> tuple[str, str]:
    failed = row["status"] == "failed"
    what = (row["error"] or row["error_type"]) if failed else row["reason"]
    return ": ".join(part for part in (row["label"], what) if part), "red" if failed else "dim"


# -- show -------------------------------------------------------------------------------------------------------------


@app.command(
    cls=QuickCommand,
    epilog="egregora runs show last\negregora runs show 3f2a91c0\negregora runs show last-failed --json",
)
def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=complete_run,
            help="A run id, its beginning, `last`, or `last-failed`.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="The row of `runs` as a JSON object.")] = False,
    site: SiteOption = None,
) -> None:
    """Show everything that is on record about one run."""
    from egregora.observe.runs import describe_run

    details = describe_run(open_site(site), run)
    if as_json:
        typer.echo(render.as_json(details.row))
        return
    width = render.width_to_fit()
    lines = [_headline(details.row)]
    sections = _sections(details, width)
    if details.row["status"] == "failed":
        sections = {"Error": sections.pop("Error"), **sections}
    for title, fields in sections.items():
        lines += [[], [(title, "bold")], *_fields(fields, width)]
    render.echo(lines)


def _headline(row: Row) -> Line:
    line: Line = [("Run ", ""), (row["run_id"][:8], "cyan"), (f"  {row['stage']}  ", "bold")]
    line.append((_status(row, 0), STATUS_STYLES.get(row["status"], "")))
    if row["status"] == "running":
        return [*line, (f", for {_seconds(row)} so far" if _seconds(row) != NONE else "", "")]
    made = " from its checkpoint" if row["source"] == "checkpoint" else ""
    verb = "after" if row["status"] == "failed" else "in"
    took = "" if row["duration_seconds"] is None else f" {verb} {_seconds(row)}"
    return [*line, (f"{made}{took}", "")]


Fields = list[tuple[str, Line]]
"""A section of `show`: headings, with what stands beside them."""


def _sections(details: Details, width: int | None) -> dict[str, Fields]:
    """Every column of the row, and what is around it, in groups."""
    row = details.row

    def plain(*names: str) -> Fields:
        return [(RUNS.column(name).heading, [(NONE if row[name] is None else str(row[name]), "")]) for name in names]

    def hashes(*names: str) -> Fields:
        return [(RUNS.column(name).heading, [(_hash(row[name], width), "")]) for name in names]

    def numbers(*names: str) -> Fields:
        return [(RUNS.column(name).heading, [(count(row[name]), "")]) for name in names]

    progress = NONE
    if row["progress_done"] is not None:
        of = f" of {count(row['progress_total'])}" if row["progress_total"] is not None else ""
        progress = f"{count(row['progress_done'])}{of} {row['progress_unit'] or ''}".rstrip()
    parent = f" ({details.parent['stage']}, {details.parent['status']})" if details.parent else ""
    sections: dict[str, Fields] = {
        "Identity": [
            *plain("run_id", "stage"),
            ("Status", [(_status(row, 0), STATUS_STYLES.get(row["status"], ""))]),
            *plain("source", "reason", "label"),
            ("Parent", [((row["parent_run_id"] or NONE) + parent, "")]),
            *plain("invocation_id", "trace_id", "tenant_id"),
            ("Owner", [(_owner(row["owner"]), "")]),
        ],
        "Timing": [
            ("Started", [(moment(row["started_at"]), "")]),
            ("Finished", [(moment(row["finished_at"]), "")]),
            ("Duration", [(_seconds(row), "")]),
            ("Progress", [(progress, "")]),
        ],
        "Rows": numbers("rows_in", "rows_out"),
        "Cost": [
            *numbers("llm_calls", "tokens"),
            ("Cost", [(NONE if row["cost_usd"] is None else f"${row['cost_usd']:,.4f}", "")]),
        ],
        "Fingerprint": [
            *hashes("input_fingerprint", "input_hash"),
            *_input_parts(row, width),
            *hashes("config_hash"),
            *[("", [(text, "dim")]) for text in _config(details.config)],
            *hashes("code_hash"),
            *[("", [(text, "dim")]) for text in _modules(details.modules)],
            *plain("code_ref"),
        ],
        "Inputs and outputs": [
            *_related("Input", details.parents, "an export or a table from outside"),
            *hashes("output_hash"),
            *_checkpoint(details, width),
            *_related("Read by", details.readers, NONE),
        ],
    }
    if details.children:
        sections["Children"] = _children(details)
    if details.logs:
        sections["Log"] = _log(details)
    sections["Error"] = _error(row)
    return sections


def _error(row: Row) -> Fields:
    if row["status"] != "failed" and row["error"] is None:
        return [("Error", [("none", "")])]
    frames = (row["traceback"] or NONE).split("\n")
    return [
        ("Error", [(row["error"] or NONE, "red")]),
        (RUNS.column("error_type").heading, [(row["error_type"] or NONE, "")]),
        *[("" if number else "Traceback", [(frame, "dim")]) for number, frame in enumerate(frames)],
    ]


def _hash(value: str | None, width: int | None) -> str:
    """A hash whole where there is room for it beside its heading, else its beginning."""
    if value is None:
        return NONE
    if width is None or width >= LABELS + len(value) + 2:
        return value
    kind, colon, digits = value.rpartition(":")
    return f"{kind}{colon}{digits[:24]}…" if len(digits) > 24 else value


def _owner(owner: str | None) -> str:
    from egregora.database.journal import host_id, owner_host

    if not owner:
        return NONE
    where = "this machine" if owner_host(owner) == host_id() else "another machine"
    parts = owner.split("-")
    return f"{owner} ({where}{', process ' + parts[1] if len(parts) == 3 else ''})"


def _input_parts(row: Row, width: int | None) -> Fields:
    import json

    parts: dict[str, str] = json.loads(row["input_parts"]) if row["input_parts"] else {}
    if not parts:
        return [("Input parts", [(NONE, "")])]
    return [
        ("" if number else "Input parts", [(f"{name}  ", ""), (_hash(value, width and width - len(name) - 2), "")])
        for number, (name, value) in enumerate(parts.items())
    ]


def _config(config: str | None) -> list[str]:
    """The configuration, a key a line."""
    import json

    if config is None:
        return []
    found = json.loads(config)
    if not isinstance(found, dict):
        return [config]
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _dotted(found)]


def _dotted(config: dict[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """The keys of nested sections as dotted keys. What stands for a value in the hash (`$secret`, …) is a value."""
    for key, value in config.items():
        if isinstance(value, dict) and value and not any(name.startswith("$") for name in value):
            yield from _dotted(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _modules(modules: dict[str, str]) -> list[str]:
    """What made up the code, in a line: how many of each kind, and the distributions by name and version."""
    kinds: dict[str, int] = {}
    for name in modules:
        kind = name.split(" ", 1)[0] if " " in name else "value"
        kinds[kind] = kinds.get(kind, 0) + 1
    said = [f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in kinds.items()]
    return [", ".join(said)] if said else []


def _related(heading: str, rows: list[Row], none: str) -> Fields:
    if not rows:
        return [(heading, [(none, "dim")])]
    return [
        (
            "" if number else heading,
            [(row["run_id"][:8], "cyan"), (f"  {row['stage']}, {count(row['rows_out'])} rows", "")],
        )
        for number, row in enumerate(rows)
    ]


def _checkpoint(details: Details, width: int | None) -> Fields:
    row = details.row
    if row["checkpoint_sha256"] is None:
        return [("Checkpoint", [(NONE, "")])]
    there = "" if details.checkpoint_there else " (no longer there)"
    changed = row["checkpoint_mtime_ns"]
    return [
        ("Checkpoint", [(f"{details.checkpoint}{there}", "")]),
        (RUNS.column("checkpoint_bytes").heading, [(render.bytes_text(row["checkpoint_bytes"]), "")]),
        (RUNS.column("checkpoint_mtime_ns").heading, [(render.moment_ns(changed), "")]),
        (RUNS.column("checkpoint_sha256").heading, [(_hash(row["checkpoint_sha256"], width), "")]),
    ]


def _children(details: Details) -> Fields:
    found = details.children
    assert found is not None
    states = (("completed", found.completed), ("failed", found.failed), ("running", found.running))
    said = f"{count(found.total)}: " + ", ".join(f"{count(number)} {status}" for status, number in states)
    lines: Fields = [("Children", [(said, "")])]
    for row in found.notable:
        style = STATUS_STYLES.get(row["status"], "")
        what = f"  {row['label'] or NONE}{': ' + row['error'] if row['error'] else ''}"
        lines.append(("", [(row["run_id"][:8], "cyan"), ("  ", ""), (_status(row, 0), style), (what, "")]))
    return lines


def _log(details: Details) -> Fields:
    before = details.log_count - len(details.logs)
    lines: Fields = [("", [(f"({count(before)} earlier lines)", "dim")])] if before else []
    for at, level, message in details.logs:
        said: Line = [(message, "")] if level == "info" else [(f"{level}: ", "yellow"), (message, "")]
        lines.append((render.local(at).strftime("%H:%M:%S"), said))
    return lines


LABELS = 19
"""Columns that the headings of `show` take, with what is before and after them."""


def _fields(fields: Fields, width: int | None) -> list[Line]:
    """Headings and values in two columns; a value that is too long goes on below itself."""
    lines: list[Line] = []
    for heading, value in fields:
        before = f"  {heading}".ljust(LABELS)
        for piece in render.fold(value, None if width is None else max(20, width - LABELS)):
            lines.append([(before, "dim"), *piece])
            before = " " * LABELS
    return lines
