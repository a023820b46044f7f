"""Times as people type them: `2h` ago, `3d` ago, `yesterday`, `2024-03-04`, `14:30`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

__all__ = ["MOMENTS", "point_in_time"]

MOMENTS = "2h or 3d ago, yesterday, 2024-03-04, 14:30"
"""What is understood, for help texts."""

_AGO = re.compile(r"(?P<number>\d{1,6}) *(?P<unit>s|min|m|h|d|w)( ago)?")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DAYS = {"today": 0, "yesterday": 1}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def point_in_time(text: str | None, option: str, *, end: bool = False, now: datetime | None = None) -> datetime | None:
    """The time that somebody means, as it is stored: UTC without zone. None for None.

    Args:
        text: An age (`90s`, `30m`, `2h`, `3d`, `1w`), `today`, `yesterday`, a day, a time of today, or both;
            in the zone of whoever types, unless it names one.
        option: Which option it was given for.
        end: Whether a day means its end, as for `--until`.
        now: Instead of the present.

    Raises:
        typer.BadParameter: it is none of these.
    """
    if text is None:
        return None
    here = (now or datetime.now(UTC)).astimezone()
    word = text.strip().lower()
    found: datetime | None = None
    whole_day = word in _DAYS or bool(_DATE.fullmatch(word))
    try:
        if ago := _AGO.fullmatch(word):
            found = here - int(ago["number"]) * _UNITS[ago["unit"]]
        elif word in _DAYS:
            found = _midnight(here.date() - timedelta(days=_DAYS[word]))
        elif _CLOCK.fullmatch(word):
            found = datetime.fromisoformat(f"{here.date()}T{word.zfill(5) if len(word) < 6 else word.zfill(8)}")
        else:
            found = datetime.fromisoformat(word.upper())
        if end and whole_day:
            found = _midnight(found.date() + timedelta(days=1))
        return found.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"'{text}' is no time; for example: {MOMENTS}", param_hint=option) from None


def _midnight(day: object) -> datetime:
    # Without a zone: `astimezone` takes that for the local one, with the offset of that day.
    return datetime.fromisoformat(f"{day}T00:00:00")
