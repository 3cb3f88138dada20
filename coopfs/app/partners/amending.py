"""This node asks partners to amend their agreements to another size (paper section 2.6, local/hosted/amendments).

A wish is saved; its partner is asked as soon as it is reached, and again from time to time, since its owner may agree
at any time. What the owner of the other side asks for is agreed to by a wish for the same, which is then asked for.
"""

import logging
from collections.abc import Mapping

import trio

from coopfs.errors import PeerError, UsageError
from coopfs.limits import AMEND_PATIENCE, AWAY_CHECK, PROGRESS_INTERVAL
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.partners import PartnerEntry
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.tasks.signal import Signal
from coopfs.types import NodeKey

logger = logging.getLogger(__name__)

NOTHING_ASKED: Mapping[str, object] = {"wish": None, "asks": None}


class Amending:
    """refusals: what partners answered the last time, in words."""

    def __init__(self, hosting: Hosting, roster: Roster) -> None:
        self.refusals: dict[NodeKey, str] = {}
        self._hosting = hosting
        self._roster = roster
        self._wished = Signal()
        self._asking: set[NodeKey] = set()

    async def wish(self, entry: PartnerEntry, size: int | None) -> None:
        """Ask a partner for `size` bytes each way, None: agree to what it asks for. UsageError: it asks for nothing, or
        what is stored takes more. HomeError: no room."""
        wanted = self._hosting.asks().get(entry.key) if size is None else size
        if wanted is None:
            raise UsageError(f"{entry.name} asks for no other size: say which one you want")
        await self._hosting.wish(entry.key, wanted)
        self.refusals.pop(entry.key, None)
        self._wished.notify()

    async def run(self) -> None:
        """Ask, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                for peer in self._hosting.wishes().keys() - self._asking:
                    self._asking.add(peer)
                    nursery.start_soon(self._ask, peer)
                await self._wished.wait()

    async def _ask(self, peer: NodeKey) -> None:
        while peer in self._hosting.wishes():
            link = await self._roster.link(peer)
            request = self._hosting.amendment(peer)
            if request is None:
                break
            try:
                await self._hosting.settle(peer, await RemotePartner(link).amend(request))
            except PeerError as trouble:
                if self.refusals.get(peer) != str(trouble):
                    logger.info("partner %s does not amend its agreement: %s", peer.hex()[:16], trouble)
                self.refusals[peer] = str(trouble)
                with trio.move_on_after(AWAY_CHECK):
                    await self._wished.wait()
        self.refusals.pop(peer, None)
        self._asking.discard(peer)

    async def settle(self, entries: list[PartnerEntry]) -> dict[str, str]:
        """Wait until those of these that are up have answered, AMEND_PATIENCE at the most. What is said of those that
        have not agreed, by name."""
        with trio.move_on_after(AMEND_PATIENCE):
            while any(self._may_answer(entry.key) for entry in entries):
                await trio.sleep(PROGRESS_INTERVAL)
        open_ones = [entry for entry in entries if entry.key in self._hosting.wishes()]
        return {entry.name: self.refusals.get(entry.key) or "not reached yet" for entry in open_ones}

    def _may_answer(self, peer: NodeKey) -> bool:
        waits = peer in self._hosting.wishes() and peer not in self.refusals
        return waits and (self._roster.live(peer) is not None or peer not in self._roster.trouble)

    def describe(self, entry: PartnerEntry) -> dict[str, object]:
        """What is asked of a partner, and what it asks for, in bytes each way."""
        wished, asked = self._hosting.wishes().get(entry.key), self._hosting.asks().get(entry.key)
        wish = {"size": wished, "refusal": self.refusals.get(entry.key)} if wished is not None else None
        return {"wish": wish, "asks": asked if asked != wished else None}


async def ask_all(amending: Amending, entries: list[PartnerEntry], size: int) -> dict[str, str]:
    """Ask these partners for `size` bytes each way, all of them or, if there is no room for that, none. What is said of
    those that have not agreed, by name. HomeError, UsageError."""
    asked: list[PartnerEntry] = []
    try:
        for entry in entries:
            await amending.wish(entry, size)
            asked.append(entry)
    except BaseException:
        with trio.CancelScope(shield=True):
            for entry in asked:
                await amending.wish(entry, entry.taken)
        raise
    return await amending.settle(entries)
