"""Two more ways of reaching a host, for the contract of types.Partner: over a connection, and through wrappers."""

import random
from collections.abc import Awaitable, Callable, Sequence

import trio
from trio.testing import memory_stream_pair

from coopfs.core.identity import Identity
from coopfs.core.wire.node_requests import Hello
from coopfs.net.channel import LocalNode, initiate, respond
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.serve import serve
from coopfs.net.wrappers import LimitedStore, TokenBucket
from coopfs.types import BlockStore, Claim, DiskId, Master, Opening, Partner, Proposal
from tests.net.nodes import everybody, silent

Reach = Callable[[bytes], Awaitable[Partner]]  # the host as the node with this identity seed sees it, in a new session


def local_node(seed: bytes) -> LocalNode:
    entropy = random.Random(seed)
    return LocalNode(Identity.from_seed(seed), Hello(entropy.randbytes(16), 0, 0, True), entropy.randbytes)


def over_connections(nursery: trio.Nursery, host_seed: bytes, reach: Reach) -> Reach:
    """Every session in a connection of its own, which lives as long as the nursery."""

    async def connected(seed: bytes) -> Partner:
        near, far = memory_stream_pair()
        host, owner = local_node(host_seed), local_node(seed)
        behind = await reach(seed)

        async def listen() -> None:
            # As if there were an agreement: what a stranger may not do is asserted elsewhere.
            await serve(Link(*await respond(far, host, everybody)), behind)

        nursery.start_soon(listen)
        link = Link(*await initiate(near, owner, host.identity.key))
        await nursery.start(link.run, silent)
        return RemotePartner(link)

    return connected


def through_wrappers(reach: Reach) -> Reach:
    """Every store behind a limit and a count."""

    async def wrapped(seed: bytes) -> Partner:
        return WrappedPartner(await reach(seed))

    return wrapped


class WrappedPartner:
    def __init__(self, partner: Partner) -> None:
        self._partner = partner
        self._bucket = TokenBucket(rate=1e9, burst=1 << 20)

    async def open(self, opening: Opening) -> BlockStore:
        return LimitedStore(await self._partner.open(opening), self._bucket)

    async def claim(self, claim: Claim) -> None:
        await self._partner.claim(claim)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        return await self._partner.masters(disk)

    async def put_master(self, claim: Claim, master: Master) -> None:
        await self._partner.put_master(claim, master)

    async def agree(self, proposal: Proposal) -> bytes:
        return await self._partner.agree(proposal)
