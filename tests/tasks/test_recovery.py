"""Choosing the state to restore when a partner says more than it has (R11)."""

from pathlib import Path

import pytest
import trio

from coopfs.limits import AWAY_AFTER
from coopfs.tasks.recovery import recovery
from coopfs.tasks.recovery.recovery import BESIDE
from coopfs.types import Kind, StoredBlock
from tests.memory import MemoryStore
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Refused, restore
from tests.sim.world import Geometry
from tests.tasks.homes import group_of, play, written_twice

SOON = 10.0  # seconds: all is complete, and the floor has not followed yet
BORN = "SELECT row FROM stripes WHERE kind = ? AND born = ?"


async def lie(owner: Owner, column: int, group: int) -> None:
    """The partner has let the content of a group go, and claims it as before."""
    (store,) = owner.world.sites[column].host.stores.values()
    rows = owner.own.local.database.read(BORN, (Kind.DATA, group)).fetchall()
    assert rows
    for (row,) in rows:
        store.blocks[row] = StoredBlock(store.blocks[row].version, b"gone")


@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 1), (2, 2)])
def test_a_claim_is_no_block(tmp_path: Path, k: int, m: int) -> None:
    """k-1 honest partners and a liar: the newest state cannot be read, the one before is whole."""

    async def main(owner: Owner) -> None:
        world = owner.world
        older = await group_of(owner, b"a")
        await trio.sleep(SOON)
        newer = await group_of(owner, b"b")
        await trio.sleep(SOON)
        assert owner.own.ledger.progress.barrier == newer
        await lie(owner, 0, newer)
        await owner.burn()
        for site in world.sites[k:]:
            site.go(up=False)
        found = await restore(world, world.network, tmp_path / "restored")
        assert not isinstance(found, Refused)
        assert found.group == older
        assert found.doubt is not None
        assert "may have been held, but row" in found.doubt

    play(tmp_path, Geometry(k, m), main)


def test_what_a_partner_cannot_read_now_may_be_of_a_newer_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk has bad sectors, or a loose cable: it says that it holds the blocks, and gives none."""

    async def main(owner: Owner) -> None:
        world = owner.world
        older = await group_of(owner, b"a")
        await trio.sleep(SOON)
        world.sites[1].go(up=False)
        await trio.sleep(AWAY_AFTER + SOON)
        newer = await group_of(owner, b"b")
        await trio.sleep(SOON)
        assert owner.own.ledger.progress.barrier == newer
        await owner.burn()
        world.sites[1].go(up=True)
        unreadable, get = world.sites[0].host.only_store, MemoryStore.get

        async def get_nothing(self: MemoryStore, row: int) -> StoredBlock | None:
            return None if self._store is unreadable else await get(self, row)

        monkeypatch.setattr(MemoryStore, "get", get_nothing)
        found = await restore(world, world.network, tmp_path / "restored")
        assert not isinstance(found, Refused)
        assert found.group == older
        assert found.doubt is not None
        assert "has no intact block of it" in found.doubt

    play(tmp_path, Geometry(1, 1), main)


def test_one_liar_among_more_than_k_costs_nothing(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        newest = await group_of(owner, b"a")
        await trio.sleep(SOON)
        await lie(owner, 0, newest)
        await owner.burn()
        world.sites[3].go(up=False)
        found = await restore(world, world.network, tmp_path / "restored")
        assert not isinstance(found, Refused)
        assert (found.group, found.doubt) == (newest, None)

    play(tmp_path, Geometry(2, 2), main)


def test_a_line_that_breaks_meanwhile_costs_no_state(tmp_path: Path) -> None:
    """At whatever moment: whoever is needed is waited for when he went away, and asked again."""

    async def main(owner: Owner) -> None:
        for name in (b"a", b"b", b"c"):
            newest = await group_of(owner, name)
            await trio.sleep(SOON)
        await owner.burn()
        owner.world.sites[2].go(up=False)

        async def cut(after: float) -> None:
            await trio.sleep(after)
            owner.world.sites[0].cut()

        for moment in range(40):
            network = owner.world.way(Weather(delay=0.15))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cut, moment * 0.1)
                found = await restore(owner.world, network, tmp_path / str(moment))
                nursery.cancel_scope.cancel()
            assert not isinstance(found, Refused), (moment, found.why)
            assert (moment, found.group, found.doubt) == (moment, newest, None)

    play(tmp_path, Geometry(2, 1), main)


def test_what_was_sent_after_the_newest_end_is_looked_at_side_by_side(tmp_path: Path) -> None:
    """A large group was on its way."""

    async def main(owner: Owner) -> None:
        world = owner.world
        older = await group_of(owner, b"a")
        await trio.sleep(SOON)
        sites = [site.host.only_store for site in world.sites]
        before = len(sites[0].blocks)
        world.network.weather = Weather(delay=0.5)
        newer = await group_of(owner, b"b", 2_500_000)
        while min(len(store.blocks) for store in sites) < before + 20:
            assert trio.current_time() < 100
            await trio.sleep(0.1)
        await owner.burn()
        sent = min(len(store.blocks) for store in sites) - before
        start = trio.current_time()
        found = await restore(world, world.way(Weather(delay=0.5)), tmp_path / "restored")
        assert not isinstance(found, Refused)
        assert found.group == older < newer
        assert trio.current_time() - start < sent * 0.5, "less than half of what one after the other takes"

    play(tmp_path, Geometry(2, 1), main)


def test_what_was_held_long_ago_is_opened_at_spots(tmp_path: Path) -> None:
    """Nothing whole is left: that is said, instead of a view whose files cannot be read."""

    async def main(owner: Owner) -> None:
        world = owner.world
        first = await group_of(owner, b"a")
        for name in (b"b", b"c"):
            await trio.sleep(SOON)
            await group_of(owner, name)
        await trio.sleep(SOON)
        await lie(owner, 0, first)
        await owner.burn()
        world.sites[2].go(up=False)
        found = await restore(world, world.network, tmp_path / "restored")
        assert isinstance(found, Refused)
        assert "has 1 of the 2 blocks needed" in found.why

    play(tmp_path, Geometry(2, 1), main)


def test_what_a_copy_has_put_at_few_partners_takes_the_place_of_nothing_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have written a group after the same one; the copy's is newer, and was never held."""

    async def main(owner: Owner) -> None:
        world = owner.world
        held, end = await written_twice(owner, tmp_path / "copy")
        found = await restore(world, world.network, tmp_path / "all")
        assert not isinstance(found, Refused)
        assert (found.group, found.state.end.version, found.doubt) == (held, end, None)

        world.sites[0].go(up=False)  # who may have had what the copy wrote
        found = await restore(world, world.network, tmp_path / "few")
        assert not isinstance(found, Refused)
        assert (found.group, found.state.end.version, found.doubt) == (held, end, BESIDE)

        world.sites[1].go(up=False)
        found = await restore(world, world.network, tmp_path / "too few")
        assert not isinstance(found, Refused)
        assert found.state.end.version > end
        assert found.doubt is not None
        assert found.doubt.endswith(f"; {BESIDE}")

        monkeypatch.setattr(recovery, "FORK_LOOKS", 0)
        found = await restore(world, world.network, tmp_path / "too far")
        assert not isinstance(found, Refused)
        assert found.doubt is not None
        assert BESIDE not in found.doubt, "the search ends"

    play(tmp_path, Geometry(1, 3), main)
