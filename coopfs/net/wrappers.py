"""A BlockStore around a BlockStore: a limit of its rate."""

from collections.abc import Sequence
from math import inf

import trio

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
