"""Notes once a minute who is up: this node itself, and each partner that it would know of.

It is saved when somebody comes or goes, every UPTIME_SAVE seconds, and when the daemon stops: to do so every minute
would keep an idle disk awake."""

import logging
from collections.abc import Callable, Collection, Iterator
from math import inf

import trio

from coopfs.core.uptime import UptimeLog
from coopfs.errors import HomeError
from coopfs.limits import LAST_SEEN_INTERVAL, UPTIME_SAVE
from coopfs.local import uptimes
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey

logger = logging.getLogger(__name__)


class Attendant:
    """own: this node's key; partners: the keys of all; is_up: whether one is connected; wall: seconds since 1970.

    A node counts as up while others reach it. If it reaches nobody of several partners it is itself offline; while it
    reaches less than half of them, it may be, and says nothing about those that are missing.
    """

    def __init__(
        self,
        database: NodeDatabase,
        own: NodeKey,
        partners: Callable[[], Collection[NodeKey]],
        is_up: Callable[[NodeKey], bool],
        wall: Callable[[], float],
    ) -> None:
        self._database = database
        self._own = own
        self._partners = partners
        self._is_up = is_up
        self._wall = wall
        self._logs = uptimes.load(database)
        self._looked = trio.current_time()
        self._up: frozenset[NodeKey] | None = None  # at the last look, None: there was none
        self._seen: dict[NodeKey, int] = {}  # when partners were seen since it was saved
        self._saved = -inf  # trio time

    async def run(self) -> None:
        """Look until cancelled. StateError: node.sqlite is damaged."""
        try:
            while True:
                before = self._up
                self._look()
                if self._up != before or trio.current_time() - self._saved >= UPTIME_SAVE:
                    self._save()
                await trio.sleep(LAST_SEEN_INTERVAL)
        finally:
            self._save()  # what is not saved would count as time in which this node was down

    def _look(self) -> None:
        """Note how it is, as having been so since the last look."""
        now, moment = int(self._wall()), trio.current_time()
        # By the clock that stands still while the machine sleeps; a process that stood still itself has seen nothing.
        seconds, self._looked = round(min(moment - self._looked, 2 * LAST_SEEN_INTERVAL)), moment
        partners = self._partners()
        up = self._up = frozenset(filter(self._is_up, partners))
        self._seen.update(dict.fromkeys(up, now))
        self._log(self._own).note_all(now, seconds, up=bool(up) or len(partners) < 2)
        if 2 * len(up) >= len(partners) or len(partners) == 1:
            for partner in partners:
                self._log(partner).note(now, seconds, up=partner in up)

    def _save(self) -> None:
        try:
            uptimes.save(self._database, self._logs, self._seen)
            self._seen.clear()
            self._saved = trio.current_time()
        except HomeError as full:  # it is kept for the next time
            logger.warning("%s", full)

    def share(self, node: NodeKey | None = None) -> tuple[float, int] | None:
        """The share of the time that a partner was up, or this node, and of how many seconds seen. None: of none."""
        log = self._logs.get(self._own if node is None else node)
        return None if log is None else log.share(int(self._wall()))

    def own_hours(self) -> Iterator[tuple[int, int, int]]:
        """(when it began, seconds up, seconds seen) of this node's hours in the window."""
        return self._log(self._own).hours(int(self._wall()))

    def _log(self, node: NodeKey) -> UptimeLog:
        return self._logs.setdefault(node, UptimeLog())
