"""Partners that this node finds, and that find it: the parts, put together from its configuration."""

import platform
import random
import secrets
import time
from collections.abc import Callable, Iterator, Set
from typing import Any

import trio

from coopfs.app.partners.agreeing import Agreeing
from coopfs.app.partners.bidding import Ask, Bidding
from coopfs.app.partners.door import Door
from coopfs.app.partners.finding import Finding, Watch
from coopfs.app.partners.handover import Handover
from coopfs.app.partners.membership import Membership, Self
from coopfs.app.partners.openings import Openings
from coopfs.app.partners.stepping import Stepping, Ties
from coopfs.config import Config
from coopfs.core.bond import bond_of
from coopfs.core.identity import Identity
from coopfs.core.terms import Terms, avoid
from coopfs.errors import UsageError
from coopfs.levels import storage_level, storage_size
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.match.client import MatchClient
from coopfs.types import NodeKey, Renewal, Welcome

INCARNATION = 16  # bytes


def terms_of(settings: Config) -> Terms:
    """What the owner has configured."""
    return Terms(
        storage=storage_level(settings.match_size),
        uptime=settings.uptime,
        wanted=settings.match_partners,
        site=settings.site,
        system=platform.system().lower() or "unknown",
        avoided=avoid(settings.match_avoid),
        together=settings.match_together,
    )


class Matchmaking:
    """agreeing: the visits to candidates; made: an agreement as it would be shown to the partner; gone: partners that
    do not count; addresses: of this node; handover, ties: for a step between two partners; ask: somebody for one;
    column: bytes that a partner must give to get one of the disk, 0 if there is none."""

    def __init__(
        self,
        settings: Config,
        seed: bytes,
        database: NodeDatabase,
        hosting: Hosting,
        addresses: Callable[[], tuple[str, ...]],
        agreeing: Agreeing,
        made: Callable[[NodeKey], Renewal | None],
        gone: Callable[[], Set[NodeKey]],
        handover: Handover,
        ties: Ties,
        ask: Ask,
        column: Callable[[], int],
    ) -> None:
        key = Identity.from_seed(seed).key
        me = Self(key, seed, settings.name, secrets.token_bytes(INCARNATION))
        configured, lot = terms_of(settings), random.random

        def terms() -> Terms:
            return configured.for_column(column())

        self._openings = Openings(key, configured.wanted, database, gone, time.time)
        servers = [MatchClient(address) for address in settings.match_servers]
        self._membership = Membership(me, terms, self._openings, servers, addresses, time.time, lot)
        self._finding = Finding(
            self._membership,
            self._openings,
            terms,
            agreeing.offer,
            agreeing.accept,
            made,
            hosting.expire,
            time.time,
            lot,
        )
        self._door = Door(
            self._openings,
            terms,
            hosting,
            self._membership.spot,
            lambda: (settings.name, addresses()),
            time.time,
            secrets.token_bytes,
        )
        self._terms = terms
        willing = settings.match_between and bool(servers)
        parts = database, hosting, self._door, terms, handover, ties
        self.stepping = Stepping(*parts, time.time, willing=willing)
        self._membership.bonds = self._bonds
        self.bidding = Bidding(
            key,
            database,
            self._membership,
            self._openings,
            terms,
            ask,
            agreeing.accept,
            made,
            time.time,
            secrets.token_bytes,
        )
        self._key, self._made = key, made

    def _bonds(self) -> Iterator[bytes]:
        """Of the agreements between whose sides somebody may step."""
        for partner in self._openings.partners():
            if self.stepping.lets_ask(partner) and (made := self._made(partner)) is not None:
                yield bond_of(made, self._key)

    def barred(self) -> Set[NodeKey]:
        """Partners that get no column of the disk now, as they may go: a step between is under way."""
        return self.stepping.barred() | self.bidding.barred()

    async def welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        """See Door.welcome."""
        return await self._door.welcome(peer, announcement)

    def changed(self) -> None:
        """See Finding.changed."""
        self._finding.changed()
        self.stepping.changed.notify()
        self.bidding.changed.notify()

    @property
    def is_wanted(self) -> bool:
        """Whether the owner lets this node find its partners."""
        return bool(self._membership.servers) and self._openings.wanted > 0

    async def run(self) -> None:
        """Announce and look for partners until cancelled, and bring steps to their end that are under way."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.stepping.run)
            nursery.start_soon(self.bidding.run)
            if self._membership.servers:
                nursery.start_soon(self._finding.run)

    async def find(self, watch: Watch) -> dict[str, Any]:
        """Once, now, for the control socket. UsageError: it is not configured."""
        if not self._membership.servers:
            raise UsageError("this node knows no matching server: name one as match_servers in coopfs.toml")
        if self._openings.wanted == 0:
            raise UsageError("this node wants no partners that it does not know: set match_partners in coopfs.toml")
        found, hindrances = await self._finding.find(watch)
        if not found and await self.bidding.begin():
            watch("ask to step between two partners", 0, 2)
            await self.bidding.pursue()
        return {"found": found, "hindrances": hindrances, **self.describe()}

    def describe(self) -> dict[str, Any]:
        """For status. size: bytes swapped with each partner; servers: address -> what is wrong with it, or null."""
        servers = {server.address: self._membership.trouble.get(server.address) for server in self._membership.servers}
        return {
            "wanted": self._openings.wanted,
            "lacking": self._openings.lacking(),
            "size": storage_size(self._terms().storage),
            "servers": servers,
            "trouble": self._finding.hindrance,
            "stepping": self.stepping.describe(),
            "bidding": self.bidding.describe(),
            "odd": self.bidding.is_odd,
        }
