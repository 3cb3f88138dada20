"""One partner's side of a disk that is written: when it is believed, and when everything stops."""

import shutil
from contextlib import suppress
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
import trio
import trio.testing

from coopfs.app.disk import own_disk
from coopfs.core import coding
from coopfs.core.claims import sign_claim
from coopfs.errors import StateError
from coopfs.limits import AWAY_AFTER, FLOOR_CHECK
from coopfs.tasks.writing.coder import Coder
from coopfs.types import Kind, Layout, Place, StoredBlock
from tests.sim.owner import Owner
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, heir_of, play, running, sleep_through

LIVE_DATA = "SELECT row FROM stripes WHERE kind = 1 AND died IS NULL"


def puts(owner: Owner) -> int:
    return owner.world.trace.counts["put"]


def test_a_database_older_than_the_partners_stops_before_the_first_put(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        before = tmp_path / "before"
        shutil.copytree(owner.platter.directory, before)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        await owner.burn()
        sent = puts(owner)
        owner.platter.directory = before
        owner.history.durable = 0
        with pytest.RaisesGroup(
            pytest.RaisesExc(Violation, match="its database is older than the partners"), flatten_subgroups=True
        ):
            async with running(owner):
                await group_of(owner, b"c")
                await trio.sleep(SETTLED)
        assert puts(owner) == sent

    play(tmp_path, Geometry(1, 2), main)


def test_another_writer_stops_this_one(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        seed = owner.world.keys.signing_seed
        assert seed is not None
        partner = owner.world.sites[0].host.partner(owner.world.node)
        await partner.claim(sign_claim(seed, 2, b"another claimer.", 5))
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)

    with pytest.RaisesGroup(
        pytest.RaisesExc(Violation, match="another machine has taken this disk over"), flatten_subgroups=True
    ):
        play(tmp_path, Geometry(1, 2), main)


def test_a_block_that_was_overtaken_by_the_next_use_of_its_row_is_no_sign_of_a_copy(tmp_path: Path) -> None:
    """The row is used again while the first block is still on its way to a slow partner."""

    async def main(owner: Owner) -> None:
        slow = owner.world.sites[2]
        await trio.sleep(SETTLED)
        slow.slowness = 3000.0  # up to 30 s one way, and eight blocks travel at the same time
        for size in range(1000, 1020):
            await group_of(owner, b"a", size)
            await trio.sleep(2)
        await trio.sleep(20 * SETTLED)
        assert owner.world.trace.counts["overwritten"] > 0
        assert owner.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 2), main)


def test_an_equal_version_with_other_content_means_that_this_home_is_a_copy(tmp_path: Path) -> None:
    """Both have leapt equally far, which hardly ever happens."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        twin = tmp_path / "twin"
        shutil.copytree(owner.platter.directory, twin)
        owner.world.sites[1].go(up=False)
        await group_of(owner, b"a", 1000)
        await trio.sleep(SETTLED)
        await owner.burn()
        (one, other) = (next(iter(owner.world.sites[column].host.stores.values())) for column in (0, 1))
        assert one.blocks
        assert not other.blocks
        kept = dict(one.blocks)
        one.blocks.clear()  # the twin reaches this partner only after it has given versions itself
        owner.platter.directory = twin
        owner.history.durable = 0
        owner.world.sites[1].go(up=True)
        owner.world.trace = type(owner.world.trace)()
        with pytest.RaisesGroup(
            pytest.RaisesExc(Violation, match="this home is a copy of another"), flatten_subgroups=True
        ):
            async with running(owner):
                await trio.sleep(SETTLED)
                one.blocks.update(kept)
                await group_of(owner, b"b", 2000)
                await trio.sleep(SETTLED)

    with patch.object(own_disk, "RUN_LEAP", 1):
        play(tmp_path, Geometry(1, 1), main)


def test_what_a_copy_had_put_before_a_takeover_is_no_sign_of_one(tmp_path: Path) -> None:
    """It is newer than what the partner lacks, and stays where it is."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        late, own = owner.world.sites[2], owner.own
        late.go(up=False)
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        taken = blocks(owner, 0)
        heir = await heir_of(owner, tmp_path / "heir")
        for row, version in taken.items():
            place, layout = Place(version + 1000, row), own.ledger.layout
            coded = coding.code_meta(layout, own.keys.tag_key(place.version), b"of the copy")
            head = coding.header_of(coded, Kind.META, layout, place, 2)
            box = coding.box(own.keys, own.places.primaries[2], 2, place, head, coded.blocks[2])
            late.host.only_store.blocks.setdefault(row, StoredBlock(place.version, bytes(box)))
        async with running(heir):
            late.go(up=True)
            await group_of(heir, b"b")
            with trio.fail_after(86400):
                while heir.own.ledger.progress.pending or heir.own.ledger.progress.away:
                    await trio.sleep(60)
            assert heir.own.trouble is None

    play(tmp_path, Geometry(1, 2), main)


def test_a_copy_that_runs_at_the_same_time_overwrites_nothing(tmp_path: Path) -> None:
    """The partners have opened their stores for both before either writes."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        twin = owner.copied(tmp_path / "twin")
        owner.may_be_fenced = True
        async with running(twin):
            await trio.sleep(SETTLED)
            with suppress(StateError):
                for size in range(1, 6):
                    await group_of(owner, b"b", 1000 * size)
                    await trio.sleep(1)
                    await group_of(twin, b"b", 2000 * size)
                    await trio.sleep(1)
            await trio.sleep(SETTLED)
            stopped = [each for each in (owner, twin) if each.own.trouble is not None]
            assert stopped == [twin]
            assert "is a copy of another" in twin.own.trouble or "older than the partners" in twin.own.trouble

    play(tmp_path, Geometry(1, 2), main)


def test_a_copy_made_while_a_stripe_was_coded_knows_that_others_sent_it(tmp_path: Path) -> None:
    """Its version was given by then, and nothing was sealed with it in the database that the copy goes on from."""
    twins: list[Owner] = []
    code_meta = Coder.code_meta

    async def main(owner: Owner) -> None:
        async def code(self: Coder, layout: Layout, payload: bytes, version: int) -> coding.Coded:
            if not twins:
                await owner.own.committer.commit()
                twins.append(owner.copied(tmp_path / "twin"))
            return await code_meta(self, layout, payload, version)

        await group_of(owner, b"a")
        await trio.sleep(2 * FLOOR_CHECK)  # else the master block tells of the other one
        with patch.object(Coder, "code_meta", code):
            group = await group_of(owner, b"b")
            await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.barrier == group
        await owner.burn()
        sent = puts(owner)
        (twin,) = twins
        async with running(twin):
            await trio.sleep(SETTLED)
            assert twin.own.trouble is not None
            assert "older than the partners" in twin.own.trouble
        assert puts(owner) == sent

    play(tmp_path, Geometry(1, 2), main)


def test_a_master_block_of_a_copy_stops_this_home(tmp_path: Path) -> None:
    """It would be refused for ever, as its own has no higher counter."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        twin = owner.copied(tmp_path / "twin")
        owner.may_be_fenced = True
        async with running(twin):
            await trio.sleep(SETTLED)
            await twin.own.keeper.renew()
            await twin.own.keeper.renew()
            await trio.sleep(SETTLED)
            await owner.own.keeper.renew()
            await trio.sleep(SETTLED)
            assert twin.own.trouble is None
            assert owner.own.trouble is not None
            assert "holds a master block of this disk that was not made here" in owner.own.trouble

    play(tmp_path, Geometry(1, 2), main)


def test_a_partner_that_lost_blocks_is_in_a_until_it_has_them_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for name in (b"a", b"b", b"c"):
            await group_of(owner, name)
        await trio.sleep(SETTLED)
        progress = owner.own.ledger.progress
        whole = blocks(owner, 1)
        assert (progress.pending, progress.margin()) == (0, 2)
        (store,) = owner.world.sites[1].host.stores.values()
        lost = Random(2).sample(sorted(whole), 3)
        for row in lost:
            del store.blocks[row]
            owner.world.trace.lose(1, row)
        sent = puts(owner)
        owner.world.sites[1].cut()
        await owner.own.ledger.changed.wait_until(lambda: progress.away == 0b010)
        assert progress.pending == len(lost)
        await trio.testing.wait_all_tasks_blocked()
        assert owner.own.log.columns()[1][1]
        await trio.sleep(SETTLED)
        assert blocks(owner, 1) == whole
        assert puts(owner) == sent + len(lost)
        assert (progress.pending, progress.away, progress.margin()) == (0, 0, 2)

    play(tmp_path, Geometry(1, 2), main)


def test_what_was_lost_is_taken_back_before_what_was_found_is_counted(tmp_path: Path) -> None:
    """Blocks found may move the barrier, which gives rows back: those of stripes that were just found lost too."""

    async def main(owner: Owner) -> None:
        world = owner.world
        for number in (1, 2, 3):
            await group_of(owner, b"a", 1000 * number)
        await trio.sleep(SETTLED)
        world.sites[3].go(up=False)
        ((row,),) = owner.own.local.database.read(LIVE_DATA).fetchall()
        await group_of(owner, b"a", 9000)  # kills that one stripe
        sent = puts(owner)
        while puts(owner) < sent + 6:  # data and END on three partners: held, but no commit has noted that
            await trio.sleep(0.001)
        await owner.die(power=False)
        world.sites[2].go(up=False)
        (store,) = world.sites[2].host.stores.values()
        del store.blocks[row]
        world.trace.lose(2, row)
        world.damaged.add(2)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert owner.own.ledger.progress.barrier == 3
            world.sites[2].go(up=True)
            await trio.sleep(SETTLED)
            assert owner.own.ledger.progress.barrier == 4

    play(tmp_path, Geometry(2, 2), main)


def test_a_partner_that_is_away_for_long_lowers_what_is_needed_until_it_has_caught_up(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        progress = owner.own.ledger.progress
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        owner.world.sites[0].go(up=False)
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert progress.barrier < group  # one of two, and it may come back any moment
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(SETTLED)
        assert (progress.barrier, progress.away) == (group, 0b01)
        owner.world.sites[0].go(up=True)
        await trio.sleep(SETTLED)
        assert (progress.away, progress.pending) == (0, 0)

    play(tmp_path, Geometry(1, 1), main)


def test_garbage_of_a_version_that_was_never_sent_closes_the_column_and_stops_nothing(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        (store,) = owner.world.sites[2].host.stores.values()
        store.blocks[5] = StoredBlock(1 << 60, b"garbage")
        owner.world.sites[2].cut()
        await trio.sleep(SETTLED)
        column = owner.own.columns.columns[2]
        assert column.session is None
        assert column.trouble is not None
        assert "never sent" in column.trouble
        group = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.barrier == group

    play(tmp_path, Geometry(1, 2), main)


def inventories(owner: Owner) -> int:
    return owner.world.trace.counts["inventory"]


def test_a_partner_that_returns_with_all_it_had_need_not_tell_it(tmp_path: Path) -> None:
    """Its slots hold more than what lives: remains of stripes whose rows are free, also of some that it missed."""

    async def main(owner: Owner) -> None:
        partner = owner.world.sites[1]
        for size in range(1000, 1012):
            if size % 5 == 0:
                partner.go(up=False)
            await group_of(owner, b"a", size)
            if size % 5 == 1:
                partner.go(up=True)
            await trio.sleep(SETTLED)
        assert owner.own.local.database.read("SELECT count(*) FROM remains").fetchone()[0] > 0
        assert owner.world.trace.counts["overwritten"] > 0
        before = inventories(owner)
        partner.cut()
        await trio.sleep(SETTLED)
        await owner.die(power=False)  # what is expected is remembered
        async with running(owner):
            await group_of(owner, b"b")
            await trio.sleep(SETTLED)
            partner.cut()
            await trio.sleep(SETTLED)
            assert (owner.own.ledger.progress.pending, owner.own.columns.reached) == (0, 3)
        assert inventories(owner) == before

    play(tmp_path, Geometry(1, 2), main)


@pytest.mark.parametrize("how", ["emptied", "one block lost", "restored from an old image", "remains lost"])
def test_a_store_that_is_not_what_it_was_tells_what_it_holds(tmp_path: Path, how: str) -> None:
    async def main(owner: Owner) -> None:
        (store,) = owner.world.sites[1].host.stores.values()
        await group_of(owner, b"a", 1000)
        await trio.sleep(SETTLED)
        old = dict(store.blocks), store.changes
        for size in (1001, 1002):
            await group_of(owner, b"a", size)
            await trio.sleep(SETTLED)
        progress = owner.own.ledger.progress
        live = {row for _, row, _, acks in owner.own.log.places() if acks & 0b10}
        assert live < set(store.blocks)
        owner.world.sites[1].cut()
        match how:
            case "emptied":
                store.blocks.clear()
            case "one block lost":
                del store.blocks[max(live)]
            case "restored from an old image":
                store.blocks, store.changes = old
            case "remains lost":
                del store.blocks[min(set(store.blocks) - live)]
        owner.world.trace = type(owner.world.trace)()
        owner.world.network.trace = owner.world.trace
        if how != "remains lost":
            await owner.own.ledger.changed.wait_until(lambda: progress.away == 0b010)
            assert progress.pending >= 1
        await trio.sleep(SETTLED)
        assert inventories(owner) > 0
        assert (progress.pending, progress.away, progress.margin()) == (0, 0, 2)
        seen = inventories(owner)
        owner.world.sites[1].cut()
        await trio.sleep(SETTLED)
        assert inventories(owner) == seen  # what it told is what is expected from now on

    play(tmp_path, Geometry(1, 2), main)
