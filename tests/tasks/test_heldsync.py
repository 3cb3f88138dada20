"""fsync=partners: who asks waits until the change is held, together with others, and keeps nobody else waiting."""

from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from coopfs.app.disk.mount_settings import MountSettings
from coopfs.config import CacheSize, Compression, Fsync
from coopfs.errors import StateError, UsageError
from coopfs.fs.posix import PosixError
from coopfs.limits import ROOT_INO
from coopfs.tasks.writing import heldsync
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, write

ALL = range(4)


def inode(owner: Owner, name: bytes) -> int:
    return owner.own.disk.tree.lookup(ROOT_INO, name).ino


def newest_group(owner: Owner, ino: int) -> int:
    return owner.own.local.metadata.images.newest_group(owner.own.local.metadata.nodes.get(ino))


def go(owner: Owner, *, up: bool) -> None:
    for number in ALL:
        owner.world.sites[number].go(up=up)


def test_what_was_synced_is_held(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        progress = owner.own.ledger.progress
        for number in range(3):
            await write(owner, b"f", 50_000)
            ino = inode(owner, b"f")
            assert newest_group(owner, ino) > progress.barrier
            with trio.fail_after(5):  # not when the group is old
                await owner.own.held_sync.sync(ino)
            assert progress.barrier >= newest_group(owner, ino), number
        await owner.own.held_sync.sync(ROOT_INO)
        assert progress.barrier >= newest_group(owner, ROOT_INO)

    play(tmp_path, Geometry(2, 2), main)


def test_what_is_held_already_costs_nothing(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await write(owner, b"f", 1000)
        await owner.own.held_sync.sync(inode(owner, b"f"))
        await write(owner, b"other", 1000)
        go(owner, up=False)
        await trio.sleep(1)
        group = owner.own.local.metadata.group
        with trio.fail_after(0.001):
            await owner.own.held_sync.sync(inode(owner, b"f"))
        assert owner.own.local.metadata.group == group, "nor does it end a group"

    play(tmp_path, Geometry(2, 2), main)


def test_it_waits_for_partners_while_all_else_goes_on(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, up=False)
        await trio.sleep(1)
        await write(owner, b"f", 1000)
        done = trio.Event()

        async def sync() -> None:
            await owner.own.held_sync.sync(inode(owner, b"f"))
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(sync)
            await trio.sleep(1000)
            assert not done.is_set()
            assert owner.own.held_sync.waiting == 1
            with trio.fail_after(5):
                await write(owner, b"more", 50_000)
                await owner.own.committer.commit()
                assert await owner.own.committer.close_group()
            go(owner, up=True)
            with trio.fail_after(3600):
                await done.wait()
        assert owner.own.held_sync.waiting == 0

    play(tmp_path, Geometry(2, 2), main)


def test_who_comes_together_shares_groups(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = 50
        done = 0

        async def work(number: int) -> None:
            nonlocal done
            await trio.sleep(number / 1000)
            await write(owner, b"%d" % number, 100)
            await owner.own.held_sync.sync(inode(owner, b"%d" % number))
            assert owner.own.ledger.progress.barrier >= newest_group(owner, inode(owner, b"%d" % number))
            done += 1

        first = owner.own.local.metadata.group
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(work, number)
        assert done == count
        assert owner.own.local.metadata.group - first <= 4

    play(tmp_path, Geometry(2, 2), main)


def test_nobody_waits_for_what_will_not_be(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, up=False)
        await trio.sleep(1)
        told = []

        async def sync(name: bytes) -> None:
            with pytest.raises(StateError, match="the daemon stops"):
                await owner.own.held_sync.sync(inode(owner, name))
            told.append(name)

        async with trio.open_nursery() as nursery:
            for name in (b"a", b"b", b"c"):
                await write(owner, name, 1000)
                nursery.start_soon(sync, name)
                await trio.sleep(SETTLED)
            owner.own.held_sync.give_up(StateError("the daemon stops"))
        await sync(b"a")
        assert sorted(told) == [b"a", b"a", b"b", b"c"]

    play(tmp_path, Geometry(2, 2), main)


def test_those_who_wait_are_bounded(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        go(owner, up=False)
        await trio.sleep(1)
        await write(owner, b"f", 1000)
        with patch.object(heldsync, "MAX_FSYNCS", 3):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(owner.own.held_sync.sync, inode(owner, b"f"))
                await trio.sleep(1)
                with pytest.raises(PosixError, match="Input/output"):
                    await owner.own.held_sync.sync(inode(owner, b"f"))
                nursery.cancel_scope.cancel()
        assert owner.own.held_sync.waiting == 0

    play(tmp_path, Geometry(2, 2), main)


def test_mount_options_stand_in_for_settings() -> None:
    home = MountSettings(cache=CacheSize(5))
    assert home.with_options(["ro", "fsync=partners"]) == (MountSettings(CacheSize(5), fsync=Fsync.PARTNERS), ["ro"])
    synced = MountSettings(CacheSize(5), Compression(3), Fsync.PARTNERS)
    assert synced.with_options(["cache=7", "fsync=local", "compress=off"]) == (MountSettings(CacheSize(7)), [])
    with pytest.raises(UsageError, match="use local or partners"):
        home.with_options(["fsync=both"])
