"""This node as a member of matching servers: what it tells them of itself, and whom they propose.

Their answers are put together: each candidate has signed what it says, so a server can only leave some out. One that
does not answer, or answers nonsense, is noted for status, and holds up nobody else.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from coopfs.app.partners.openings import Openings
from coopfs.core.announcement import Announcement, sign
from coopfs.core.bond import announced
from coopfs.core.matching import Spot, choose, spot_of
from coopfs.core.terms import Terms
from coopfs.errors import PeerError, Refused
from coopfs.limits import MATCH_CANDIDATES, MAX_WANTED
from coopfs.match.client import MatchClient
from coopfs.types import NodeKey, Renewal


@dataclass(frozen=True, slots=True)
class Self:
    """Who announces: its identity seed (32 bytes), what it is called, and this run of it (16 random bytes)."""

    key: NodeKey
    seed: bytes
    name: str
    incarnation: bytes


class Membership:
    """addresses: where this node is reached; clock: seconds since 1970; lot: random numbers 0..1."""

    def __init__(
        self,
        me: Self,
        terms: Callable[[], Terms],
        openings: Openings,
        servers: Sequence[MatchClient],
        addresses: Callable[[], tuple[str, ...]],
        clock: Callable[[], float],
        lot: Callable[[], float],
    ) -> None:
        self.bonds: Callable[[], Iterable[bytes]] = tuple  # of the agreements between whose sides others may step now
        self.trouble: dict[str, str] = {}  # server -> why it did not serve the last time
        self.servers = servers
        self._me = me
        self._terms = terms
        self._openings = openings
        self._addresses = addresses
        self._clock = clock
        self._lot = lot
        self._sequence = 0

    def announcement(self) -> Announcement:
        """What is true now, with a new sequence."""
        now, terms = self._clock(), self._terms()
        self._sequence = max(self._sequence + 1, int(now * 1000))
        return Announcement(
            node=self._me.key,
            incarnation=self._me.incarnation,
            name=self._me.name,
            addresses=self._addresses(),
            site=terms.site,
            system=terms.system,
            storage=terms.storage,
            uptime=terms.uptime,
            needs=self._openings.lacking(),
            partners=len(self._openings.partners()),
            time=int(now),
            sequence=self._sequence,
            bonds=announced(self.bonds()),
        )

    def signed(self) -> bytes:
        return sign(self._me.seed, self.announcement())

    def spot(self) -> Spot:
        """Where this node is, as far as it knows."""
        return spot_of(self.announcement(), None)

    async def announce(self) -> None:
        """Tell all servers."""
        signed = self.signed()

        async def tell(server: MatchClient) -> None:
            await server.announce(signed)

        await self._at_all(tell)

    async def candidates(self, refused: Sequence[NodeKey]) -> Sequence[Announcement]:
        """Those that suit, of all servers, the best first; asking announces too. refused: who is not to be proposed."""
        signed, known = self.signed(), self._openings.partners()[:MAX_WANTED]
        unwanted = [*refused, *self._openings.pending()][:MAX_WANTED]
        found: dict[NodeKey, Announcement] = {}

        async def ask(server: MatchClient) -> None:
            for said in await server.search(signed, MATCH_CANDIDATES, known, unwanted):
                if said.node not in found or found[said.node].sequence < said.sequence:
                    found[said.node] = said

        await self._at_all(ask)
        mine = self.spot()
        suit = {key: said for key, said in found.items() if key not in unwanted and self._suits(mine, said)}
        spots = [spot_of(said, None) for said in suit.values()]
        return [suit[spot.node] for spot in choose(spots, (), len(spots), self._lot)]

    async def pairs(self, refused: Sequence[NodeKey]) -> Sequence[tuple[Announcement, Announcement]]:
        """Two and two who are partners of each other and let others step between them, both of whom suit; of all
        servers. refused: as in `candidates`."""
        signed, known = self.signed(), self._openings.partners()[:MAX_WANTED]
        unwanted = [*refused, *self._openings.pending()][:MAX_WANTED]
        found: dict[frozenset[NodeKey], tuple[Announcement, Announcement]] = {}

        async def ask(server: MatchClient) -> None:
            for one, two in await server.pairs(signed, known, unwanted):
                found.setdefault(frozenset((one.node, two.node)), (one, two))

        await self._at_all(ask)
        mine = self.spot()
        return [
            pair for key, pair in found.items() if not key & set(unwanted) and all(self._suits(mine, p) for p in pair)
        ]

    def _suits(self, mine: Spot, theirs: Announcement) -> bool:
        try:
            self._terms().check(mine, theirs)
        except Refused:
            return False
        return theirs.node not in self._openings.partners()

    async def report(self, made: Renewal) -> None:
        """Tell all servers of an agreement whose invitation the other side wrote. A server that does not know both
        does not care."""

        async def tell(server: MatchClient) -> None:
            try:
                await server.report(made)
            except Refused:
                return

        await self._at_all(tell)

    async def _at_all(self, question: Callable[[MatchClient], Awaitable[None]]) -> None:
        async def ask(server: MatchClient) -> None:
            with self._noted(server):
                await question(server)

        async with trio.open_nursery() as nursery:
            for server in self.servers:
                nursery.start_soon(ask, server)

    @contextmanager
    def _noted(self, server: MatchClient) -> Iterator[None]:
        try:
            yield
        except PeerError as trouble:
            self.trouble[server.address] = str(trouble)
        else:
            self.trouble.pop(server.address, None)
