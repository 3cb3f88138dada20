"""A partner that holds something else in the place of a block, and takes that for what it was sent (R15)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from coopfs.app.disk.checking import check
from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState
from coopfs.core.master import INCOMING, PRIMARY
from coopfs.errors import BlockRefused
from coopfs.tasks.cleaning import mover
from coopfs.tasks.writing import column as column_of
from coopfs.types import StoredBlock
from tests.memory import MemoryStore, StoreContent
from tests.sim.invariants import check_ledger
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, heir_of, play, running, written_twice
from tests.tasks.test_replacing import give, roles

WEEK = 7 * 86400.0  # seconds, in which everything must have healed

KINDS = {"content": "kind = 1", "log": "kind != 1", "both": "1"}


def store_of(owner: Owner, number: int) -> StoreContent:
    return owner.world.sites[number].host.only_store


async def told(owner: Owner, *, repair: bool = False) -> list[str]:
    """What a check of every block finds."""
    answer = await check(owner.own, lambda step, done, total: None, deep=True, repair=repair)
    return [finding["text"] for finding in answer["findings"]]


def rot(store: StoreContent, row: int) -> None:
    """Other bytes, of which the partner says that they are what it was sent."""
    block = store.blocks[row]
    store.blocks[row] = StoredBlock(block.version, bytes([block.data[0]]) + bytes(len(block.data) - 1))


async def heal(owner: Owner, number: int) -> None:
    """Wait until a column counts again and has everything."""
    column, progress = owner.own.columns.columns[number], owner.own.ledger.progress
    with trio.fail_after(WEEK):
        while column.disputed or progress.away or progress.pending:
            await trio.sleep(1)
    await trio.sleep(SETTLED)
    assert await told(owner) == []
    assert column.session is not None
    check_ledger(owner)


@contextmanager
def mangled(store: StoreContent, which: Callable[[int], bool]) -> Iterator[list[int]]:
    """Puts into this store whose number, from 1, is one of these, store other bytes and are refused. Their rows."""
    put, rows, count = MemoryStore.put, list[int](), 0

    async def mangle(self: MemoryStore, row: int, version: int, data: bytes) -> None:
        nonlocal count
        held = self._store.blocks.get(row)
        if self._store is store and (held is None or held.version < version):
            count += 1
            if which(count):
                self._store.blocks[row] = StoredBlock(version, bytes(len(data)))
                rows.append(row)
                raise BlockRefused("this is stored", version)
        await put(self, row, version, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "put", mangle)
        yield rows


@pytest.mark.parametrize("geometry", [Geometry(2, 1), Geometry(1, 2)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_block_that_is_not_given_up_goes_elsewhere(tmp_path: Path, kind: str, geometry: Geometry) -> None:
    async def main(owner: Owner) -> None:
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, 30_000)
        await trio.sleep(SETTLED)
        column, session = owner.own.columns.columns[1], owner.own.columns.columns[1].session
        query = f"SELECT row FROM stripes WHERE row IS NOT NULL AND died IS NULL AND {KINDS[kind]}"
        rows = [row for (row,) in owner.own.local.database.read(query).fetchall()]
        for row in rows:
            rot(store_of(owner, 1), row)
        assert await told(owner, repair=True) != []
        with trio.fail_after(SETTLED):
            while len(column.disputed) < len(rows):
                await trio.sleep(0.01)
        assert column.state is ColumnState.CATCHING_UP
        assert describe_disk(owner.own)["columns"][1]["disputed"] == len(rows)
        assert f"p1 keeps {len(rows)} damaged blocks, and takes no others" in await told(owner)
        await heal(owner, 1)
        assert column.session is session, "it is open all the while"
        assert not {row for (row,) in owner.own.local.database.read(query)} & set(rows)

    play(tmp_path, geometry, main)


def test_one_that_was_never_acked_hinders_nothing_and_its_claim_is_not_believed(tmp_path: Path) -> None:
    """With 1+1 the group needs both, so the column must be in A for it to be held."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        column = owner.own.columns.columns[1]
        with mangled(store_of(owner, 1), lambda number: number == 1) as rows:
            group = await group_of(owner, b"a")
            with trio.fail_after(SETTLED):
                while not column.disputed:
                    await trio.sleep(0.001)
            owner.world.sites[1].cut()  # as its digest is not what it should be, it tells all that it claims to have
            await trio.sleep(1)
            assert [(row, acks) for _, row, _, acks in owner.own.log.places() if row in rows] == [(rows[0], 0b01)]
            await owner.own.ledger.changed.wait_until(lambda: owner.own.ledger.progress.barrier >= group)
            await heal(owner, 1)

    play(tmp_path, Geometry(1, 1), main)


def test_what_a_copy_of_the_machine_has_put_is_not_blamed_on_who_stores_it(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await written_twice(owner, tmp_path / "copy")
        heir = await heir_of(owner, tmp_path / "heir")
        async with running(heir):
            column = heir.own.columns.columns[3]
            with trio.fail_after(SETTLED):
                while not column.foreign:
                    await trio.sleep(0.01)
            described = describe_disk(heir.own)["columns"][3]
            assert (described["disputed"], described["foreign"]) == (0, 1)
            assert await told(heir) == ["p3 has 1 block of another machine in the way"]
            await heal(heir, 3)
            assert not column.foreign

    play(tmp_path, Geometry(1, 3), main)


def test_a_store_that_is_being_filled_gets_it_elsewhere_too(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for name in (b"a", b"b"):
            await group_of(owner, name, 30_000)
        await trio.sleep(SETTLED)
        site = await give(owner, 1)
        while not site.host.stores:
            await trio.sleep(0.001)
        with mangled(site.host.only_store, lambda number: number in (1, 2)) as rows:
            incoming = owner.own.columns.incoming
            assert incoming is not None
            while len(incoming.disputed) < 2:
                await trio.sleep(0.001)
            site.cut()
            await trio.sleep(5)
            assert roles(owner, 1) == [PRIMARY, INCOMING], "it lacks two"
            assert len(rows) == 2
            with trio.fail_after(WEEK):
                while roles(owner, 1) != [PRIMARY]:
                    await trio.sleep(1)
            assert owner.own.places.primaries[1].node == site.host.key
            await heal(owner, 1)

    play(tmp_path, Geometry(1, 2), main)


def test_with_too_many_the_column_closes_and_what_it_told_is_moved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_of, "DISPUTES_MAX", 2)

    async def main(owner: Owner) -> None:
        for number in range(8):
            await group_of(owner, b"%d" % number, 30_000)
        await trio.sleep(SETTLED)
        for row in store_of(owner, 1).blocks:
            rot(store_of(owner, 1), row)
        await told(owner, repair=True)
        await heal(owner, 1)

    play(tmp_path, Geometry(1, 2), main)


def test_who_mangles_everything_does_not_have_the_disk_written_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "MOVES_A_DAY", 5)
    monkeypatch.setattr(mover, "_DAY", 1000.0)

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 30_000)
        await trio.sleep(SETTLED)
        with mangled(store_of(owner, 1), lambda number: True):
            await group_of(owner, b"b", 30_000)
            before = owner.own.log.newest_version
            await trio.sleep(500)
            day = owner.own.log.newest_version - before
            assert 5 < day < 5 * 3 + 10, "each that is moved costs its own and those of a group"
            await trio.sleep(2000)
            assert owner.own.log.newest_version - before <= 3.5 * day
            assert owner.own.ledger.progress.away == 0b010
            assert (await told(owner)) != []
        await heal(owner, 1)

    play(tmp_path, Geometry(1, 2), main)


def test_who_is_wrong_again_and_again_is_asked_ever_less_often(tmp_path: Path) -> None:
    """It refuses what is newer than what it has: nothing of what it says makes sense."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"first")  # what it keeps is of a version that was given
        await trio.sleep(SETTLED)
        store, put, refused = store_of(owner, 1), MemoryStore.put, list[float]()

        async def refuse(self: MemoryStore, row: int, version: int, data: bytes) -> None:
            if self._store is not store:
                return await put(self, row, version, data)
            store.blocks[row] = StoredBlock(version - 1, b"garbage")
            refused.append(trio.current_time())
            raise BlockRefused("this is older, and is kept all the same", version - 1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryStore, "put", refuse)
            await group_of(owner, b"a")
            await trio.sleep(2000)
            assert 10 < len(refused) < 40
            *_, last, newest = sorted(set(refused))
            assert newest - last > 250

    play(tmp_path, Geometry(1, 2), main)
