"""The floor of the master block follows what is held, and every partner gets the newest block."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing
from coopfs.app.disk.status import describe_disk
from coopfs.core.master import Floor
from coopfs.errors import UsageError
from coopfs.limits import FLOOR_CHECK, FLOOR_INTERVAL, FOLLOW_INTERVAL, RECONNECT_MAX
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.recovery.masters import MasterSearch
from coopfs.types import NodeKey
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Refused, restore
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, running, write

LONG = 2 * FLOOR_CHECK


def floors(owner: Owner, column: int) -> list[int]:
    """Of the master blocks that a partner keeps, the newest first."""
    return [block.floor.version for block in owner.world.masters(column)]


def end(owner: Owner, group: int) -> int:
    return owner.own.log.end_of(group).version


def test_the_floor_follows_once_a_day(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        group = await group_of(owner, b"a")
        await trio.sleep(LONG)
        first = end(owner, group)
        assert floors(owner, 0) == floors(owner, 2) == [first, 0]
        await group_of(owner, b"b")
        await trio.sleep(LONG)
        assert floors(owner, 0)[0] == first
        owner.world.skipped += FLOOR_INTERVAL
        third = await group_of(owner, b"c")
        await trio.sleep(LONG)
        assert floors(owner, 1) == [end(owner, third), first]

    play(tmp_path, Geometry(1, 2), main)


def test_a_partner_that_was_away_gets_the_newest_block(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        away = owner.world.sites[2]
        away.go(up=False)
        group = await group_of(owner, b"a")
        await trio.sleep(LONG)
        assert (floors(owner, 0)[0], floors(owner, 2)) == (end(owner, group), [0])
        await owner.die(power=True)
        async with running(owner):
            away.go(up=True)
            await trio.sleep(SETTLED)
            assert owner.world.masters(2)[0] == owner.own.keeper.block == owner.world.masters(0)[0]

    play(tmp_path, Geometry(1, 2), main)


def test_who_could_not_save_the_newest_block_is_given_it_again(tmp_path: Path) -> None:
    """While nothing else is put there, so that the connection stays."""

    async def main(owner: Owner) -> None:
        site = owner.world.sites[2]
        group = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        site.full = True
        await trio.sleep(LONG)
        session = owner.own.columns.columns[2].session
        assert (floors(owner, 0)[0], floors(owner, 2)) == (end(owner, group), [0])
        site.full = False
        await trio.sleep(2 * RECONNECT_MAX)
        assert floors(owner, 2)[0] == end(owner, group)
        assert owner.own.columns.columns[2].session is session

    play(tmp_path, Geometry(1, 2), main)


def test_a_kit_moves_the_floor_to_what_is_held_and_no_further(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        assert await owner.own.keeper.move_floor() == Floor(0, 0)
        held = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        for site in owner.world.sites[1:]:
            site.go(up=False)
        await write(owner, b"b", 1000)
        assert await owner.own.committer.close_group() == held + 1
        await trio.sleep(SETTLED)
        floor = await owner.own.keeper.move_floor()
        assert floor == owner.own.keeper.block.floor
        assert floor.version == end(owner, held)
        counter = owner.own.keeper.block.counter
        assert await owner.own.keeper.move_floor() == floor
        assert owner.own.keeper.block.counter == counter

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("floor_known", [True, False])
def test_stores_that_were_set_back_cannot_pass_for_the_newest_state(tmp_path: Path, floor_known: bool) -> None:
    """All stores are images from before; the highest floor that any partner or the kit knows is not, and is told."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await trio.sleep(LONG)
        old = [dict(store.blocks) for site in world.sites for store in site.host.stores.values()]
        world.skipped += FLOOR_INTERVAL
        await group_of(owner, b"b")
        await trio.sleep(LONG)
        await owner.burn()
        for site, blocks in zip(world.sites, old, strict=True):
            for store in site.host.stores.values():
                store.blocks = blocks
        for site in world.sites[floor_known:]:  # one partner was not set back
            disk = site.host.known_disk(world.node, world.keys.disk)
            assert disk is not None
            disk.masters = sorted(disk.masters, key=lambda master: master.counter)[:1]
        found = await restore(world, world.network, tmp_path / "restored")
        assert not isinstance(found, Refused)
        assert (found.doubt is not None) == floor_known

    play(tmp_path, Geometry(1, 2), main)


def test_a_partner_without_a_column_holds_the_newest_block_and_is_asked(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world, keeper = owner.world, owner.own.keeper
        await group_of(owner, b"a")
        site = world.join(len(world.sites))
        entry = PartnerEntry("tess", site.host.key, ("192.0.2.9:1",), 0, 0)
        with pytest.raises(UsageError, match="holds a column"):
            await changing.entrust(owner.own, replace(entry, key=world.sites[0].host.key))
        site.go(up=False)
        await changing.entrust(owner.own, entry)
        await trio.sleep(LONG)
        assert describe_disk(owner.own)["trustees"] == [{"partner": "tess", "has_newest": False}]
        site.go(up=True)
        await trio.sleep(LONG)
        assert describe_disk(owner.own)["trustees"] == [{"partner": "tess", "has_newest": True}]
        world.skipped += FLOOR_INTERVAL
        await group_of(owner, b"b")
        await trio.sleep(LONG)
        disk = site.host.known_disk(world.node, world.keys.disk)
        assert disk is not None
        assert max(disk.masters, key=lambda m: m.counter).counter == keeper.block.counter
        search = MasterSearch(world.keys, world.way(Weather()), lambda node, where: None, lambda *_: None)
        assert await search.run([site.host.key]) == keeper.block
        counts = owner.own.ledger.seats.f + 1
        assert len(keeper.holders()) > counts
        await changing.part(owner.own, site.host.key)
        assert keeper.block.trustees == ()

    play(tmp_path, Geometry(1, 2), main)


def test_the_block_says_where_partners_have_moved(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        moved = owner.own.places.primaries[1].node
        known: dict[NodeKey, tuple[str, ...]] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.own.follow, lambda: known)
            await trio.sleep(2 * FOLLOW_INTERVAL)
            before = owner.world.masters(0)[0]
            known[moved] = ("new.example:1",)
            await trio.sleep(2 * FOLLOW_INTERVAL)
            newest = owner.world.masters(0)[0]
            assert newest.counter == before.counter + 1
            assert newest.layouts[-1].primaries[1].addresses == ("new.example:1",)
            assert all(column.session is not None for column in owner.own.columns.columns)
            nursery.cancel_scope.cancel()

    play(tmp_path, Geometry(1, 2), main)
