"""What this home holds for others: agreements, and for each peer its disks, claims, master blocks and stores
(design R12-R15).

Hosting                     one per home
  agreements.Agreements     invitations, signatures, reserved space          node.sqlite, HOME/hosted/reservation-*
  amendments.Amendments     agreements over another size                     node.sqlite
  hostedstores.HostedStores store files                                      node.sqlite, HOME/hosted/<store id>
  hosteddisk.HostedDisk     per peer and disk: fence, masters, group commit  node.sqlite
  readers.Readers           who may read besides the owners                  node.sqlite
  readerpartner.ReaderPartner  per session: what a reader may ask            (types.Partner)
  HostPartner               per session: what one peer may ask               (types.Partner)
  hoststore.HostStore       per session and store                            (types.BlockStore)
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from coopfs import limits
from coopfs.core.agreement import Agreement
from coopfs.core.claims import CLAIMER, verify_claim
from coopfs.core.invitation import Invitation
from coopfs.errors import HomeError, NoAgreement, NotAuthentic, Refused, StateError, StoreGone
from coopfs.local.home import Home
from coopfs.local.hosted import endings, hostrecords
from coopfs.local.hosted.agreements import Agreements
from coopfs.local.hosted.amendments import Amendments
from coopfs.local.hosted.endings import Ending
from coopfs.local.hosted.hosteddisk import HostedDisk
from coopfs.local.hosted.hostedstores import HostedStore, HostedStores
from coopfs.local.hosted.hoststore import HostStore
from coopfs.local.hosted.readerpartner import ReaderPartner
from coopfs.local.hosted.readers import Readers
from coopfs.local.hosted.wishes import Wishes
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.types import (
    Amendment,
    Claim,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Opened,
    Opening,
    Partner,
    Proposal,
    Renewal,
    Settlement,
    StepAnswer,
    StepWord,
    Welcome,
)

_NOBODY = bytes(CLAIMER)
Consents = Callable[[NodeKey, int], bool]  # whether that partner may have an agreement over so many bytes
OnOffer = Callable[[NodeKey, bytes], Awaitable[Welcome]]  # who asks, and its signed announcement
OnStep = Callable[[NodeKey, StepWord], Awaitable[StepAnswer]]


def never(peer: NodeKey, size: int) -> bool:
    """The owner is asked each time."""
    return False


class Hosting:
    """The whole of it. Methods may raise HomeError (no room, no permission) and StateError (node.sqlite damaged)."""

    def __init__(
        self,
        home: Home,
        database: NodeDatabase,
        clock: Callable[[], float],
        on_agreed: Callable[[PartnerEntry], None],
        on_left: Callable[[NodeKey], Awaitable[None]],
        on_offer: OnOffer | None = None,
        consents: Consents = never,
        on_step: OnStep | None = None,
    ) -> None:
        """clock: seconds since 1970; on_agreed: called when somebody has taken up an invitation and is a partner
        now; on_left: when somebody has said that the agreement is over, and is answered when it returns; on_offer: what
        to answer to a node that asks to be invited, None: nobody is; consents: whether the owner has agreed in advance
        to an agreement over so many bytes with that partner; on_step: what to answer to a node that asks to step
        between this one and a partner, or tells how far that is.
        """
        self._database = database
        self._clock = clock
        self._on_agreed = on_agreed
        self._on_left = on_left
        self._on_offer = on_offer
        self._on_step = on_step
        self._wishes = Wishes(database)
        self._agreements = Agreements(database, home.hosted, home.read_seed(), self._wishes)
        self._agreements.expire(int(clock()))
        self._stores = HostedStores(database, home.hosted, self._agreements)
        self._amendments = Amendments(database, home.hosted, self._agreements, self._wishes, self._stores, consents)
        self._threads = trio.CapacityLimiter(limits.HOSTING_THREADS)
        self._disks = {
            (peer, disk): HostedDisk(database, peer, disk, claim, self._threads)
            for (peer, disk), claim in hostrecords.claims(database).items()
        }
        self._readers = Readers(database, clock)
        self.failure: str | None = None  # the last fault of this machine that a peer has met, for status

    def close(self) -> None:
        """Close the store files; no session may be left. The database is the caller's."""
        self._stores.close()

    def partner(self, peer: NodeKey) -> Partner:
        """What `peer` may ask, for one session; a stranger may only take up an invitation."""
        if not self.has_agreement(peer) and self.admits_reader(peer):
            return ReaderPartner(self._readers, peer, lambda owner: HostPartner(self, owner))
        return HostPartner(self, peer)

    def admits_reader(self, peer: NodeKey) -> bool:
        """Whether an owner has let this node in to read."""
        return self._readers.admits(peer)

    @property
    def key(self) -> NodeKey:
        """Of this node."""
        return self._agreements.key

    def has_agreement(self, peer: NodeKey) -> bool:
        return self._agreements.given(peer) is not None

    def hosted(self) -> Sequence[HostedStore]:
        """All stores, for status."""
        return self._stores.report()

    def agreement(self, peer: NodeKey) -> Agreement | None:
        """What was agreed with `peer`; None: nothing."""
        return self._agreements.of(peer)

    async def invite(
        self,
        size: int,
        now: int,
        token: bytes,
        name: str,
        addresses: tuple[str, ...],
        uptime: str = "",
        lifetime: int = limits.INVITATION_LIFETIME,
    ) -> Invitation:
        """See Agreements.invite."""
        work = self._agreements.invite
        return await trio.to_thread.run_sync(work, size, now, token, name, addresses, uptime, lifetime)

    async def expire(self) -> None:
        """Give back the space of invitations that nobody took up in time."""
        await trio.to_thread.run_sync(self._agreements.expire, int(self._clock()))

    async def reserve(self, invitation: Invitation, name: str, addresses: tuple[str, ...], now: int) -> Proposal:
        """See Agreements.reserve; follow it with `record` or `release`."""
        return await trio.to_thread.run_sync(self._agreements.reserve, invitation, name, addresses, now)

    async def record(self, invitation: Invitation, proposal: Proposal, signature: bytes) -> PartnerEntry:
        """See Agreements.record."""
        return await trio.to_thread.run_sync(self._agreements.record, invitation, proposal, signature)

    async def release(self, invitation: Invitation) -> None:
        """See Agreements.release."""
        await trio.to_thread.run_sync(self._agreements.release, invitation)

    async def _agree(self, peer: NodeKey, proposal: Proposal) -> bytes:
        now = int(self._clock())
        signature, entry = await trio.to_thread.run_sync(self._agreements.agree, peer, proposal, now)
        if entry is not None:
            self._on_agreed(entry)
        return signature

    async def _renew(self, peer: NodeKey, renewal: Renewal) -> None:
        entry = await trio.to_thread.run_sync(self._agreements.renew, peer, renewal)
        if entry is not None:
            self._on_agreed(entry)

    def wishes(self) -> dict[NodeKey, int]:
        """Bytes that partners are asked for, each way, and have not agreed to yet."""
        return self._wishes.all()

    def asks(self) -> dict[NodeKey, int]:
        """Bytes that partners ask this node's owner for, who has not agreed yet."""
        return self._wishes.asks()

    async def wish(self, peer: NodeKey, size: int) -> None:
        """See Amendments.wish."""
        await trio.to_thread.run_sync(self._amendments.wish, peer, size, int(self._clock()))

    def amendment(self, peer: NodeKey) -> Amendment | None:
        """See Amendments.request."""
        return self._amendments.request(peer)

    async def settle(self, peer: NodeKey, settlement: Settlement) -> None:
        """See Amendments.settle."""
        await trio.to_thread.run_sync(self._amendments.settle, peer, settlement)

    async def part(self, peer: NodeKey) -> None:
        """End the agreement with a node: what it stores here goes. It is owed to be told."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._agreements.part, peer)
            await self._clear(peer)

    async def _leave(self, peer: NodeKey, text: bytes) -> None:
        with trio.CancelScope(shield=True):
            if await trio.to_thread.run_sync(self._agreements.hear, peer, text):
                await self._clear(peer)
                await self._on_left(peer)

    async def _clear(self, peer: NodeKey) -> None:
        """Nothing of this node is stored here any more. First nothing is acknowledged any more."""
        for key in [key for key in self._disks if key[0] == peer]:
            await self._disks.pop(key).end()
        await trio.to_thread.run_sync(self._stores.drop, peer)
        self._readers.forget(peer)

    def owed(self) -> Sequence[Ending]:
        """The agreements that are over, whose other side does not know yet."""
        return endings.owed(self._database)

    async def note_told(self, ending: Ending) -> None:
        """The other side knows."""
        await trio.to_thread.run_sync(endings.note_told, self._database, ending)

    def parted(self) -> frozenset[NodeKey]:
        """The nodes with which there was an agreement, and is none."""
        return endings.parted(self._database)

    def renewal(self, peer: NodeKey, name: str, addresses: tuple[str, ...]) -> Renewal | None:
        """What to show to a partner that has forgotten its agreement; name, addresses: of this node. None: there is
        no agreement with it."""
        return self._agreements.renewal(peer, name, addresses)

    def _disk_to_claim(self, peer: NodeKey, disk: DiskId) -> HostedDisk:
        """The disk, which a first claim makes known. Refused: the peer keeps too many here."""
        hosted = self._disks.get((peer, disk))
        if hosted is None:
            if sum(owner == peer for owner, _ in self._disks) >= limits.MAX_DISKS_PER_PEER:
                raise Refused(f"{limits.MAX_DISKS_PER_PEER} disks are kept here already, the most that are allowed")
            hosted = self._disks[peer, disk] = HostedDisk(self._database, peer, disk, None, self._threads)
        return hosted

    @contextmanager
    def _own_failures(self) -> Iterator[None]:
        """What is wrong with this machine is for its owner to read; the peer learns that it is not its own fault."""
        try:
            yield
        except (HomeError, StateError) as error:
            self.failure = str(error)
            raise Refused("this partner's disk is full or has failed: its owner must look after it") from error


class HostPartner:
    """One session of one peer (types.Partner). A peer without an agreement can only `agree`."""

    def __init__(self, hosting: Hosting, peer: NodeKey) -> None:
        self._hosting = hosting
        self._peer = peer
        self._open = 0

    async def open(self, opening: Opening) -> HostStore:
        """Refused: no agreement, no such store, no room, too many open. Fenced, NotAuthentic: the claim."""
        self._check_agreement()
        if self._open >= limits.MAX_STORES_PER_SESSION:
            raise Refused(f"{self._open} stores are open in this session, the most that are allowed")
        self._open += 1
        try:
            return await self._open_store(opening)
        except BaseException:
            self._open -= 1
            raise

    async def claim(self, claim: Claim) -> None:
        self._check_agreement()
        verify_claim(claim)
        with self._hosting._own_failures():
            await self._hosting._disk_to_claim(self._peer, claim.disk).grant(claim)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        self._check_agreement()
        hosted = self._hosting._disks.get((self._peer, disk))
        if hosted is None:
            return ()
        with self._hosting._own_failures():
            return await hosted.masters()

    async def put_master(self, claim: Claim, master: Master) -> None:
        self._check_agreement()
        verify_claim(claim)
        with self._hosting._own_failures():
            await self._hosting._disk_to_claim(self._peer, claim.disk).put_master(claim, master)

    async def grant(self, grant: Grant) -> None:
        self._check_agreement()
        if not self._hosting._stores.owns(self._peer, grant.disk, grant.store):
            raise Refused("this store does not exist here")
        with self._hosting._own_failures():
            await trio.to_thread.run_sync(self._hosting._readers.grant, self._peer, grant)

    async def agree(self, proposal: Proposal) -> bytes:
        with self._hosting._own_failures():
            return await self._hosting._agree(self._peer, proposal)

    async def offer(self, announcement: bytes) -> Welcome:
        if self._hosting._on_offer is None:
            raise Refused("this node looks for no partners")
        with self._hosting._own_failures():
            return await self._hosting._on_offer(self._peer, announcement)

    async def step(self, word: StepWord) -> StepAnswer:
        if self._hosting._on_step is None:
            raise Refused("this node lets nobody step between")
        with self._hosting._own_failures():
            return await self._hosting._on_step(self._peer, word)

    async def renew(self, renewal: Renewal) -> None:
        with self._hosting._own_failures():
            await self._hosting._renew(self._peer, renewal)

    async def amend(self, amendment: Amendment) -> Settlement:
        self._check_agreement()
        with self._hosting._own_failures():
            return await trio.to_thread.run_sync(self._hosting._amendments.answer, self._peer, amendment)

    async def leave(self, text: bytes) -> None:
        with self._hosting._own_failures():
            await self._hosting._leave(self._peer, text)

    async def _open_store(self, opening: Opening) -> HostStore:
        claim, hosting, writer = opening.claim, self._hosting, object()
        if claim is not None:
            verify_claim(claim)
            if claim.disk != opening.disk:
                raise NotAuthentic("the claim is of another disk than the store")
            disk = hosting._disk_to_claim(self._peer, opening.disk)
        elif (self._peer, opening.disk) in hosting._disks:
            disk = hosting._disks[self._peer, opening.disk]
        else:
            raise StoreGone("this disk does not exist here")
        with hosting._own_failures():
            file = await disk.open(claim, writer, lambda: hosting._stores.acquire(self._peer, opening))
        changes, digest = file.index.state()
        granted = disk.claim
        epoch, claimer = (granted.epoch, granted.claimer) if granted is not None else (0, _NOBODY)
        opened = Opened(file.header.rows, file.header.block_size, changes, digest, epoch, claimer)
        return HostStore(
            opened,
            file,
            disk,
            claim,
            writer,
            hosting._own_failures,
            lambda: self._release(opening),
            lambda file, rows: hosting._stores.resize(opening.store, file, rows),
        )

    def _release(self, opening: Opening) -> None:
        self._open -= 1
        self._hosting._stores.release(opening.store)

    def _check_agreement(self) -> None:
        if not self._hosting.has_agreement(self._peer):
            raise NoAgreement("there is no agreement between these two nodes")
