"""Why a run is as it is: what happened, why, its cost, what is kept, what to type next. From recorded facts only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from egregora.amounts import span
from egregora.database.sql import literal
from egregora.errors import RunLookupError
from egregora.observe.changes import Changes, with_rows
from egregora.observe.evidence import Figures, Known, Parts
from egregora.observe.explain_completed import completed, taken
from egregora.observe.explain_failed import failed
from egregora.observe.explain_running import running
from egregora.observe.explain_words import Step
from egregora.observe.runs import Row, find_run, select_runs

if TYPE_CHECKING:
    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """A run, explained.

    Attributes:
        row: Its row of `runs`.
        said: What happened, in a sentence without its end.
        causes: Why, the most important first; never empty.
        next: What to do now; the first is what to type. Never empty.
        facts: What else there is to say, by heading.
        since: The run that it is compared with: the newest completed one of the stage before it.
        changes: What differs from that.
        figures: What it took, against what is usual.
        parts: Its children; None if it has none.
        prefixes: Beginnings of the ids of the runs that are mentioned.
    """

    row: Row
    said: str
    causes: tuple[str, ...]
    next: tuple[Step, ...]
    facts: dict[str, tuple[str, ...]]
    since: Row | None
    changes: Changes | None
    figures: Figures
    parts: Parts | None
    prefixes: dict[str, str] = field(default_factory=dict)


def explain(storage: StorageManager, wanted: str) -> Explanation:
    """Explain a run.

    Args:
        storage: The site's records.
        wanted: See `find_run`; or a checkpoint's file, for the run that made it.

    Raises:
        RunLookupError: there is no such run, or there are several.
        StorageError: the site's records can't be read.
    """
    with storage.reading() as con:
        known = Known.of(con, _wanted_run(con, wanted))
    if known.changes is not None and known.row["status"] != "running":
        known = replace(known, changes=with_rows(storage, known.changes))
    return _told(known)


_CHECKPOINT_NAME = re.compile(r"([0-9a-f]{64})\.(?:parquet|blobs\.json)")


def _wanted_run(con: duckdb.DuckDBPyConnection, wanted: str) -> Row:
    """The run that a word means; of a checkpoint's file the one that made it."""
    path = PurePath(wanted.strip())
    found = _CHECKPOINT_NAME.match(path.name)
    if found is None:
        return find_run(con, wanted)
    rows: list[Row] = select_runs(
        con,
        f"FROM runs WHERE input_fingerprint = {literal('sha256:' + found[1])} AND checkpoint_sha256 IS NOT NULL "
        "ORDER BY source = 'executed' DESC, started_at DESC LIMIT 1",
    )
    if not rows:
        raise RunLookupError(
            "no run on record made this checkpoint", hint="see what is kept, and by which run: egregora cache ls"
        )
    return rows[0]


def _told(known: Known) -> Explanation:
    row = known.row
    if row["status"] == "running":
        said, causes, steps, facts = running(known)
    elif row["status"] == "failed":
        said, causes, steps, facts = failed(known)
    elif row["source"] == "checkpoint":
        said, causes, steps, facts = taken(known)
    else:
        said, causes, steps, facts = completed(known)
    facts["Clock"] = _clock(row["started_at"])
    return Explanation(
        row=row,
        said=said,
        causes=tuple(causes),
        next=tuple(steps),
        facts={heading: tuple(lines) for heading, lines in facts.items() if lines},
        since=known.since,
        changes=known.changes,
        figures=known.figures,
        parts=known.parts,
        prefixes=known.prefixes,
    )


def _clock(started: datetime) -> list[str]:
    """What it means that a run is still to start."""
    ahead = (started - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    if ahead < 60:
        return []
    return [
        f"it starts in {span(ahead)}, so the clock has been turned back since; what is called last goes by these times"
    ]
