"""Every way of reaching a host, behind one face: what the contract of types.Partner is asserted over.

To add one, write an async context manager that yields a Site, and name it in SITES.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from coopfs.core import agreement as agreements
from coopfs.core.agreement import Agreement
from coopfs.core.claims import disk_id, sign_claim
from coopfs.core.identity import Identity
from coopfs.core.invitation import Invitation
from coopfs.core.storeformat import PAGE, slots_offset
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import Claim, DiskId, NodeKey, Partner, Proposal, StoreId
from tests.memory import CONSENTED, MemoryHost
from tests.net.sites import over_connections, through_wrappers

HOST_SEED = b"h" * 32
TOKEN = b"token-0123456789"
ADDRESSES = ("[::1]:7530",)
NOON = 1_800_000_000  # seconds since 1970


@dataclass
class Clock:
    """Wall time that a test sets."""

    now: int = NOON

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Site:
    """One host and its key. invite(size): a new invitation of it. partner(seed): the host as the node with this
    identity sees it, in a new session. spoil(store, row): the stored block rots."""

    key: NodeKey
    clock: Clock
    invite: Callable[[int], Awaitable[Invitation]]
    partner: Callable[[bytes], Awaitable[Partner]]
    spoil: Callable[[StoreId, int], None]

    async def admit(self, seed: bytes, size: int) -> Partner:
        """The host as a node sees it that has an agreement over `size` bytes."""
        partner = await self.partner(seed)
        await partner.agree(propose(await self.invite(size), seed))
        return partner


@dataclass(frozen=True)
class Owner:
    """An owner of a disk, as far as hosts know it: a node identity and a disk signing key."""

    seed: bytes = b"o" * 32
    signing_seed: bytes = b"s" * 32

    @property
    def key(self) -> NodeKey:
        return Identity.from_seed(self.seed).key

    @property
    def disk(self) -> DiskId:
        return disk_id(self.claim(1).signing_key)

    def claim(self, epoch: int, claimer: bytes = b"a" * 16) -> Claim:
        return sign_claim(self.signing_seed, epoch, claimer, NOON)


def propose(invitation: Invitation, seed: bytes, *, name: str = "owner", start: int = NOON) -> Proposal:
    """What the node with this identity answers to an invitation."""
    acceptor = Identity.from_seed(seed).key
    agreement = Agreement(invitation.inviter, acceptor, invitation.given, invitation.taken, start)
    signature = agreements.sign(seed, agreement)
    return Proposal(invitation.token, invitation.taken, invitation.given, name, ADDRESSES, start, signature)


async def nobody_minds(peer: NodeKey) -> None:
    """Who leaves holds nothing of this node."""


def consents(peer: NodeKey, size: int) -> bool:
    """What the owners of hosts agree to in advance."""
    return size <= CONSENTED


@asynccontextmanager
async def memory(directory: Path) -> AsyncIterator[Site]:
    host, clock = MemoryHost(HOST_SEED), Clock()
    tokens = _tokens()

    async def invite(size: int) -> Invitation:
        host.now = clock.now
        return host.invite(size, next(tokens), "host", ADDRESSES)

    async def partner(seed: bytes) -> Partner:
        host.now = clock.now
        return host.partner(Identity.from_seed(seed).key)

    def spoil(store: StoreId, row: int) -> None:
        host.stores[store].spoil(row)

    yield Site(host.key, clock, invite, partner, spoil)


@asynccontextmanager
async def disk(directory: Path) -> AsyncIterator[Site]:
    home, clock = Home(directory / "home"), Clock()
    home.create(HOST_SEED)
    database = NodeDatabase(home.node_database)
    hosting = Hosting(home, database, clock, lambda entry: None, nobody_minds, consents=consents)
    tokens = _tokens()

    async def invite(size: int) -> Invitation:
        return await hosting.invite(size, clock.now, next(tokens), "host", ADDRESSES)

    async def partner(seed: bytes) -> Partner:
        return hosting.partner(Identity.from_seed(seed).key)

    def spoil(store: StoreId, row: int) -> None:
        shape = next(hosted for hosted in hosting.hosted() if hosted.store == store)
        offset = slots_offset(shape.rows) + row * shape.block_size
        flip(home.hosted / store.hex(), offset)

    yield Site(Identity.from_seed(HOST_SEED).key, clock, invite, partner, spoil)
    hosting.close()
    database.close()


@asynccontextmanager
async def connection(directory: Path) -> AsyncIterator[Site]:
    async with memory(directory) as site, trio.open_nursery() as nursery:
        yield replace(site, partner=over_connections(nursery, HOST_SEED, site.partner))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def wrapped(directory: Path) -> AsyncIterator[Site]:
    async with memory(directory) as site:
        yield replace(site, partner=through_wrappers(site.partner))


def flip(path: Path, offset: int) -> None:
    """Invert one byte of a file."""
    assert offset >= PAGE
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


def _tokens() -> Iterator[bytes]:
    return (number.to_bytes(16, "big") for number in range(1, 1 << 16))


SITES: dict[str, Callable[[Path], AbstractAsyncContextManager[Site]]] = {
    "memory": memory,
    "disk": disk,
    "connection": connection,
    "wrapped": wrapped,
}
