"""A column is given to another partner: lost or alive, with crashes on the way, and what a restore finds meanwhile."""

import re
from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing, kitwatch
from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState, Event
from coopfs.core.master import INCOMING, PRIMARY, VAULT, open_master
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, RECONNECT_MAX
from coopfs.local import incoming as acks_of
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.writing import ledger as ledger_of
from tests.sim.network import Site
from tests.sim.owner import Owner
from tests.sim.platter import Platter
from tests.sim.restore import Restored, restore
from tests.sim.takeover import Found, take_over
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, play, running

LONG = 4 * SETTLED


def entry(site: Site, taken: int = 1 << 40) -> PartnerEntry:
    return PartnerEntry(f"p{site.life}", site.host.key, (), 0, taken)


async def give(owner: Owner, number: int) -> Site:
    """Begin to give a column to a new partner, with a kit that names it."""
    world = owner.world
    site = world.join(number)
    await changing.give(owner.own, entry(world.sites[number]), entry(site))
    owner.own.hand_out(MadeKit(0, owner.own.places.nodes))
    return site


async def fill_up(owner: Owner, number: int) -> None:
    """A partner's disk is full, for so long that its column does not count."""
    owner.world.sites[number].full = True
    await group_of(owner, b"more", 50_000)
    await trio.sleep(AWAY_AFTER + LONG)
    assert owner.own.columns.columns[number].state is ColumnState.AWAY


def roles(owner: Owner, number: int) -> list[str]:
    return [store.role for store in owner.own.places.columns[number]]


def stored(site: Site) -> dict[int, int]:
    (store,) = site.host.stores.values()
    return {row: block.version for row, block in store.blocks.items()}


@pytest.mark.parametrize("lost", [True, False])
def test_another_partner_gets_a_column(tmp_path: Path, lost: bool) -> None:
    async def main(owner: Owner) -> None:
        old, progress = owner.world.sites[1], owner.own.ledger.progress
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name, 50_000)
        await trio.sleep(SETTLED)
        expected = blocks(owner, 0)
        if lost:
            old.vanished = True
            old.go(up=False)
            owner.own.columns.happen(owner.own.columns.columns[1], Event.LOST)
        site = await give(owner, 1)
        assert roles(owner, 1) == [PRIMARY, INCOMING]
        assert progress.away == (0b010 if lost else 0)
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY]
        assert owner.own.places.primaries[1].node == site.host.key
        assert stored(site) == expected
        assert (progress.away, progress.pending, progress.margin()) == (0, 0, 2)
        assert describe_disk(owner.own)["replacement"] is None
        group = await group_of(owner, b"d")
        await trio.sleep(SETTLED)
        assert (progress.complete(), stored(site)) == (group, blocks(owner, 0))
        if not lost:
            assert not old.host.stores, "it has its room back"
            disk = old.host.known_disk(owner.world.node, owner.world.keys.disk)
            assert disk is not None
            told = open_master(owner.world.keys, max(disk.masters, key=lambda m: m.counter), old.host.key)
            assert told.layouts[-1].primaries[1].node == site.host.key

    play(tmp_path, Geometry(1, 2), main)


def test_who_comes_back_after_it_was_replaced_has_its_room_back(tmp_path: Path) -> None:
    """It may be asked to take a column again."""

    async def main(owner: Owner) -> None:
        old = owner.world.sites[1]
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        old.go(up=False)
        owner.own.columns.happen(owner.own.columns.columns[1], Event.LOST)
        await give(owner, 1)
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY]
        old.go(up=True)
        await trio.sleep(2 * RECONNECT_MAX)
        assert not old.host.stores
        assert not owner.own.keeper.block.wishes.returns

    play(tmp_path, Geometry(1, 2), main)


def test_who_was_to_get_a_column_and_does_not_has_its_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who gets it instead gets all of it."""
    monkeypatch.setattr(acks_of, "FORGET_SLICE", 2)

    async def main(owner: Owner) -> None:
        for name in (b"%d" % number for number in range(10)):
            await group_of(owner, name, 50_000)
        await trio.sleep(SETTLED)
        first = await give(owner, 1)
        first.slowness = 300.0
        while not (first.host.stores and stored(first)):
            await trio.sleep(1)
        second = owner.world.join(1)
        await changing.give(owner.own, entry(owner.world.sites[1]), entry(second))
        first.slowness = 1.0
        owner.own.hand_out(MadeKit(0, owner.own.places.nodes))
        await trio.sleep(LONG + 2 * RECONNECT_MAX)
        assert owner.own.places.primaries[1].node == second.host.key
        assert stored(second) == blocks(owner, 0)
        assert not first.host.stores

    play(tmp_path, Geometry(1, 2), main)


def test_without_room_for_it_on_the_local_disk_no_store_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        monkeypatch.setattr(acks_of, "STRIPE_ROW_BYTES", 1 << 50)
        site = await give(owner, 1)
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY, INCOMING]
        waits_for = describe_disk(owner.own)["replacement"]["waits_for"]
        assert re.fullmatch(r"\d.* PiB must be free on the local disk for a moment", waits_for)
        monkeypatch.undo()
        await trio.sleep(LONG)
        assert owner.own.places.primaries[1].node == site.host.key
        assert stored(site) == blocks(owner, 0)

    play(tmp_path, Geometry(1, 2), main)


def test_it_goes_on_where_a_crash_left_it(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for name in (b"%d" % number for number in range(10)):
            await group_of(owner, name, 50_000)
        await trio.sleep(SETTLED)
        site = await give(owner, 2)
        site.slowness = 300.0
        while not (site.host.stores and stored(site)):
            await trio.sleep(1)
        assert len(stored(site)) < len(blocks(owner, 0))
        await owner.die(power=True)
        async with running(owner):
            assert roles(owner, 2) == [PRIMARY, INCOMING]
            figures = describe_disk(owner.own)["replacement"]
            assert (figures["from"], figures["blocks_of"]) == ("p2", len(blocks(owner, 0)))
            site.slowness = 1.0
            await trio.sleep(LONG)
            assert owner.own.places.primaries[2].node == site.host.key
            assert stored(site) == blocks(owner, 0)
            assert (owner.own.ledger.progress.away, owner.own.ledger.progress.margin()) == (0, 2)

    play(tmp_path, Geometry(1, 2), main)


def test_who_holds_it_counts_until_the_new_store_has_all_and_the_kit_names_it(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world, progress = owner.world, owner.own.ledger.progress
        owner.own.hand_out(MadeKit(0, owner.own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        site = world.join(0)
        await changing.give(owner.own, entry(world.sites[0]), entry(site))
        await trio.sleep(LONG)
        assert stored(site) == blocks(owner, 1)
        assert roles(owner, 0) == [PRIMARY, INCOMING]
        assert owner.own.columns.columns[0].state is ColumnState.COUNTED
        assert "a new kit must be exported" in describe_disk(owner.own)["replacement"]["waits_for"]
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert progress.complete() == group
        world.sites[1].go(up=False)
        await trio.sleep(SETTLED)
        owner.own.hand_out(MadeKit(0, owner.own.places.nodes))
        await trio.sleep(LONG)
        assert roles(owner, 0) == [PRIMARY, INCOMING], "who counts must be told"
        world.sites[1].go(up=True)
        await trio.sleep(LONG)
        assert owner.own.places.primaries[0].node == site.host.key
        assert progress.away == 0

    play(tmp_path, Geometry(1, 1), main)


def test_it_does_not_count_before_who_held_it_knows(tmp_path: Path) -> None:
    """Or a restore that meets only him would take the past for the present."""

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        old = world.sites[1]
        await give(owner, 1)
        while roles(owner, 1) != [PRIMARY, VAULT]:
            await trio.sleep(0.001)
        old.go(up=False)
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY, VAULT]
        assert owner.own.columns.columns[1].state is ColumnState.REBUILT
        old.go(up=True)
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY]
        assert owner.own.columns.columns[1].state is ColumnState.COUNTED

    play(tmp_path, Geometry(1, 2), main)


def test_what_is_given_up_a_moment_too_late_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_of, "LEARN_SLICE", 1)

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        expected = blocks(owner, 1)
        site = await give(owner, 1)
        new = owner.own.columns.incoming
        assert new is not None
        while not new.gone:  # it is, when the next master block names it
            await trio.sleep(0.001)
        await owner.own.replacing.give_up()
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY]
        assert owner.own.places.primaries[1].node == site.host.key
        assert stored(site) == expected
        assert owner.own.reshaping.returning.owed == {}

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("geometry", [Geometry(1, 2), Geometry(2, 0)])
@pytest.mark.parametrize("emptied", [True, False])
def test_who_held_it_has_it_again_when_the_new_store_is_lost_before_it_counts(
    tmp_path: Path, geometry: Geometry, emptied: bool
) -> None:
    """Without redundancy nobody else has what it holds."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        old, expected = world.sites[1], blocks(owner, 1)
        new = await give(owner, 1)
        while roles(owner, 1) != [PRIMARY, VAULT]:
            await trio.sleep(0.001)
        old.go(up=False)
        await group_of(owner, b"b", 10_000)
        await trio.sleep(LONG)
        assert own.columns.columns[1].state is ColumnState.REBUILT
        if emptied:
            new.host.stores.clear()
            new.go(up=False)
            new.go(up=True)
        else:
            new.vanished = True
            new.go(up=False)
            own.columns.happen(own.columns.columns[1], Event.LOST)
        await trio.sleep(SETTLED)
        assert roles(owner, 1) == [PRIMARY, VAULT], "he does not answer"
        assert stored(old).items() >= expected.items()
        old.go(up=True)
        own.hand_out(MadeKit(0, own.places.nodes))
        await trio.sleep(LONG)
        assert roles(owner, 1) == [PRIMARY]
        assert own.places.primaries[1].node == old.host.key
        assert own.columns.columns[1].state is ColumnState.COUNTED
        assert stored(old) == blocks(owner, 0)
        assert own.ledger.progress.pending == 0

    play(tmp_path, geometry, main)


def test_it_counts_alone_when_the_other_partner_is_lost_before_it_knows(tmp_path: Path) -> None:
    """Two of the kit are to know of it, and there is one: the other column could not be given away either."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        other = world.sites[0]
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        site = await give(owner, 1)
        new = own.columns.incoming
        assert new is not None
        while not new.gone:  # it is, when the next master block names it
            await trio.sleep(0.001)
        other.vanished = True
        other.go(up=False)
        own.hand_out(MadeKit(0, (other.host.key, site.host.key)))
        await trio.sleep(LONG)
        assert own.columns.columns[1].state is ColumnState.REBUILT
        own.columns.happen(own.columns.columns[0], Event.LOST)
        await trio.sleep(LONG)
        assert own.columns.columns[1].state is ColumnState.COUNTED
        assert roles(owner, 1) == [PRIMARY]
        await give(owner, 0)
        await trio.sleep(LONG)
        assert own.ledger.progress.away == own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 1), main)


def test_one_column_at_a_time_and_only_to_who_has_room_and_none_yet(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        first, second = world.join(0), world.join(1)
        p0, p1 = entry(world.sites[0]), entry(world.sites[1])
        with pytest.raises(UsageError, match="gives 1000 B, a column of this disk needs"):
            await changing.give(owner.own, p0, entry(first, 1000))
        with pytest.raises(UsageError, match="holds a column of this disk already"):
            await changing.give(owner.own, p0, p1)
        with pytest.raises(UsageError, match="holds no column of this disk"):
            await changing.give(owner.own, entry(first), entry(second))
        first.go(up=False)
        await changing.give(owner.own, p0, entry(first))
        await changing.give(owner.own, p0, entry(first))
        with pytest.raises(UsageError, match="is being given to p3"):
            await changing.give(owner.own, p1, entry(second))
        assert [store.node for store in owner.own.places.columns[0]] == [p0.key, first.host.key]
        await changing.give(owner.own, p0, entry(second))
        assert [store.node for store in owner.own.places.columns[0]] == [p0.key, second.host.key]
        await changing.lose(owner.own, entry(second))
        assert roles(owner, 0) == [PRIMARY]
        await trio.sleep(SETTLED)
        with pytest.raises(UsageError, match="p1 answers"):
            await changing.lose(owner.own, p1)

    play(tmp_path, Geometry(1, 2), main)


def test_a_partner_that_lost_its_store_gets_a_new_one_by_itself(tmp_path: Path) -> None:
    """Not the old one again: whoever restores would take an emptied store for an answer."""

    async def main(owner: Owner) -> None:
        world, progress = owner.world, owner.own.ledger.progress
        for name in (b"a", b"b"):
            await group_of(owner, name, 50_000)
        await trio.sleep(SETTLED)
        site = world.sites[1]
        (before,) = site.host.stores
        site.host.forget()
        site.cut()
        await owner.own.ledger.changed.wait_until(lambda: progress.away == 0b010)
        assert owner.own.columns.columns[1].state is ColumnState.EMPTIED
        world.damaged.add(1)
        await owner.die(power=True)
        async with running(owner):
            await trio.sleep(LONG)
            assert before not in site.host.stores
            assert stored(site) == blocks(owner, 0)
            assert (owner.own.ledger.progress.away, owner.own.ledger.progress.margin()) == (0, 2)

    play(tmp_path, Geometry(1, 2), main)


def test_a_takeover_that_too_few_are_left_for_goes_on_with_new_partners(tmp_path: Path) -> None:
    """What is complete survives the loss of any m partners; to be held again it needs more than k."""

    async def main(owner: Owner) -> None:
        world = owner.world
        for name in (b"a", b"b"):
            await group_of(owner, name, 50_000)
        await trio.sleep(SETTLED)
        world.kit = owner.own.places.nodes
        await owner.burn()
        for site in world.sites[:2]:
            site.vanished = True
            site.go(up=False)
        found = await take_over(world, tmp_path / "takeover")
        assert isinstance(found, Found)
        history = owner.history.up_to(found.taken.state.group)
        heir = Owner(world, Platter(found.taken.directory), history, owner.content())
        heir.may_be_fenced = True
        async with running(heir):
            await trio.sleep(SETTLED)
            assert not heir.own.ready.is_set()
            told = describe_disk(heir.own)["found"]
            assert (told["counted"], told["needed"]) == (1, 2)
            for column in heir.own.columns.columns[:2]:
                heir.own.columns.happen(column, Event.LOST)
            site = await give(heir, 0)
            await trio.sleep(LONG)
            assert heir.own.ready.is_set()
            assert describe_disk(heir.own)["found"] is None
            assert stored(site) == blocks(heir, 2)
            await give(heir, 1)
            await trio.sleep(LONG)
            assert (heir.own.ledger.progress.away, heir.own.ledger.progress.margin()) == (0, 2)

    play(tmp_path, Geometry(1, 2), main)


def test_a_restore_in_the_middle_reads_from_both(tmp_path: Path) -> None:
    """Two of three partners are gone, and the new one has what a third of the stripes need."""

    async def main(owner: Owner) -> None:
        world = owner.world
        group = await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        site = await give(owner, 2)
        site.slowness = 50.0
        while len(stored(site) if site.host.stores else ()) < len(blocks(owner, 0)):
            await trio.sleep(0.01)
        assert roles(owner, 2) == [PRIMARY, INCOMING]
        await owner.burn()
        for other in world.sites:
            other.go(up=False)
        site.slowness = 1.0
        world.kit = (site.host.key,)
        found = await restore(world, world.network, tmp_path / "restored")
        assert isinstance(found, Restored)
        assert found.group == group
        assert found.doubt is not None

    play(tmp_path, Geometry(1, 2), main)


def test_who_takes_no_master_block_is_no_help_to_a_kit(tmp_path: Path) -> None:
    """Or the last one who has it could be lost, and nobody whom the kit names would know of the new partner."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        own.hand_out(MadeKit(0, own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        await fill_up(owner, 2)
        site = world.join(0)
        await changing.give(own, entry(world.sites[0]), entry(site))
        await trio.sleep(LONG)
        assert roles(owner, 0) == [PRIMARY, INCOMING]
        assert "a new kit must be exported" in describe_disk(own)["replacement"]["waits_for"]
        own.hand_out(MadeKit(0, own.places.nodes))
        await trio.sleep(LONG)
        assert own.columns.columns[0].state is ColumnState.COUNTED
        assert own.places.primaries[0].node == site.host.key

    play(tmp_path, Geometry(1, 2), main)


def test_nobody_is_replaced_while_one_who_counts_takes_no_master_block(tmp_path: Path) -> None:
    """Or only one whom the kit names would know of the new partner: the one that is lost next."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        own.hand_out(MadeKit(0, own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        world.sites[2].full = True
        site = world.join(0)
        await changing.give(own, entry(world.sites[0]), entry(site))
        await trio.sleep(LONG)
        assert roles(owner, 0) == [PRIMARY, INCOMING]
        assert "has not taken the master block" in describe_disk(own)["replacement"]["waits_for"]
        world.sites[2].full = False
        await trio.sleep(RECONNECT_MAX + LONG)
        assert own.places.primaries[0].node == site.host.key
        assert own.columns.columns[0].state is ColumnState.COUNTED

    play(tmp_path, Geometry(1, 2), main)


def test_a_store_with_too_few_rows_takes_no_column(tmp_path: Path) -> None:
    """The disk has grown while it was filled: it could not even be opened, and the column would have been nobody's."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        own.hand_out(MadeKit(0, own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        site = world.join(0)
        size = store_size(ROWS, own.ledger.layout.block_size)
        site.host.given = dict.fromkeys(site.host.given, size)
        await changing.give(own, entry(world.sites[0]), entry(site, size))
        await trio.sleep(SETTLED)
        own.growing.want(2 * ROWS)
        await trio.sleep(LONG)
        assert own.ledger.rows.total == 2 * ROWS
        own.hand_out(MadeKit(0, (*own.places.nodes, site.host.key)))
        await trio.sleep(LONG)
        assert roles(owner, 0) == [PRIMARY, INCOMING]
        waits_for = describe_disk(own)["replacement"]["waits_for"]
        assert waits_for == f"p2 has room for {ROWS} of {2 * ROWS} rows"
        site.host.given = dict.fromkeys(site.host.given, 2 * size)
        site.cut()
        await trio.sleep(LONG)
        assert own.places.primaries[0].node == site.host.key
        assert own.columns.columns[0].state is ColumnState.COUNTED

    play(tmp_path, Geometry(1, 1), main)


def test_one_is_replaced_though_the_last_other_is_lost_meanwhile(tmp_path: Path) -> None:
    """No kit can name two that stay."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        own.hand_out(MadeKit(0, own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        site = world.join(1)
        await changing.give(own, entry(world.sites[1]), entry(site))
        await trio.sleep(SETTLED)
        assert roles(owner, 1) == [PRIMARY, INCOMING]
        world.sites[0].go(up=False)
        await trio.sleep(SETTLED)
        await changing.lose(own, entry(world.sites[0]))
        await trio.sleep(LONG)
        assert "a new kit must be exported that names p2" in describe_disk(own)["replacement"]["waits_for"]
        own.hand_out(MadeKit(0, tuple({store.node for store in own.keeper.stores})))
        await trio.sleep(LONG)
        assert own.places.primaries[1].node == site.host.key
        assert own.columns.columns[1].state is ColumnState.COUNTED

    play(tmp_path, Geometry(1, 1), main)


def test_who_held_it_is_no_help_to_a_kit(tmp_path: Path) -> None:
    """He goes: of the two that must know besides him one does not."""

    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        own.hand_out(MadeKit(0, own.places.nodes))
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        await changing.give(own, entry(world.sites[0]), entry(world.join(0)))
        while roles(owner, 0) != [PRIMARY, VAULT]:
            await trio.sleep(0.001)
        await fill_up(owner, 2)
        assert own.columns.columns[0].state is ColumnState.REBUILT
        assert (kitwatch.wanted(own) or "").startswith("a new kit must be exported that names")
        own.hand_out(MadeKit(0, own.places.nodes))
        await trio.sleep(LONG)
        assert own.columns.columns[0].state is ColumnState.COUNTED
        assert kitwatch.wanted(own) is None

    play(tmp_path, Geometry(1, 2), main)
