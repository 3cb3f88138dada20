"""This node ends agreements: one of them, or all when it leaves; and tells those that do not know (design section 2).

1. a leaving node marks its own disk as one to be removed;
2. each agreement is over here: saved, then what the other side stores here goes;
3. the other side's column of the own disk is lost from now on;
4. the other side is told as soon as it is reached, for as long as that takes: it does the same.

A crash anywhere: the next start goes on.
"""

import logging
from contextlib import suppress

import trio

from coopfs.app.disk import changing
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.errors import PeerError, StateError, UsageError
from coopfs.limits import AWAY_CHECK, FAREWELL_PATIENCE, PROGRESS_INTERVAL
from coopfs.local import departure
from coopfs.local.home import Home
from coopfs.local.hosted.endings import Ending
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.partners import PartnerEntry
from coopfs.net.dialer import Contact
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.tasks.signal import Signal
from coopfs.types import NodeKey

logger = logging.getLogger(__name__)


class Farewells:
    """Who does not know yet that an agreement is over. owed: by node key; changed: more are, or fewer."""

    def __init__(self, hosting: Hosting, roster: Roster) -> None:
        self._hosting = hosting
        self._roster = roster
        self.changed = Signal()
        self.owed: dict[NodeKey, Ending] = {}
        self.look()

    def look(self) -> None:
        """An agreement has ended."""
        self.owed = {ending.peer: ending for ending in self._hosting.owed()}
        self.changed.notify()

    async def run(self) -> None:
        """Tell them, for ever."""
        telling: dict[Ending, trio.CancelScope] = {}

        async def until_known(ending: Ending, scope: trio.CancelScope) -> None:
            with scope:
                await self._tell(ending)

        async with trio.open_nursery() as nursery:
            while True:
                owed = set(self.owed.values())
                for ending in telling.keys() - owed:  # told, or heard that it knows
                    telling.pop(ending).cancel()
                for ending in owed - telling.keys():
                    telling[ending] = trio.CancelScope()
                    nursery.start_soon(until_known, ending, telling[ending])
                await self.changed.wait()

    async def _tell(self, ending: Ending) -> None:
        peer = ending.peer
        if not self._roster.knows(peer):
            self._roster.add(Contact(peer, ending.addresses))
        while True:
            link = await self._roster.link(peer)
            try:
                await RemotePartner(link).leave(ending.text)
                break
            except PeerError as trouble:
                logger.info("%s was not told that the agreement is over: %s", ending.name, trouble)
            await trio.sleep(AWAY_CHECK)
        await self._hosting.note_told(ending)
        if not self._hosting.has_agreement(peer):
            self._roster.remove(peer)
        await link.close("the agreement is over")
        self.look()

    async def settle(self) -> list[str]:
        """Wait until those that are up know, FAREWELL_PATIENCE at the most; the names of the others."""
        with trio.move_on_after(FAREWELL_PATIENCE):
            while any(self._roster.live(key) or key not in self._roster.trouble for key in self.owed):
                await trio.sleep(PROGRESS_INTERVAL)
        return sorted(ending.name for ending in self.owed.values())


def meaning_of_end(entry: PartnerEntry, own: OwnDisk | None, hosting: Hosting) -> str:
    """What it would cost to end one agreement, in words; empty: nothing."""
    costs = []
    held = [] if own is None else [column for column in own.columns.columns if column.place.node == entry.key]
    if own is not None and any(column.state not in GONE_FOR_GOOD for column in held):
        left = min(
            sum(not column.away for column in own.columns.of(span.layout.id) if column not in held) - span.layout.k
            for span in own.ledger.progress.seats
        )
        cost = "it could not be restored any more" if left < 0 else f"it could then lose {left} more at most"
        costs.append(
            f"what {entry.name} holds of this disk is lost at once ({cost}; `coopfs partner replace` loses nothing)"
        )
    if any(store.peer == entry.key for store in hosting.hosted()):
        costs.append(f"what {entry.name} stores here is deleted")
    return " and ".join(costs)


def meaning_of_leaving(partners: int, own: OwnDisk | None) -> str:
    """What it costs to leave, in words."""
    disk = "" if own is None else " and what of it is only there cannot be read any more, here or with any kit,"
    return (
        f"all {partners} agreements end: partners delete this node's disk{disk} and what they store here is deleted too"
    )


def confirmed(meaning: str, yes: bool) -> None:
    """UsageError: it costs something, and nobody has said yes to that."""
    if meaning and not yes:
        raise UsageError(f"{meaning}; nothing was done: say --yes to do it")


async def end(entry: PartnerEntry, own: OwnDisk | None, hosting: Hosting, farewells: Farewells) -> None:
    """Steps 2 to 4 with one partner. HomeError, StateError."""
    await hosting.part(entry.key)
    farewells.look()
    if own is not None:
        await changing.part(own, entry.key)


async def finish(home: Home, hosting: Hosting, entries: list[PartnerEntry]) -> None:
    """At a start, before a disk is opened: bring a leaving to its end that was begun. HomeError, StateError."""
    if departure.is_marked(home):
        for entry in entries:
            await hosting.part(entry.key)
    await trio.to_thread.run_sync(departure.remove, home)


async def note_parted(own: OwnDisk, hosting: Hosting) -> None:
    """Columns of those with whom an agreement ended while the disk could not be told so. What fails is told as the
    disk's trouble."""
    with suppress(StateError):
        for key in hosting.parted():
            await changing.part(own, key)
