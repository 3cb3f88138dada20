"""The way to partners over the roster's connections (network.Network)."""

from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.net.wrappers import LimitedStore, Toll
from coopfs.types import BlockStore, NodeKey, Opening, Partner


class _LinkedPartner(RemotePartner):
    """A partner that remembers the connection it was reached by. toll: what its stores' blocks pay to, if any."""

    def __init__(self, link: Link, toll: Toll | None) -> None:
        super().__init__(link)
        self.link = link
        self._toll = toll

    async def open(self, opening: Opening) -> BlockStore:
        store = await super().open(opening)
        return store if self._toll is None else LimitedStore(store, self._toll)


class RosterNetwork:
    """Partners by their live links. toll: the owner's limits for all of them together; None: unlimited."""

    def __init__(self, roster: Roster, toll: Toll | None = None) -> None:
        self._roster = roster
        self._toll = toll

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is connected."""
        return _LinkedPartner(await self._roster.link(node), self._toll)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is connected, or (None) all its addresses were tried in vain."""
        while (link := self._roster.live(node)) is None:
            if node in self._roster.trouble:
                return None
            await self._roster.changed()
        return _LinkedPartner(link, self._toll)

    async def gone(self, partner: Partner) -> None:
        """Wait until the connection that this partner was reached by has ended."""
        assert isinstance(partner, _LinkedPartner)
        while self._roster.live(partner.link.peer) is partner.link:
            await self._roster.changed()
