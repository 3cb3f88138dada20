"""Columns to read from, made by hand: some slow, some with the wrong blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import trio

from coopfs.core import coding
from coopfs.core.claims import sign_claim
from coopfs.core.header import Header
from coopfs.core.keys import make_keys
from coopfs.core.master import StorePlace
from coopfs.core.stripe import Fragment
from coopfs.errors import PartnerAway, PeerError
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.signal import Signal
from coopfs.types import (
    BlockStore,
    Kind,
    Layout,
    Opening,
    Place,
    Slot,
    StoredBlock,
    StoreId,
    StoreSpec,
    Write,
    make_version,
)
from tests.core.samples import KEYS, TAG_KEY, coded_data
from tests.memory import MemoryHost

LAYOUT = Layout(1, 2, 2, 48 * 1024)
PLACE = Place(make_version(1, 5), 3)
END = Place(make_version(1, 2), 0)
PEER = MemoryHost(bytes(31) + b"\x77").key


class SlowStore:
    """A session that takes `delay` seconds to get a block, and counts how often it is asked."""

    def __init__(self, store: BlockStore) -> None:
        self.opened = store.opened
        self.delay = 0.0
        self.away = False
        self.asked = 0
        self.runs: list[int] = []  # how many blocks were asked for together
        self._store = store

    async def put(self, row: int, version: int, data: bytes) -> None:
        await self._store.put(row, version, data)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        return await self._store.put_many(writes)

    async def get(self, row: int) -> StoredBlock | None:
        self.asked += 1
        await trio.sleep(self.delay)
        if self.away:
            raise PartnerAway("the connection broke")
        return await self._store.get(row)

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        self.runs.append(len(rows))
        return [await self.get(row) for row in rows]

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        return await self._store.inventory(first_row, limit)

    async def close(self) -> None:
        await self._store.close()


@dataclass(eq=False)
class Source:
    """fetcher.Source."""

    layout: Layout
    column: int
    place: StorePlace
    host: MemoryHost
    store: SlowStore
    session: BlockStore | None
    changed: Signal = field(default_factory=Signal)

    def close(self) -> None:
        self.session = None
        self.changed.notify()

    def reopen(self) -> None:
        store = SlowStore(self.store._store)
        self.session = self.store = store
        self.changed.notify()


async def columns() -> list[Source]:
    """One source for each column, each with an empty store."""
    assert KEYS.signing_seed is not None
    claim = sign_claim(KEYS.signing_seed, 1, bytes(16), 0)
    made = []
    for number in range(LAYOUT.n):
        host = MemoryHost(bytes([number + 1]) * 32)
        host.given[PEER] = 1 << 30
        store = StoreId(bytes([number + 1]) * 16)
        opening = Opening(KEYS.disk, store, claim, StoreSpec(32, LAYOUT.block_size))
        session = SlowStore(await host.partner(PEER).open(opening))
        made.append(
            Source(LAYOUT, number, StorePlace(store, host.key, host.key, f"p{number}", ()), host, session, session)
        )
    return made


@dataclass(frozen=True)
class Made:
    """A stripe as it was coded."""

    coded: coding.Coded
    header: Header

    @property
    def data(self) -> list[bytes]:
        return [bytes(shard) for shard in self.coded.shards[: LAYOUT.k]]

    def box(self, source: Source, place: Place = PLACE) -> bytes:
        block = bytearray(self.coded.blocks[source.column])
        return bytes(coding.box(KEYS, source.place, source.column, place, self.header, block))


def stripe(seed: int, length: int = 50_000) -> Made:
    content = Random(seed).randbytes(length)
    coded = coded_data(LAYOUT, TAG_KEY, content, [Fragment(7, 0, length, 1, b"f")])
    return Made(coded, coding.header_of(coded, Kind.DATA, LAYOUT, END, 1))


async def store_at(made: Made, sources: Sequence[Source]) -> None:
    for source in sources:
        await source.store.put(PLACE.row, PLACE.version, made.box(source))


def damage(source: Source) -> None:
    """One bit of the stored block flips, and the partner does not notice."""
    (content,) = source.host.stores.values()
    block = content.blocks[PLACE.row]
    at = len(block.data) // 2
    flipped = bytes([block.data[at] ^ 1])
    content.blocks[PLACE.row] = StoredBlock(block.version, block.data[:at] + flipped + block.data[at + 1 :])


def fetcher_of(sources: Sequence[Source]) -> Fetcher:
    return Fetcher(KEYS, sources)


OTHER_KEYS = make_keys(bytes(32), bytes(32))
