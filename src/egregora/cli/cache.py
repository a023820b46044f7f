"""`egregora cache`: the checkpoints on the disk, what they take, and whether they are intact."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from egregora.amounts import span
from egregora.cli import render
from egregora.cli.quick import QuickCommand, QuickGroup
from egregora.cli.render import NONE, Line, bytes_text, count
from egregora.cli.site import SiteOption, open_site
from egregora.errors import StorageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from egregora.database.storage import StorageManager
    from egregora.observe.checkpoints import Kept, Leftover

__all__ = ["app"]

app = typer.Typer(
    help="Look after the results that are kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=QuickGroup,
)


def _complete_stage(context: typer.Context, incomplete: str) -> list[str]:
    """Stages for the shell. Silent, whatever goes wrong: a completion has nowhere to say it."""
    from contextlib import suppress

    import duckdb

    from egregora.errors import EgregoraError
    from egregora.observe.runs import known_stages

    names: list[str] = []
    with suppress(EgregoraError, OSError, duckdb.Error):
        names = known_stages(open_site(context.params.get("site")))
    return [name for name in names if name.startswith(incomplete) and name == render.safe(name)]


@app.command(cls=QuickCommand, epilog="egregora cache ls\negregora cache ls --json")
def ls(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array, a checkpoint an object.")] = False,
    site: SiteOption = None,
) -> None:
    """List the checkpoints by stage, the one used last first.

    `current` is what the newest completed run of its stage points to. `raw` holds names: it comes from before the
    privacy stage, and `egregora cache clear --stage parse` removes it.
    """
    storage = open_site(site)
    from egregora.observe.checkpoints import kept_checkpoints

    kept = kept_checkpoints(storage)
    if as_json:
        typer.echo(render.as_json([_object(one, storage.directory.parent) for one in kept]))
        return
    if not kept:
        render.echo([[("No checkpoints yet. A run leaves one: egregora write EXPORT.zip", "")]])
        return
    headings: list[list[Line]] = [
        [[(text, "bold")] for text in ("Stage", "Checkpoint", "Size", "Rows", "Used", "Run", "")]
    ]
    width = render.width_to_fit()
    whole = [_cells(one) for one in kept if one.part is None]
    lines = render.align([*headings, *whole, *_parts(kept)], right=(2, 3))
    blobs = {name: size for one in kept for name, size in one.blobs.items()}
    said = f"{_number(len(kept), 'checkpoint')}, {bytes_text(sum(one.bytes for one in kept))}"
    files = f"; {_number(len(blobs), 'file')} that they list, {bytes_text(sum(blobs.values()))}" if blobs else ""
    render.echo([*(render.cut(line, width) if width else line for line in lines), [], [(said + files, "")]])


def _cells(one: Kept) -> list[Line]:
    marks: Line = [("current", "green")] if one.newest else [("replay" if one.replay else "older", "dim")]
    if one.raw:
        marks += [(", ", ""), ("raw", "yellow")]
    return [
        [(one.stage or "(unknown)", "")],
        [(one.path.name[:12], "cyan")],
        [(bytes_text(one.bytes), "")],
        [(count(one.rows), "")],
        [(_ago(one.used_at), "")],
        [(one.run_id[:8] if one.run_id else NONE, "cyan")],
        marks,
    ]


def _parts(kept: list[Kept]) -> list[list[Line]]:
    """What children made, windows for example: a line for all of a stage that are current, and one for the others."""
    groups: dict[tuple[str, bool], list[Kept]] = {}
    for one in kept:
        if one.part is not None:
            groups.setdefault((one.stage or "", one.newest), []).append(one)
    return [
        [
            [(stage, "")],
            [(_number(len(found), "part"), "")],
            [(bytes_text(sum(one.bytes for one in found)), "")],
            [(count(sum(one.rows or 0 for one in found)), "")],
            [(_ago(max((one.used_at for one in found if one.used_at), default=None)), "")],
            [(NONE, "")],
            [("current", "green") if newest else ("older", "dim")],
        ]
        for (stage, newest), found in groups.items()
    ]


def _ago(at: datetime | None) -> str:
    return NONE if at is None else f"{span(render.elapsed(at))} ago"


def _object(one: Kept, folder: Path) -> dict[str, object]:
    return {
        "stage": one.stage,
        "path": one.path.relative_to(folder).as_posix(),
        "bytes": one.bytes,
        "rows": one.rows,
        "run_id": one.run_id,
        "made_at": one.made_at,
        "used_at": one.used_at,
        "current": one.newest,
        "part": one.part,
        "raw": one.raw,
        "replay": one.replay,
        "blobs": len(one.blobs),
        "blob_bytes": sum(one.blobs.values()),
    }


def _number(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _size(text: str | None) -> int | None:
    """Bytes of a size such as 500MB."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"'{text}' is no size: a number with its unit, such as 500MB or 2GB")
    return int(float(match[1]) * _UNITS[match[2].lower()])


@app.command(cls=QuickCommand, epilog="egregora cache gc --dry-run\negregora cache gc --keep-last 3 --max-size 2GB")
def gc(
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=1, help="How many checkpoints of each stage to keep.")
    ] = 1,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Delete older ones too until all is no larger, e.g. 500MB."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: what goes and what stays.")] = False,
    site: SiteOption = None,
) -> None:
    """Delete what no newer run needs: older checkpoints, files that no checkpoint lists, leftovers.

    What the newest completed runs point to is never deleted.
    """
    limit = _size(max_size)
    storage = open_site(site)
    from egregora.observe.checkpoints import delete, plan_gc

    plan = plan_gc(storage, keep_last=keep_last, max_bytes=limit)
    if not as_json:
        _list_files(plan.delete, storage.directory)
    freed = sum(file.bytes for file in plan.delete) if dry_run else delete(plan.delete)
    if as_json:
        gone = _gone(plan.delete, storage, deleted=not dry_run)
        kept = {"kept_files": plan.kept_files, "kept_bytes": plan.kept_bytes, "waiting": plan.waiting or None}
        typer.echo(render.as_json({**gone, **kept}))
        return
    verb = "Would delete" if dry_run else "Deleted"
    said = (
        f"{verb} {_number(len(plan.delete), 'file')}, {bytes_text(freed)}; " if plan.delete else "Nothing to delete; "
    )
    lines: list[Line] = [[(f"{said}{_number(plan.kept_files, 'file')}, {bytes_text(plan.kept_bytes)}, stay.", "")]]
    if plan.waiting:
        lines.append([(f"Note: {plan.waiting}.", "yellow")])
    if limit is not None and plan.kept_bytes > limit:
        lines.append([(f"That is more than {max_size}: the newest runs point to all of it.", "yellow")])
    render.echo(lines)


def _list_files(files: list[Leftover], folder: Path) -> None:
    """Files with size and reason; names of hashes are shortened."""
    if not files:
        return
    width = render.width_to_fit()
    rows: list[list[Line]] = [
        [[(_short(file.path.relative_to(folder)), "cyan")], [(bytes_text(file.bytes), "")], [(file.why, "dim")]]
        for file in files
    ]
    lines = render.align(rows, right=(1,))
    render.echo(render.cut(line, width) if width else line for line in lines)


def _gone(files: list[Leftover], storage: StorageManager, *, deleted: bool) -> dict[str, object]:
    """Files that go, for programs; paths as in `cache ls`."""
    folder = storage.directory.parent
    listed = [{"path": f.path.relative_to(folder).as_posix(), "bytes": f.bytes, "why": f.why} for f in files]
    return {"deleted": deleted, "files": listed, "bytes": sum(file.bytes for file in files)}


def _short(path: Path) -> str:
    return re.sub(r"[0-9a-f]{64}", lambda match: match[0][:12] + "…", path.as_posix())


@app.command(cls=QuickCommand, epilog="egregora cache clear --stage parse\negregora cache clear --yes")
def clear(
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage", metavar="STAGE", autocompletion=_complete_stage, help="Only the checkpoints of this stage."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before everything is deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: what was deleted.")] = False,
    site: SiteOption = None,
) -> None:
    """Delete the checkpoints of a stage, or all of them. The next run makes them again.

    `--stage parse` removes what holds people's names.
    """
    storage = open_site(site)
    from egregora.observe.checkpoints import clear as files_to_clear
    from egregora.observe.checkpoints import delete

    files = files_to_clear(storage, stage)
    if stage is None and files and not yes:
        if as_json or not sys.stdin.isatty():
            raise StorageError(
                "this deletes all checkpoints of the site", hint="say so with --yes, or name one: --stage STAGE"
            )
        size = bytes_text(sum(file.bytes for file in files))
        typer.confirm(f"Delete all checkpoints and what they list ({_number(len(files), 'file')}, {size})?", abort=True)
    freed = delete(files)
    if as_json:
        typer.echo(render.as_json(_gone(files, storage, deleted=True)))
        return
    render.echo(
        [[(f"Deleted {_number(len(files), 'file')}, {bytes_text(freed)}." if files else "Nothing to delete.", "")]]
    )


@app.command(cls=QuickCommand, epilog="egregora cache verify\negregora cache verify --discard")
def verify(
    discard: Annotated[
        bool, typer.Option("--discard", help="Delete what is damaged; the next run makes it again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: what was read, and what is damaged.")] = False,
    site: SiteOption = None,
) -> None:
    """Read every checkpoint and file, and compare them with what their runs recorded. Exit 1 if one is damaged."""
    storage = open_site(site)
    from egregora.observe.checkpoints import damaged_files, delete
    from egregora.observe.checkpoints import verify as look

    kept, blobs, damaged = look(storage)
    folder = storage.directory.parent
    if as_json:
        found = [{"path": damage.path.relative_to(folder).as_posix(), "what": damage.what} for damage in damaged]
        if discard:
            delete(damaged_files(damaged))
        typer.echo(render.as_json({"checkpoints": len(kept), "files": blobs, "damaged": found, "deleted": discard}))
        raise typer.Exit(int(bool(damaged) and not discard))
    lines: list[Line] = [
        [("damaged: ", "red"), (damage.path.relative_to(folder).as_posix(), ""), (f": {damage.what}", "")]
        for damage in damaged
    ]
    unknown = sum(one.sha256 is None for one in kept)
    said = f"{_number(len(kept), 'checkpoint')} and {_number(blobs, 'file')} read"
    if unknown:
        said += f" ({count(unknown)} that no run on record made: egregora cache gc)"
    lines.append([(f"{said}; {f'{count(len(damaged))} damaged' if damaged else 'all intact'}.", "")])
    render.echo(lines)
    if damaged and discard:
        delete(damaged_files(damaged))
        render.echo([[("Deleted what is damaged; the next run makes it again: egregora write EXPORT", "")]])
    elif damaged:
        raise StorageError(
            "some of the site's files are damaged", hint="delete them with: egregora cache verify --discard"
        )
