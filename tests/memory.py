"""A host in memory, with the semantics of coopfs.local.hosted.hosting: for simulated networks and as a yardstick."""

from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from coopfs import limits
from coopfs.core import agreement as agreements
from coopfs.core import digest
from coopfs.core.acceptance import accepts, accepts_master, check_put, check_row, check_turn
from coopfs.core.amending import check_successor, rank
from coopfs.core.claims import check_claim, check_writer, verify_claim
from coopfs.core.identity import Identity
from coopfs.core.invitation import Invitation, check_proposal
from coopfs.core.storeformat import store_size, valid_shape
from coopfs.errors import NoAgreement, NotAuthentic, PartnerAway, PeerError, Refused, StoreGone
from coopfs.sizes import format_size
from coopfs.types import (
    Amendment,
    BlockStore,
    Claim,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Opened,
    Opening,
    Proposal,
    Renewal,
    Settlement,
    Slot,
    StepAnswer,
    StepWord,
    StoredBlock,
    StoreId,
    Welcome,
    Write,
)

CONSENTED = 1 << 22  # bytes each way, that the owners of hosts agree to without being asked


@dataclass(slots=True)
class StoreContent:
    """What a host keeps of one store. Tests may remove blocks: that is what rot and loss look like."""

    peer: NodeKey
    disk: DiskId
    rows: int
    block_size: int
    blocks: MutableMapping[int, StoredBlock] = field(default_factory=dict)
    spoiled: set[int] = field(default_factory=set)  # rows whose block was found torn or rotten
    changes: int = 0
    writer: object = None  # the session for writing that was opened last

    @property
    def size(self) -> int:
        return store_size(self.rows, self.block_size)

    def cut(self, rows: int) -> None:
        """It has so many rows, and nothing in others."""
        self.rows = rows
        for row in [row for row in self.blocks if row >= rows]:
            del self.blocks[row]
        self.spoiled = {row for row in self.spoiled if row < rows}

    def spoil(self, row: int) -> None:
        """The block of this row rots, and that is noticed."""
        del self.blocks[row]
        self.spoiled.add(row)

    def digest(self) -> bytes:
        total = 0
        for row, block in self.blocks.items():
            total = digest.replace(total, row, 0, block.version)
        return digest.to_bytes(total)


@dataclass(slots=True)
class _Disk:
    claim: Claim | None = None
    masters: list[Master] = field(default_factory=list)


@dataclass(slots=True)
class _Invitation:
    given: int
    taken: int
    expires: int
    used_by: NodeKey | None = None
    text: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class HostImage:
    """All that a host stores for others, and who claimed it, at some moment."""

    stores: Mapping[StoreId, StoreContent]
    disks: Mapping[tuple[NodeKey, DiskId], _Disk]

    @classmethod
    def of(cls, stores: Mapping[StoreId, StoreContent], disks: Mapping[tuple[NodeKey, DiskId], _Disk]) -> "HostImage":
        """A copy, which goes its own way."""
        content = {
            id_: replace(store, blocks=dict(store.blocks), spoiled=set(store.spoiled)) for id_, store in stores.items()
        }
        return cls(content, {key: replace(disk, masters=list(disk.masters)) for key, disk in disks.items()})


class MemoryHost:
    """One node that gives space. `away` = nobody can reach it; `given` = bytes per peer; `stores` = all content."""

    def __init__(self, seed: bytes = bytes(32)) -> None:
        self.key = Identity.from_seed(seed).key
        self.away = False
        self.now = 0
        self.given: dict[NodeKey, int] = {}
        self.stores: dict[StoreId, StoreContent] = {}
        self._seed = seed
        self._disks: dict[tuple[NodeKey, DiskId], _Disk] = {}
        self.grants: dict[tuple[NodeKey, StoreId], Grant] = {}
        self._invitations: dict[bytes, _Invitation] = {}
        self._texts: dict[NodeKey, bytes] = {}
        self._signed: dict[NodeKey, bytes] = {}  # by the peer, under that text
        self._over: set[tuple[NodeKey, bytes]] = set()

    @property
    def only_store(self) -> StoreContent:
        """Where there is one."""
        (store,) = self.stores.values()
        return store

    def partner(self, peer: NodeKey) -> "MemoryPartner":
        """What `peer` may ask, for one session."""
        return MemoryPartner(self, peer)

    def invite(self, size: int, token: bytes, name: str, addresses: tuple[str, ...]) -> Invitation:
        self._invitations[token] = _Invitation(size, size, self.now + limits.INVITATION_LIFETIME)
        return Invitation(self.key, token, size, size, name, addresses)

    async def answer(self) -> None:
        """Where a request meets the network."""
        await trio.lowlevel.checkpoint()
        if self.away:
            raise PartnerAway("the partner cannot be reached")

    def disk(self, peer: NodeKey, disk: DiskId) -> _Disk:
        """The disk, made known by a first claim."""
        if (peer, disk) not in self._disks:
            if sum(owner == peer for owner, _ in self._disks) >= limits.MAX_DISKS_PER_PEER:
                raise Refused("too many disks")
            self._disks[peer, disk] = _Disk()
        return self._disks[peer, disk]

    def known_disk(self, peer: NodeKey, disk: DiskId) -> _Disk | None:
        return self._disks.get((peer, disk))

    def agree(self, peer: NodeKey, proposal: Proposal) -> bytes:
        agreement = agreements.of_proposal(self.key, peer, proposal)
        agreements.verify(agreement, peer, proposal.signature)
        invitation = self._invitations.get(proposal.token)
        if invitation is None:
            raise Refused("this invitation code is not known here")
        if invitation.used_by is not None:
            if (invitation.used_by, invitation.text) != (peer, agreement.encode()):
                raise Refused("this invitation code has been used")
            return invitation.signature
        if self.now > invitation.expires:
            raise Refused("this invitation code has expired")
        check_proposal(invitation.given, invitation.taken, "", proposal)
        if peer in self.given:
            raise Refused("these two nodes have an agreement already")
        self.given[peer] = invitation.given
        self._texts[peer] = agreement.encode()
        self._signed[peer] = proposal.signature
        invitation.used_by, invitation.text = peer, agreement.encode()
        invitation.signature = agreements.sign(self._seed, agreement)
        return invitation.signature

    def renew(self, peer: NodeKey, renewal: Renewal) -> None:
        agreement = agreements.decode(renewal.text)
        if {agreement.inviter, agreement.acceptor} != {self.key, peer}:
            raise Refused("this agreement is of other nodes")
        agreements.verify(agreement, peer, renewal.mine)
        agreements.verify(agreement, self.key, renewal.yours)
        given = agreement.inviter_gives if agreement.inviter == self.key else agreement.acceptor_gives
        if (peer, renewal.text) in self._over and peer not in self.given:
            raise Refused("this agreement is over")
        if self.given.setdefault(peer, given) != given:
            raise Refused("these two nodes have another agreement")
        self._texts[peer] = renewal.text
        self._signed[peer] = renewal.mine

    def amend(self, peer: NodeKey, amendment: Amendment) -> Settlement:
        """Its owner agrees to CONSENTED at the most."""
        new, old = agreements.decode(amendment.text), agreements.decode(self._texts[peer])
        agreements.verify(new, peer, amendment.signature)
        check_successor(old, new)
        if rank(new) > rank(old) <= rank(agreements.decode(amendment.before)):
            size = new.inviter_gives
            if size < sum(store.size for store in self.stores.values() if store.peer == peer):
                raise Refused("more is in use there")
            if size > CONSENTED:
                raise Refused("its owner has not agreed yet")
            self.given[peer] = size
            self._texts[peer] = amendment.text
            self._signed[peer] = amendment.signature
        return Settlement(
            self._texts[peer],
            agreements.sign(self._seed, agreements.decode(self._texts[peer])),
            self._signed[peer],
        )

    def leave(self, peer: NodeKey, text: bytes) -> None:
        if self._texts.get(peer) != text:
            return
        del self._texts[peer], self.given[peer]
        self._over.add((peer, text))
        self.stores = {id_: store for id_, store in self.stores.items() if store.peer != peer}
        self._disks = {key: disk for key, disk in self._disks.items() if key[0] != peer}
        self.grants = {key: grant for key, grant in self.grants.items() if key[1] in self.stores}

    def forget(self) -> None:
        """All that is stored here is lost, and who claimed it; agreements are not."""
        self.stores.clear()
        self._disks.clear()
        self.grants.clear()

    def image(self) -> HostImage:
        """What somebody keeps who copies its disk."""
        return HostImage.of(self.stores, self._disks)

    def set_back(self, image: HostImage) -> None:
        """Its disk is what it was then; agreements are not."""
        again = HostImage.of(image.stores, image.disks)
        self.stores, self._disks = dict(again.stores), dict(again.disks)
        self.grants.clear()

    def create(self, peer: NodeKey, opening: Opening) -> StoreContent:
        spec = opening.create
        if spec is None or opening.claim is None:
            raise StoreGone("this store does not exist here")
        if not valid_shape(spec.rows, spec.block_size):
            raise Refused("no store can have this shape")
        others = [store for store in self.stores.values() if store.peer == peer]
        if sum(store.disk == opening.disk for store in others) >= limits.MAX_STORES_PER_DISK:
            raise Refused("too many stores of this disk")
        store = StoreContent(peer, opening.disk, spec.rows, spec.block_size)
        if sum(other.size for other in others) + store.size > self.given[peer]:
            raise Refused(f"offers {format_size(self.given[peer])}, {format_size(store.size)} needed")
        self.stores[opening.store] = store
        return store


class MemoryPartner:
    """One session of one peer (types.Partner)."""

    def __init__(self, host: MemoryHost, peer: NodeKey) -> None:
        self._host = host
        self._peer = peer
        self.sessions = 0

    async def open(self, opening: Opening) -> BlockStore:
        await self._host.answer()
        if self._peer not in self._host.given:
            return self._read(opening)
        await self._admit()
        if self.sessions >= limits.MAX_STORES_PER_SESSION:
            raise Refused("too many stores are open in this session")
        disk = self._claimed(opening) if opening.claim else self._host.known_disk(self._peer, opening.disk)
        if disk is None:
            raise StoreGone("this disk does not exist here")
        store = self._host.stores.get(opening.store)
        if store is None:
            store = self._host.create(self._peer, opening)
        elif (store.peer, store.disk) != (self._peer, opening.disk):
            raise Refused("this store belongs to another disk")
        epoch, claimer = (disk.claim.epoch, disk.claim.claimer) if disk.claim else (0, bytes(16))
        opened = Opened(store.rows, store.block_size, store.changes, store.digest(), epoch, claimer)
        self.sessions += 1
        return MemoryStore(opened, self._host, self, disk, store, opening.claim)

    async def claim(self, claim: Claim) -> None:
        await self._admit()
        self._grant(claim)

    def _read(self, opening: Opening) -> "MemoryStore":
        """As a reader who was let in."""
        self.check_grant(opening)
        store = self._host.stores[opening.store]
        disk = self._host.disk(store.peer, opening.disk)
        assert disk.claim is not None
        state = (store.changes, store.digest(), disk.claim.epoch, disk.claim.claimer)
        self.sessions += 1
        return MemoryStore(Opened(store.rows, store.block_size, *state), self._host, self, disk, store, None, opening)

    def check_grant(self, opening: Opening) -> None:
        grant = self._host.grants.get((self._peer, opening.store))
        if opening.claim or opening.create or grant is None:
            raise Refused("there is no agreement between these two nodes")
        if grant.disk != opening.disk or grant.until <= self._host.now:
            raise Refused("this node was not let in to read, or no longer")

    async def grant(self, grant: Grant) -> None:
        await self._admit()
        store = self._host.stores.get(grant.store)
        if store is None or (store.peer, store.disk) != (self._peer, grant.disk):
            raise Refused("this store does not exist here")
        key, grants = (grant.reader, grant.store), self._host.grants
        others = [g for k, g in grants.items() if g.store == grant.store and k != key and g.until > self._host.now]
        if grant.until > self._host.now and len(others) >= limits.MAX_READERS:
            raise Refused("too many readers")
        grants[key] = grant

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        await self._host.answer()
        if self._peer not in self._host.given:
            granted = [g for g in self._host.grants.values() if (g.reader, g.disk) == (self._peer, disk)]
            granted = [g for g in granted if g.until > self._host.now]
            if not granted:
                raise Refused("there is no agreement between these two nodes")
            return tuple(self._host.disk(self._host.stores[granted[0].store].peer, disk).masters)
        known = self._host.known_disk(self._peer, disk)
        return tuple(known.masters) if known else ()

    async def put_master(self, claim: Claim, master: Master) -> None:
        await self._admit()
        disk = self._grant(claim)
        if accepts_master(disk.masters, master):
            disk.masters = [master, *disk.masters][:2]

    async def agree(self, proposal: Proposal) -> bytes:
        await self._host.answer()
        return self._host.agree(self._peer, proposal)

    async def offer(self, announcement: bytes) -> Welcome:
        await self._host.answer()
        raise Refused("this node looks for no partners")

    async def step(self, word: StepWord) -> StepAnswer:
        await self._host.answer()
        raise Refused("this node lets nobody step between")

    async def renew(self, renewal: Renewal) -> None:
        await self._host.answer()
        self._host.renew(self._peer, renewal)

    async def amend(self, amendment: Amendment) -> Settlement:
        await self._admit()
        return self._host.amend(self._peer, amendment)

    async def leave(self, text: bytes) -> None:
        await self._host.answer()
        self._host.leave(self._peer, text)

    async def _admit(self) -> None:
        await self._host.answer()
        if self._peer not in self._host.given:
            raise NoAgreement("there is no agreement between these two nodes")

    def _claimed(self, opening: Opening) -> _Disk:
        assert opening.claim is not None
        if opening.claim.disk != opening.disk:
            raise NotAuthentic("the claim is of another disk than the store")
        return self._grant(opening.claim)

    def _grant(self, claim: Claim) -> _Disk:
        verify_claim(claim)
        disk = self._host.disk(self._peer, claim.disk)
        if check_claim(disk.claim, claim):
            disk.claim = claim
        return disk


async def outcome(put: Awaitable[None]) -> PeerError | None:
    """Why a put was refused. PartnerAway: it was not answered."""
    try:
        await put
    except PartnerAway:
        raise
    except PeerError as refusal:
        return refusal
    return None


class MemoryStore:
    """One session to one store (types.BlockStore)."""

    def __init__(
        self,
        opened: Opened,
        host: MemoryHost,
        partner: MemoryPartner,
        disk: _Disk,
        store: StoreContent,
        claim: Claim | None,
        granted: Opening | None = None,
    ) -> None:
        """granted: the opening of a reader, whose grant must still stand."""
        self._granted = granted
        self.opened = opened
        self._host = host
        self._partner = partner
        self._disk = disk
        self._store = store
        self._claim = claim
        if claim is not None:
            store.writer = self
        self._closed = False

    async def put(self, row: int, version: int, data: bytes) -> None:
        await self._answer()
        if self._claim is None:
            raise Refused("this store was opened for reading")
        if self._store.peer not in self._host.given:
            raise NoAgreement("the agreement is over")
        check_put(self._store.rows, self._store.block_size, row, version, len(data))
        check_writer(self._disk.claim, self._claim)
        check_turn(self._store.writer, self)
        if accepts(self._store.blocks.get(row), row, version, data):
            self._store.blocks[row] = StoredBlock(version, bytes(data))
            self._store.spoiled.discard(row)
            self._store.changes += 1

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        return [await outcome(self.put(write.row, write.version, write.data)) for write in writes]

    async def get(self, row: int) -> StoredBlock | None:
        await self._answer()
        check_row(self._store.rows, row)
        return self._store.blocks.get(row)

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        return [await self.get(row) for row in rows]

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        await self._answer()
        slots = [Slot(row, block.version, len(block.data)) for row, block in self._store.blocks.items()]
        slots += [Slot(row, 0, 0) for row in self._store.spoiled]
        wanted = sorted((slot for slot in slots if slot.row >= first_row), key=lambda slot: slot.row)
        return wanted[: min(limit, limits.INVENTORY_PAGE)]

    async def resize(self, rows: int) -> None:
        await self._answer()
        if self._claim is None:
            raise Refused("this store was opened for reading")
        check_writer(self._disk.claim, self._claim)
        if not rows:
            self._host.stores = {id_: each for id_, each in self._host.stores.items() if each is not self._store}
            self.opened = replace(self.opened, rows=0)
            return
        others = sum(s.size for s in self._host.stores.values() if s.peer == self._store.peer and s is not self._store)
        if others + store_size(rows, self._store.block_size) > self._host.given[self._store.peer]:
            raise Refused("no room")
        self._store.cut(rows)
        self.opened = replace(self.opened, rows=rows)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._partner.sessions -= 1
        await trio.lowlevel.checkpoint()

    async def _answer(self) -> None:
        await self._host.answer()
        if self._closed:
            raise Refused("this store is closed")
        if self._granted is not None:
            self._partner.check_grant(self._granted)
