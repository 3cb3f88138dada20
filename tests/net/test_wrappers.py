"""The limit of a store's rate, and the count of what it did."""

import pytest
import trio
from trio.testing import MockClock

from coopfs.net.wrappers import LimitedStore, TokenBucket, Toll
from coopfs.types import BlockStore, Opening, StoreId, StoreSpec
from tests.memory import MemoryHost
from tests.partners import Owner

OWNER = Owner()


async def new_store() -> tuple[MemoryHost, BlockStore]:
    host = MemoryHost()
    host.given[OWNER.key] = 1 << 30
    opening = Opening(OWNER.disk, StoreId(bytes(16)), OWNER.claim(1), StoreSpec(100, 16384))
    return host, await host.partner(OWNER.key).open(opening)


async def test_a_burst_passes_at_once_and_the_rest_at_the_rate(autojump_clock: MockClock) -> None:
    bucket = TokenBucket(lambda: 1000, burst=4000)
    started = trio.current_time()
    for _ in range(4):
        await bucket.take(1000)
    assert trio.current_time() == started
    for _ in range(10):
        await bucket.take(1000)
    assert trio.current_time() - started == pytest.approx(10)


async def test_idle_time_is_worth_one_burst_and_no_more(autojump_clock: MockClock) -> None:
    bucket = TokenBucket(lambda: 1000, burst=4000)
    await trio.sleep(1000)
    started = trio.current_time()
    await bucket.take(4000)
    await bucket.take(1000)
    assert trio.current_time() - started == pytest.approx(1)


async def test_more_than_a_burst_passes_and_is_paid_afterwards(autojump_clock: MockClock) -> None:
    bucket = TokenBucket(lambda: 1000, burst=4000)
    started = trio.current_time()
    await bucket.take(10_000)
    await bucket.take(4000)
    assert trio.current_time() - started == pytest.approx(10)


async def test_a_partners_request_waits_no_longer_than_its_patience(autojump_clock: MockClock) -> None:
    """Else it would give this node up for dead, and its repair or restore would begin again and again."""
    bucket = TokenBucket(lambda: 1, burst=1)
    store = LimitedStore((await new_store())[1], Toll(bucket, bucket, patience=30.0))
    for row in range(3):
        started = trio.current_time()
        await store.put(row, 1 << 48 | 1, bytes(16384))
        await store.get(row)
        assert trio.current_time() - started <= 60


async def test_stores_share_a_bucket(autojump_clock: MockClock) -> None:
    bucket = TokenBucket(lambda: 16384, burst=16384)
    stores = [LimitedStore((await new_store())[1], Toll(bucket, bucket)) for _ in range(2)]

    async def fill(store: LimitedStore) -> None:
        for row in range(5):
            await store.put(row, 1 << 48 | 1, bytes(16384))

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for store in stores:
            nursery.start_soon(fill, store)
    assert trio.current_time() - started == pytest.approx(9)  # ten blocks of one second each, the first for free
    await stores[0].get(0)
    await stores[1].get(0)
    assert trio.current_time() - started == pytest.approx(11)


async def test_each_of_many_blocks_is_paid_for(autojump_clock: MockClock) -> None:
    bucket = TokenBucket(lambda: 16384, burst=16384)
    store = LimitedStore((await new_store())[1], Toll(None, bucket))
    for row in range(4):
        await store.put(row, 1 << 48 | 1, bytes(16384))
    started = trio.current_time()
    assert [block is None for block in await store.get_many(range(5))] == [False] * 4 + [True]
    assert trio.current_time() - started == pytest.approx(3)  # the first for free
