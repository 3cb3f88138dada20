"""Partners that this node finds, and that find it: the parts, put together from its configuration."""

import platform
import random
import secrets
import time
from collections.abc import Callable, Set
from typing import Any

from coopfs.app.agreeing import Agreeing
from coopfs.app.door import Door
from coopfs.app.finding import Finding, Watch
from coopfs.app.membership import Membership, Self
from coopfs.app.openings import Openings
from coopfs.app.promises import check_zone
from coopfs.config import Config
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
    """What the owner has configured. UsageError: hours in a time zone that this machine does not know."""
    return Terms(
        storage=storage_level(settings.match_size),
        uptime=check_zone(settings.uptime),
        wanted=settings.match_partners,
        site=settings.site,
        system=platform.system().lower() or "unknown",
        avoided=avoid(settings.match_avoid),
        together=settings.match_together,
    )


class Matchmaking:
    """agreeing: the visits to candidates; made: an agreement as it would be shown to the partner; gone: partners that
    do not count; addresses: of this node."""

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
    ) -> None:
        key = Identity.from_seed(seed).key
        me = Self(key, seed, settings.name, secrets.token_bytes(INCARNATION))
        terms, lot = terms_of(settings), random.random
        self._openings = Openings(key, terms.wanted, database, gone, time.time)
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
        self._size = storage_size(terms.storage)

    async def welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        """See Door.welcome."""
        return await self._door.welcome(peer, announcement)

    def changed(self) -> None:
        """See Finding.changed."""
        self._finding.changed()

    @property
    def is_wanted(self) -> bool:
        """Whether the owner lets this node find its partners."""
        return bool(self._membership.servers) and self._openings.wanted > 0

    async def run(self) -> None:
        """Announce and look for partners until cancelled; without servers there is nothing to do."""
        if self._membership.servers:
            await self._finding.run()

    async def find(self, watch: Watch) -> dict[str, Any]:
        """Once, now, for the control socket. UsageError: it is not configured."""
        if not self._membership.servers:
            raise UsageError("this node knows no matching server: name one as match_servers in coopfs.toml")
        if self._openings.wanted == 0:
            raise UsageError("this node wants no partners that it does not know: set match_partners in coopfs.toml")
        found, hindrances = await self._finding.find(watch)
        return {"found": found, "hindrances": hindrances, **self.describe()}

    def describe(self) -> dict[str, Any]:
        """For status. size: bytes swapped with each partner; servers: address -> what is wrong with it, or null."""
        servers = {server.address: self._membership.trouble.get(server.address) for server in self._membership.servers}
        return {
            "wanted": self._openings.wanted,
            "lacking": self._openings.lacking(),
            "size": self._size,
            "servers": servers,
            "trouble": self._finding.hindrance,
        }
