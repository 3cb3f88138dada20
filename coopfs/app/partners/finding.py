"""Finding partners by itself (paper, section 2.1): announce, ask, agree.

1. tell the matching servers of this node, every ten minutes, and soon when something has changed, or one did not
   listen;
2. while partners are lacking, ask them for candidates;
3. show a candidate the own announcement (OFFER). It looks at it by its owner's terms, reserves the space, and welcomes:
   an invitation for this node only, which is accepted like any other;
4. tell the servers of the match, for their status pages.

It may be killed anywhere: an invitation that nobody takes up ends by itself, and one that was taken up is found again
by taking it up again.
"""

import logging
from collections.abc import Awaitable, Callable

import trio

from coopfs.app.partners.membership import Membership
from coopfs.app.partners.openings import Openings
from coopfs.core.announcement import Announcement
from coopfs.core.invitation import Invitation
from coopfs.core.terms import Terms, invitation_of
from coopfs.errors import HomeError, PartnerAway, PeerError, Refused, UsageError
from coopfs.limits import ANNOUNCE_INTERVAL, FIND_AGAIN, FIND_MIN, FIND_PATIENCE, FIND_REFUSED
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey, Renewal, Welcome

logger = logging.getLogger(__name__)

Ask = Callable[[Announcement, bytes], Awaitable[Welcome]]  # visit this node with a signed announcement
Accept = Callable[[Invitation], Awaitable[PartnerEntry]]
Watch = Callable[[str, int, int], None]


class Finding:
    """ask, accept: the two visits to a candidate; clock: seconds since 1970; lot: random numbers 0..1."""

    def __init__(
        self,
        membership: Membership,
        openings: Openings,
        terms: Callable[[], Terms],
        ask: Ask,
        accept: Accept,
        made: Callable[[NodeKey], Renewal | None],
        expire: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        lot: Callable[[], float],
    ) -> None:
        """made: the agreement with a partner, as it would be shown to it; expire: give back space of invitations that
        nobody took up."""
        self.membership = membership
        self.openings = openings
        self.terms = terms
        self._ask = ask
        self._accept = accept
        self._made = made
        self._expire = expire
        self._clock = clock
        self._lot = lot
        self._turn = trio.Lock()
        self._wake = trio.Event()
        self.hindrance: str | None = None  # why this node could not look for partners the last time
        self._again: dict[NodeKey, tuple[float, int]] = {}  # who could not be had: when, and seconds to rest

    def changed(self) -> None:
        """There is a partner more or less: the servers should hear of it."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. StateError: the database of the node."""
        pause = FIND_MIN
        while True:
            self._wake = trio.Event()
            before = self.openings.lacking()
            try:
                await self._look(before)
                self.hindrance = None
            except HomeError as full:
                self.hindrance = str(full)
                logger.warning("no partners are looked for: %s", full)
            lacking = self.openings.lacking()
            if lacking or self.membership.trouble:
                pause = min(2 * pause, ANNOUNCE_INTERVAL) if lacking == before else FIND_MIN
                await self._rest(pause)
            else:
                pause = FIND_MIN
                await self._rest(ANNOUNCE_INTERVAL)

    async def _look(self, lacking: int) -> None:
        await self._expire()
        if lacking == 0:
            await self.membership.announce()
        else:
            await self.find(lambda step, done, total: None)

    async def _rest(self, seconds: float) -> None:
        """Less up to a tenth, and until something has changed, but at least FIND_MIN."""
        await trio.sleep(min(seconds, FIND_MIN) * (1 - self._lot() / 10))
        with trio.move_on_after(max(0.0, seconds - FIND_MIN) * (1 - self._lot() / 10)):
            await self._wake.wait()

    async def find(self, watch: Watch) -> tuple[list[str], list[str]]:
        """Ask once for as many partners as are lacking: the names of those that there are now, and what hindered with
        the others, a line each. HomeError: there is no room on this machine, or no database."""
        found: list[str] = []
        hindrances: list[str] = []
        watch("ask the matching servers", 0, 0)  # or wait for those that the node is asking by itself
        async with self._turn:
            total = self.openings.lacking()
            candidates = await self.membership.candidates(self._resting()) if total else ()
            for theirs in candidates:
                if not self.openings.begin_offer(theirs.node):
                    continue
                try:
                    found.append(await self._agree(theirs))
                    watch("agree with partners", len(found), total)
                except (PeerError, UsageError) as trouble:
                    rest = FIND_REFUSED if isinstance(trouble, Refused) else FIND_AGAIN
                    self._again[theirs.node] = self._clock(), rest
                    hindrances.append(f"{theirs.name}: {trouble}")
                finally:
                    self.openings.end_offer(theirs.node)
            if found:
                await self.membership.announce()
        return found, hindrances

    def _resting(self) -> list[NodeKey]:
        now = self._clock()
        self._again = {key: (since, rest) for key, (since, rest) in self._again.items() if 0 <= now - since < rest}
        return list(self._again)

    async def _agree(self, theirs: Announcement) -> str:
        """Its name, of a partner now. PeerError, UsageError, HomeError."""
        with trio.move_on_after(FIND_PATIENCE):
            welcome = await self._ask(theirs, self.membership.signed())
            self.openings.got_welcome(theirs.node)
            entry = await self._accept(invitation_of(self.terms(), theirs.node, theirs.addresses, welcome))
            logger.info("%s, found through a matching server, is a partner now", entry.name)
            made = self._made(theirs.node)
            if made is not None:
                await self.membership.report(made)
            return entry.name
        raise PartnerAway(f"nothing came of it within {FIND_PATIENCE:.0f} s")
