"""What this node has promised its partners, how it keeps to it, and telling its owner in time."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import trio

from coopfs.core.promise import Keeping, Kept, judge
from coopfs.core.reliability import percent
from coopfs.errors import UsageError
from coopfs.levels import parse_uptime
from coopfs.limits import PROMISE_AGAIN, PROMISE_CHECK
from coopfs.tasks.attendant import Attendant
from coopfs.zones import zone_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Promised:
    """One level, as its text, and how this node keeps it."""

    level: str
    kept: Kept

    @property
    def warning(self) -> str:
        """What the owner should know, and do; nothing while all is well."""
        if self.kept.state is Keeping.KEPT:
            return ""
        when = f"{self.level[:-1]} % of the time" if self.level.endswith("%") else f"at these hours: {self.level}"
        share, days = percent(1.0 - self.kept.share), self.kept.seen / 86400
        was = f"This machine has promised its partners to be reachable {when}, and was for {share} % of {days:.1f} days"
        then = (
            "More than that was missed, and partners may look for another."
            if self.kept.state is Keeping.BROKEN
            else f"If it is off for {_hours(self.kept.left)} more, the promise is broken."
        )
        return (
            f"{was} of that. {then} Leave it on, keep it from sleeping, and see to its network; or agree with them on "
            "less."
        )


class Promises:
    """levels: those of the agreements in force; tell: the owner, with a title and a text."""

    def __init__(
        self,
        attendant: Attendant,
        levels: Callable[[], Iterable[str]],
        tell: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._attendant = attendant
        self._levels = levels
        self._tell = tell

    def worst(self) -> Promised | None:
        """The promise that is nearest to being broken. None: nothing is promised, or nothing seen yet."""
        judged = []
        for text in sorted({level for level in self._levels() if level}):
            level = parse_uptime(text)
            try:
                zone = zone_of(level)
            except UsageError:  # it was known when the agreement was made: nothing can be said of it
                continue
            kept = judge(level, self._attendant.own_hours(), partial(datetime.fromtimestamp, tz=zone))
            if kept is not None:
                judged.append(Promised(text, kept))
        return min(judged, key=lambda promised: promised.kept.left, default=None)

    async def run(self) -> None:
        """Look now and then, and tell the owner: when it gets worse, and once a day while it is bad."""
        told, when = "", 0.0
        while True:
            await trio.sleep(PROMISE_CHECK)
            promised = self.worst()
            state = promised.kept.state if promised is not None else Keeping.KEPT
            if promised is None or state is Keeping.KEPT:
                told = ""
            elif state != told or trio.current_time() - when >= PROMISE_AGAIN:
                told, when = state, trio.current_time()
                logger.warning("%s", promised.warning)
                await self._tell("coopfs: this machine is down too often", promised.warning)


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds // 60} minutes"
