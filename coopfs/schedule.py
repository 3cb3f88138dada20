"""Rates that change with the hour of the week: what a limit in coopfs.toml means at a moment.

A schedule is a list of entries `(when, rate)`; the first whose `when` holds gives the rate, and if none does there is
no limit. `when` is days, hours, or both: "mon-fri 08:00-18:00", "mon-fri 08-18", "sat,sun", "22:00-06:00". Hours that
pass midnight belong to the day on which they begin.

All is said in wall clock time. An hour that a clock skips in spring is skipped, one that it repeats in autumn holds
twice: a schedule is about when people need their line.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from coopfs.errors import UsageError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_RANGE = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?")
_HOURS = re.compile(r"([0-9]{2})(?::([0-5][0-9]))?-([0-9]{2})(?::([0-5][0-9]))?")
_DAY = 24 * 60  # minutes

Span = tuple[int, int]  # minutes of a day, the end excluded; an end at or before the start is on the next day


@dataclass(frozen=True, slots=True)
class Window:
    """Some hours on some days. days: 0 (Monday) to 6; hours: at least one span."""

    days: frozenset[int]
    hours: tuple[Span, ...]

    def holds(self, day: int, minute: int) -> bool:
        """day: 0 (Monday) to 6; minute: of that day, 0..1439."""
        for start, end in self.hours:
            if end > start:
                if day in self.days and start <= minute < end:
                    return True
            elif (day in self.days and minute >= start) or ((day - 1) % 7 in self.days and minute < end):
                return True
        return False


ALWAYS = Window(frozenset(range(7)), ((0, _DAY),))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Entries (window, bytes per second, 0 for no limit); the first that holds counts."""

    entries: tuple[tuple[Window, int], ...] = ()

    def rate(self, local: datetime) -> int:
        """Bytes per second at this wall clock time; 0: no limit."""
        minute = local.hour * 60 + local.minute
        return next((rate for window, rate in self.entries if window.holds(local.weekday(), minute)), 0)

    @property
    def limits(self) -> bool:
        """Whether there is a limit at any time."""
        return any(rate for _, rate in self.entries)


UNLIMITED = Schedule()


def constant(rate: int) -> Schedule:
    """The same rate at all times; 0: no limit."""
    return Schedule(((ALWAYS, rate),)) if rate else UNLIMITED


def parse_when(text: str) -> Window:
    """The window that a text like "mon-fri 08:00-12:00,13:00-18:00" names. UsageError: it is not one."""
    days, hours = ALWAYS.days, ALWAYS.hours
    match text.lower().split():
        case [only] if only[0].isdigit():
            hours = _hours(only, text)
        case [only]:
            days = _days(only, text)
        case [first, second]:
            days, hours = _days(first, text), _hours(second, text)
        case _:
            raise _wrong(text)
    return Window(days, hours)


def format_when(window: Window) -> str:
    """One text for each window: days in order, three or more in a row as a range; hours to the minute."""
    hours = ",".join(
        f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}" for start, end in sorted(set(window.hours))
    )
    if window.days == ALWAYS.days:
        return hours
    runs: list[list[int]] = []
    for day in sorted(window.days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [
        f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" if len(run) > 2 else ",".join(_DAYS[day] for day in run) for run in runs
    ]
    return f"{','.join(names)} {hours}"


def _days(part: str, text: str) -> frozenset[int]:
    days: set[int] = set()
    for each in part.split(","):
        match = _DAY_RANGE.fullmatch(each)
        names = [name for name in match.groups() if name] if match else []
        if not names or any(name not in _DAYS for name in names):
            raise _wrong(text)
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        days |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return frozenset(days)


def _hours(part: str, text: str) -> tuple[Span, ...]:
    spans = []
    for each in part.split(","):
        match = _HOURS.fullmatch(each)
        if match is None:
            raise _wrong(text)
        start = int(match[1]) * 60 + int(match[2] or 0)
        end = int(match[3]) * 60 + int(match[4] or 0)
        if start >= _DAY or end > _DAY or start == end:
            raise _wrong(text)
        spans.append((start, end))
    return tuple(spans)


def _wrong(text: str) -> UsageError:
    return UsageError(
        f'{text!r} is no time of the week; write for example "mon-fri 08:00-18:00", "sat,sun", "22:00-06:00"'
    )
