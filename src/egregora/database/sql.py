"""How values and conditions stand in SQL."""

from __future__ import annotations

__all__ = ["literal", "uuid_begins"]


def literal(value: object) -> str:
    """A text, path or id as a literal; None as NULL.

    Not a bound parameter: binding the first one makes DuckDB import pandas, which takes longer than all of `runs tail`.
    """
    return "NULL" if value is None else "'" + str(value).replace("\0", "").replace("'", "''") + "'"


def uuid_begins(column: str, digits: str) -> str:
    """The condition that a UUID begins with these hex digits.

    Comparing ids as they are stored is twice as fast as comparing them as text.
    """
    first, last = (_as_uuid(digits.ljust(32, fill)) for fill in "0f")
    return f"({column} >= '{first}'::UUID AND {column} <= '{last}'::UUID)"


def _as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
