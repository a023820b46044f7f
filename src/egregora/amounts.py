"""How lengths of time and sums of money are said."""

from __future__ import annotations

__all__ = ["dollars", "span", "took"]


def took(seconds: float) -> str:
    """A length of time in the two largest units that fit."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    whole = int(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    raise AssertionError


def span(seconds: float) -> str:
    """A length of time in the largest unit that fits, for how old something is."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{max(0, int(seconds))} s"


def dollars(cost: float | None, unknown: str = "–") -> str:
    """US dollars; small sums to the hundredth of a cent."""
    return unknown if cost is None else f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:,.4f}"
