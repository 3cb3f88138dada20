"""Two more ways of reaching a host, for the contract of types.Partner: over a connection, and through wrappers."""

import random
from collections.abc import Awaitable, Callable

import trio
from trio.testing import memory_stream_pair

from coopfs.core.identity import Identity
from coopfs.core.wire.node_requests import Hello
from coopfs.net.channel import LocalNode, initiate, respond
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.serve import serve
from coopfs.net.wrappers import LimitedPartner, TokenBucket, Toll
from coopfs.types import Partner
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
    """Every partner behind limits."""

    async def wrapped(seed: bytes) -> Partner:
        bucket = TokenBucket(lambda: 1e9, burst=1 << 20)
        return LimitedPartner(await reach(seed), Toll(bucket, bucket, patience=60.0))

    return wrapped
