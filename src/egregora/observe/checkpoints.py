"""Which checkpoints and blobs there are, which are still needed, and whether they are what their runs say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.database.journal import host_id, owner_host
from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.errors import StorageError

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = [
    "NEEDED",
    "NEWEST",
    "Damage",
    "Kept",
    "Leftover",
    "Plan",
    "clear",
    "damaged_files",
    "delete",
    "is_at_work",
    "kept_checkpoints",
    "plan_gc",
    "verify",
    "with_what_they_list",
]

SETTLED_S = 3600
"""What is younger than this and belongs to no run may belong to one that is about to say so."""
FAR_AWAY_S = 86400
"""A run of another machine counts as at work for this long; whether it still lives can't be told from here."""


@dataclass(frozen=True)
class Kept:
    """A checkpoint on the disk.

    Attributes:
        stage: The stage; None if no completed run is on record for it.
        path: The file.
        bytes: Its size.
        run_id: The run that made it.
        made_at: When that run began; None if it isn't known.
        used_at: When the newest run that made or took it began.
        rows: Rows in it.
        recorded_bytes: The file's size, as that run recorded it.
        sha256: Hash of the file's bytes, likewise.
        output_hash: Content address, likewise.
        newest: Whether the stage's newest completed run points to it.
        part: What it is a part of its stage's result for, if a child made it: the child's label.
        raw: Whether it holds names: it comes from before the privacy stage.
        replay: Whether a replay left it, which made something else than the run that it repeated; nobody takes it.
        blobs: The blobs that belong to it, with their sizes.
    """

    stage: str | None
    path: Path
    bytes: int
    run_id: str | None = None
    made_at: datetime | None = None
    used_at: datetime | None = None
    rows: int | None = None
    recorded_bytes: int | None = None
    sha256: str | None = None
    output_hash: str | None = None
    newest: bool = False
    part: str | None = None
    raw: bool = False
    replay: bool = False
    blobs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Leftover:
    """A file that can go, and why."""

    path: Path
    bytes: int
    why: str


@dataclass(frozen=True)
class Plan:
    """What a clean-up deletes and what stays.

    Attributes:
        delete: Files to delete.
        kept_bytes: Bytes of the checkpoints and blobs that stay.
        kept_files: How many those are.
        waiting: Why some things are left alone for now; empty if nothing is.
    """

    delete: list[Leftover]
    kept_bytes: int
    kept_files: int
    waiting: str = ""


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be: which, and in what way."""

    path: Path
    what: str


# -- what there is ----------------------------------------------------------------------------------------------------

NEWEST = (
    "SELECT arg_max(run_id, started_at) AS run_id FROM runs WHERE status = 'completed' AND parent_run_id IS NULL "
    f"AND checkpoint_sha256 IS NOT NULL AND {NO_REPLAY} GROUP BY stage, tenant_id"
)
"""The newest completed run of each stage: what the next run may take its result from, and what the site is made of."""

NEEDED = (
    "SELECT run_id FROM runs JOIN (SELECT stage, tenant_id, max(started_at) FILTER "
    "(status = 'completed' AND source = 'executed') AS since FROM runs WHERE parent_run_id IS NULL GROUP BY ALL) "
    "USING (stage, tenant_id) "
    "WHERE parent_run_id IS NULL AND source = 'executed' AND (since IS NULL OR started_at >= since)"
)
"""Of each stage the newest run that completed by work, and those after it: what they have made of their parts is what
the next run takes, so that nothing is paid for twice."""

_MAKERS = """
SELECT stage, input_fingerprint,
       arg_max(run_id::VARCHAR, started_at) FILTER (source IS DISTINCT FROM 'checkpoint'),
       coalesce(max(started_at) FILTER (source IS DISTINCT FROM 'checkpoint'), min(started_at)), max(started_at),
       arg_max({{'rows': rows_out, 'bytes': checkpoint_bytes, 'sha256': checkpoint_sha256, 'hash': output_hash}},
               started_at),
       bool_or(newest), arg_max(label, started_at), bool_and(parent_run_id IS NOT NULL)
FROM (
    SELECT *, CASE WHEN parent_run_id IS NULL THEN run_id IN (SELECT run_id FROM ({NEWEST}))
        ELSE parent_run_id IN ({NEEDED}) END AS newest
    FROM runs WHERE status = 'completed' AND checkpoint_sha256 IS NOT NULL
)
WHERE substr(input_fingerprint, strpos(input_fingerprint, ':') + 1) IN ({names})
GROUP BY stage, input_fingerprint
"""
"""What completed runs recorded of checkpoints with these names; each by the run that used it last."""


def kept_checkpoints(storage: StorageManager) -> list[Kept]:
    """The checkpoints on the disk, by stage, the one used last first.

    Raises:
        StorageError: the site's records can't be read.
    """
    from egregora.pipeline.checkpoint import checkpoint_path

    files = _files(storage.checkpoint_dir, "*/*.parquet")
    known: dict[Path, tuple[Any, ...]] = {}
    if files:
        names = ", ".join(literal(path.stem) for path in files)
        with storage.reading() as con:
            for found in con.execute(_MAKERS.format(names=names, NEWEST=NEWEST, NEEDED=NEEDED)).fetchall():
                known[checkpoint_path(storage, found[0], found[1])] = found
    kept = [_kept(path, status_bytes, known.get(path)) for path, status_bytes in files.items()]
    return sorted(kept, key=lambda one: (one.stage or "\U0010ffff", -_seconds(one.used_at), one.path.name))


def _seconds(at: datetime | None) -> float:
    return (at - datetime(1970, 1, 1)).total_seconds() if at else 0.0  # noqa: DTZ001 - stored times have no zone


def _kept(path: Path, size: int, found: tuple[Any, ...] | None) -> Kept:
    from egregora.pipeline.checkpoint import read_blobs

    blobs = read_blobs(path)
    if found is None:
        return Kept(None, path, size, raw=_is_raw(path), blobs=blobs)
    stage, fingerprint, run_id, made_at, used_at, last, newest, label, is_part = found
    return Kept(
        stage,
        path,
        size,
        run_id=run_id,
        made_at=made_at,
        used_at=used_at,
        rows=last["rows"],
        recorded_bytes=last["bytes"],
        sha256=last["sha256"],
        output_hash=last["hash"],
        newest=bool(newest),
        part=(label or "") if is_part else None,
        raw=_is_raw(path),
        replay=fingerprint.startswith("replay:"),
        blobs=blobs,
    )


def _is_raw(path: Path) -> bool:
    """Whether a checkpoint has the column that only parse's result has. An unreadable one may."""
    import duckdb

    con = duckdb.connect()
    try:
        names = con.execute(f"SELECT name FROM parquet_schema({literal(path)})").fetchall()
    except duckdb.Error:
        return True
    finally:
        con.close()
    return ("author_raw",) in names


def _files(folder: Path, pattern: str) -> dict[Path, int]:
    """Finished files below a folder, with their sizes; none whose name begins with a dot."""
    found = {}
    for path in sorted(folder.glob(pattern)):
        if not path.name.startswith(".") and path.is_file():
            found[path] = path.stat().st_size
    return found


# -- what can go ------------------------------------------------------------------------------------------------------


def plan_gc(storage: StorageManager, *, keep_last: int = 1, max_bytes: int | None = None) -> Plan:
    """What a clean-up would delete.

    Kept are, for each stage, the checkpoints used last, what any stage's newest completed run points to, and what
    belongs to runs at work. Blobs stay as long as one of these lists them, and a model's answers on record as long as
    one of these was made of them.

    Args:
        storage: The site's records.
        keep_last: How many checkpoints of each stage stay.
        max_bytes: Checkpoints and blobs together should be no larger; then the ones used longest ago go as well. What
            the newest runs point to stays even if that is more.

    Raises:
        StorageError: the site's records can't be read.
    """
    checkpoints = kept_checkpoints(storage)
    at_work = _paths_at_work(storage)
    going: list[tuple[Kept, str]] = []
    staying: list[Kept] = []
    seen: dict[tuple[str | None, str | None], int] = {}
    for one in checkpoints:
        if one.replay and one.path not in at_work:
            going.append((one, "a replay left it"))
            continue
        which = (one.stage, one.part)
        seen[which] = seen.get(which, 0) + 1
        if one.newest or one.path in at_work:
            staying.append(one)
        elif one.stage is None:
            if _age(one.path) > SETTLED_S:
                going.append((one, "no run is on record for it"))
            else:
                staying.append(one)
        elif one.part is not None and keep_last == 1:
            going.append((one, "a part of a result that there are newer ones of"))
        elif seen[which] > keep_last:
            going.append((one, "there is a newer one" if keep_last == 1 else f"there are {keep_last} newer ones"))
        else:
            staying.append(one)
    blobs = _files(storage.directory / "blobs", "*")
    if max_bytes is not None:
        going += _to_fit(staying, blobs, max_bytes, at_work)
    delete = [Leftover(one.path, one.bytes, why) for one, why in going]
    delete += [Leftover(path, size, why) for path, size, why in _beside([one.path for one, _ in going], storage)]
    needed = _blobs_of(staying)
    unneeded = {path: size for path, size in blobs.items() if path.name not in needed}
    waiting = ""
    if unneeded and at_work is not _NOBODY:
        waiting = "files that no checkpoint lists are left alone while a run is at work"
    else:
        delete += [Leftover(path, size, "no checkpoint lists it") for path, size in unneeded.items()]
    if at_work is _NOBODY:
        delete += _old_replies(storage, staying)
    kept_blobs = [size for path, size in blobs.items() if path.name in needed]
    return Plan(delete, sum(one.bytes for one in staying) + sum(kept_blobs), len(staying) + len(kept_blobs), waiting)


def _old_replies(storage: StorageManager, staying: Iterable[Kept]) -> Iterator[Leftover]:
    """Answers on record of which no result is kept. One that no run on record asked for stays: it was brought here."""
    files = _files(storage.directory / "replies", "*.json")
    if not files:
        return
    names = ", ".join(literal(one.path.stem) for one in staying) or "NULL"
    with storage.reading() as con:
        needed = dict(
            con.execute(
                f"""
                SELECT prompt_hash, bool_or(
                    run_id IN ({NEEDED}) OR coalesce(parent_run_id IN ({NEEDED}), false)
                    OR substr(input_fingerprint, strpos(input_fingerprint, ':') + 1) IN ({names})
                ) FROM llm_calls JOIN runs USING (run_id) GROUP BY prompt_hash
                """
            ).fetchall()
        )
    for path, size in files.items():
        if needed.get(path.stem) is False:
            yield Leftover(path, size, "an answer that no kept result was made of")


def with_what_they_list(storage: StorageManager, checkpoints: Iterable[Path], why: str) -> list[Leftover]:
    """These checkpoints, their lists of blobs, and the blobs that no other checkpoint lists, as files that can go."""
    from egregora.pipeline.checkpoint import blobs_path, read_blobs

    going = set(checkpoints)
    files = [path for path in _files(storage.checkpoint_dir, "*/*.parquet") if path not in going]
    needed = {name for path in files for name in read_blobs(path)}
    listed = {name for path in going for name in read_blobs(path)}
    blobs = [path for path in _files(storage.directory / "blobs", "*") if path.name in listed - needed]
    lists = [path for path in map(blobs_path, going) if path.exists()]
    return [Leftover(path, path.stat().st_size, why) for path in sorted([*going, *lists, *blobs])]


def _to_fit(
    staying: list[Kept], blobs: dict[Path, int], max_bytes: int, at_work: frozenset[Path]
) -> list[tuple[Kept, str]]:
    """Take checkpoints from `staying`, used longest ago first, until they and their blobs fit."""
    sizes = {path.name: size for path, size in blobs.items()}
    going = []
    for one in sorted(staying, key=lambda kept: _seconds(kept.used_at)):
        total = sum(kept.bytes for kept in staying) + sum(sizes.get(name, 0) for name in _blobs_of(staying))
        if total <= max_bytes:
            break
        if one.newest or one.stage is None or one.path in at_work:
            continue
        staying.remove(one)
        going.append((one, "used longest ago, and all together are too large"))
    return going


def _blobs_of(checkpoints: Iterable[Kept]) -> set[str]:
    return {name for one in checkpoints for name in one.blobs}


_NOBODY: frozenset[Path] = frozenset()


def _paths_at_work(storage: StorageManager) -> frozenset[Path]:
    """Checkpoints of invocations that have a run at work; `_NOBODY` itself if no run is."""
    from egregora.pipeline.checkpoint import checkpoint_path

    with storage.reading() as con:
        if not is_at_work(con):
            return _NOBODY
        found = con.execute(
            "SELECT DISTINCT stage, input_fingerprint FROM runs WHERE invocation_id IN "
            "(SELECT invocation_id FROM runs WHERE status = 'running')"
        ).fetchall()
    return frozenset(checkpoint_path(storage, stage, fingerprint) for stage, fingerprint in found)


def is_at_work(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether any run is at work, as far as that can be told of other machines."""
    running = con.execute("SELECT owner, max(started_at) FROM runs WHERE status = 'running' GROUP BY owner").fetchall()
    now = time.time()
    return any(owner_host(owner or "") == host_id() or now - _seconds(at) < FAR_AWAY_S for owner, at in running)


def _beside(checkpoints: list[Path], storage: StorageManager) -> Iterator[tuple[Path, int, str]]:
    """Lists of blobs whose checkpoint goes or is gone, half-written files, and damaged ones that were set aside."""
    from egregora.pipeline.checkpoint import blobs_path

    for path in checkpoints:
        listing = blobs_path(path)
        if listing.exists():
            yield listing, listing.stat().st_size, "its checkpoint goes"
    for path, size in _files(storage.checkpoint_dir, "*/*.blobs.json").items():
        if not path.with_name(path.name.removesuffix(".blobs.json") + ".parquet").exists() and _age(path) > SETTLED_S:
            yield path, size, "its checkpoint is gone"
    for path, size in _files(storage.checkpoint_dir, "*/*.corrupt-*").items():
        yield path, size, "damaged, and set aside"
    for folder in (storage.checkpoint_dir, storage.directory / "blobs"):
        for path in sorted(folder.rglob(".new-*")):
            if _age(path) > SETTLED_S:
                yield path, path.stat().st_size, "left half-written"


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def delete(files: Iterable[Leftover]) -> int:
    """Delete files; one that is gone already is fine. Returns the bytes that are free now.

    Raises:
        StorageError: one can't be deleted.
    """
    freed = 0
    for file in files:
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{file.path.name} can't be deleted ({error.strerror})", hint="change the permissions of its folder"
            ) from None
        freed += file.bytes
    return freed


def clear(storage: StorageManager, stage: str | None) -> list[Leftover]:
    """What removing all checkpoints of a stage, or of every stage with all blobs, deletes: `delete` does it.

    Raises:
        StorageError: a run is at work, or nothing is on record of that stage.
    """
    from egregora.pipeline.checkpoint import checkpoint_path

    with storage.reading() as con:
        if is_at_work(con):
            raise StorageError("a run is at work on this site", hint="wait until it has ended: egregora runs watch")
    if stage is None:
        folders = [storage.checkpoint_dir, storage.directory / "blobs"]
    else:
        folders = [checkpoint_path(storage, stage, "sha256:x").parent]
        if not folders[0].is_dir():
            known = ", ".join(sorted(path.name for path in storage.checkpoint_dir.glob("*/")))
            raise StorageError(
                f"there are no checkpoints of a stage '{stage}'", hint=f"there are some of: {known or 'none'}"
            )
    return [
        Leftover(path, path.stat().st_size, "asked for")
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    ]


# -- whether they are intact ------------------------------------------------------------------------------------------


def verify(storage: StorageManager) -> tuple[list[Kept], int, list[Damage]]:
    """Read every checkpoint and blob, and compare them with what was recorded of them.

    Returns:
        The checkpoints, the number of blobs that were read, and what is damaged.

    Raises:
        StorageError: the site's records can't be read.
    """
    checkpoints = kept_checkpoints(storage)
    damaged = [damage for one in checkpoints for damage in _damage(one)]
    blobs = {name: one for one in checkpoints for name in one.blobs if name}
    for name in sorted(blobs):
        what = _blob_damage(storage.directory / "blobs" / name)
        if what:
            whose = f"of a checkpoint of {blobs[name].stage}"
            damaged.append(Damage(storage.directory / "blobs" / name, f"{what} ({whose})"))
    return checkpoints, len(blobs), damaged


def damaged_files(damaged: Iterable[Damage]) -> list[Leftover]:
    """The damaged files that are there, once each, for `delete`."""
    paths = sorted({damage.path for damage in damaged if damage.path.exists()})
    return [Leftover(path, path.stat().st_size, "damaged") for path in paths]


def _damage(one: Kept) -> Iterator[Damage]:
    from egregora.pipeline.checkpoint import file_sha256

    if "" in one.blobs:
        yield Damage(one.path, "its list of blobs can't be read")
    if one.sha256 is None:
        # Nothing says what it should be; it should be readable at least.
        if _logical_hash(one.path) is None:
            yield Damage(one.path, "it can't be read as Parquet, and no run is on record for it")
        return
    content = _logical_hash(one.path)
    if content is None:
        yield Damage(one.path, "it can't be read as Parquet")
    elif content != (one.output_hash, one.rows):
        yield Damage(one.path, "its rows are not those that its run recorded")
    elif file_sha256(one.path) != one.sha256:
        yield Damage(one.path, "its bytes were changed, though its rows are the same")


def _logical_hash(path: Path) -> tuple[str, int] | None:
    """Content address and number of rows; None if it can't be read."""
    import duckdb

    from egregora.pipeline.fingerprint import hash_relation

    con = duckdb.connect()
    try:
        found = hash_relation(con, f"FROM read_parquet({literal(path)})")
    except duckdb.Error:
        return None
    finally:
        con.close()
    return found.digest, found.rows


def _blob_damage(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "it is missing"
    return "" if digest == path.name.partition(".")[0] else "its bytes were changed"
