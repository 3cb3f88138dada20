"""The way to partners over the roster's connections (network.Network)."""

from collections.abc import Callable
from typing import NoReturn

from coopfs.errors import NoAgreement, PartnerAway
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.net.wrappers import LimitedStore, Toll
from coopfs.types import BlockStore, Claim, NodeKey, Opening, Partner, Renewal

Remember = Callable[[NodeKey], Renewal | None]


def _nothing(node: NodeKey) -> None:
    """Who restores has no agreements."""


async def remind(link: Link, agreed: Renewal | None) -> bool:
    """Show what both have agreed on to a partner that says that there is no such thing, and end the connection. False:
    nothing was agreed. PeerError: it is over, or there is something else between the two."""
    if agreed is not None:
        await RemotePartner(link).renew(agreed)
        await link.close("the agreement is known again")
    return agreed is not None


class _LinkedPartner(RemotePartner):
    """A partner that remembers the connection it was reached by, and reminds the other side of the agreement if that
    has forgotten it. toll: what its stores' blocks pay to, if any."""

    def __init__(self, link: Link, toll: Toll | None, remember: Remember) -> None:
        super().__init__(link)
        self.link = link
        self._toll = toll
        self._remember = remember

    async def open(self, opening: Opening) -> BlockStore:
        try:
            store = await super().open(opening)
        except NoAgreement as forgotten:
            await self._remind(forgotten)
        return store if self._toll is None else LimitedStore(store, self._toll)

    async def claim(self, claim: Claim) -> None:
        try:
            await super().claim(claim)
        except NoAgreement as forgotten:
            await self._remind(forgotten)

    async def _remind(self, forgotten: NoAgreement) -> NoReturn:
        """A node that took over its own machine has lost what it held for others, and what it had agreed to. Standings
        are settled when a connection begins, so another one is needed."""
        if not await remind(self.link, self._remember(self.link.peer)):
            raise forgotten
        raise PartnerAway("it knows of the agreement again: connecting once more")


class RosterNetwork:
    """Partners by their live links. toll: the owner's limits for all of them together; None: unlimited; remember: the
    agreement with a partner."""

    def __init__(self, roster: Roster, toll: Toll | None = None, remember: Remember = _nothing) -> None:
        self._roster = roster
        self._toll = toll
        self._remember = remember

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is connected."""
        return _LinkedPartner(await self._roster.link(node), self._toll, self._remember)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is connected, or (None) all its addresses were tried in vain."""
        while (link := self._roster.live(node)) is None:
            if node in self._roster.trouble:
                return None
            await self._roster.changed()
        return _LinkedPartner(link, self._toll, self._remember)

    async def gone(self, partner: Partner) -> None:
        """Wait until the connection that this partner was reached by has ended."""
        assert isinstance(partner, _LinkedPartner)
        while self._roster.live(partner.link.peer) is partner.link:
            await self._roster.changed()
