"""What partners lack is brought to them: no more, in the right order, also when it is not on this machine any more."""

from pathlib import Path

import pytest
import trio

from coopfs.limits import CLEANER_INTERVAL
from coopfs.local.disk import STAGE
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, play


def test_a_partner_that_returns_gets_what_it_lacks_and_nobody_gets_anything_twice(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        away = owner.world.sites[2]
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        had = blocks(owner, 2)
        away.go(up=False)
        for name in (b"b", b"c"):
            await group_of(owner, name)
        await trio.sleep(SETTLED)
        sent = owner.world.trace.counts["put"]
        away.go(up=True)
        await trio.sleep(SETTLED)
        assert blocks(owner, 2) == blocks(owner, 0)
        assert owner.world.trace.counts["put"] - sent == len(blocks(owner, 0)) - len(had)

    play(tmp_path, Geometry(1, 2), main)


def test_it_says_when_it_will_be_done(tmp_path: Path) -> None:
    """What it says on the way is near the truth; before and after there is nothing to say."""

    async def main(owner: Owner) -> None:
        site, cleaner = owner.world.sites[2], owner.own.cleaner
        await trio.sleep(SETTLED)
        site.go(up=False)
        for number in range(60):
            await group_of(owner, b"%d" % number, 30_000)
        await trio.sleep(SETTLED)
        assert cleaner.seconds_left(owner.own.columns.columns) is None
        owner.world.network.weather = Weather(delay=5.0)
        site.go(up=True)
        progress = owner.own.ledger.progress
        total = progress.pending
        assert total > 50
        while progress.pending > total / 3:
            await trio.sleep(1)
        said, then = cleaner.seconds_left(owner.own.columns.columns), trio.current_time()
        assert said is not None
        while progress.pending:
            await trio.sleep(1)
        assert said / 4 < trio.current_time() - then < said * 4, "the last ones wait for answers"
        assert cleaner.seconds_left(owner.own.columns.columns) is None

    play(tmp_path, Geometry(1, 2), main)


def test_the_least_redundant_come_first(tmp_path: Path) -> None:
    """The older group lies on three columns, the younger one on two."""

    async def main(owner: Owner) -> None:
        sites = owner.world.sites
        await trio.sleep(SETTLED)
        sites[3].go(up=False)
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        older = blocks(owner, 0)
        sites[2].go(up=False)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        owner.world.network.weather = Weather(delay=0.0)  # nothing overtakes on the way
        sites[3].go(up=True)
        (store,) = sites[3].host.stores.values()
        younger = len(blocks(owner, 0)) - len(older)
        while len(store.blocks) < younger:
            await trio.sleep(0.001)
        assert not dict(list(blocks(owner, 3).items())[:younger]).items() & older.items()

    play(tmp_path, Geometry(2, 2), main)


def test_content_that_is_not_here_is_fetched_from_the_other_partners(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        for file in (owner.platter.directory / STAGE).iterdir():
            file.unlink()
        whole = blocks(owner, 3)
        (store,) = owner.world.sites[3].host.stores.values()
        before = dict(store.blocks)
        store.blocks.clear()
        for row in whole:
            owner.world.trace.lose(3, row)
        owner.world.sites[3].cut()
        await trio.sleep(SETTLED)
        assert store.blocks == before  # byte for byte: repair never changes a version

    play(tmp_path, Geometry(2, 2), main)


async def lose_too_much(owner: Owner) -> dict[int, int]:
    """Here there is no content, the last partner has lost all, and of the others one is up. What it had."""
    sites = owner.world.sites
    await group_of(owner, b"a", 50_000)
    await trio.sleep(SETTLED)
    for file in (owner.platter.directory / STAGE).iterdir():
        file.unlink()
    whole = blocks(owner, 3)
    sites[3].host.only_store.blocks.clear()
    for number in (0, 1):
        sites[number].go(up=False)
    sites[3].cut()
    return whole


def test_what_too_few_partners_have_is_left_alone_until_they_return(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        sites, whole = owner.world.sites, await lose_too_much(owner)
        await trio.sleep(SETTLED)
        assert not blocks(owner, 3)
        assert owner.own.ledger.progress.pending == len(whole)
        sites[0].go(up=True)
        await trio.sleep(SETTLED)
        assert blocks(owner, 3) == whole

    play(tmp_path, Geometry(2, 2), main)


def test_what_is_lost_for_good_is_fetched_in_vain_ever_more_rarely(tmp_path: Path) -> None:
    """All partners are up. In a day there are some twelve tries for each of three columns, not one each minute."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        for file in (owner.platter.directory / STAGE).iterdir():
            file.unlink()
        lost = len(blocks(owner, 0))
        for site in owner.world.sites[1:]:
            site.host.only_store.blocks.clear()
            site.cut()
        await trio.sleep(SETTLED)
        before = owner.world.trace.counts["get"]
        await trio.sleep(86_400)
        assert owner.own.cleaner.unavailable == lost
        asked = owner.world.trace.counts["get"] - before
        assert 3 * 8 < asked / (lost * len(owner.world.sites)) < 3 * 16

    play(tmp_path, Geometry(2, 2), main)


def test_what_happens_just_before_it_is_tried_again_puts_nothing_off(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await lose_too_much(owner)
        owner.world.sites[0].go(up=True)
        for site in owner.world.sites[1:]:
            site.host.only_store.blocks.clear()
        await trio.sleep(SETTLED)
        aside = owner.own.cleaner._aside
        await trio.sleep(aside.until - CLEANER_INTERVAL / 2 - trio.current_time())
        owner.own.ledger.changed.notify()
        await trio.sleep(2 * CLEANER_INTERVAL)
        assert aside.until > trio.current_time()

    play(tmp_path, Geometry(2, 2), main)


@pytest.mark.parametrize("after", [0.8, 0.85, 0.9, 0.95, 1.0])
def test_whoever_is_reached_anew_may_bring_it_to_any_column(tmp_path: Path, after: float) -> None:
    """Even if that column has looked just before, and nothing else happens afterwards. The moment that matters lies
    about 0.9 s after the stripes were put aside."""

    async def main(owner: Owner) -> None:
        sites, whole = owner.world.sites, await lose_too_much(owner)
        while not owner.own.cleaner._aside.ids:
            await trio.sleep(0.01)
        column, back = owner.own.columns.columns[0], trio.current_time() + after
        while column.session is None:
            owner.own.ledger.changed.notify()
            await trio.sleep(0.01)
            sites[0].go(up=trio.current_time() > back)
        await trio.sleep(5 * CLEANER_INTERVAL)
        assert blocks(owner, 3) == whole

    play(tmp_path, Geometry(2, 2), main)


def test_damage_that_a_reader_meets_is_repaired_by_itself(tmp_path: Path) -> None:
    """One slot is rotten and its partner knows; no connection breaks, and nobody asks for a check."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 50_000)
        await trio.sleep(SETTLED)
        (stripe,) = (id_ for id_, *_ in owner.own.log.places() if owner.own.log.is_data(id_))
        sealed = owner.own.log.get(stripe)
        assert sealed is not None
        (store,) = owner.world.sites[0].host.stores.values()
        before = dict(store.blocks)
        store.spoil(sealed.place.row)
        owner.world.trace.lose(0, sealed.place.row)
        await trio.sleep(SETTLED)
        assert store.blocks != before, "nobody has met it yet"
        await owner.own._fetch(sealed)
        await trio.sleep(SETTLED)
        assert store.blocks == before
        assert owner.own.ledger.progress.away == owner.own.ledger.progress.pending == 0
        assert owner.own.columns.columns[0].lost == 1

    play(tmp_path, Geometry(2, 2), main)
