"""Eight hosts of partners in this process, without a network between them and their owner."""

import time
from pathlib import Path

import trio

from coopfs.core import agreement
from coopfs.core.identity import Identity
from coopfs.core.invitation import Invitation
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey, Partner, Proposal

OWNER = bytes(31) + b"o"  # the owner's seed


async def _nobody_minds(peer: NodeKey) -> None:
    """Nobody leaves."""


class Neighbours:
    """So many hosts, below a directory (tasks.network.Network)."""

    def __init__(self, directory: Path, count: int) -> None:
        self.homes = [Home(directory / f"partner {number}") for number in range(count)]
        self.hosts: dict[NodeKey, Hosting] = {}

    def open(self) -> None:
        for home in self.homes:
            hosting = Hosting(home, NodeDatabase(home.node_database), time.time, lambda entry: None, _nobody_minds)
            self.hosts[Identity.from_seed(home.read_seed()).key] = hosting

    async def create(self, size: int) -> list[PartnerEntry]:
        """With an agreement over `size` bytes with each."""
        for number, home in enumerate(self.homes):
            home.create(bytes(31) + bytes([number]))
        self.open()
        for number, hosting in enumerate(self.hosts.values()):
            token = number.to_bytes(16, "big")
            invitation = await hosting.invite(size, int(time.time()), token, f"p{number}", ("[::1]:1",))
            await hosting.partner(Identity.from_seed(OWNER).key).agree(_proposal(invitation))
        return [PartnerEntry(f"p{n}", key, ("[::1]:1",), size, size) for n, key in enumerate(self.hosts)]

    async def reach(self, node: NodeKey) -> Partner:
        await trio.lowlevel.checkpoint()
        return self.hosts[node].partner(Identity.from_seed(OWNER).key)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        return await self.reach(node)

    async def gone(self, partner: Partner) -> None:
        await trio.sleep_forever()


def _proposal(invitation: Invitation) -> Proposal:
    acceptor = Identity.from_seed(OWNER).key
    now = int(time.time())
    deal = agreement.Agreement(invitation.inviter, acceptor, invitation.given, invitation.taken, now)
    signature = agreement.sign(OWNER, deal)
    return Proposal(invitation.token, invitation.taken, invitation.given, "owner", ("[::1]:1",), now, signature)
