"""BlockStores around a BlockStore: a limit of its rate, and a count of what it did."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf

import trio

from coopfs.errors import PartnerAway, PeerError
from coopfs.types import BlockStore, Opened, Slot, StoredBlock


class TokenBucket:
    """At most `rate` bytes per second over time, at most `burst` bytes at once; shared by any number of stores."""

    def __init__(self, rate: float, burst: int) -> None:
        assert rate > 0
        assert burst > 0
        self._rate = rate
        self._burst = burst
        self._paid_at = -inf  # trio time at which all bytes taken so far are paid; runs ahead of now by a burst at most
        self._turn = trio.Lock()  # first come, first served: small blocks do not overtake a large one for ever

    async def take(self, size: int) -> None:
        """Wait until `size` bytes may pass; more than a burst waits until nothing is owed."""
        async with self._turn:
            self._paid_at = max(self._paid_at, trio.current_time())
            await trio.sleep_until(self._paid_at - max(self._burst - size, 0) / self._rate)
            self._paid_at += size / self._rate


class LimitedStore:
    """Puts and gets pay their bytes to a bucket: puts before they are sent, gets after they came."""

    def __init__(self, store: BlockStore, bucket: TokenBucket) -> None:
        self.opened: Opened = store.opened
        self._store = store
        self._bucket = bucket

    async def put(self, row: int, version: int, data: bytes) -> None:
        await self._bucket.take(len(data))
        await self._store.put(row, version, data)

    async def get(self, row: int) -> StoredBlock | None:
        block = await self._store.get(row)
        if block is not None:
            await self._bucket.take(len(block.data))
        return block

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        return await self._store.inventory(first_row, limit)

    async def close(self) -> None:
        await self._store.close()


@dataclass(frozen=True, slots=True)
class Tally:
    """What went through one store: bytes are those of blocks; refused counts answers that were errors,
    away calls that found no partner."""

    puts: int = 0
    put_bytes: int = 0
    gets: int = 0
    got_bytes: int = 0
    refused: int = 0
    away: int = 0


class CountedStore:
    """Keeps a tally, for status and logs."""

    def __init__(self, store: BlockStore) -> None:
        self.opened: Opened = store.opened
        self.tally = Tally()
        self._store = store

    async def put(self, row: int, version: int, data: bytes) -> None:
        with self._counting():
            await self._store.put(row, version, data)
        self.tally = replace(self.tally, puts=self.tally.puts + 1, put_bytes=self.tally.put_bytes + len(data))

    async def get(self, row: int) -> StoredBlock | None:
        with self._counting():
            block = await self._store.get(row)
        size = len(block.data) if block is not None else 0
        self.tally = replace(self.tally, gets=self.tally.gets + 1, got_bytes=self.tally.got_bytes + size)
        return block

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        with self._counting():
            return await self._store.inventory(first_row, limit)

    async def close(self) -> None:
        await self._store.close()

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except PartnerAway:
            self.tally = replace(self.tally, away=self.tally.away + 1)
            raise
        except PeerError:
            self.tally = replace(self.tally, refused=self.tally.refused + 1)
            raise
