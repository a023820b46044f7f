"""`egregora runs show`: everything that is on record about one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import NONE, Line, count, moment
from egregora.cli.runs.words import MARK, STATUS_STYLES, RunArgument, marked, seconds, status, status_line
from egregora.cli.site import SiteOption, open_site
from egregora.database.runs_schema import RUNS

if TYPE_CHECKING:
    from egregora.observe.runs import Details, Row

__all__ = ["register", "show"]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs show last\negregora runs show 3f2a91c0\negregora runs show last-failed --json",
    )(show)


def show(
    run: RunArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="The row of `runs` as a JSON object, with its `profile`.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Show everything that is on record about one run."""
    from egregora.observe.runs import describe_run

    details = describe_run(open_site(site), run)
    if as_json:
        typer.echo(render.as_json({**details.row, "profile": _figures(details)}))
        return
    width = render.width_to_fit()
    lines = [_headline(details.row), *_wrong(details.row, width)]
    sections = _sections(details, width)
    if details.row["status"] == "failed":
        sections = {"Error": sections.pop("Error"), **sections}
    for title, fields in sections.items():
        lines += [[], [(title, "bold")], *_fields(fields, width)]
        if title == "Rows":
            lines += _profile(details, width)
    render.echo(lines)


def _headline(row: Row) -> Line:
    line: Line = [("Run ", ""), (row["run_id"][:8], "cyan"), (f"  {row['stage']}  ", "bold")]
    line += status_line(row, 0)
    if row["status"] == "running":
        return [*line, (f", for {seconds(row)} so far" if seconds(row) != NONE else "", "")]
    made = " from its checkpoint" if row["source"] == "checkpoint" else ""
    verb = "after" if row["status"] == "failed" else "in"
    took = "" if row["duration_seconds"] is None else f" {verb} {seconds(row)}"
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
            ("Status", status_line(row, 0)),
            *plain("source", "reason", "label"),
            ("Parent", [((row["parent_run_id"] or NONE) + parent, "")]),
            *plain("invocation_id", "trace_id", "tenant_id"),
            ("Owner", [(_owner(row["owner"]), "")]),
            ("Given", [(_given(row["given"]), "")]),
        ],
        "Timing": [
            ("Started", [(moment(row["started_at"]), "")]),
            ("Finished", [(moment(row["finished_at"]), "")]),
            ("Duration", [(seconds(row), "")]),
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
        *([(RUNS.column("hint").heading, [(row["hint"], "")])] if row["hint"] else []),
        (RUNS.column("error_type").heading, [(row["error_type"] or NONE, "")]),
        *[("" if number else "Traceback", [(frame, "dim")]) for number, frame in enumerate(frames)],
    ]


def _wrong(row: Row, width: int | None) -> list[Line]:
    """What looks wrong, and since which run."""
    fields: Fields = []
    for mark in marked(row):
        since = "" if mark.since == row["run_id"] else f" (since {mark.since[:8]})"
        fields.append((mark.name[: LABELS - 4], [(mark.text, "yellow"), (since, "dim")]))
    title = RUNS.column("marks").heading
    return [[], [(title, "bold yellow")], *_fields(fields, width)] if fields else []


def _figures(details: Details) -> dict[str, dict[str, float | None]]:
    """The figures for programs."""
    found = details.measured
    return {name: {"value": value, "usual": found.usual.get(name)} for name, value in found.figures.items()}


def _profile(details: Details, width: int | None) -> list[Line]:
    """The figures beside what is usual, and where there is room what they mean."""
    from egregora.pipeline.profile import figure_of, figure_text

    found = details.measured
    wrong = {mark.name for mark in marked(details.row)}
    # Of what there is none, and usually isn't, there is nothing to say.
    names = [name for name, value in found.figures.items() if value or found.usual.get(name) or name == "rows"]
    if not names:
        return []
    head: list[Line] = [[("  Figure", "dim")], [("Value", "dim")], [("Usually", "dim")], [("", "")]]
    cells = [head]
    for name in names:
        figure, usual = figure_of(name), found.usual.get(name)
        cells.append(
            [
                [(f"{MARK.strip()} " if name in wrong else "  ", "bold yellow"), (name, "dim")],
                [(figure_text(figure, found.figures[name]), "yellow" if name in wrong else "")],
                [(NONE if usual is None else figure_text(figure, usual), "dim")],
                [(figure.meaning, "dim")],
            ]
        )
    maker = found.maker
    title: Line = [("Profile", "bold")]
    if maker != details.row["run_id"]:
        title += [("  of the run that made the checkpoint, ", "dim"), (maker[:8], "cyan")]
    lines = render.align(cells, right=(1, 2))
    if width is not None and max(map(render.line_width, lines)) > width:
        lines = render.align([row[:3] for row in cells], right=(1, 2))
    return [[], title, *lines]


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


def _given(text: str | None) -> str:
    """The settings of the command line."""
    import json

    from egregora.observe.telling import value_said

    found = json.loads(text) if text else {}
    return ", ".join(f"{name} = {value_said(json.dumps(one['given']))}" for name, one in found.items()) or NONE


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

    from egregora.pipeline.fingerprint import dotted_settings

    if config is None:
        return []
    found = dotted_settings(json.loads(config))
    return [f"{key} = {_cut(json.dumps(value, ensure_ascii=False))}" for key, value in found.items()]


LONGEST = 200
"""Characters of a setting that are shown; what a model is told is longer, and stands in the table `configs`."""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


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
        lines.append(("", [(row["run_id"][:8], "cyan"), ("  ", ""), (status(row, 0), style), (what, "")]))
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
