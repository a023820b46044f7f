"""Which invocation is meant: one `egregora write`, with all its runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egregora.database.sql import uuid_begins
from egregora.errors import RunLookupError
from egregora.observe.runs import FIRST_RUN

if TYPE_CHECKING:
    import duckdb

__all__ = ["find_invocation", "newest_invocations"]


def find_invocation(con: duckdb.DuckDBPyConnection, wanted: str) -> str:
    """The id of the invocation that a word means.

    Args:
        con: A connection from `storage.reading()`.
        wanted: An invocation's id, the beginning of one, `last`, or `last~N` for the N-th before it.

    Raises:
        RunLookupError: there is no such invocation, or there are several.
    """
    word = wanted.strip().lower()
    if counted := re.fullmatch(r"last(?:~(?P<back>\d{1,9}))?", word):
        back = int(counted["back"] or 0)
        found = newest_invocations(con, back + 1)
        if len(found) > back:
            return found[back]
        if not found:
            raise RunLookupError("no invocations yet", hint=FIRST_RUN)
        raise RunLookupError(f"there are no {back + 1} invocations", hint="see the newest with: egregora runs list")
    digits = word.replace("-", "")
    if re.fullmatch("[0-9a-f]{1,32}", digits):
        alike = con.execute(
            f"FROM runs SELECT DISTINCT invocation_id::VARCHAR WHERE {uuid_begins('invocation_id', digits)} LIMIT 4"
        ).fetchall()
        if len(alike) == 1:
            return str(alike[0][0])
        if alike:
            listed = ", ".join(invocation[:13] for (invocation,) in alike[:3])
            raise RunLookupError(
                f"several invocations begin with '{wanted}'",
                hint=f"give more of it: {listed}{', …' if len(alike) > 3 else ''}",
                candidates=tuple(invocation for (invocation,) in alike),
            )
    raise RunLookupError(
        f"no invocation '{wanted}'",
        hint="give `last`, or the beginning of an id from: egregora runs list --columns invocation,stage,status",
    )


def newest_invocations(con: duckdb.DuckDBPyConnection, number: int) -> list[str]:
    """The ids of the newest invocations, newest first."""
    source = "FROM runs WHERE parent_run_id IS NULL AND invocation_id IS NOT NULL"
    if number == 1:
        # Without grouping a million runs.
        sql = f"SELECT invocation_id::VARCHAR {source} ORDER BY started_at DESC LIMIT 1"
    else:
        sql = (
            f"SELECT invocation_id::VARCHAR {source} GROUP BY invocation_id "
            f"ORDER BY max(started_at) DESC LIMIT {number}"
        )
    return [invocation for (invocation,) in con.execute(sql).fetchall()]
