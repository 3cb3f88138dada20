"""After a takeover content comes back before anybody reads it, as far as the cache has room."""

from pathlib import Path

import pytest
import trio

from coopfs.app.disk.status import describe_disk
from coopfs.limits import NAME_MAX, REFILL_SHARE
from coopfs.types import Kind
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, heir_of, play, running

SIZE = 60_000  # bytes of one file, a stripe


@pytest.mark.parametrize("cache", [None, 8])
def test_content_is_fetched_in_the_background_while_there_is_room(tmp_path: Path, cache: int | None) -> None:
    async def main(owner: Owner) -> None:
        for number in range(20):
            await group_of(owner, b"%d" % number, SIZE)
            await trio.sleep(1)
        await trio.sleep(SETTLED)
        heir = await heir_of(owner, tmp_path / "takeover")
        async with running(heir):
            await heir.own.ready.wait()
            figures = describe_disk(heir.own)["cache"]
            there, total = figures["refill"]
            assert there < total <= 20 * SIZE
            await trio.sleep(SETTLED)
            figures = describe_disk(heir.own)["cache"]
            assert figures["refill"] is None
            found = heir.own.local.database.read("SELECT id FROM stripes WHERE kind = ? ORDER BY id", (Kind.DATA,))
            here = [id_ in heir.own.local.cache for (id_,) in found]
            if cache is None:
                assert all(here)
            else:
                assert figures["size"] * REFILL_SHARE <= figures["used"] <= figures["size"]
                assert here == sorted(here), "the newest"

    play(tmp_path, Geometry(1, 2), main, cache=cache)


def test_it_goes_on_after_a_crash(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for number in range(40):
            await group_of(owner, b"%d" % number, SIZE)
            await trio.sleep(1)
        await trio.sleep(SETTLED)
        heir = await heir_of(owner, tmp_path / "takeover")
        async with running(heir):
            await heir.own.ready.wait()
            while len(heir.own.local.cache) < 10:
                await trio.sleep(0.01)
            await heir.own.committer.commit()
            begun = len(heir.own.local.cache)
            assert 0 < begun < 40
            await heir.die(power=False)
        async with running(heir):
            assert len(heir.own.local.cache) >= begun - 1  # one may have been on its way
            await trio.sleep(SETTLED)
            assert len(heir.own.local.cache) >= 40
            assert heir.own.refill.figures() is None

    play(tmp_path, Geometry(1, 2), main)


def test_what_is_back_is_not_fetched_again_to_be_repaired(tmp_path: Path) -> None:
    """A partner that lacks blocks comes back, and those that have them are away."""

    async def main(owner: Owner) -> None:
        late, *others = owner.world.sites
        late.go(up=False)
        await group_of(owner, b"a", SIZE)
        await trio.sleep(SETTLED)
        heir = await heir_of(owner, tmp_path / "takeover")
        async with running(heir):
            await heir.own.ready.wait()
            await trio.sleep(SETTLED)
            assert heir.own.refill.figures() is None
            for site in others:
                site.go(up=False)
            late.go(up=True)
            await trio.sleep(SETTLED)
            data = heir.own.local.database.read("SELECT acks FROM stripes WHERE kind = ?", (Kind.DATA,))
            assert data
            assert all(acks & 1 for (acks,) in data)

    play(tmp_path, Geometry(1, 2), main)


def test_a_file_that_was_given_a_longer_name_is_repaired_like_any_other(tmp_path: Path) -> None:
    """Its first stripe was full with the name that it had. Who takes over knows the new one, which does not fit."""

    async def main(owner: Owner) -> None:
        late = owner.world.sites[0]
        late.go(up=False)
        await group_of(owner, b"a", 2 * SIZE)
        await owner.apply(("rename", ((b"a",), (b"a" * NAME_MAX,), 0)))
        await owner.close_group()
        await trio.sleep(SETTLED)
        heir = await heir_of(owner, tmp_path / "takeover")
        async with running(heir):
            await heir.own.ready.wait()
            await trio.sleep(SETTLED)
            assert heir.own.refill.figures() is None
            late.go(up=True)
            await trio.sleep(SETTLED)
            assert heir.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(1, 2), main)
