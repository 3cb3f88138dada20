"""Who is lost is followed by somebody else without a word of the owner's, who lets this node find its partners (paper,
section 2.1; design R7).

1. a column of the own disk is lost: by two weeks of absence, by a goodbye, or because its owner said so;
2. its partner does not count any more among those that are wanted, so the matching servers are asked for another;
3. a partner that holds no column, and gives enough for one, gets the lost one; one column at a time;
4. the owner is told.

All of it follows from the states of the columns and the table of partners, so a restart goes on with it.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence, Set

import trio

from coopfs.app.disk import changing
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import ColumnState
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, GRACE_PERIOD, SUCCESSION_CHECK
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.column import Column
from coopfs.types import NodeKey

logger = logging.getLogger(__name__)


class Succession:
    """disk: the own one, if it is open; entries: all partners; is_up: whether one is connected; tell: the owner, with a
    title and a text; clock: seconds since 1970."""

    def __init__(
        self,
        disk: Callable[[], OwnDisk | None],
        entries: Callable[[], Sequence[PartnerEntry]],
        is_up: Callable[[NodeKey], bool],
        tell: Callable[[str, str], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self.changed = Signal()  # there is a partner more, or a disk
        self.on_loss: Callable[[], None] = lambda: None  # called when nobody is there to follow one that is lost
        self.barred: Callable[[], Set[NodeKey]] = frozenset  # partners that may go soon: a step between is under way
        self._disk = disk
        self._entries = entries
        self._is_up = is_up
        self._tell = tell
        self._clock = clock
        self._began: float | None = None  # trio time

    def uncounted(self) -> Set[NodeKey]:
        """Partners that are none of those that are wanted: they are gone, or hold the master block only, often with an
        agreement of the smallest size."""
        own = self._disk()
        return self.gone() | (set() if own is None else {trustee.node for trustee in own.keeper.block.trustees})

    def gone(self) -> Set[NodeKey]:
        """Partners that are wanted no more: whose column is lost; and those without one that have been absent for
        GRACE_PERIOD, as far as this run can know, which must have been online for a while, without a gap."""
        own = self._disk()
        holders = _holders(own)
        absent = {entry.key for entry in self._entries() if entry.key not in holders and self._is_absent(entry)}
        return absent | {column.place.node for column in _lost(own)}

    def is_lost(self, key: NodeKey) -> bool:
        """Whether a partner is not expected back: its column is lost, or it has been absent for so long, whatever it
        holds."""
        known = [entry for entry in self._entries() if entry.key == key]
        return any(column.place.node == key for column in _lost(self._disk())) or any(map(self._is_absent, known))

    def _is_absent(self, entry: PartnerEntry) -> bool:
        if self._began is None or trio.current_time() - self._began < AWAY_AFTER:
            return False
        own = self._disk()
        return (own is None or own.columns.may_judge()) and self._is_missed(entry)

    def _is_missed(self, entry: PartnerEntry) -> bool:
        """Whether it has not been seen for so long, by whoever's fault."""
        seen = entry.last_seen
        return seen is not None and self._clock() - seen >= GRACE_PERIOD and not self._is_up(entry.key)

    async def run(self) -> None:
        """Until cancelled. StateError: the disk's database failed."""
        self._began = trio.current_time()
        while True:
            own = self._disk()
            with changes(self.changed, *([] if own is None else [own.columns.stirred])) as changed:
                if own is not None and own.columns.incoming is None:
                    await self._settle(own)
                with trio.move_on_after(SUCCESSION_CHECK):
                    await changed.wait()

    async def _settle(self, own: OwnDisk) -> None:
        for column in _lost(own):
            if await self._follow(own, column):
                return
            self.on_loss()

    async def _follow(self, own: OwnDisk, column: Column) -> bool:
        """Whether somebody gets this column now."""
        old = PartnerEntry(column.place.name, column.place.node, column.place.addresses, 0, 0)
        unfit = _holders(own) | self.gone() | self.barred()
        for new in self._entries():
            if new.key in unfit or self._is_missed(new):
                continue
            try:
                await changing.give(own, old, new)
            except UsageError as reason:
                logger.info("%s does not follow %s: %s", new.name, old.name, reason)
                continue
            text = f"{old.name} is lost. {new.name} gets its part of the disk; nothing is needed from you."
            logger.warning("%s", text)
            await self._tell("coopfs replaces a partner", text)
            return True
        return False


def _lost(own: OwnDisk | None) -> list[Column]:
    return [] if own is None else [column for column in own.columns.columns if column.state is ColumnState.LOST]


def _holders(own: OwnDisk | None) -> Set[NodeKey]:
    return set() if own is None else {store.node for store in own.keeper.stores}
