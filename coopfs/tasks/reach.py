"""The way to partners over the roster's connections (network.Network)."""

from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.net.wrappers import LimitedStore, TokenBucket
from coopfs.types import BlockStore, NodeKey, Opening, Partner


class _LinkedPartner(RemotePartner):
    """A partner that remembers the connection it was reached by. bucket: what its stores' blocks pay to, if any."""

    def __init__(self, link: Link, bucket: TokenBucket | None) -> None:
        super().__init__(link)
        self.link = link
        self._bucket = bucket

    async def open(self, opening: Opening) -> BlockStore:
        store = await super().open(opening)
        return store if self._bucket is None else LimitedStore(store, self._bucket)


class RosterNetwork:
    """Partners by their live links. bucket: the owner's limit for all of them together; None: unlimited."""

    def __init__(self, roster: Roster, bucket: TokenBucket | None = None) -> None:
        self._roster = roster
        self._bucket = bucket

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is connected."""
        return _LinkedPartner(await self._roster.link(node), self._bucket)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is connected, or (None) all its addresses were tried in vain."""
        while (link := self._roster.live(node)) is None:
            if node in self._roster.trouble:
                return None
            await self._roster.changed()
        return _LinkedPartner(link, self._bucket)

    async def gone(self, partner: Partner) -> None:
        """Wait until the connection that this partner was reached by has ended."""
        assert isinstance(partner, _LinkedPartner)
        while self._roster.live(partner.link.peer) is partner.link:
            await self._roster.changed()
