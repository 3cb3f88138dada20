"""How much of the time a node was up, by the hour, over the last UPTIME_DAYS days. Pure.

Each hour has two numbers of seconds: those in which somebody looked, and those of them in which the node was up. What
nobody looked at counts neither way: a partner is not blamed for the nights in which this machine is off.

A day is 96 bytes: 24 times (seconds up, seconds seen), u16 each, 0 to 3600, up <= seen.
"""

import struct
from collections.abc import Iterator, Sequence

from coopfs.errors import ProtocolError
from coopfs.limits import UPTIME_DAYS

HOUR = 3600  # seconds
DAY = 24 * HOUR
_SLOTS = struct.Struct(">48H")
DAY_BYTES = _SLOTS.size


class UptimeLog:
    """What was seen of one node. Times are seconds since 1970; a clock that jumps loses some of it and breaks
    nothing."""

    def __init__(self) -> None:
        self._days: dict[int, list[list[int]]] = {}  # day since 1970 -> [up, seen] of each hour
        self.changed: set[int] = set()  # days that are not saved as they are

    def note(self, now: int, seconds: int, up: bool) -> None:
        """It was up, or not, in the `seconds` before now."""
        for hour, part in _hours(now - seconds, now):
            slot = self._slot(hour, now)
            slot[1] = min(HOUR, slot[1] + part)
            slot[0] = min(slot[1], slot[0] + part * up)

    def note_all(self, now: int, seconds: int, up: bool) -> None:
        """The same of the one who looks: all time since the newest hour noted counts as seen, and what was not noted as
        up, it was not. Nobody knows when it began in the first hour of all, of which only what was noted counts."""
        noted = [day * 24 + hour for day, hour, _, seen in self._hours_seen() if seen]
        first, newest = (noted[0], noted[-1]) if noted else (None, None)
        since = now - seconds if newest is None else (newest + (newest == first)) * HOUR
        for hour, part in _hours(max(since, now - UPTIME_DAYS * DAY), now):
            slot = self._slot(hour, now)
            slot[1] = max(slot[1], part)
        for hour, part in _hours(now - seconds, now):
            slot = self._slot(hour, now)
            if hour == first:
                slot[1] = min(HOUR, slot[1] + part)
            slot[0] = min(slot[1], slot[0] + part * up)

    def hours(self, now: int) -> Iterator[tuple[int, int, int]]:
        """(when it began, seconds up, seconds seen) of the hours in the window that ends now, in order."""
        for day, hour, up, seen in self._hours_seen():
            began = day * DAY + hour * HOUR
            if seen and now - UPTIME_DAYS * DAY <= began <= now:
                yield began, up, seen

    def share(self, now: int) -> tuple[float, int] | None:
        """The share of the time that it was up, and of how many seconds seen. None: nobody looked."""
        ups, seens = 0, 0
        for _, up, seen in self.hours(now):
            ups, seens = ups + up, seens + seen
        return (ups / seens, seens) if seens else None

    # --- kept -----------------------------------------------------------------------------------------------------

    def encode(self, day: int) -> bytes | None:
        """96 bytes of one day. None: it has left the window."""
        slots = self._days.get(day)
        return None if slots is None else _SLOTS.pack(*(number for slot in slots for number in slot))

    def load(self, day: int, data: bytes) -> None:
        """Take back a day that was saved. ProtocolError: it was never made by `encode`."""
        if len(data) != DAY_BYTES:
            raise ProtocolError(f"a day of uptime has {len(data)} bytes instead of {DAY_BYTES}")
        numbers = _SLOTS.unpack(data)
        slots = [list(numbers[at : at + 2]) for at in range(0, len(numbers), 2)]
        if any(not up <= seen <= HOUR for up, seen in slots):
            raise ProtocolError("a day of uptime has an hour of more than 3600 seconds")
        self._days[day] = slots

    def _slot(self, hour: int, now: int) -> list[int]:
        day, slot = divmod(hour, 24)
        if day not in self._days:
            self._days[day] = [[0, 0] for _ in range(24)]
            self._drop(now // DAY)
        self.changed.add(day)
        # The day itself may have been dropped, if a clock has gone back by months: then nothing is kept of it.
        return self._days.get(day, [[0, 0]] * 24)[slot]

    def _drop(self, today: int) -> None:
        """At most a window of days; first those of a clock that was ahead, then the oldest."""
        while len(self._days) > UPTIME_DAYS + 1:
            newest = max(self._days)
            gone = newest if newest > today else min(self._days)
            del self._days[gone]
            self.changed.add(gone)

    def _hours_seen(self) -> Iterator[tuple[int, int, int, int]]:
        for day in sorted(self._days):
            for hour, (up, seen) in enumerate(self._days[day]):
                yield day, hour, up, seen


def _hours(start: int, end: int) -> Sequence[tuple[int, int]]:
    """The hours since 1970 that a span of seconds touches, and how many of its seconds lie in each."""
    start = max(0, start)
    touched = range(start // HOUR, -(-end // HOUR)) if start < end else range(0)
    return [(hour, min(end, (hour + 1) * HOUR) - max(start, hour * HOUR)) for hour in touched]
