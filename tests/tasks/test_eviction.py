"""The cache of a disk with partners: content leaves when it is safe, comes back when it is read, writers wait."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
import trio

from coopfs.app.disk.cache_size import set_cache_size
from coopfs.config import AUTO_CACHE, CacheSize
from coopfs.core.cache import charge_of
from coopfs.core.stripe import Fragment
from coopfs.errors import StateError, UsageError
from coopfs.limits import AWAY_AFTER, DEFAULT_CACHE, LOCAL_HEADROOM
from coopfs.local.disk import STAGE
from coopfs.local.stageindex import encode_slots, index_size
from coopfs.types import Kind
from tests.sim.owner import Owner
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, running, sleep_through, write

SIZE = 60_000  # bytes of one file


async def settle(owner: Owner) -> None:
    await owner.own.committer.close_group()
    await trio.sleep(SETTLED)


def go(owner: Owner, columns: Sequence[int], *, up: bool) -> None:
    for number in columns:
        owner.world.sites[number].go(up=up)


async def read_all(owner: Owner) -> None:
    for (ino,) in owner.own.local.database.read("SELECT ino FROM inodes ORDER BY ino").fetchall():
        assert await owner.read_file(ino), ino


def absent(owner: Owner) -> list[int]:
    """Data stripes whose content is not here."""
    rows = owner.own.local.database.read(f"SELECT id FROM stripes WHERE kind = {Kind.DATA:d} AND row IS NOT NULL")
    return [id_ for (id_,) in rows if id_ not in owner.own.local.cache]


async def fill_up(owner: Owner) -> None:
    """Until a writer would wait for longer than any group stays open."""
    with trio.move_on_after(10_000):
        for number in range(100):
            with trio.move_on_after(100) as patience:
                await owner.own.committer.until_may_append(SIZE)
            if patience.cancelled_caught:
                return
            await write(owner, b"%d" % number, SIZE)
    raise AssertionError("the cache does not fill")


async def fill(owner: Owner, files: int) -> None:
    for number in range(files):
        await write(owner, b"%d" % number, SIZE)
    await settle(owner)


def test_three_times_the_cache_is_written_and_read_back(tmp_path: Path) -> None:
    """The cap and every byte are checked by the owner at each step."""

    async def main(owner: Owner) -> None:
        await fill(owner, 30)
        cache = owner.own.local.cache
        assert cache.size is not None
        assert 30 * SIZE > 3 * cache.size >= cache.used
        assert len(absent(owner)) > 10
        await read_all(owner)
        go(owner, [0, 3], up=False)
        await read_all(owner)

    play(tmp_path, Geometry(2, 2), main, cache=5)


def test_nothing_goes_while_it_is_not_safe_and_writers_wait(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await write(owner, b"old", SIZE)
        await settle(owner)
        go(owner, range(4), up=False)
        await trio.sleep(1)
        written = []

        async def writer() -> None:
            for number in range(30):
                await owner.own.committer.until_may_append(SIZE)
                await write(owner, b"%d" % number, SIZE)
                written.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer)
            await trio.sleep(600)
            stuck = len(written)
            cache = owner.own.local.cache
            assert 0 < stuck < 30
            assert owner.own.committer.waiting == 1
            assert cache.clean == 0 or absent(owner) == []
            with trio.fail_after(0.001):  # of a clock that stands still while nobody waits
                for operation in (
                    ("unlink", ((b"0",),)),
                    ("mkdir", ((b"d",), 0o755)),
                    ("rmdir", ((b"d",),)),
                    ("truncate", ((b"1",), 5)),
                    ("chmod", ((b"1",), 0o600)),
                    ("rename", ((b"1",), (b"one",), 0)),
                ):
                    await owner.apply(operation)
            assert len(written) == stuck
            go(owner, range(4), up=True)
            with trio.fail_after(3600):
                while len(written) < 30:
                    await trio.sleep(1)
        await settle(owner)
        await read_all(owner)

    play(tmp_path, Geometry(2, 2), main, cache=6)


def test_deleting_what_no_closed_group_names_makes_room_without_partners(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, range(3), up=False)
        await trio.sleep(1)
        count = 0
        while owner.own.committer.may_append(SIZE):
            await write(owner, b"%d" % count, SIZE)
            count += 1
        dirty = owner.own.local.cache.dirty
        for number in range(count):
            await owner.apply(("unlink", ((b"%d" % number,),)))
        await owner.own.committer.commit()
        assert owner.own.local.cache.dirty < dirty
        assert owner.own.committer.may_append(SIZE)

    play(tmp_path, Geometry(2, 1), main, cache=40)


def test_who_waits_is_told_when_nothing_will_be_sent_any_more(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, range(3), up=False)
        await trio.sleep(1)
        await fill_up(owner)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def waits() -> None:
                with pytest.raises(StateError, match="taken over"):
                    await owner.own.committer.until_may_append(SIZE)

            await trio.sleep(1)
            owner.own.committer.give_up(StateError("taken over"))

    play(tmp_path, Geometry(2, 1), main, cache=5)


def test_content_whose_margin_falls_to_nothing_is_fetched_back_and_stays(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await fill(owner, 30)
        cache = owner.own.local.cache
        before = absent(owner)
        assert len(before) > 10
        cache.limit(40 * (cache.used // len(cache)), None)
        go(owner, [0, 3], up=False)
        await trio.sleep(SETTLED)
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.margin() == 0
        assert cache.clean == 0, "nothing may go any more"
        assert cache.size is not None
        assert len(before) > len(absent(owner))
        assert max(before) in cache, "the newest first"
        assert cache.dirty >= cache.size // 2 or not absent(owner)
        go(owner, [0, 3], up=True)
        await trio.sleep(SETTLED)
        assert cache.dirty == 0
        await read_all(owner)

    play(tmp_path, Geometry(2, 2), main, cache=8)


def test_torn_files_of_fetched_content_are_not_read_after_a_power_loss(tmp_path: Path) -> None:
    """Each by one byte, at their full length."""

    async def main(owner: Owner) -> None:
        await fill(owner, 30)
        await read_all(owner)
        stage = owner.own.local.stage
        fetched = sorted(stage.contents.directory.glob("*.fetched"))
        assert fetched
        await owner.die(power=False)
        for torn, path in enumerate((owner.platter.directory / "stage").glob("*.fetched")):
            data = bytearray(path.read_bytes())
            data[Random(torn).randrange(len(data))] ^= 1
            path.write_bytes(data)
        async with running(owner):
            await trio.sleep(SETTLED)
            await read_all(owner)
            assert owner.own.local.cache.used <= (owner.own.local.cache.size or 0)

    play(tmp_path, Geometry(2, 2), main, cache=8)


def test_a_warm_cache_is_used_after_a_restart(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await fill(owner, 30)
        await read_all(owner)
        await trio.sleep(SETTLED)  # what is read ahead comes in
        await owner.own.committer.commit()
        await owner.die(power=False)
        here = {path.name for path in (owner.platter.directory / "stage").iterdir()}
        async with running(owner):
            cache = owner.own.local.cache
            assert len(cache) == len(here)
            assert cache.used == sum(
                charge_of(path.stat().st_size) for path in (owner.platter.directory / "stage").iterdir()
            )
            go(owner, range(4), up=False)
            last = max(id_ for id_ in range(1, 200) if id_ in cache)
            buffer = bytearray(100)
            await trio.to_thread.run_sync(owner.own.local.stage.wait_into, last, 0, memoryview(buffer))
            assert any(buffer)

    play(tmp_path, Geometry(2, 2), main, cache=8)


def test_compaction_of_evicted_content_stays_within_the_cap(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for number in range(150):
            await write(owner, b"%d" % number, 30_000)
        await settle(owner)
        for number in range(150):
            if number % 3:
                await owner.apply(("unlink", ((b"%d" % number,),)))
        sparse, _ = owner.own.ledger.log.live_data()
        for _ in range(4):
            await write(owner, b"tick", 10)
            await settle(owner)
        assert owner.own.ledger.log.live_data()[0] < sparse
        await read_all(owner)

    play(tmp_path, Geometry(2, 1), main, cache=6)


def test_without_redundancy_the_cache_is_the_disk_and_its_end_is_told(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        counts = []
        for _ in range(2):
            count = 0
            before = owner.own.space.figures()[1]
            while await put(owner, b"%d" % count) == SIZE:
                count += 1
                await settle(owner)
            counts.append(count)
            assert count * SIZE <= before
            assert owner.own.space.figures()[1] < SIZE
            for number in range(count + 1):
                await owner.apply(("unlink", ((b"%d" % number,),)))
            await settle(owner)
            await settle(owner)
        assert counts[0] == counts[1] > 3

    async def put(owner: Owner, name: bytes) -> object:
        for operation in (("create", ((name,), 0o644)), ("open", (0, (name,), True))):
            await owner.apply(operation)
        answer = await owner.apply(("write", (0, 0, bytes(SIZE))))
        await owner.apply(("close", (0,)))
        return answer

    play(tmp_path, Geometry(2, 0), main, cache=6)


@pytest.mark.parametrize("redundancy", [0, 1])
def test_only_where_content_can_go_there_is_a_cap_unless_it_is_asked_for(tmp_path: Path, redundancy: int) -> None:
    async def main(owner: Owner) -> None:
        stage, layout = owner.own.local.stage, owner.own.ledger.layout
        for wanted, size in ((AUTO_CACHE, None if redundancy == 0 else DEFAULT_CACHE), (CacheSize(1 << 30), 1 << 30)):
            with patch("coopfs.app.disk.cache_size.free_bytes", lambda _: 2 * DEFAULT_CACHE):
                set_cache_size(stage, layout, wanted)
            assert stage.cache.size == size
            assert (stage.cache.dirty_size is None) == (redundancy == 0)
        for too_little in (0, stage.least_cache - 1):
            with pytest.raises(UsageError, match="too small"):
                set_cache_size(stage, layout, CacheSize(too_little))

    play(tmp_path, Geometry(2, redundancy), main)


def test_clean_content_gives_way_to_other_programs_then_writes_are_refused(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await fill(owner, 8)
        stage = owner.own.local.stage
        clean = stage.cache.clean
        assert clean > 2 * SIZE
        with patch("coopfs.local.stage.free_bytes", lambda _: LOCAL_HEADROOM + stage.capacity - 1):
            await write(owner, b"one more", SIZE)
            assert 0 < stage.cache.clean < clean
            await settle(owner)
            await read_all(owner)
        with (
            patch("coopfs.local.stage.free_bytes", lambda _: 0),
            patch("coopfs.tasks.writing.space.free_bytes", lambda _: 0),
        ):
            assert owner.own.space.figures()[1] == 0
            await owner.apply(("create", ((b"refused",), 0o644)))
            await owner.apply(("unlink", ((b"one more",),)))
        await read_all(owner)

    play(tmp_path, Geometry(2, 1), main, cache=40)


def test_what_others_leave_of_the_local_disk_is_free_if_it_ends_before_writers_wait(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        cache, remote = owner.own.local.cache, owner.own.space.figures()[1]
        for left, free in ((cache.dirty_size, remote), (SIZE, SIZE), (0, 0)):
            assert left is not None
            with patch("coopfs.tasks.writing.space.free_bytes", lambda _, left=left: LOCAL_HEADROOM + left):
                assert owner.own.space.figures()[1] == free

    play(tmp_path, Geometry(2, 1), main, cache=20)


def test_a_stage_that_lacks_what_was_not_sent_is_refused(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, range(3), up=False)
        await trio.sleep(1)
        await write(owner, b"f", SIZE)
        await owner.own.committer.close_group()
        await owner.die(power=False)
        for path in (owner.platter.directory / "stage").iterdir():
            os.unlink(path)
        with pytest.RaisesGroup(pytest.RaisesExc(Violation, match="does not open.*is missing"), flatten_subgroups=True):
            async with running(owner):
                pass

    play(tmp_path, Geometry(2, 1), main, cache=6)


def test_what_has_rotten_here_is_not_appended_again(tmp_path: Path) -> None:
    """It would get a tag of its own, and the partners' good blocks would go."""

    async def main(owner: Owner) -> None:
        own = owner.own
        await write(owner, b"a", SIZE)
        await settle(owner)
        ino = own.disk.tree.lookup(1, b"a").ino
        expected = owner.side.content(ino, 0, SIZE)
        (stripe,) = own.local.metadata.extents.stripes_of(ino)[:1]
        path = own.local.stage.contents.path(stripe)
        rotten = bytearray(path.read_bytes())
        rotten[100] ^= 1
        path.write_bytes(rotten)
        await own._compactor.empty(stripe, own.log.get(stripe).length)  # type: ignore[union-attr]
        assert stripe not in own.local.metadata.extents.stripes_of(ino)
        assert owner.side.content(ino, 0, SIZE) == expected

    play(tmp_path, Geometry(2, 1), main)


def test_a_local_disk_that_fails_makes_the_mount_read_only(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        async def fail() -> None:
            await trio.lowlevel.checkpoint()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        await owner.own._until_trouble(fail)
        assert owner.own.trouble == "the local disk failed: [Errno 5] Input/output error"
        assert owner.own.local.database.failed

    with pytest.RaisesGroup(Violation, flatten_subgroups=True):
        play(tmp_path, Geometry(1, 1), main)


def test_what_no_commit_names_stays_until_all_partners_have_shown_what_they_know(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await write(owner, b"a", SIZE)
        await settle(owner)
        await owner.die(power=False)
        path = owner.platter.directory / STAGE / "900000"
        path.write_bytes(bytes(100) + encode_slots(900_000, 1, [Fragment(7, 0, 100, 1, b"name")]))
        go(owner, [0], up=False)
        async with running(owner):
            await write(owner, b"b", SIZE)
            await settle(owner)
            await owner.die(power=False)
        async with running(owner):
            cache, contents = owner.own.local.cache, owner.own.local.stage.contents
            await write(owner, b"c", SIZE)
            await settle(owner)
            assert contents.path(900_000).exists()
            assert cache.stray == charge_of(100 + index_size(1))
            go(owner, [0], up=True)
            with trio.fail_after(3600):
                while cache.stray:
                    await trio.sleep(SETTLED)
            assert not contents.path(900_000).exists()

    play(tmp_path, Geometry(2, 1), main)


def test_only_what_may_turn_is_judged_anew_when_columns_go_or_come(tmp_path: Path) -> None:
    """A cache of 1 TB has 650,000 stripes. 1+2: with one column away all has a margin still, with two nothing has."""

    async def main(owner: Owner) -> None:
        await fill(owner, 5)
        cache, ledger = owner.own.local.cache, owner.own.ledger
        asked, really = [], cache.may_go

        def may_go(stripe: int) -> bool:
            asked.append(stripe)
            return really(stripe)

        cache.may_go = may_go
        assert cache.clean == cache.used > 0
        for away, clean, looks in ((0b001, cache.used, 0), (0b011, 0, len(cache)), (0, cache.used, len(cache))):
            ledger.set_away(away)
            assert (cache.clean, len(asked)) == (clean, looks)
            asked.clear()

    play(tmp_path, Geometry(1, 2), main)
