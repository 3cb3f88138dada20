"""The nouns that all layers share. Frozen dataclasses flow; nobody mutates what crosses a layer.

Versions are uint64 `epoch(16).sequence(48)`; rows are offsets 0..s-1, the same on all n partners; columns are 0..n-1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType, Protocol

from coopfs.errors import PeerError

DiskId = NewType("DiskId", bytes)  # 16 bytes, the hash of the disk's public signing key
StoreId = NewType("StoreId", bytes)  # 16 bytes, random
NodeKey = NewType("NodeKey", bytes)  # 32 bytes, a node's Ed25519 public key
Version = NewType("Version", int)  # uint64 epoch(16).sequence(48)

Octets = bytes | bytearray | memoryview  # bytes that are only read, wherever they lie

SEQUENCE_BITS = 48


def make_version(epoch: int, sequence: int) -> Version:
    """epoch 0..65535 (0 is reserved for fill blocks), sequence 0..2^48-1."""
    assert 0 <= epoch < 1 << 16
    assert 0 <= sequence < 1 << SEQUENCE_BITS
    return Version(epoch << SEQUENCE_BITS | sequence)


def epoch_of(version: int) -> int:
    return version >> SEQUENCE_BITS


class Kind(IntEnum):
    """What a stripe carries (block header, design R2)."""

    DATA = 1
    META = 2
    END = 3  # the meta stripe that ends a group


class BlockKind(IntEnum):
    """What a sealed box is (associated data, design R1)."""

    BLOCK = 1
    MASTER = 2
    CLAIM = 3
    FILL = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stripe lies: one row, one version. Orders by version."""

    version: int
    row: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stripe is coded. block_size in bytes; columns are indices 0..k+m-1 into the layout's stores."""

    id: int
    k: int
    m: int
    block_size: int

    @property
    def n(self) -> int:
        return self.k + self.m


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """What a partner returned for a row: opaque, unauthenticated bytes."""

    version: int
    data: Octets


@dataclass(frozen=True, slots=True)
class Slot:
    """One inventory entry: a claim of a partner, not a proof. length in bytes of the stored block. version 0: what lay
    there was found torn or rotten, so the partner cannot deny anything about this row (R7)."""

    row: int
    version: int
    length: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A writer's claim of an epoch, signed with the disk signing key (R12).

    epoch 1..65535; claimer 16 random bytes; time in seconds since 1970; signing_key 32 bytes (hashes to the disk id);
    signature 64 bytes.
    """

    disk: DiskId
    epoch: int
    claimer: bytes
    time: int
    signing_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What an owner asks of a new store: rows of block_size bytes."""

    rows: int
    block_size: int


@dataclass(frozen=True, slots=True)
class Opening:
    """OPEN of one store. `claim` present = for writing; `create` present = make it if it does not exist."""

    disk: DiskId
    store: StoreId
    claim: Claim | None = None
    create: StoreSpec | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The partner's answer to OPEN. changes: puts accepted in this store's life; digest: 16 bytes (R15);
    epoch, claimer: the highest claim granted for the disk (epoch 0: none)."""

    rows: int
    block_size: int
    changes: int
    digest: bytes
    epoch: int
    claimer: bytes


@dataclass(frozen=True, slots=True)
class Master:
    """One stored copy of a master block: counter is epoch(16).counter(48), data is sealed."""

    counter: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """AGREE: the acceptor of an invitation asks the inviter to seal the deal.

    token: 16 bytes from the code; given, taken: bytes, as seen by the acceptor; name, addresses: how to call it and
    reach it; start in seconds since 1970; signature: 64 bytes by the acceptor's node key over the agreement text;
    uptime: the level that both promise, empty for none.
    """

    token: bytes
    given: int
    taken: int
    name: str
    addresses: tuple[str, ...]
    start: int
    signature: bytes
    uptime: str = ""


@dataclass(frozen=True, slots=True)
class Renewal:
    """RENEW: an agreement that the other side has forgotten, shown to it again.

    text: what both signed (core/agreement); mine, yours: signatures of who shows it and of who is shown it, 64 bytes;
    name, addresses: how to call who shows it, and where it is.
    """

    text: bytes
    mine: bytes
    yours: bytes
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Amendment:
    """AMEND: a later agreement is asked for.

    before: the text in force (core/agreement), as far as who asks knows; text: what is to be in force; signature: of
    who asks, under that, 64 bytes.
    """

    before: bytes
    text: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """The answer to AMEND: the text in force. mine, yours: signatures of who answers and of who asked, 64 bytes."""

    text: bytes
    mine: bytes
    yours: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to OFFER: an invitation for the node that asked, and for nobody else.

    token: 16 bytes, for AGREE; given, taken: bytes, as seen by the node that was asked; name, addresses: of that node.
    """

    token: bytes
    given: int
    taken: int
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepWord:
    """STEP: a newcomer asks to step between the one who is told and its partner `fellow`, by its signed announcement
    (core/announcement); or the fellow, as one of the two, says how far it is (core/stepping), without one.

    id: 16 random bytes of this step; newcomer, fellow: node keys.
    """

    id: bytes
    newcomer: NodeKey
    fellow: NodeKey
    state: int
    announcement: bytes = b""


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """The answer: how far the one that was told is; to a newcomer that may agree now, an invitation."""

    state: int
    welcome: Welcome | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """GRANT: the owner of a store lets another node read it until a time in seconds since 1970; 0 takes that back."""

    disk: DiskId
    store: StoreId
    reader: NodeKey
    until: int


@dataclass(frozen=True, slots=True)
class Write:
    """One put: version 1..2^64-1, data 1..block_size bytes."""

    row: int
    version: int
    data: Octets


class BlockStore(Protocol):
    """One open store of one partner: in memory, on disk, over a connection, or wrapped.

    Every method may raise PartnerAway; one that got an answer may raise another PeerError.
    """

    opened: Opened

    async def put(self, row: int, version: int, data: Octets) -> None:
        """Return after content and index entry are on stable storage. BlockRefused, Fenced, Refused."""

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        """At most PUT_BATCH puts at once, in any order: for each why it was refused, or None when it is on stable
        storage."""

    async def get(self, row: int) -> StoredBlock | None:
        """None: the slot is empty, torn or rotten."""

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        """`get` for each of at most MAX_REQUESTS rows, at once. What one of them meets, all do."""

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        """At most `limit` slots ever written, with row >= first_row, by ascending row; empty at the end."""

    async def resize(self, rows: int) -> None:
        """Give the store so many rows; `opened` says so then. What lay in rows that it loses is gone. 0: it is given
        back, with all that it holds. Refused: no room in the agreement; Fenced."""

    async def close(self) -> None:
        """End this session to the store; idempotent."""


class Partner(Protocol):
    """What a partner does for one owner. The same for a connection, a local host and a simulated one."""

    async def open(self, opening: Opening) -> BlockStore:
        """Refused: no agreement, no such store, no room. Fenced: the claim is too low or taken."""

    async def claim(self, claim: Claim) -> None:
        """Grant the epoch to this claimer, durably, or raise Fenced (R12)."""

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        """The up to two master blocks held for this disk, any order."""

    async def put_master(self, claim: Claim, master: Master) -> None:
        """Overwrite the lower of two slots; return after fsync. Fenced, Refused (counter not greater)."""

    async def grant(self, grant: Grant) -> None:
        """Let a reader in to one of the asking node's stores, or out; return when that is on stable storage (R16).
        Refused: no such store of this node, or too many readers."""

    async def agree(self, proposal: Proposal) -> bytes:
        """The inviter's signature (64 bytes) over the agreement text. Refused: unknown or used code, no room."""

    async def offer(self, announcement: bytes) -> Welcome:
        """Ask to be invited, by showing one's signed announcement (core/announcement). Refused: it does not suit, or
        no more partners are wanted; NotAuthentic."""

    async def step(self, word: StepWord) -> StepAnswer:
        """Ask to step between this node and a partner of it, or say how far one is. Refused: not this one, or not now;
        NoAgreement; NotAuthentic."""

    async def renew(self, renewal: Renewal) -> None:
        """Know the agreement again, with its space reserved anew, or as before. NotAuthentic; Refused: there is another
        one, or it is over, or no room."""

    async def amend(self, amendment: Amendment) -> Settlement:
        """The agreement in force, on stable storage: as it is to be amended, or another one that the asking node has
        signed and does not know. Refused: the owner has not agreed yet, more is in use, or no room; NotAuthentic."""

    async def leave(self, text: bytes) -> None:
        """The agreement with this text (core/agreement) is over: what is stored for the asking node goes, and what it
        holds counts no more. Return when that is on stable storage; also where there is no such agreement."""
