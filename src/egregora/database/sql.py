"""How a value stands in SQL."""

from __future__ import annotations

__all__ = ["literal"]


def literal(value: object) -> str:
    """A text, path or id as a literal; None as NULL.

    Not a bound parameter: binding the first one makes DuckDB import pandas, which takes longer than all of `runs tail`.
    """
    return "NULL" if value is None else "'" + str(value).replace("\0", "").replace("'", "''") + "'"
