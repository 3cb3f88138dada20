"""Whether a node keeps the uptime that it has promised, and how long it may still be down. Pure.

Of the time promised, a share is to be kept: the level's own, or of hours of the week WEEKLY_KEPT. What may be missed is
counted over the time seen in the window of core/uptime, and over PROMISE_DAYS at least: one evening without power in
the first week breaks nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from coopfs.core.uptime import DAY, HOUR
from coopfs.levels import Share, Uptime, parse_uptime
from coopfs.limits import PROMISE_DAYS, PROMISE_NEAR, WEEKLY_KEPT

_QUARTER = HOUR // 4  # the grain in which hours of the week are looked at

Hours = Iterable[tuple[int, int, int]]  # when an hour began, seconds up, seconds seen


class Keeping(StrEnum):
    """How it stands with a promise."""

    KEPT = "kept"
    NEAR = "nearly broken"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Kept:
    """share: of the time promised in which the node was up; wanted: the least; seen: seconds of that time; left:
    seconds that it may still be down, below 0 if it was for too long."""

    share: float
    wanted: float
    seen: int
    left: int
    state: Keeping


def promised_share(text: str) -> float | None:
    """The share of all time that the level of this text promises; None: it is empty, and nothing is promised."""
    if not text:
        return None
    level = parse_uptime(text)
    if isinstance(level, Share):
        return level.percent / 100.0
    quarters = [(day, minute) for day in range(7) for minute in range(7, 24 * 60, 15)]
    return WEEKLY_KEPT * sum(level.window.holds(*each) for each in quarters) / len(quarters)


def judge(level: Uptime, hours: Hours, local: Callable[[int], datetime]) -> Kept | None:
    """How a node keeps a level, by what was seen of it. local: the wall clock of the level's time zone at so many
    seconds since 1970. None: nothing was seen of the time promised."""
    up = promised = seen = 0.0
    for began, was_up, was_seen in hours:
        part = _part(level, began, local)
        up, promised, seen = up + part * was_up, promised + part * was_seen, seen + was_seen
    if not promised:
        return None
    wanted = level.percent / 100.0 if isinstance(level, Share) else WEEKLY_KEPT
    may_miss = (1.0 - wanted) * max(promised, PROMISE_DAYS * DAY * promised / seen)
    left = may_miss - (promised - up)
    state = Keeping.BROKEN if left < 0 else Keeping.NEAR if left < PROMISE_NEAR * may_miss else Keeping.KEPT
    return Kept(up / promised, wanted, round(promised), round(left), state)


def _part(level: Uptime, began: int, local: Callable[[int], datetime]) -> float:
    """How much of an hour is promised."""
    if isinstance(level, Share):
        return 1.0
    moments = (local(began + at) for at in range(_QUARTER // 2, HOUR, _QUARTER))
    return sum(level.window.holds(each.weekday(), each.hour * 60 + each.minute) for each in moments) / 4
