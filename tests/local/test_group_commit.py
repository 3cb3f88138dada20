"""Group commit and the fence: in which order puts, fdatasync, acknowledgements and claims happen."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from coopfs import limits
from coopfs.core.storeformat import store_size
from coopfs.errors import Fenced
from coopfs.types import BlockStore, Opening, StoreId, StoreSpec, make_version
from tests.partners import Owner, disk

SPEC = StoreSpec(rows=200, block_size=16384)
STORE = StoreId(b"store-0123456789")
OTHER = StoreId(b"other-0123456789")


@dataclass
class Gate:
    """Stands in for the disk: fdatasync waits here until a test opens it, and is counted."""

    opened: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    calls: int = 0

    async def reached(self) -> None:
        await trio.to_thread.run_sync(self.entered.wait)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        gate.calls += 1
        gate.entered.set()
        gate.opened.wait()
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    yield gate
    gate.opened.set()


async def put(store: BlockStore, row: int, acknowledged: list[int]) -> None:
    await store.put(row, make_version(1, row + 1), b"block")
    acknowledged.append(row)


async def test_an_acknowledgement_waits_for_fdatasync(tmp_path: Path, gate: Gate) -> None:
    owner, acknowledged = Owner(), list[int]()
    async with disk(tmp_path) as site, trio.open_nursery() as nursery:
        partner = await site.admit(owner.seed, store_size(SPEC.rows, SPEC.block_size))
        store = await partner.open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        nursery.start_soon(put, store, 3, acknowledged)
        await gate.reached()
        assert acknowledged == []
        assert await store.inventory(0, 100) == []
        gate.opened.set()
    assert acknowledged == [3]


async def test_puts_that_wait_share_one_fdatasync(tmp_path: Path, gate: Gate) -> None:
    owner, acknowledged = Owner(), list[int]()
    async with disk(tmp_path) as site, trio.open_nursery() as nursery:
        partner = await site.admit(owner.seed, store_size(SPEC.rows, SPEC.block_size))
        store = await partner.open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        nursery.start_soon(put, store, 0, acknowledged)
        await gate.reached()
        for row in range(1, limits.PUT_BATCH + 2):
            nursery.start_soon(put, store, row, acknowledged)
        await wait_all_tasks_blocked()
        gate.opened.set()
    assert sorted(acknowledged) == list(range(limits.PUT_BATCH + 2))
    assert gate.calls == 3, "the first alone, PUT_BATCH of those that waited, the last"


async def test_a_claim_waits_for_the_commit_under_way_and_fences_what_is_not_in_it(tmp_path: Path, gate: Gate) -> None:
    owner, acknowledged, order = Owner(), list[int](), list[str]()
    async with disk(tmp_path) as site:
        partner = await site.admit(owner.seed, store_size(SPEC.rows, SPEC.block_size))
        store = await partner.open(Opening(owner.disk, STORE, owner.claim(1), SPEC))

        async def claim() -> None:
            await partner.claim(owner.claim(2, b"b" * 16))
            order.append("claimed")

        async def overtaken() -> None:
            with pytest.raises(Fenced):
                await store.put(4, make_version(1, 5), b"zombie")
            order.append("fenced")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, store, 3, acknowledged)
            await gate.reached()
            nursery.start_soon(claim)
            await wait_all_tasks_blocked()
            nursery.start_soon(overtaken)
            await wait_all_tasks_blocked()
            assert (acknowledged, order) == ([], [])
            gate.opened.set()
        assert (acknowledged, order) == ([3], ["claimed", "fenced"])
        assert [slot.row for slot in await store.inventory(0, 100)] == [3]


async def test_a_put_whose_session_ends_is_committed_with_its_batch(tmp_path: Path, gate: Gate) -> None:
    owner, acknowledged = Owner(), list[int]()
    async with disk(tmp_path) as site:
        partner = await site.admit(owner.seed, 2 * store_size(SPEC.rows, SPEC.block_size))
        opening = Opening(owner.disk, STORE, owner.claim(1), SPEC)
        store, other = await partner.open(opening), await partner.open(replace(opening, store=OTHER))
        async with trio.open_nursery() as survivors, trio.open_nursery() as session:
            session.start_soon(put, store, 3, acknowledged)
            await gate.reached()
            session.start_soon(put, store, 4, acknowledged)
            survivors.start_soon(put, other, 5, acknowledged)
            await wait_all_tasks_blocked()
            session.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await store.close()
            gate.opened.set()
        again = await partner.open(Opening(owner.disk, STORE))
        assert [slot.row for slot in await again.inventory(0, 100)] == [3, 4]
        assert [slot.row for slot in await other.inventory(0, 100)] == [5]
        assert 5 in acknowledged
