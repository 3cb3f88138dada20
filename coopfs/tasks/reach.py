"""The way to partners over the roster's connections (network.Network)."""

from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.types import NodeKey, Partner


class _LinkedPartner(RemotePartner):
    """A partner that remembers the connection it was reached by."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.link = link


class RosterNetwork:
    """Partners by their live links."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is connected."""
        return _LinkedPartner(await self._roster.link(node))

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is connected, or (None) all its addresses were tried in vain."""
        while (link := self._roster.live(node)) is None:
            if node in self._roster.trouble:
                return None
            await self._roster.changed()
        return _LinkedPartner(link)

    async def gone(self, partner: Partner) -> None:
        """Wait until the connection that this partner was reached by has ended."""
        assert isinstance(partner, _LinkedPartner)
        while self._roster.live(partner.link.peer) is partner.link:
            await self._roster.changed()
