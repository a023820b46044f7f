"""What parse tells of the messages that it read (when, by how many, of which kinds), and what can't be right there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from egregora.pipeline.stage import StageContext

__all__ = ["Measures"]

KINDS = ("text", "media", "poll", "location", "contact", "call", "deleted", "system")
HOUR, DAY = 3_600_000_000, 86_400_000_000
"""In microseconds, as times are stored."""
ALONE = 50
"""From so many messages on, one author only is strange."""
RHYTHM, RHYTHM_DAYS = 500, 7
"""Messages and days from which on a chat's day has a rhythm."""
ASLEEP = 0.1
"""In the quietest six hours of the day a chat with a rhythm has less than this share; without one it has a quarter."""


class Measures:
    """Counts of messages as they pass, batch by batch.

    Args:
        timezone: The chat's.
        paths: The exports: a message that is later than its export can't be.
    """

    def __init__(self, timezone: str, paths: tuple[Path, ...]) -> None:
        self._zone = ZoneInfo(timezone)
        # The phone may be half a world ahead of the timezone that was set.
        self._now = int(time.time() * 1e6) + DAY
        self._exported = min(self._now, int(max(map(_changed, paths)) * 1e6) + DAY)
        self._rows = self._back = self._days_back = self._late = self._later = 0
        self._span: list[int] = []
        self._people: set[str] = set()
        self._kinds = Counter(dict.fromkeys(KINDS, 0))
        self._hours: Counter[int] = Counter()
        self._last: int | None = None

    def count(self, batch: pa.RecordBatch) -> None:
        """The next messages of an export, in its order."""
        column = batch.column("ts")
        times = (column.drop_null() if column.null_count else column).cast(pa.int64()).to_numpy(zero_copy_only=False)
        if not len(times):
            return
        self._rows += len(times)
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        self._back += int(np.count_nonzero(steps < 0))
        self._days_back += int(np.count_nonzero(steps < -DAY))
        first, final = int(times.min()), int(times.max())
        self._span = [min([first, *self._span]), max([final, *self._span])]
        if final > self._exported:
            self._late += int(np.count_nonzero(times > self._exported))
            self._later += int(np.count_nonzero(times > self._now))
        # Messages of an hour mostly stand together.
        hours: npt.NDArray[np.int64] = times // HOUR
        starts = np.flatnonzero(np.diff(hours, prepend=hours[0] - 1))
        lengths = np.diff(starts, append=len(hours))
        for hour, count in zip(hours[starts].tolist(), lengths.tolist(), strict=True):
            self._hours[hour] += count
        self._people.update(_different(batch.column("author_raw")))
        for kind, count in _counted(batch.column("kind")):
            self._kinds[kind] += count
        self._last = int(times[-1])

    def end(self) -> None:
        """The export came to its end; another one may begin earlier."""
        self._last = None

    def tell(self, context: StageContext, people: int | None = None) -> None:
        """Record what was counted, and mark what can't be right.

        Args:
            context: The run.
            people: Different authors; None: as counted here, which takes two phones' names of somebody for two people.
        """
        if not self._rows:
            return
        people = len(self._people) if people is None else people
        # A file whose time is older than most of what is in it has lost its time on the way.
        future = self._later if 2 * self._late > self._rows else self._late
        context.profile("people", people)
        context.profile("backwards", self._back / self._rows)
        context.profile("backwards_days", self._days_back)
        context.profile("future", future / self._rows)
        for kind, count in self._kinds.items():
            context.profile(f"kind.{kind}", count / self._rows)
        if self._days_back > max(1, self._rows // 10_000):
            context.mark(
                "backwards_days",
                f"{self._days_back:,} times the chat goes back by more than a day; is the date order right?",
                self._days_back,
            )
        spoken = self._rows - self._kinds["system"]
        if people == 1 and spoken >= ALONE:
            context.mark("people", f"all {spoken:,} messages are by one author; are the others missing?", 1)
        self._tell_rhythm(context)

    def _tell_rhythm(self, context: StageContext) -> None:
        if self._rows < RHYTHM or self._span[1] - self._span[0] < RHYTHM_DAYS * DAY:
            return
        day = self._day()
        # The day goes round, so six hours may begin before midnight.
        quiet = [sum(day[(hour + i) % 24] for i in range(6)) for hour in range(24)]
        begin = min(range(24), key=lambda hour: (quiet[hour], hour))
        share, night = quiet[begin] / self._rows, quiet[1] / self._rows
        context.profile("quiet_from", begin)
        context.profile("quiet_share", share)
        # All of it between breakfast and late evening, while the small hours are busy.
        if 8 <= begin <= 17 and share < ASLEEP and night > 2 * share + ASLEEP:
            context.mark(
                "quiet_from",
                f"the quietest hours of the day are {begin:02d}:00 to {(begin + 6) % 24:02d}:00; "
                "is it the clock of where they live (parse.timezone)?",
                begin,
            )

    def _day(self) -> list[int]:
        """Messages of each hour of the local day."""
        found = [0] * 24
        offsets: dict[int, int] = {}
        for hour, count in self._hours.items():
            day = hour // 24
            if day not in offsets:
                offsets[day] = self._offset(day)
            found[(hour * 3600 + offsets[day]) // 3600 % 24] += count
        return found

    def _offset(self, day: int) -> int:
        """Seconds that the chat's clock is ahead of UTC on a day since 1970."""
        try:
            ahead = datetime.fromtimestamp(day * 86400, UTC).astimezone(self._zone).utcoffset()
        except (ValueError, OverflowError, OSError):
            ahead = None
        return int(ahead.total_seconds()) if ahead else 0


def _changed(path: Path) -> float:
    """When an export was made, as far as its files tell; now if that can't be told."""
    try:
        if path.is_dir():
            return max((file.stat().st_mtime for file in path.iterdir()), default=time.time())
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _different(column: pa.Array) -> list[str]:
    if pa.types.is_dictionary(column.type):
        used = pc.unique(column.indices).drop_null()
        return list(column.dictionary.take(used).to_pylist())
    return list(pc.unique(column).drop_null().to_pylist())


def _counted(column: pa.Array) -> Iterator[tuple[str, int]]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    counts = np.bincount(column.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(column.dictionary))
    yield from zip(column.dictionary.to_pylist(), counts.tolist(), strict=True)
