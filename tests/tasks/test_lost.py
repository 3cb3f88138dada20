"""Content that the local disk does not read when it is to be sent: the rest goes on, and what can be read is kept."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from coopfs.app.disk.checking import check
from coopfs.app.disk.status import describe_disk
from coopfs.core.codec import UNREADABLE
from coopfs.core.units import PLAIN, ZSTD, Run
from coopfs.limits import FILESYSTEM_BLOCK
from coopfs.tasks.cleaning.lost import good_parts
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, heir_of, play, running, write

SIZE = 3 * FILESYSTEM_BLOCK


@contextmanager
def bad_sectors(*stripes: int, blocks: Sequence[int]) -> Iterator[None]:
    """Blocks of these stripes' files that cannot be read."""
    really = os.preadv

    def preadv(descriptor: int, views: list[memoryview], at: int, flags: int = 0) -> int:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        end = at + sum(map(len, views))
        if path.endswith(tuple(f"/stage/{stripe}" for stripe in stripes)):
            for block in blocks:
                if at < (block + 1) * FILESYSTEM_BLOCK and block * FILESYSTEM_BLOCK < end:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(descriptor, views, at, flags)

    with patch("os.preadv", preadv):
        yield


def stripes_of(owner: Owner, name: bytes) -> list[int]:
    return owner.own.local.metadata.extents.stripes_of(owner.own.disk.tree.lookup(1, name).ino)


async def settle(owner: Owner) -> int:
    """Close a group; its number."""
    group = await owner.own.committer.close_group()
    await trio.sleep(SETTLED)
    assert group is not None
    return group


def test_what_is_not_read_keeps_nothing_else_from_partners(tmp_path: Path) -> None:
    """Block 4 is the second of three of the file b: the others of its stripe are written again, and what was written
    first is held when that file goes."""

    async def main(owner: Owner) -> None:
        own = owner.own
        for name in (b"a", b"b", b"c"):
            await write(owner, name, SIZE)
        (stripe,) = stripes_of(owner, b"a")
        assert stripes_of(owner, b"b") == stripes_of(owner, b"c") == [stripe]
        path = own.local.stage.contents.path(stripe)
        owner.side.evicted[stripe] = path.read_bytes()  # the owner's pictures show what was there
        with bad_sectors(stripe, blocks=[4]):
            lost = await settle(owner)
            assert own.trouble is None
            assert (own.ledger.progress.barrier, own.ledger.progress.sealed) == (0, lost)
            assert stripe not in stripes_of(owner, b"a") + stripes_of(owner, b"c")
            assert stripe in stripes_of(owner, b"b")
            assert len(stripes_of(owner, b"b")) == 2
            newer = await settle(owner)
            assert (own.ledger.progress.barrier, own.ledger.progress.sealed) == (0, newer)
            assert describe_disk(own)["lost_content"] == 1
            report = await check(own, lambda step, done, total: None, deep=False, repair=False)
            assert report["lost"] == ["/b"]
            (finding,) = report["findings"]
            assert finding["text"] == f"stripe {stripe} has 0 of the 2 blocks needed, and cannot be read here"
            await owner.die(power=False)
            async with running(owner):
                await trio.sleep(SETTLED)
                assert owner.own.ledger.progress.lost == {stripe}
                await owner.apply(("unlink", ((b"b",),)))
                last = await settle(owner)
                assert owner.own.ledger.progress.barrier == last
                assert not owner.own.ledger.progress.lost
                assert describe_disk(owner.own)["lost_content"] == 0

    play(tmp_path, Geometry(2, 1), main)


def test_what_can_be_read_after_all_is_not_lost(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        own = owner.own
        await write(owner, b"a", SIZE)
        (stripe,) = stripes_of(owner, b"a")
        with bad_sectors(stripe, blocks=[0]), patch.object(own._lost, "note", lambda stripe: None):
            group = await settle(owner)
            assert own.ledger.progress.barrier < group
        await trio.sleep(100 * SETTLED)
        assert stripe not in stripes_of(owner, b"a")
        last = await settle(owner)
        assert own.ledger.progress.barrier == last
        assert not own.ledger.progress.lost

    play(tmp_path, Geometry(1, 2), main)


def test_what_too_few_got_before_it_could_not_be_read_keeps_nothing_back_either(tmp_path: Path) -> None:
    """One of the two blocks needed lies at a partner."""

    async def main(owner: Owner) -> None:
        own, (_, *others) = owner.own, owner.world.sites
        await trio.sleep(SETTLED)
        for site in others:
            site.go(up=False)
        await trio.sleep(SETTLED)
        for name in (b"a", b"b"):
            await write(owner, name, SIZE)
        (stripe,) = stripes_of(owner, b"a")
        owner.side.evicted[stripe] = own.local.stage.contents.path(stripe).read_bytes()
        await settle(owner)
        sealed = own.log.get(stripe)
        assert sealed is not None
        assert sealed.acks == 1
        with bad_sectors(stripe, blocks=[4]):
            for site in others:
                site.go(up=True)
            await trio.sleep(100 * SETTLED)
            assert stripe not in stripes_of(owner, b"a")
            assert stripe in stripes_of(owner, b"b")
            assert describe_disk(own)["lost_content"] == 1
            report = await check(own, lambda step, done, total: None, deep=False, repair=False)
            assert report["lost"] == ["/b"]
            (finding,) = report["findings"]
            assert finding["text"] == f"stripe {stripe} has 1 of the 2 blocks needed, and cannot be read here"
            await owner.apply(("unlink", ((b"b",),)))
            last = await settle(owner)
            assert own.ledger.progress.barrier == last

    play(tmp_path, Geometry(2, 1), main)


def test_a_full_cache_does_not_keep_what_can_be_read_from_being_written_again(tmp_path: Path) -> None:
    """Nothing in it becomes safe before that is: a sector could not be read once."""

    async def main(owner: Owner) -> None:
        own, stage = owner.own, owner.own.local.stage
        await trio.sleep(SETTLED)
        for site in owner.world.sites:
            site.go(up=False)
        await trio.sleep(SETTLED)
        await write(owner, b"a", 2000)
        (stripe,) = stripes_of(owner, b"a")
        owner.side.evicted[stripe] = stage.contents.path(stripe).read_bytes()
        await own.committer.close_group()
        number = 0
        while stage.may_append(2000):
            number += 1
            await write(owner, b"f%d" % number, 60_000)
            await own.committer.close_group()
        with bad_sectors(stripe, blocks=[0]):
            for site in owner.world.sites:
                site.go(up=True)
            while (sealed := own.log.get(stripe)) is None:
                await trio.sleep(0.01)
            assert sealed.tag == UNREADABLE
        await trio.sleep(100 * SETTLED)
        assert stripe not in stripes_of(owner, b"a")
        assert own.ledger.progress.barrier == own.ledger.progress.sealed
        assert describe_disk(own)["lost_content"] == 0

    play(tmp_path, Geometry(2, 1), main, cache=8)


def test_what_came_back_after_a_takeover_is_not_lost_though_a_part_of_it_had_died(tmp_path: Path) -> None:
    """The local disk has all of a stripe, and nobody knows of whom its dead bytes were; partners lose its blocks."""

    async def main(owner: Owner) -> None:
        for name in (b"a", b"b"):
            await write(owner, name, SIZE)
        (stripe,) = stripes_of(owner, b"a")
        await settle(owner)
        await owner.apply(("unlink", ((b"a",),)))
        await settle(owner)
        heir = await heir_of(owner, tmp_path / "heir")
        async with running(heir):
            own = heir.own
            await trio.sleep(100 * SETTLED)
            sealed = own.log.get(stripe)
            assert sealed is not None
            assert sealed.place is not None
            assert own.local.stage.contents.is_fetched(stripe)
            for site in heir.world.sites[:2]:
                del site.host.only_store.blocks[sealed.place.row]
                heir.world.trace.lose(site.number, sealed.place.row)
                site.cut()
            await trio.sleep(1000 * SETTLED)
            assert stripes_of(heir, b"b") != [stripe]
            assert own.ledger.progress.barrier == own.ledger.progress.sealed
            assert not own.ledger.progress.lost

    play(tmp_path, Geometry(2, 1), main)


def test_what_was_overwritten_in_the_same_stripe_is_not_mistaken_for_what_is_bad(tmp_path: Path) -> None:
    """The file was written twice; the first copy can be read, and block 4, of the second, cannot."""

    async def main(owner: Owner) -> None:
        own = owner.own
        await write(owner, b"a", SIZE)
        await write(owner, b"a", SIZE)
        (stripe,) = stripes_of(owner, b"a")
        ino = own.disk.tree.lookup(1, b"a").ino
        expected = owner.side.content(ino, 0, SIZE)
        owner.side.evicted[stripe] = own.local.stage.contents.path(stripe).read_bytes()
        with bad_sectors(stripe, blocks=[4]):
            await settle(owner)
            runs = own.local.metadata.extents.runs(ino, 0, SIZE)
            assert [(run.offset, run.stripe == stripe) for run in runs] == [(0, False), (4096, True), (8192, False)]
        assert owner.side.content(ino, 0, SIZE) == expected

    play(tmp_path, Geometry(1, 1), main)


UNIT = Run(0, 9000, 1, 4000, 3000, 9000, 0, ZSTD)
PIECE = Run(500, 9000, 1, 4000, 9000, 9000, 0, PLAIN)


@pytest.mark.parametrize(
    ("run", "bad", "parts"),
    [
        (UNIT, {3}, [(0, 9000)]),
        (UNIT, {1}, []),
        (PIECE, {4}, [(500, 9500)]),
        (PIECE, {0}, [(596, 9500)]),
        (PIECE, {1}, [(500, 596), (4692, 9500)]),
        (PIECE, {1, 2}, [(500, 596), (8788, 9500)]),
        (PIECE, {3}, [(500, 8788)]),
        (PIECE, {0, 1, 2, 3}, []),
    ],
)
def test_parts_that_can_be_read(run: Run, bad: set[int], parts: list[tuple[int, int]]) -> None:
    """Of bytes 4000 to 12999 of a stripe, or 4000 to 6999; block 1 begins at byte 4096."""
    found = good_parts(bad, run)
    assert [(part.offset, part.end) for part in found] == parts
    assert all(part.at - part.offset == run.at - run.offset for part in found)
