"""A disk gets another layout while it is in use: with crashes, with partners away, and what a restore finds."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing
from coopfs.core.columnstate import ColumnState, Event
from coopfs.core.master import PRIMARY, VAULT, StorePlace
from coopfs.core.slicing import rows_beside
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, AWAY_CHECK
from coopfs.types import StoreId
from tests.sim.network import Site, Weather
from tests.sim.owner import Owner
from tests.sim.restore import Restored, restore
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, group_of, heir_of, play, running, sleep_through, write
from tests.tasks.test_replacing import entry

CONTENT = 200_000  # bytes of a file: several stripes


def stores_at(owner: Owner, sites: list[Site]) -> list[StorePlace]:
    """A new store at each of these."""
    draw = owner.world.random.randbytes
    return [StorePlace(StoreId(draw(16)), s.host.key, s.host.key, f"p{s.number}", ()) for s in sites]


async def begin(owner: Owner, k: int, m: int, sites: list[Site], rows: int = ROWS) -> None:
    await owner.own.reshaping.begin(k, m, rows, stores_at(owner, sites))


async def until(condition: Callable[[], bool], patience: float = 4000.0) -> None:
    """Looked at now and then, for so many seconds at the most."""
    with trio.fail_after(patience):
        while not condition():
            await trio.sleep(1)


def is_done(owner: Owner) -> bool:
    return len(owner.own.keeper.block.layouts) == 1 and owner.own.ledger.layout.id == 2


def layouts_of_stripes(owner: Owner) -> set[int]:
    found = owner.own.local.database.read("SELECT DISTINCT layout FROM stripes WHERE row IS NOT NULL")
    return {layout for (layout,) in found}


def test_one_more_partner_and_one_more_data_column(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, CONTENT)
        await trio.sleep(SETTLED)
        assert layouts_of_stripes(owner) == {1}
        await begin(owner, 3, 1, [*world.sites, world.join(3)])
        await until(lambda: owner.own.ledger.layout.id == 2)
        await group_of(owner, b"d", CONTENT)
        await until(lambda: is_done(owner))
        assert layouts_of_stripes(owner) == {2}
        assert [column.number for column in owner.own.columns.columns] == [3, 4, 5, 6]
        with pytest.raises(UsageError, match="without this column"):
            await owner.own.replacing.begin(0, stores_at(owner, world.sites)[0])
        group = await group_of(owner, b"e", CONTENT)
        await until(lambda: owner.own.ledger.progress.barrier >= group and not owner.own.ledger.progress.pending)
        assert (owner.own.ledger.progress.away, owner.own.ledger.progress.margin()) == (0, 1)
        assert [len(site.host.stores) for site in world.sites] == [1] * 4, "the old stores were given back"
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(2, 1), main)


def test_a_disk_moves_away_from_who_is_lost_and_back_again(tmp_path: Path) -> None:
    """The seats of the first layout are taken again, by stores that lack nothing."""

    async def main(owner: Owner) -> None:
        world, columns = owner.world, owner.own.columns
        await group_of(owner, b"a", CONTENT)
        first = list(world.sites)
        await until(lambda: not owner.own.ledger.progress.pending)
        first[0].go(up=False)
        columns.happen(columns.columns[0], Event.LOST)
        second = [*first[1:], world.join(3)]
        await begin(owner, 2, 1, second)
        await until(lambda: is_done(owner))
        await owner.own.reshaping.begin(2, 1, ROWS, stores_at(owner, second))
        await until(lambda: len(owner.own.keeper.block.layouts) == 1 and owner.own.ledger.layout.id == 3)
        assert [(column.number, column.state) for column in columns.columns] == [
            (seat, ColumnState.COUNTED) for seat in range(3)
        ]
        group = await group_of(owner, b"b", CONTENT)
        await until(lambda: owner.own.ledger.progress.barrier >= group)
        assert (owner.own.ledger.progress.away, owner.own.ledger.progress.margin()) == (0, 1)

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("used", [False, True])
def test_who_is_replaced_meanwhile_goes_for_good(tmp_path: Path, used: bool) -> None:
    """What is given away is the column of the layout that stays: with the other one the new partner would go too."""

    async def main(owner: Owner) -> None:
        world = owner.world
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, CONTENT)
        old, *others = world.sites
        new = world.join(3)
        await begin(owner, 2, 1, [old, *others])
        if used:
            await until(lambda: owner.own.ledger.layout.id == 2)
        assert not is_done(owner)
        await changing.give(owner.own, entry(old), entry(new))
        await until(lambda: is_done(owner) and owner.own.columns.incoming is None)
        assert [column.place.node for column in owner.own.columns.columns] == [s.host.key for s in (new, *others)]
        group = await group_of(owner, b"d", CONTENT)
        await until(lambda: owner.own.ledger.progress.complete() >= group)

    play(tmp_path, Geometry(1, 2), main)


def test_stores_are_given_back_when_all_that_count_know(tmp_path: Path) -> None:
    """Or who restores with the block before would look for stores that nobody has."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", CONTENT)
        await begin(owner, 1, 3, [*world.sites, world.join(3)])
        await until(lambda: owner.own.ledger.layout.id == 2)
        late = world.sites[3]
        late.go(up=False)
        await until(lambda: is_done(owner))
        await trio.sleep(SETTLED)
        assert [len(site.host.stores) for site in world.sites] == [2, 2, 2, 1]
        sleep_through(owner, AWAY_AFTER)
        await until(lambda: [len(site.host.stores) for site in world.sites] == [1] * 4)

    play(tmp_path, Geometry(1, 2), main)


def test_a_disk_that_was_to_get_smaller_moves_with_all_it_has(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        for number in range(8):
            await group_of(owner, b"%d" % number, CONTENT)
        await until(lambda: not owner.own.ledger.progress.pending)
        owner.own.growing.want(4)
        await begin(owner, 3, 1, [*world.sites, world.join(3)])
        while owner.own.ledger.layout.id == 1:
            await trio.sleep(0.05)
        old = owner.own.ledger.rows_of(1)
        assert (old.total, owner.own.growing.rows) == (ROWS, ROWS)
        await until(lambda: is_done(owner))
        assert owner.own.growing.is_done
        group = await group_of(owner, b"last", CONTENT)
        await until(lambda: owner.own.ledger.progress.barrier >= group)
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(2, 1), main)


def test_one_partner_less_and_one_data_column_less(tmp_path: Path) -> None:
    """Content that was written for stripes of the old shape, and not sent when the new one comes, finds its place."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", CONTENT)
        left = world.sites[0]
        await begin(owner, 2, 1, world.sites[1:])
        while owner.own.ledger.layout.id == 1:
            await group_of(owner, b"b", CONTENT)
            await trio.sleep(1)
        await until(lambda: is_done(owner))
        group = await group_of(owner, b"c", CONTENT)
        await until(lambda: owner.own.ledger.progress.barrier >= group)
        assert layouts_of_stripes(owner) == {2}
        assert not left.host.stores, "it stores nothing of the disk any more"
        await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(3, 1), main)


@pytest.mark.parametrize("power", [False, True])
def test_a_process_that_dies_again_and_again_goes_on_where_it_was(tmp_path: Path, power: bool) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        for name in (b"a", b"b", b"c", b"d"):
            await group_of(owner, name, CONTENT)
        await begin(owner, 2, 2, [*world.sites, world.join(3)])
        await owner.die(power=power)
        deaths, seen = 0, set()
        while len(owner.own.keeper.block.layouts) > 1:
            async with running(owner):
                deaths += 1
                await trio.sleep(4 * deaths)
                seen.add((owner.own.ledger.layout.id, owner.own.reshaping.rows_left))
                await owner.die(power=power)
        assert deaths > 4
        assert len(seen) > 1
        async with running(owner):
            group = await group_of(owner, b"e", CONTENT)
            await until(lambda: owner.own.ledger.progress.barrier >= group and not owner.own.ledger.progress.pending)
            assert layouts_of_stripes(owner) == {2}
            await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)

    play(tmp_path, Geometry(2, 1), main)


def test_the_new_layout_is_not_used_before_all_are_ready_and_can_be_taken_back(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", CONTENT)
        late = world.join(3)
        late.go(up=False)
        sites = [*world.sites, late]
        await begin(owner, 3, 1, sites)
        with pytest.raises(UsageError, match=r"already: wait .* or take it back with `coopfs reshape --cancel`"):
            await begin(owner, 2, 2, sites)
        await trio.sleep(SETTLED)
        assert "p3" in str(owner.own.reshaping.hindrance())
        group = await group_of(owner, b"b", CONTENT)
        await until(lambda: owner.own.ledger.progress.barrier >= group)
        assert layouts_of_stripes(owner) == {1}
        await owner.own.reshaping.give_up()
        assert (owner.own.reshaping.is_under_way, owner.own.places.layout.k) == (False, 2)
        with pytest.raises(UsageError, match="no other layout"):
            await owner.own.reshaping.give_up()
        late.go(up=True)
        await trio.sleep(SETTLED)
        await until(lambda: [len(site.host.stores) for site in sites] == [1, 1, 1, 0])

    play(tmp_path, Geometry(2, 1), main)


def test_what_is_just_being_taken_back_is_not_used(tmp_path: Path) -> None:
    """While the block that forgets it is being saved, nobody of it is left who would have to be waited for."""

    async def main(owner: Owner) -> None:
        late = owner.world.join(3)
        late.go(up=False)
        await begin(owner, 3, 1, [*owner.world.sites, late])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.own.reshaping.give_up)
            while len(list(owner.own.ledger.seats)) > 1:
                await trio.lowlevel.checkpoint()
            assert owner.own.reshaping.is_under_way, "this is the moment in question"
            assert owner.own.reshaping.coming is None
        assert not owner.own.reshaping.is_under_way

    play(tmp_path, Geometry(2, 1), main)


def test_what_came_meanwhile_must_fit_too(tmp_path: Path) -> None:
    """Or nobody could write to the new layout, nor delete."""

    async def main(owner: Owner) -> None:
        late = owner.world.join(3)
        late.go(up=False)
        own, small = owner.own, ROWS // 4
        await begin(owner, 2, 2, [*owner.world.sites, late], small)
        coming = own.reshaping.coming
        assert coming is not None
        assert own.space.would_fit(coming.layout, small, small)
        written = 0
        while own.space.would_fit(coming.layout, small, small):
            await group_of(owner, b"%d" % written, CONTENT)
            written += 1
        late.go(up=True)
        await trio.sleep(SETTLED)
        assert "does not fit" in str(own.reshaping.hindrance())
        assert own.ledger.layout.id == 1
        for number in range(written // 2):
            await owner.apply(("unlink", ((b"%d" % number,),)))
        await until(lambda: is_done(owner))

    play(tmp_path, Geometry(2, 1), main)


async def crowd(owner: Owner, k: int, m: int) -> tuple[list[Site], int, int]:
    """A disk that is nearly full moves to partners who have room for a part of it besides what they have; who all of
    them are, bytes that each gives, and rows in the end."""
    world, block_size = owner.world, owner.own.ledger.layout.block_size
    world.given = store_size(ROWS + 75, block_size)
    for number in range(100):
        await group_of(owner, b"%d" % number, CONTENT)
        if owner.own.space.figures()[1] < (1 + k) * CONTENT:
            break
    sites = [*world.sites, world.join(len(world.sites))]
    for site in sites:
        site.host.given = dict.fromkeys(site.host.given, world.given)
    await begin(owner, k, m, sites[-(k + m) :], rows_beside(world.given, block_size, ROWS))
    await until(lambda: owner.own.ledger.layout.id == 2)
    return sites, world.given, rows_beside(world.given, block_size, 0)


def has_all(owner: Owner, end: int) -> bool:
    return is_done(owner) and owner.own.ledger.rows.total == end


@pytest.mark.parametrize(("shape", "after"), [((2, 1), (3, 1)), ((3, 1), (2, 1))], ids=str)
def test_no_second_copy_is_needed(tmp_path: Path, shape: tuple[int, int], after: tuple[int, int]) -> None:
    """It is written to now and then, and killed."""

    async def main(owner: Owner) -> None:
        world = owner.world
        sites, given, end = await crowd(owner, *after)
        await owner.die(power=False)
        seen = set()

        async def watch() -> None:
            while True:
                seen.add(owner.own.ledger.rows.total)
                for site in sites:
                    taken = [store_size(store.rows, store.block_size) for store in site.host.stores.values()]
                    assert sum(taken) <= given
                await trio.sleep(0.5)

        while not (seen and has_all(owner, end)):
            async with running(owner), trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                for _ in range(5):
                    await write(owner, b"again", 1000)
                    await trio.sleep(1)
                with trio.move_on_after(100):
                    while not has_all(owner, end):
                        await trio.sleep(1)
                nursery.cancel_scope.cancel()
                await owner.die(power=False)
            assert trio.current_time() < 4000, "it goes on by itself"
        assert len(seen) > 3, "it grew in steps"
        async with running(owner):
            group = await group_of(owner, b"last", CONTENT)
            await until(lambda: owner.own.ledger.progress.barrier >= group)
            await owner.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(*shape), main)


def test_stores_are_not_given_back_while_a_takeover_could_do_without_all_who_know(tmp_path: Path) -> None:
    """However few count."""

    async def main(owner: Owner) -> None:
        world, keeper = owner.world, owner.own.keeper
        await group_of(owner, b"a", CONTENT)
        await begin(owner, 1, 3, [*world.sites, world.join(3)])
        await until(lambda: owner.own.ledger.layout.id == 2)
        await keeper.changed.wait_until(lambda: len(keeper.block.layouts) == 1)
        for site in world.sites[1:]:
            site.go(up=False)
        await trio.sleep(SETTLED)
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(10 * SETTLED)
        assert [column.away for column in owner.own.columns.columns] == [False, True, True, True]
        assert keeper.holders() == {world.sites[0].host.key}
        assert [len(site.host.stores) for site in world.sites] == [2, 2, 2, 1]
        for site in world.sites[1:]:
            site.go(up=True)
        await until(lambda: [len(site.host.stores) for site in world.sites] == [1] * 4)

    play(tmp_path, Geometry(1, 2), main)


def test_it_is_told_how_long_it_will_take(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        _, _, end = await crowd(owner, 2, 1)
        reshaping, began, told = owner.own.reshaping, trio.current_time(), []
        while not has_all(owner, end):
            left = reshaping.seconds_left(trio.current_time())
            if left is not None:
                told.append((reshaping.rows_left, left))
            await trio.sleep(1)
        assert len({rows for rows, _ in told}) > 1
        assert all(0 < left < 10 * (trio.current_time() - began) for _, left in told)
        assert told[-1] < told[0]
        assert reshaping.seconds_left(trio.current_time()) is None

    play(tmp_path, Geometry(3, 1), main)


def test_no_store_is_cut_before_all_know(tmp_path: Path) -> None:
    """Or whoever took the disk over with the block before would look for blocks where there are no rows."""

    async def main(owner: Owner) -> None:
        sites, _, end = await crowd(owner, 2, 2)
        sites[2].go(up=False)  # for a moment: it counts
        rows = owner.own.keeper.of(1).rows
        await until(lambda: owner.own.keeper.of(1).rows < rows)
        await trio.sleep(SETTLED)
        stores = {store.store: store.node for store in owner.own.keeper.of(1).primaries}
        known = {id_: store for site in sites for id_, store in site.host.stores.items()}
        assert all(known[id_].rows >= rows for id_ in stores)
        sites[2].go(up=True)
        await until(lambda: has_all(owner, end))

    play(tmp_path, Geometry(2, 2), main)


def test_no_row_of_the_old_layout_goes_before_a_state_is_held_in_the_new_one(tmp_path: Path) -> None:
    """Whoever took over the state before would go on in the old layout, and have no row to write in."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", CONTENT)
        await trio.sleep(SETTLED)
        new = [world.join(number) for number in range(3)]
        await begin(owner, 2, 1, new)
        await until(lambda: new[2].host.key in owner.own.keeper.holders())
        new[2].full = True
        await until(lambda: owner.own.ledger.layout.id == 2)
        await group_of(owner, b"b", CONTENT)
        await trio.sleep(SETTLED)
        assert owner.own.ledger.log_rows, "a group was sealed there"
        assert owner.own.keeper.of(1).rows == ROWS
        heir = await heir_of(owner, tmp_path / "taken")
        new[2].full = False
        async with running(heir):
            await until(heir.own.ready.is_set)
            await until(lambda: is_done(heir))
            await heir.burn()

    play(tmp_path, Geometry(2, 1), main)


def test_whoever_takes_the_disk_over_in_the_middle_of_it_goes_on(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        sites, _, end = await crowd(owner, 2, 1)
        await until(lambda: owner.own.keeper.of(1).rows < ROWS)
        layouts = owner.own.keeper.block.layouts
        assert [places.rows < end for places in layouts] == [True, True]
        heir = await heir_of(owner, tmp_path / "taken")
        async with running(heir):
            await heir.own.ready.wait()
            assert [places.layout for places in heir.own.keeper.block.layouts] == [places.layout for places in layouts]
            await until(lambda: has_all(heir, end))
            group = await group_of(heir, b"last", CONTENT)
            await until(lambda: heir.own.ledger.progress.barrier >= group)
            await until(lambda: [len(site.host.stores) for site in sites] == [0, 0, 1, 1, 1])
            await heir.burn()
        found = await restore(world, world.way(Weather()), tmp_path / "view")
        assert isinstance(found, Restored)
        assert found.group == group

    play(tmp_path, Geometry(3, 1), main)


def test_the_block_that_names_stores_no_more_says_that_they_are_to_be_given_back(tmp_path: Path) -> None:
    """Or whoever took the disk over with just that block never would, and their partners had no room for more."""

    async def main(owner: Owner) -> None:
        keeper, blocks = owner.own.keeper, []

        async def note() -> None:
            while True:
                blocks.append(keeper.block)
                await keeper.changed.wait()

        await group_of(owner, b"a", CONTENT)
        old = {store.store for store in keeper.of(1).primaries}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)
            await begin(owner, 1, 3, [*owner.world.sites, owner.world.join(3)])
            await until(lambda: is_done(owner))
            nursery.cancel_scope.cancel()
        first = next(block for block in blocks if [places.layout.id for places in block.layouts] == [2])
        assert {store for store, _ in first.wishes.returns} == old

    play(tmp_path, Geometry(1, 2), main)


def test_whoever_takes_the_disk_over_gives_back_what_is_still_owed(tmp_path: Path) -> None:
    """To a partner that was away when the disk had moved."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", CONTENT)
        await begin(owner, 1, 3, [*world.sites, world.join(3)])
        await until(lambda: owner.own.ledger.layout.id == 2)
        late = world.sites[0]
        late.go(up=False)
        await until(lambda: is_done(owner))
        sleep_through(owner, AWAY_AFTER)
        await until(lambda: [len(site.host.stores) for site in world.sites] == [2, 1, 1, 1])
        await until(lambda: len(owner.own.keeper.block.wishes.returns) == 1)
        heir = await heir_of(owner, tmp_path / "taken")
        late.go(up=True)
        async with running(heir):
            await until(lambda: len(late.host.stores) == 1)
            await until(lambda: not heir.own.keeper.block.wishes.returns)
            await heir.burn()

    play(tmp_path, Geometry(1, 2), main)


def test_the_machine_burns_while_half_has_moved(tmp_path: Path) -> None:
    """Any one partner may be lost with it, and the state comes from stripes of both layouts."""

    async def main(owner: Owner) -> None:
        world = owner.world
        for number in range(12):
            await group_of(owner, b"%d" % number, CONTENT)
        await begin(owner, 3, 1, [*world.sites, world.join(3)])
        while owner.own.ledger.layout.id == 1:
            await trio.sleep(0.05)
        group = await group_of(owner, b"last", CONTENT)
        while owner.own.ledger.progress.barrier < group:
            await trio.sleep(0.05)
        assert layouts_of_stripes(owner) == {1, 2}
        world.kit = tuple(site.host.key for site in world.sites)
        await owner.burn()
        for lost in range(4):
            site = world.sites[lost]
            site.go(up=False)
            found = await restore(world, world.way(Weather()), tmp_path / f"view {lost}")
            assert isinstance(found, Restored), (lost, found)
            assert found.group >= group
            site.go(up=True)

    play(tmp_path, Geometry(2, 1), main)


def test_nothing_is_given_back_that_the_block_in_force_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one without it takes its time to become durable, and partners come and go."""

    async def main(owner: Owner) -> None:
        own, commit, seen = owner.own, owner.own.keeper._commit, list[list[int]]()

        def stores() -> list[int]:
            return [len(site.host.stores) for site in owner.world.sites]

        async def slow() -> None:
            if own.reshaping.returning.owed and not seen:
                seen.append(stores())
                own.columns.stirred.notify()
                await trio.sleep(5)
                seen.append(stores())
            await commit()

        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, CONTENT)
        await trio.sleep(SETTLED)
        await begin(owner, 3, 1, [*owner.world.sites, owner.world.join(3)])
        monkeypatch.setattr(own.keeper, "_commit", slow)
        await until(lambda: own.ledger.layout.id == 2)
        await group_of(owner, b"d", CONTENT)
        await until(lambda: len(seen) == 2 and not own.reshaping.returning.owed)
        assert seen == [[2, 2, 2, 1], [2, 2, 2, 1]]
        assert stores() == [1, 1, 1, 1]

    play(tmp_path, Geometry(2, 1), main)


def test_the_old_layout_goes_while_one_who_had_a_column_of_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no seats any more while the master block that forgets it is on its way to a slow disk."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, CONTENT)
        await trio.sleep(SETTLED)
        goes, third, fourth = world.sites[0], world.join(3), world.join(4)
        has_any, is_slow = own.reshaping._stripes.has_any, True
        monkeypatch.setattr(own.reshaping._stripes, "has_any", lambda layout: is_slow or has_any(layout))
        await begin(owner, 1, 2, [world.sites[1], world.sites[2], third])
        await until(lambda: own.ledger.layout.id == 2)
        await changing.give(own, entry(goes), entry(fourth))
        while [store.role for store in own.keeper.of(1).columns[0]] != [PRIMARY, VAULT]:
            await trio.sleep(0.001)
        goes.go(up=False)
        await trio.sleep(SETTLED)
        commit = own.keeper._commit

        async def slowly() -> None:
            if len(list(own.ledger.seats)) < len(own.keeper.block.layouts):
                await trio.sleep(2 * AWAY_CHECK)
            await commit()

        monkeypatch.setattr(own.keeper, "_commit", slowly)
        is_slow = False
        await group_of(owner, b"d", CONTENT)
        await until(lambda: is_done(owner))

    play(tmp_path, Geometry(1, 2), main)
