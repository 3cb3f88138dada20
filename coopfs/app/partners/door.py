"""The door at which nodes knock that this one does not know (OFFER): few at a time, by the owner's terms."""

from collections import deque
from collections.abc import Callable

import trio

from coopfs.app.partners.openings import Openings
from coopfs.core.announcement import Announcement, check_time, verify
from coopfs.core.invitation import TOKEN
from coopfs.core.matching import Spot
from coopfs.core.terms import Terms
from coopfs.errors import NotAuthentic, Refused
from coopfs.levels import storage_size
from coopfs.limits import OFFER_LIFETIME, OFFERS_A_MINUTE
from coopfs.local.hosted.hosting import Hosting
from coopfs.types import NodeKey, Welcome


class Door:
    """What a stranger meets that offers to become a partner."""

    def __init__(
        self,
        openings: Openings,
        terms: Callable[[], Terms],
        hosting: Hosting,
        spot: Callable[[], Spot],
        contact: Callable[[], tuple[str, tuple[str, ...]]],
        clock: Callable[[], float],
        draw: Callable[[int], bytes],
    ) -> None:
        """spot, contact: where this node is, and its name and addresses; clock: seconds since 1970; draw: random
        bytes."""
        self._openings = openings
        self._terms = terms
        self._spot = spot
        self._hosting = hosting
        self._contact = contact
        self._clock = clock
        self._draw = draw
        self._offers: deque[float] = deque(maxlen=OFFERS_A_MINUTE)

    def look(self, peer: NodeKey, announcement: bytes) -> Announcement:
        """What a peer says of itself, if it suits. Refused: it does not, or too many come; NotAuthentic, ProtocolError:
        not its announcement."""
        now = trio.current_time()
        if len(self._offers) == OFFERS_A_MINUTE and now - self._offers[0] < 60.0:
            raise Refused("too many offers come to this node: try again in a few minutes")
        self._offers.append(now)
        theirs = verify(announcement)
        if theirs.node != peer:
            raise NotAuthentic("an announcement was offered that is another node's")
        check_time(theirs, int(self._clock()))
        self._terms().check(self._spot(), theirs)
        return theirs

    async def welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        """An invitation for this peer, its space reserved for OFFER_LIFETIME seconds. Refused: it does not suit, or not
        now; NotAuthentic, ProtocolError: not its announcement; HomeError: no room."""
        self.look(peer, announcement)
        if (before := self._openings.begin_welcome(peer)) is not None:
            return before
        welcome = None
        try:
            welcome = await self.invite(storage_size(self._terms().storage), OFFER_LIFETIME)
        finally:
            self._openings.end_welcome(peer, welcome)
        return welcome

    async def invite(self, size: int, lifetime: int) -> Welcome:
        """A new invitation to swap so many bytes, good for `lifetime` seconds. HomeError: no room."""
        name, addresses = self._contact()
        token = self._draw(TOKEN)
        uptime, now = str(self._terms().uptime), int(self._clock())
        made = await self._hosting.invite(size, now, token, name, addresses, uptime, lifetime)
        return self.welcome_of(made.token, size)

    def welcome_of(self, token: bytes, size: int) -> Welcome:
        """The same again."""
        name, addresses = self._contact()
        return Welcome(token, size, size, name, addresses)
