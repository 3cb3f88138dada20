"""A disk gets more rows: with crashes, with partners that are away or refuse, and what a restore finds then."""

from pathlib import Path

import pytest
import trio

from coopfs.app import changing
from coopfs.app.status import describe_disk
from coopfs.core.columnstate import ColumnState
from coopfs.core.space import stripe_payload
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER
from coopfs.local.partners import PartnerEntry
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Restored, restore
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, group_of, play, running

MORE = 2 * ROWS


async def want(owner: Owner, rows: int = MORE) -> None:
    owner.own.growing.want(rows)
    await owner.own.committer.commit()


async def fill(owner: Owner) -> int:
    """Until stripes lie in rows that a disk did not have at first. The last group."""
    size = 12 * stripe_payload(owner.own.ledger.layout)
    for number in range(ROWS):
        group = await group_of(owner, b"%d" % number, size)
        if max(owner.own.log.rows_taken()) >= ROWS:
            return group
    raise AssertionError("the disk never used its new rows")


def rows_at(owner: Owner, number: int) -> int:
    return owner.world.sites[number].host.only_store.rows


def test_a_restore_finds_what_lies_in_new_rows(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await want(owner)
        assert describe_disk(owner.own)["growth"] is not None
        await trio.sleep(SETTLED)
        assert describe_disk(owner.own)["growth"] is None
        assert [rows_at(owner, number) for number in range(3)] == [MORE] * 3
        assert owner.own.ledger.rows.total == MORE == world.masters(0)[0].layouts[-1].rows
        group = await fill(owner)
        await owner.die(power=True)
        async with running(owner):
            assert owner.own.ledger.rows.total == MORE
            await trio.sleep(SETTLED)
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(1, 2), main)


def test_a_partner_that_refuses_changes_nothing_and_is_named(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        host = owner.world.sites[1].host
        host.given[owner.world.node] = store_size(ROWS, owner.own.ledger.layout.block_size)
        await want(owner)
        await trio.sleep(SETTLED)
        waits = describe_disk(owner.own)["growth"]["waits_for"]
        assert "p1: no room" in waits
        assert (owner.own.ledger.rows.total, owner.own.places.rows, rows_at(owner, 1)) == (ROWS, ROWS, ROWS)
        await group_of(owner, b"a")
        await want(owner, ROWS)
        assert owner.own.growing.is_done
        await want(owner)
        host.given[owner.world.node] = 1 << 40
        await trio.sleep(SETTLED)
        assert owner.own.ledger.rows.total == MORE

    play(tmp_path, Geometry(1, 2), main)


def test_new_rows_are_not_used_before_all_that_count_know_of_them(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        late = world.sites[2]
        late.go(up=False)
        await trio.sleep(SETTLED)
        await want(owner)
        await trio.sleep(SETTLED)
        assert "p2: not reached" in describe_disk(owner.own)["growth"]["waits_for"]
        assert owner.own.ledger.rows.total == owner.own.places.rows == ROWS
        world.skipped += int(AWAY_AFTER)
        await trio.sleep(SETTLED)
        assert owner.own.columns.columns[2].state is ColumnState.AWAY
        assert owner.own.ledger.rows.total == MORE
        await fill(owner)
        late.go(up=True)
        await trio.sleep(4 * SETTLED)
        assert rows_at(owner, 2) == MORE
        assert owner.own.columns.columns[2].state is ColumnState.COUNTED
        assert owner.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("told", [False, True])
def test_a_crash_between_the_master_and_its_use(tmp_path: Path, told: bool) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await want(owner)
        while owner.own.places.rows == ROWS:
            await trio.sleep(0.01)
        if not told:
            for site in world.sites:
                site.go(up=False)
        await owner.die(power=True)
        async with running(owner):
            assert owner.own.ledger.rows.total == ROWS
            await trio.sleep(SETTLED)
            assert owner.own.ledger.rows.total == (MORE if told else ROWS)

    play(tmp_path, Geometry(1, 2), main)


def test_the_size_is_what_all_agreements_give(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        block_size = owner.own.ledger.layout.block_size
        size = store_size(MORE, block_size)
        entries = [PartnerEntry(f"p{s.number}", s.host.key, (), 0, size * (2 + s.number)) for s in owner.world.sites]
        with pytest.raises(UsageError, match="p0 gives"):
            await changing.grow(owner.own, entries, 3 * size)
        with pytest.raises(UsageError, match="cannot become smaller"):
            await changing.grow(owner.own, entries, size // 4)
        rows = await changing.grow(owner.own, entries, None)
        assert store_size(rows, block_size) <= 2 * size
        assert rows > 1.9 * MORE

    play(tmp_path, Geometry(1, 2), main)
