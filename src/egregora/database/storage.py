"""The site's folder of records: journal and catalog as one, the key, and the in-memory DuckDB in which stages compute.

The catalog is a DuckDB file that nobody keeps open. Events go to the journal first; *folding* moves them into the
catalog in one transaction; *reading* lays what isn't folded yet over the catalog. Both hold our own lock from before
the file is opened until after it is closed: DuckDB's own lock does not cover the checkpoint on close, and an open that
races with it loses updates.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from egregora.database import runs_schema as schema
from egregora.database.journal import Journal, host_id, is_alive, journals, owner_host, parse_event, read_events
from egregora.database.sql import literal
from egregora.errors import CatalogBusyError, StorageError

if TYPE_CHECKING:
    import duckdb
    from ibis.backends.duckdb import Backend

__all__ = ["MIGRATIONS", "StorageManager", "now"]

MIGRATIONS: Mapping[int, tuple[str, ...]] = {1: ("ALTER TABLE {c}.runs ADD COLUMN given VARCHAR",)}
"""For each version of the catalog's tables, the statements that lead to the next; `{c}` stands for the catalog."""

FOLD_EVERY_S = 0.25
"""A writer folds before an outermost run returns if its last fold is at least this old."""
FOLD_LATEST_S = 0.5
"""Otherwise a timer folds within this time."""
FOLD_SHARE = 10
"""A fold comes no sooner than so many times as long as the last one took: the runs need the processor more."""
FOLD_RETRY_S = 5.0
"""A fold that failed for another reason than that the catalog is in use is tried again after this time."""
LOCK_WAIT_S = 20.0
"""How long a reader waits for the lock. Holders need milliseconds; this is for machines that hardly move."""
KEEP_JOURNALS_S = 30 * 86400
"""Folded journals of dead processes are kept this long, to rebuild a damaged catalog from."""


_TIME = "%Y-%m-%d %H:%M:%S.%f"


def now() -> str:
    """The time as it is stored: UTC, microseconds, without zone."""
    return datetime.now(UTC).strftime(_TIME)


class _Writer:
    """This process's writing to one folder: the journal, and when it was last folded. One a folder and process."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        self.folded_at = 0.0
        self.folded_events = 0
        self.fold_seconds = 0.0
        self.timer: threading.Timer | None = None
        self.folding: threading.Thread | None = None
        self.closing = False
        self.warned = False
        self.lock = threading.Lock()
        # Making a connection takes 10 ms, a third of a fold, so the last one's is kept. The catalog is attached to it
        # only while the catalog's lock is held.
        self.spare: duckdb.DuckDBPyConnection | None = None


_writers: dict[Path, _Writer] = {}
_left_open: list[Any] = []
_unhurried: set[Path] = set()
"""Folders whose catalog this process has attached without holding the lock, see `StorageManager.reading`."""


# The parent's journals are the parent's. A forked child has no timer threads either, and locks that the parent's
# threads held would stay locked in it for ever.
def _forget_writers() -> None:
    # Closing a connection of the parent's would wait for DuckDB's threads, which do not live on in a child.
    _left_open.extend(writer.spare for writer in _writers.values())
    _writers.clear()
    _unhurried.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writers)


class StorageManager:
    """The records of one site.

    Args:
        db_path: The catalog file, Egregora's own. Beside it lie journal, checkpoints, blobs, locks and the key.
        tenant_id: The site's name in the rows.

    Attributes:
        invocation_id: Shared by the runs that are made through this object: one `egregora write`.
        listener: Called with the run in progress and each of its events, to show progress.
        given: Settings that were given on the command line, for the column `given`.
        session: What stages keep for as long as this object is used, e.g. connections.
    """

    def __init__(self, db_path: str | os.PathLike[str], tenant_id: str = "default") -> None:
        self.db_path = Path(db_path).absolute()
        self.directory = self.db_path.parent
        self.tenant_id = tenant_id
        self.journal_dir = self.directory / "journal"
        self.checkpoint_dir = self.directory / "checkpoints"
        self.invocation_id = str(uuid.uuid4())
        self.listener: Callable[[Any, dict[str, Any]], None] | None = None
        self.given: str | None = None
        self.session: dict[str, Any] = {}
        self._backend: Backend | None = None
        self._backend_lock = threading.Lock()
        self._backend_pid = 0

    # -- the folder ---------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the folder, closed to other accounts, and keep it out of version control.

        Raises:
            StorageError: it can't be made or written.
        """
        if "?" in str(self.directory):
            raise StorageError(
                "the site's path has a '?' in it, which DuckDB takes for the end of it", hint="choose another folder"
            )
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            ignore = self.directory / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"the site folder can't be written ({error.strerror})",
                hint="choose another folder with --site, or change its permissions",
            ) from None

    def site_key(self) -> bytes:
        """The site's secret key, made at first need. Whoever has it can tell which alias is whom."""
        path = self.directory / "key"
        try:
            return bytes.fromhex(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            raise StorageError("the site's key can't be read", hint=f"restore {path.name} from a backup") from None
        self.create()
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".key-")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # A link instead of a rename, so that of two processes that make a key at once only one wins.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        Path(temporary).unlink()
        return bytes.fromhex(path.read_text(encoding="ascii"))

    @property
    def backend(self) -> Backend:
        """The in-memory DuckDB, as an Ibis backend, in which stages compute. Never the catalog."""
        if self._backend is None or self._backend_pid != os.getpid():
            import ibis

            with self._backend_lock:
                if self._backend is None or self._backend_pid != os.getpid():
                    # DuckDB's threads do not live on in a forked child: it needs one of its own. The parent's must not
                    # be closed there, which waits for the threads.
                    _left_open.append(self._backend)
                    self._backend = ibis.duckdb.connect()
                    self._backend_pid = os.getpid()
        return self._backend

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def _writer(self) -> _Writer:
        writer = _writers.get(self.directory)
        if writer is None:
            self.create()
            writer = _writers.setdefault(self.directory, _Writer(self.directory))
            atexit.register(self.close)
        return writer

    @property
    def owner(self) -> str:
        """This process in `runs.owner`."""
        journal = self._writer.journal
        with contextlib.suppress(OSError):
            journal.open()
        return journal.owner

    def append(self, events: Iterable[dict[str, Any]], *, sync: bool = False) -> None:
        """Append events to this process's journal; with `sync` they are on the disk when this returns."""
        self._writer.journal.append(events, sync=sync)

    def settle(self, *, later: bool = False) -> None:
        """Bring the catalog up to date now if the last fold is old enough, else (or if `later`) soon, from a timer."""
        writer = self._writer
        pause = min(FOLD_SHARE * writer.fold_seconds, FOLD_RETRY_S)
        if not later and time.monotonic() - writer.folded_at >= max(FOLD_EVERY_S, pause):
            self._try_fold()
        else:
            # Without the slack the timer would come just before the moment at which the next run folds anyway.
            self._fold_in(writer, max(FOLD_LATEST_S - 0.1, pause))

    def _fold_in(self, writer: _Writer, seconds: float) -> None:
        with writer.lock:
            # One that is put off while the process ends would be cut off in the midst of DuckDB; `close` folds itself.
            if writer.timer is None and not writer.closing:
                writer.timer = threading.Timer(seconds, self._timed_fold)
                writer.timer.daemon = True
                writer.timer.start()

    def _timed_fold(self) -> None:
        writer = _writers.get(self.directory)
        if writer is not None:
            with writer.lock:
                writer.timer = None
                writer.folding = threading.current_thread()
            self._try_fold()

    def _try_fold(self) -> None:
        """Fold; if that can't be done now, try again later. Nothing is lost: the journal has it."""
        writer = self._writer
        if writer.journal.events == writer.folded_events and writer.folded_at:
            return
        try:
            self.fold(wait_s=0.2)
        except CatalogBusyError:
            writer.folded_at = time.monotonic()
            self._fold_in(writer, FOLD_LATEST_S - 0.1)
        except StorageError as error:
            writer.folded_at = time.monotonic()
            self._fold_in(writer, FOLD_RETRY_S)
            if not writer.warned:
                writer.warned = True
                print(f"egregora: warning: {error}; {error.hint}", file=sys.stderr)  # noqa: T201

    def close(self) -> None:
        """Fold what is left and let go of the journal. Called at exit by itself."""
        writer = _writers.get(self.directory)
        if writer is None:
            return
        with writer.lock:
            writer.closing = True
            timer, folding = writer.timer, writer.folding
        if timer is not None:
            timer.cancel()
        for thread in (timer, folding):
            # A fold that has begun must not be cut off by the end of the process, which would be in the midst of
            # DuckDB and abort.
            if thread is not None and thread is not threading.current_thread():
                thread.join(timeout=30)
        _writers.pop(self.directory, None)
        atexit.unregister(self.close)
        if writer.journal.events > writer.folded_events or not writer.folded_at:
            with contextlib.suppress(StorageError):
                self.fold(wait_s=2.0, ours=writer)
        writer.journal.close()
        if writer.spare is not None:
            writer.spare.close()

    def remove_runs(self, run_ids: Sequence[str]) -> None:
        """Remove runs for good, with all that is on record of them; the journals will not bring them back.

        Args:
            run_ids: The runs, children included. Whether somebody still needs them is for the caller to know.

        Raises:
            StorageError: the catalog can't be written. The runs are removed all the same, as far as anybody can see.
        """
        parts = [run_ids[start : start + _REMOVED_AT_ONCE] for start in range(0, len(run_ids), _REMOVED_AT_ONCE)]
        self.append([{"e": "removed", "run_ids": list(part)} for part in parts], sync=True)
        self.fold()

    # -- the catalog --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self, wait_s: float) -> Iterator[None]:
        if self.directory in _unhurried:
            # DuckDB's lock is between processes only, and whoever closes the file in this one drops it.
            raise CatalogBusyError("a long question of this process is under way", hint="try again when it has ended")
        lock = FileLock(
            self.directory / "catalog.lock",
            preserve_lock_file=True,
            fallback_to_soft=False,
            thread_local=False,
            poll_interval=0.002,
        )
        try:
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise CatalogBusyError("the catalog is in use", hint="try again") from None
        try:
            yield
        finally:
            lock.release()

    def fold(self, *, wait_s: float = LOCK_WAIT_S, ours: _Writer | None = None) -> None:
        """Move every journal's new lines into the catalog, each exactly once; mark what dead processes left running.

        Raises:
            StorageError: the lock is held by somebody else, or the catalog can't be written.
        """
        writer = ours or _writers.get(self.directory)
        events = writer.journal.events if writer else 0
        try:
            with self._locked(wait_s):
                began = time.monotonic()
                self._fold_locked(writer.journal.owner if writer else "")
        except OSError as error:
            raise StorageError(
                f"the catalog can't be written ({error.strerror or error})",
                hint="runs stay in the journal; free some space or change the folder's permissions",
            ) from None
        if writer:
            writer.folded_at = time.monotonic()
            writer.fold_seconds = writer.folded_at - began
            writer.folded_events = events

    def _fold_locked(self, own: str) -> None:
        # Asked before the journals are read: what a dead process has written is then all there is.
        dead = self._dead_journals(own)
        with self._writing() as con:
            events, taken = self._unfolded(con)
            events, removed = _without_removed(events)
            con.execute("BEGIN")
            _upsert(con, events)
            _remove(con, removed)
            for owner, (end, unreadable) in taken.items():
                con.execute(
                    f"INSERT INTO cat.journals VALUES ({literal(owner)}, {end}, {unreadable}) "
                    "ON CONFLICT DO UPDATE SET taken = excluded.taken, "
                    "unreadable = journals.unreadable + excluded.unreadable"
                )
            self._end_interrupted(con, "cat.runs", own, dead)
            con.execute("COMMIT")
        self._pack_journals(dead)

    def _unfolded(self, con: duckdb.DuckDBPyConnection) -> tuple[list[dict[str, Any]], dict[str, tuple[int, int]]]:
        """What the attached catalog lacks: the events, and for each owner how far that takes its journal and how many
        lines of that can't be read."""
        taken: dict[str, int] = dict(con.execute("FROM cat.journals SELECT owner, taken").fetchall())
        events: list[dict[str, Any]] = []
        reached: dict[str, tuple[int, int]] = {}
        for path in journals(self.journal_dir):
            owner = path.name.split(".", 1)[0]
            start = taken.get(owner, 0)
            if (path.suffix == ".gz" and owner in taken) or (path.suffix != ".gz" and path.stat().st_size <= start):
                continue
            new, end, unreadable = read_events(path, start)
            events += new
            reached[owner] = (end, unreadable)
        if len(reached) > 1:
            # Two processes may have told of one run; the later word counts.
            events.sort(key=_told_at)
        return events, reached

    @contextlib.contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection on which the catalog is attached as `cat`, for writing. Hold the lock.

        Raises:
            StorageError: it can't be written, or is newer than this program.
        """
        import duckdb

        writer = _writers.get(self.directory)
        con = (writer.spare if writer else None) or duckdb.connect(config={"threads": 1})
        if writer:
            writer.spare = None
        sound = False
        try:
            self._attach_for_writing(con)
            yield con
            con.execute("DETACH cat")
            sound = True
        except duckdb.Error as error:
            con.close()
            self._damaged_or_raise(error)
            raise StorageError(
                "the catalog was damaged", hint="it is rebuilt from the journals by the next run"
            ) from None
        finally:
            if sound and writer and writer.spare is None:
                writer.spare = con
            else:
                con.close()

    def _attach_for_writing(self, con: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        # v1.2.0, so that older clients of DuckDB can open the file too.
        attach = f"ATTACH {literal(self.db_path)} AS cat (STORAGE_VERSION 'v1.2.0')"
        try:
            con.execute(attach)
            version = self._version(con)
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                con.execute("DETACH cat")
            self._damaged_or_raise(error)
            con.execute(attach)
            version = None
        if version is None:
            con.execute("BEGIN")
            schema.create_tables(con, "cat")
            con.execute("COMMIT")
        elif version < schema.SCHEMA_VERSION:
            migrate(con, version, MIGRATIONS, schema.SCHEMA_VERSION)

    def _damaged_or_raise(self, error: duckdb.Error) -> None:
        """Set a damaged catalog aside; for any other error of DuckDB, say what it is.

        Raises:
            StorageError: the catalog is not damaged.
        """
        text = str(error)
        if "Could not set lock" in text or "being used by another process" in text or "already attached" in text:
            raise CatalogBusyError(
                "the catalog is held open by another program",
                hint="close it there (a DuckDB shell, perhaps) and try again",
            ) from None
        if not _is_damage(error):
            raise StorageError("the catalog can't be opened or written", hint=_first_line(error)) from None
        self._set_aside()

    def _version(self, con: duckdb.DuckDBPyConnection) -> int | None:
        """The attached catalog's version; None for an empty one.

        Raises:
            StorageError: it is newer than this program.
        """
        tables = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'cat' AND table_name = 'schema_version'"
        ).fetchall()
        if not tables:
            return None
        row = con.execute("FROM cat.schema_version").fetchone()
        version = int(row[0]) if row else 0
        if version > schema.SCHEMA_VERSION:
            raise StorageError(
                f"the catalog was made by a newer Egregora (its tables are of version {version}, "
                f"this one knows {schema.SCHEMA_VERSION})",
                hint="upgrade with: pip install --upgrade egregora",
            )
        return version

    def _set_aside(self) -> None:
        """Move a damaged catalog out of the way. It is never deleted, and the journals hold what can be had back."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        for path in (self.db_path, self.db_path.with_name(self.db_path.name + ".wal")):
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged-{stamp}"))
        print(  # noqa: T201
            f"egregora: warning: the catalog is damaged; it was set aside as {self.db_path.name}.damaged-{stamp} "
            "and is rebuilt from the journals; whether all is well: egregora doctor",
            file=sys.stderr,
        )

    def _dead_journals(self, own: str) -> dict[str, str]:
        """Owners of this machine's plain journals who live no more, with their last sign of life. Hold the lock."""
        dead = {}
        for path in journals(self.journal_dir):
            owner = path.name.split(".", 1)[0]
            if (
                path.suffix == ".gz"
                or owner == own
                or owner_host(owner) != host_id()
                or is_alive(self.journal_dir, owner)
            ):
                continue
            dead[owner] = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime(_TIME)
        return dead

    def _end_interrupted(self, con: duckdb.DuckDBPyConnection, runs: str, own: str, dead: Mapping[str, str]) -> None:
        """Mark the running rows of dead processes as failed. Hold the lock; ask who is dead before reading journals."""
        rows = con.execute(f"SELECT DISTINCT owner FROM {runs} WHERE status = 'running'").fetchall()
        for (owner,) in rows:
            if not owner or owner == own or owner_host(owner) != host_id():
                continue
            if owner not in dead and (
                (self.journal_dir / f"{owner}.jsonl").exists() or is_alive(self.journal_dir, owner)
            ):
                continue
            con.execute(
                f"UPDATE {runs} SET status = 'failed', error_type = 'interrupted', "
                "error = 'the process ended before the run did', "
                f"finished_at = {literal(dead.get(owner, now()))} WHERE status = 'running' AND owner = {literal(owner)}"
            )

    def _pack_journals(self, dead: Iterable[str]) -> None:
        """Compress the folded journals of dead processes, and drop those that are old. Hold the lock."""
        for owner in dead:
            path = self.journal_dir / f"{owner}.jsonl"
            temporary = path.with_name(path.name + ".new")
            with path.open("rb") as plain, gzip.GzipFile(temporary, "wb", mtime=0) as file:
                shutil.copyfileobj(plain, file)
            temporary.rename(path.with_name(path.name + ".gz"))
            path.unlink()
            (self.journal_dir / f"{owner}.lock").unlink(missing_ok=True)
        # Oldest first, up to the first that stays: that some runs were removed is told by a journal that began after
        # theirs, and must not be forgotten before they are. Another machine's journals are for that one to drop.
        ours = [path for path in journals(self.journal_dir) if owner_host(path.name) == host_id()]
        for path in sorted(ours, key=_began):
            if path.suffix != ".gz" or time.time() - path.stat().st_mtime <= KEEP_JOURNALS_S:
                break
            path.unlink()

    # -- reading ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self, *, unhurried: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection on which `runs` and its siblings are complete and exact, whoever writes meanwhile.

        Everything that asks goes through here. The catalog's lock is held inside the block: ask, and leave.

        Args:
            unhurried: For questions that may take long, or that somebody else words. The lock is let go before the
                block begins: other readers go on, and folds are put off until its end. The connection can do nothing
                but ask then: no file, no network, no extension, no setting.

        Raises:
            StorageError: the catalog is locked by another program, or newer than this one.
        """
        import duckdb

        con = duckdb.connect(config={"threads": 2})
        attached = False
        try:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._reading_lock())
                    self._attach_for_reading(con)
                    self._overlay(con)
                except OSError as error:
                    raise StorageError(f"the site's records can't be read ({error.strerror or error})") from None
                if unhurried:
                    _close_off(con)
                    attached = True
                    _unhurried.add(self.directory)
                    # DuckDB's own lock keeps writers out until the catalog is detached; `fold` takes that for busy.
                    held.close()
                yield con
                with contextlib.suppress(duckdb.Error):
                    con.execute("DETACH cat")
        except RuntimeError as error:
            if isinstance(error.__cause__, KeyboardInterrupt):
                # So DuckDB says that it was interrupted from the keyboard.
                raise KeyboardInterrupt from None
            raise
        except duckdb.Error as error:
            # Without the lock nothing may be set aside, and an error that somebody else words proves no damage.
            if attached or not _is_damage(error):
                raise
            con.close()
            self._set_aside()
            raise StorageError("the catalog was damaged", hint="it is rebuilt from the journals; try again") from None
        finally:
            con.close()
            if attached:
                _unhurried.discard(self.directory)

    @contextlib.contextmanager
    def _reading_lock(self) -> Iterator[None]:
        if not self.directory.is_dir() or not os.access(self.directory, os.W_OK):
            # A site on a read-only disk has no writers to wait for.
            yield
            return
        with self._locked(LOCK_WAIT_S):
            yield

    def _attach_for_reading(self, con: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        attach = f"ATTACH {literal(self.db_path)} AS cat (READ_ONLY)"
        version = None
        if self.db_path.exists():
            try:
                con.execute(attach)
                version = self._version(con)
            except duckdb.Error as error:
                with contextlib.suppress(duckdb.Error):
                    con.execute("DETACH cat")
                self._damaged_or_raise(error)
            if version is not None and version < schema.SCHEMA_VERSION:
                con.execute("DETACH cat")
                self._fold_locked("")
                con.execute(attach)
        if version is None:
            with contextlib.suppress(duckdb.Error):
                con.execute("DETACH cat")
            con.execute("ATTACH ':memory:' AS cat")
            schema.create_tables(con, "cat")

    def _overlay(self, con: duckdb.DuckDBPyConnection) -> None:
        """Lay views over the catalog that add what only the journals have yet."""
        writer = _writers.get(self.directory)
        own = writer.journal.owner if writer else ""
        dead = self._dead_journals(own)
        events, _ = self._unfolded(con)
        if writer:
            lines = writer.journal.unwritten().splitlines()
            events += [event for event in map(parse_event, lines) if event]
        events, removed = _without_removed(events)
        running = con.execute("FROM cat.runs SELECT DISTINCT owner WHERE status = 'running'").fetchall()
        views = {table.name: f"FROM cat.{table.name}" for table in schema.TABLES}
        views |= {name: f"FROM cat.{name}" for (name,) in con.execute(_DATASETS).fetchall()}
        if events or running:
            # In a database of their own, so that whoever lists the tables sees those that are declared.
            con.execute("ATTACH ':memory:' AS fresh")
            self._freshen_runs(con, events, own, dead)
            views["runs"] = (
                "FROM cat.runs WHERE run_id NOT IN (SELECT run_id FROM fresh.runs) UNION ALL FROM fresh.runs"
            )
        for name, extra in _side_rows(events).items():
            if not extra:
                continue
            spec = next(t for t in schema.TABLES if t.name == name)
            con.execute(f"CREATE TABLE fresh.{name} AS FROM cat.{name} LIMIT 0")
            _insert_rows(con, spec, extra, f"fresh.{name}")
            # No UNION: DuckDB 1.5 loses rows of a recursive query that reads one with more than one thread.
            lacking = f"ANTI JOIN cat.{name} USING ({', '.join(spec.primary_key)})" if spec.primary_key else ""
            views[name] = f"FROM cat.{name} UNION ALL FROM fresh.{name} {lacking}"
        if removed:
            con.execute("CREATE TEMP TABLE removed AS " + _as_ids(removed))
            for name, column in _NAMES_RUNS:
                views[name] = f"FROM ({views[name]}) WHERE {column} NOT IN (FROM removed)"
        for name, query in views.items():
            con.execute(f'CREATE VIEW "{name}" AS {query}')

    def _freshen_runs(
        self, con: duckdb.DuckDBPyConnection, events: list[dict[str, Any]], own: str, dead: Mapping[str, str]
    ) -> None:
        """Make `fresh.runs`: the rows that the catalog lacks or holds otherwise."""
        rows = _merged(events)
        con.execute(schema.RUNS.ddl("fresh.runs"))
        if rows:
            ids = ", ".join(map(literal, rows))
            con.execute(f"INSERT INTO fresh.runs BY NAME FROM cat.runs WHERE run_id IN ({ids})")
            _upsert_runs(con, rows, "fresh.runs")
        con.execute(
            "INSERT INTO fresh.runs BY NAME FROM cat.runs WHERE status = 'running' "
            "AND run_id NOT IN (SELECT run_id FROM fresh.runs)"
        )
        self._end_interrupted(con, "fresh.runs", own, dead)

    # -- data for whoever opens the catalog ---------------------------------------------------------------------------

    def keep_dataset(self, name: str, parquet: Path, output_hash: str) -> bool:
        """Make the catalog's table `name` the content of a checkpoint, if it holds another. True if it was replaced.

        Raises:
            StorageError: the catalog is busy or can't be written.
        """
        try:
            with self._locked(LOCK_WAIT_S), self._writing() as con:
                held = con.execute(f"FROM cat.datasets SELECT output_hash WHERE name = {literal(name)}").fetchone()
                if held and held[0] == output_hash:
                    return False
                con.execute("BEGIN")
                con.execute(
                    f'CREATE OR REPLACE TABLE cat."{name}" AS '
                    f"FROM read_parquet({literal(parquet)}, hive_partitioning = false)"
                )
                con.execute(
                    f"INSERT INTO cat.datasets VALUES ({literal(name)}, {literal(output_hash)}) "
                    "ON CONFLICT DO UPDATE SET output_hash = excluded.output_hash"
                )
                con.execute("COMMIT")
        except OSError as error:
            raise StorageError(
                f"the catalog can't be written ({error.strerror or error})", hint="change the folder's permissions"
            ) from None
        return True


_DATASETS = (
    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'cat' "
    "AND table_name IN (FROM cat.datasets SELECT name)"
)


def _close_off(con: duckdb.DuckDBPyConnection) -> None:
    """Leave a connection with nothing but what is attached to it, for good."""
    for setting in (
        "temp_directory = ''",
        "python_enable_replacements = false",
        "autoload_known_extensions = false",
        "autoinstall_known_extensions = false",
        "enable_external_access = false",
        # The one before still lets what is attached be opened as a file, and closing that would drop DuckDB's lock.
        "disabled_filesystems = 'LocalFileSystem'",
        "lock_configuration = true",
    ):
        con.execute(f"SET {setting}")


def migrate(con: duckdb.DuckDBPyConnection, version: int, steps: Mapping[int, tuple[str, ...]], target: int) -> None:
    """Bring the attached catalog from `version` to `target`, in one transaction: it is done whole or not at all.

    Args:
        con: A connection on which the catalog is attached as `cat`.
        version: Version of its tables.
        steps: For each version, the statements that lead to the next.
        target: The version to reach.
    """
    con.execute("BEGIN")
    for old in range(version, target):
        for statement in steps[old]:
            con.execute(statement.format(c="cat"))
    con.execute(f"UPDATE cat.schema_version SET version = {target}")
    con.execute("COMMIT")


_SIGNS_OF_DAMAGE = (
    "not a valid DuckDB database",
    "Corrupt database file",
    "Could not read enough bytes",
    "Serialization Error",
    "INTERNAL Error",
    "FATAL Error",
)


def _is_damage(error: duckdb.Error) -> bool:
    return any(sign in str(error) for sign in _SIGNS_OF_DAMAGE)


def _told_at(event: dict[str, Any]) -> int:
    at = event.get("at")
    return at if isinstance(at, int) else 0


_EVENT_TABLES = {
    "log": schema.RUN_LOGS,
    "call": schema.LLM_CALLS,
    "profile": schema.PROFILES,
    "config": schema.CONFIGS,
    "code": schema.CODES,
}


def _merged(events: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each run id, its fields; later events overwrite earlier ones."""
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["e"] == "run":
            rows.setdefault(event["run_id"], {}).update(event)
    return rows


def _side_rows(events: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables beside `runs`, by table."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("lineage", *(table.name for table in _EVENT_TABLES.values()))
    }
    for event in events:
        kind = event["e"]
        if kind == "run":
            for parent in event.get("parents", ()):
                rows["lineage"].append({"child_run_id": event["run_id"], "parent_run_id": parent})
        elif kind in _EVENT_TABLES:
            rows[_EVENT_TABLES[kind].name].append(event)
    return rows


_REMOVED_AT_ONCE = 10_000
"""So many ids stand in one line of the journal."""

_NAMES_RUNS = (
    ("runs", "run_id"),
    ("lineage", "child_run_id"),
    ("lineage", "parent_run_id"),
    ("run_logs", "run_id"),
    ("llm_calls", "run_id"),
    ("profiles", "run_id"),
)
"""Tables whose rows go with a run, and the column that names it."""


def _without_removed(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[str]]:
    """What counts of events, and the runs of which nothing does."""
    removed = {run_id for event in events if event["e"] == "removed" for run_id in event["run_ids"]}
    if not removed:
        return events, removed
    return [e for e in events if e["e"] != "removed" and e.get("run_id") not in removed], removed


def _as_ids(run_ids: Iterable[str]) -> str:
    """A query that gives these ids, however many."""
    return f"""SELECT unnest(from_json({literal(json.dumps(sorted(run_ids)))}, '["UUID"]')) AS run_id"""


def _remove(con: duckdb.DuckDBPyConnection, removed: set[str]) -> None:
    """Take runs out of the attached catalog, and configurations and code that only they read."""
    if not removed:
        return
    con.execute("CREATE OR REPLACE TEMP TABLE removed AS " + _as_ids(removed))
    for name, hashed in (("configs", "config_hash"), ("codes", "code_hash")):
        con.execute(
            f"DELETE FROM cat.{name} WHERE {hashed} IN "
            f"(SELECT {hashed} FROM cat.runs WHERE run_id IN (FROM removed)) AND {hashed} NOT IN "
            f"(SELECT {hashed} FROM cat.runs WHERE {hashed} IS NOT NULL AND run_id NOT IN (FROM removed))"
        )
    for name, column in _NAMES_RUNS:
        con.execute(f"DELETE FROM cat.{name} WHERE {column} IN (FROM removed)")
    con.execute("DROP TABLE removed")


def _began(journal: Path) -> int:
    """When the process that writes a journal opened it, as its name says."""
    began = journal.name.split(".", 1)[0].rpartition("-")[2]
    return int(began) if began.isdecimal() else 0


def _structure(names: Iterable[str], table: Any) -> str:
    return literal(json.dumps([{name: table.column(name).type for name in names}]))


def _upsert(con: duckdb.DuckDBPyConnection, events: list[dict[str, Any]]) -> None:
    """Bring events into the attached catalog, in bulk."""
    rows = _merged(events)
    if rows:
        _upsert_runs(con, rows, "cat.runs")
    for name, extra in _side_rows(events).items():
        spec = next(table for table in schema.TABLES if table.name == name)
        _insert_rows(con, spec, extra, f"cat.{name}")


_OF_FAILURE = ("error", "error_type", "hint", "traceback")
"""Columns that only a failed run's row has."""


def _upsert_runs(con: duckdb.DuckDBPyConnection, rows: dict[str, dict[str, Any]], target: str) -> None:
    # One JSON parameter: a row at a time takes two hundred times as long. Only columns of which something is said: to
    # plan for the others takes longer than all the rest. A row that is there is added to; an event that lacks what a
    # row must have, and adds to none, is nothing.
    found = con.execute(f"FROM {target} SELECT run_id WHERE run_id IN ({_as_ids(rows)})").fetchall()
    known = {str(run_id) for (run_id,) in found}
    there = [row for run_id, row in rows.items() if run_id in known]
    new = [row for run_id, row in rows.items() if run_id not in known]
    if there:
        names = _said_of(there, ("run_id", "status", "finished_at", *_OF_FAILURE))
        changes = {name: f"coalesce(e.{name}, t.{name})" for name in names if name != "run_id"}
        # A later word of its owner is truer than what was thought of a run.
        changes |= {
            name: f"CASE WHEN coalesce(e.status, t.status) = 'failed' THEN coalesce(e.{name}, t.{name}) END"
            for name in _OF_FAILURE
        }
        changes["finished_at"] = (
            "CASE WHEN coalesce(e.status, t.status) <> 'running' THEN coalesce(e.finished_at, t.finished_at) END"
        )
        sets = ", ".join(f"{name} = {value}" for name, value in changes.items())
        con.execute(f"UPDATE {target} AS t SET {sets} FROM {_source(there, names)} AS e WHERE t.run_id = e.run_id")
    if new:
        needed = [column.name for column in schema.RUNS.columns if not column.nullable]
        names = _said_of(new, (*needed, "finished_at"))
        failure = "".join(
            f", CASE WHEN status = 'failed' THEN {name} END AS {name}" for name in _OF_FAILURE if name in names
        )
        con.execute(
            f"INSERT OR IGNORE INTO {target} BY NAME SELECT * REPLACE ("
            "coalesce(started_at, finished_at) AS started_at, "
            f"CASE WHEN status <> 'running' THEN finished_at END AS finished_at{failure}) FROM {_source(new, names)} "
            "WHERE coalesce(started_at, finished_at) IS NOT NULL AND "
            + " AND ".join(f"{name} IS NOT NULL" for name in needed if name != "started_at")
        )


def _said_of(rows: list[dict[str, Any]], always: tuple[str, ...]) -> list[str]:
    """The columns of `runs` that any of these events names, and some that are needed whatever they say."""
    said = {*always, *(name for row in rows for name in row)}
    return [name for name in schema.RUNS.names if name in said]


def _source(rows: list[dict[str, Any]], names: list[str]) -> str:
    return f"(SELECT unnest(from_json({_json(rows)}, {_structure(names, schema.RUNS)}), recursive := true))"


def _insert_rows(con: duckdb.DuckDBPyConnection, spec: Any, rows: list[dict[str, Any]], target: str) -> None:
    if not rows:
        return
    ignore = "OR IGNORE " if spec.primary_key and target.startswith("cat.") else ""
    con.execute(
        f"INSERT {ignore}INTO {target} BY NAME SELECT {'DISTINCT ' if spec.primary_key else ''}r.* "
        f"FROM (SELECT unnest(from_json({_json(rows)}, {_structure(spec.names, spec)})) AS r) WHERE "
        + " AND ".join(f"r.{c.name} IS NOT NULL" for c in spec.columns if not c.nullable)
    )


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return literal(json.dumps(list(rows), ensure_ascii=False).encode(errors="replace").decode())


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
