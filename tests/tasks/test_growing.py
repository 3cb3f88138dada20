"""A disk gets more rows, or less: with crashes, with partners away or that refuse, and what a restore finds then."""

import re
from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing
from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState
from coopfs.core.master import Wishes
from coopfs.core.space import content_rows, stripe_payload
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, MIB
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Restored, restore
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, group_of, heir_of, play, running, sleep_through

MORE = 2 * ROWS
ENTRIES: list[PartnerEntry] = []  # partners that give nothing, and are not asked when the disk gets smaller


async def want(owner: Owner, rows: int = MORE) -> None:
    owner.own.growing.want(rows)
    await owner.own.committer.commit()


async def fill(owner: Owner) -> int:
    """Until stripes lie in rows that a disk did not have at first. The last group."""
    size = 12 * stripe_payload(owner.own.ledger.layout)
    for number in range(ROWS):
        group = await group_of(owner, b"%d" % number, size)
        if max(owner.own.log.rows_taken(owner.own.ledger.layout.id), default=0) >= ROWS:
            return group
    raise AssertionError("the disk never used its new rows")


def rows_at(owner: Owner, number: int) -> int:
    return owner.world.sites[number].host.only_store.rows


def test_new_rows_are_not_used_while_few_know_of_them_and_the_others_do_not_count(tmp_path: Path) -> None:
    """Whoever took the disk over with those that were away would not hear of the rows, though the kit names two that
    know: who counts, and one without a column."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        site = world.join(len(world.sites))
        await changing.entrust(own, PartnerEntry("tess", site.host.key, (), 0, 0))
        own.hand_out(MadeKit(0, (*own.places.nodes, site.host.key)))
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        for number in (1, 2):
            world.sites[number].go(up=False)
        await trio.sleep(SETTLED)
        sleep_through(owner, AWAY_AFTER + 1)
        await want(owner)
        await trio.sleep(SETTLED)
        assert [column.away for column in own.columns.columns] == [False, True, True]
        assert {world.sites[0].host.key, site.host.key} == own.keeper.holders()
        assert own.growing.hindrance() == "1 more partners must be told and cannot be reached"
        assert own.ledger.rows.total == ROWS
        world.sites[1].go(up=True)
        await trio.sleep(SETTLED)
        assert own.ledger.rows.total == MORE

    play(tmp_path, Geometry(1, 2), main)


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
        await trio.sleep(SETTLED)
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
        sleep_through(owner, AWAY_AFTER)
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
        assert changing.short_of(owner.own, entries, 3 * size) == entries[:1]
        with pytest.raises(UsageError, match="p0 is no partner"):
            changing.short_of(owner.own, entries[1:], size)
        rows = await changing.resize(owner.own, entries, None)
        assert store_size(rows, block_size) <= 2 * size
        assert rows > 1.9 * MORE

    play(tmp_path, Geometry(1, 2), main)


# --- less ---------------------------------------------------------------------------------------------------------

HIGH, LOW = 2 * ROWS, ROWS


async def raise_and_lower(owner: Owner) -> int:
    """A disk with content in rows that it is to lose from now on. Its last group."""
    await want(owner, HIGH)
    await trio.sleep(SETTLED)
    await fill(owner)
    for number in range(4):
        await owner.apply(("unlink", ((b"%d" % number,),)))
    group = await group_of(owner, b"last")
    await want(owner, LOW)
    return group


async def until_lower(owner: Owner) -> None:
    with trio.fail_after(3600):
        while not owner.own.growing.is_done:
            await trio.sleep(1.0)


def test_a_disk_gets_smaller_while_it_is_used(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await raise_and_lower(owner)
        assert owner.own.space.figures()[0] < content_rows(LOW + 1) * stripe_payload(owner.own.ledger.layout)
        assert "rows have to be emptied" in describe_disk(owner.own)["growth"]["waits_for"]
        await until_lower(owner)
        assert [rows_at(owner, number) for number in range(3)] == [LOW] * 3
        assert owner.own.ledger.rows.total == LOW == world.masters(0)[0].layouts[-1].rows
        group = await group_of(owner, b"after")
        await owner.die(power=True)
        async with running(owner):
            assert owner.own.ledger.rows.total == LOW
            assert owner.own.growing.is_done
            await trio.sleep(SETTLED)
            assert owner.own.ledger.progress.pending == 0
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group >= group

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("moment", ["wanted", "named", "told"])
def test_a_crash_while_a_disk_gets_smaller(tmp_path: Path, moment: str) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        group = await raise_and_lower(owner)
        if moment == "named":  # nobody is told
            while not owner.own.ledger.rows.is_clear(LOW):
                await trio.sleep(0.1)
            for site in world.sites:
                site.go(up=False)
        while moment != "wanted" and owner.own.places.rows == HIGH:
            await trio.sleep(0.01)
        await owner.die(power=True)
        for site in world.sites:
            site.go(up=True)
        async with running(owner):
            assert owner.own.ledger.rows.limit == LOW
            await trio.sleep(SETTLED)
            await until_lower(owner)
            assert [rows_at(owner, number) for number in range(3)] == [LOW] * 3
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group >= group

    play(tmp_path, Geometry(1, 2), main)


def test_stores_are_cut_when_all_know_and_one_that_was_away_follows(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        late = owner.world.sites[2]
        await raise_and_lower(owner)
        while not owner.own.ledger.rows.is_clear(LOW):
            await trio.sleep(0.1)
        late.go(up=False)
        await trio.sleep(SETTLED)
        assert (owner.own.places.rows, rows_at(owner, 0)) == (LOW, HIGH)
        assert "p2" in describe_disk(owner.own)["growth"]["waits_for"]
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(SETTLED)
        assert [rows_at(owner, number) for number in range(3)] == [LOW, LOW, HIGH]
        await group_of(owner, b"meanwhile")
        late.go(up=True)
        await trio.sleep(4 * SETTLED)
        assert rows_at(owner, 2) == LOW
        assert owner.own.columns.columns[2].state is ColumnState.COUNTED
        assert owner.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 2), main)


def test_a_restore_finds_all_in_stores_that_are_not_cut_yet(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        group = await raise_and_lower(owner)
        while owner.own.places.rows == HIGH:
            await trio.sleep(0.01)
        await trio.sleep(0.1)
        await owner.die(power=False)
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group >= group

    play(tmp_path, Geometry(1, 2), main)


def test_another_number_may_be_wanted_at_any_time(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await raise_and_lower(owner)
        await want(owner, HIGH)
        assert owner.own.growing.is_done
        await want(owner, LOW)
        await trio.sleep(5.0)
        await want(owner, LOW + 10)
        await until_lower(owner)
        await want(owner, HIGH)
        await until_lower(owner)
        assert [rows_at(owner, number) for number in range(3)] == [HIGH] * 3
        await fill(owner)
        await owner.die(power=True)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert owner.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 2), main)


def test_a_disk_does_not_get_smaller_than_what_is_on_it(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await want(owner, HIGH)
        await trio.sleep(SETTLED)
        await fill(owner)
        block_size = owner.own.ledger.layout.block_size
        with pytest.raises(UsageError, match="does not fit into") as refused:
            await changing.resize(owner.own, ENTRIES, store_size(ROWS // 2, block_size))
        assert owner.own.growing.is_done
        needed = re.search(r"it needs (\d+)M now", str(refused.value))
        assert needed is not None
        assert await changing.resize(owner.own, ENTRIES, int(needed[1]) * MIB) < HIGH
        rows = await changing.resize(owner.own, ENTRIES, store_size(HIGH - 10, block_size))
        assert HIGH - 20 < rows < HIGH - 10

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("rows", [MORE, ROWS * 3 // 4])
def test_a_takeover_goes_on_with_what_was_wanted(tmp_path: Path, rows: int) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        for number in range(8):
            await group_of(owner, b"%d" % number, 30_000)
        await trio.sleep(SETTLED)
        late = world.sites[2]
        late.go(up=False)
        await trio.sleep(SETTLED)
        await want(owner, rows)
        await trio.sleep(SETTLED)
        assert not owner.own.growing.is_done
        late.go(up=True)
        heir = await heir_of(owner, tmp_path / "taken")
        async with running(heir):
            assert heir.own.growing.rows == rows
            await trio.sleep(10 * SETTLED)
            assert heir.own.growing.is_done
            assert [rows_at(heir, number) for number in range(3)] == [rows] * 3
            assert heir.own.keeper.block.wishes == Wishes()

    play(tmp_path, Geometry(1, 2), main)


def test_a_takeover_holds_all_again_before_any_store_grows(tmp_path: Path) -> None:
    """Nobody counts then, so the master block would name rows for which partners have no room, and let nobody in."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        for site in world.sites:
            site.host.given[world.node] = store_size(ROWS, owner.own.ledger.layout.block_size)
        owner.own.growing.want(2 * ROWS)
        await trio.sleep(SETTLED)
        assert owner.own.keeper.block.wishes.rows == 2 * ROWS
        heir = await heir_of(owner, tmp_path / "taken")
        async with running(heir):
            with trio.fail_after(1000):
                await heir.own.ready.wait()
            await trio.sleep(SETTLED)
            assert (heir.own.places.rows, heir.own.growing.rows) == (ROWS, 2 * ROWS)
            assert "p0" in (heir.own.growing.hindrance() or "")
            await heir.burn()

    play(tmp_path, Geometry(1, 2), main)
