"""What a lost disk had not sent comes into lost+found, once and whole, through crashes and full disks."""

import errno
import io
import os
from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.app.disk.status import describe_disk
from coopfs.core.stripe import Fragment
from coopfs.core.units import FASTEST, PLAIN, ZSTD, compress
from coopfs.fs.callers import ROOT
from coopfs.fs.handlers import Handlers
from coopfs.limits import SALVAGE_RETRY
from coopfs.local import unsent
from coopfs.local.stageindex import encode_slots
from coopfs.local.unsent import DAMAGED, UNSENT
from tests.sim.history import History
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, running

PLAIN_BYTES = Random(5).randbytes(40_000)
UNIT = bytes(range(256)) * 40


def _lost_disk(disks: Path, epoch: int = 3) -> Path:
    """Two files, one of them in pieces and with a compressed one, and one that nobody knows."""
    place = disks / f"{DAMAGED}{epoch}" / UNSENT
    place.mkdir(parents=True)
    (unit,) = compress(UNIT, len(UNIT), FASTEST)
    packed = bytes(unit.stored)
    contents = {
        7: [(50, 8192, PLAIN_BYTES[:20_000]), (51, 0, b"old"), (50, 100_000, PLAIN_BYTES[20_000:])],
        12: [(51, 0, b"newer"), (50, 500_000, packed)],
        13: [(0, 0, b"whose?")],
    }
    for stripe, pieces in contents.items():
        fragments = [
            Fragment(ino, offset, len(UNIT), 1, b"a", ZSTD, len(data))
            if data == packed
            else Fragment(ino, offset, len(data), 1, b"a", PLAIN)
            for ino, offset, data in pieces
        ]
        content = b"".join(data for _, _, data in pieces)
        (place / str(stripe)).write_bytes(content + encode_slots(stripe, 9, fragments))
    return place.parent


EXPECTED = {
    b"inode-50": bytes(8192) + PLAIN_BYTES[:20_000] + bytes(71_808) + PLAIN_BYTES[20_000:] + bytes(380_000) + UNIT,
    b"inode-51": b"newer",
    b"stripe-13": b"whose?",
}


async def _tree(owner: Owner, *path: bytes) -> dict[bytes, bytes]:
    """The files of a directory."""
    metadata, ino = owner.own.local.metadata, 1
    for name in path:
        found = metadata.names.find(ino, name)
        assert found is not None, name
        ino = found
    files = {}
    for _, name, child in metadata.names.page(ino, 0, 100):
        node = metadata.nodes.get(child)
        handle = owner.own.disk.open(node, os.O_RDONLY, ROOT)
        files[name] = bytes(await Handlers(owner.own.disk, owner.own.committer).read(handle, 0, node.size))
        owner.own.disk.release(handle)
    return files


def test_everything_is_found_by_inode_and_offset(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        place = _lost_disk(owner.platter.directory.parent)
        await owner.die(power=False)
        async with running(owner):
            owner.be_unseen()
            await owner.own.ready.wait()
            while owner.own.salvager.left == 0:
                await trio.sleep(0.01)
            assert describe_disk(owner.own)["unsent"] == {"bytes": owner.own.salvager.left, "trouble": None}
            await trio.sleep(SETTLED)
            assert await _tree(owner, b"lost+found", b"epoch-3") == EXPECTED
            assert describe_disk(owner.own)["unsent"] is None
            assert not place.exists()
            stored = owner.own.local.metadata.nodes
            root = stored.get(1)
            lost = owner.own.local.metadata.names.find(1, b"lost+found")
            assert lost is not None
            assert (stored.get(lost).mode & 0o7777, stored.get(lost).uid, root.nlink) == (0o700, root.uid, 3)

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("seed", range(4))
def test_it_goes_on_after_crashes_and_takes_nothing_away_too_early(tmp_path: Path, seed: int) -> None:
    async def main(owner: Owner) -> None:
        random = Random(seed)
        place = _lost_disk(owner.platter.directory.parent)
        while place.exists():
            await owner.die(power=random.random() < 0.5)
            owner.history = History()
            async with running(owner):
                owner.be_unseen()
                await trio.sleep(random.choice([0.05, 0.5, 2, SETTLED]))
        await owner.die(power=True)
        owner.history = History()
        async with running(owner):
            owner.be_unseen()
            await owner.own.ready.wait()
            assert await _tree(owner, b"lost+found", b"epoch-3") == EXPECTED

    play(tmp_path, Geometry(2, 1), main)


def test_names_that_are_taken_are_left_alone(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"lost+found", 100)
        _lost_disk(owner.platter.directory.parent)
        await owner.die(power=False)
        async with running(owner):
            owner.be_unseen()
            await trio.sleep(SETTLED)
            assert await _tree(owner, b"lost+found.1", b"epoch-3") == EXPECTED

    play(tmp_path, Geometry(2, 1), main)


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        names = 0
        while owner.own.space.figures()[1] > 30_000:
            await group_of(owner, b"%d" % names, min(200_000, owner.own.space.figures()[1] - 20_000))
            await trio.sleep(5)
            names += 1
        await trio.sleep(SETTLED)
        place = _lost_disk(owner.platter.directory.parent)
        await owner.die(power=False)
        async with running(owner):
            owner.be_unseen()
            await trio.sleep(SETTLED)
            told = describe_disk(owner.own)["unsent"]
            assert told is not None
            assert told["trouble"] == "the disk is full: delete something"
            assert place.exists()
            for number in range(names):
                await owner.apply(("unlink", ((b"%d" % number,),)))
            await owner.own.committer.close_group()
            await trio.sleep(SALVAGE_RETRY + SETTLED)
            assert await _tree(owner, b"lost+found", b"epoch-3") == EXPECTED
            assert not place.exists()

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("bad", ["content", "unit", "index"])
def test_a_bad_sector_costs_a_block_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """It may be a loose cable, and nobody else has these bytes."""

    async def main(owner: Owner) -> None:
        place = _lost_disk(owner.platter.directory.parent)
        path = place / UNSENT / ("7" if bad == "content" else "12")
        spot = {"content": 4096 + 1, "unit": 10, "index": path.stat().st_size - 1}[bad]
        pread, inode = os.pread, path.stat().st_ino

        def fails(descriptor: int, size: int, at: int) -> bytes:
            if at <= spot < at + size and os.fstat(descriptor).st_ino == inode:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return pread(descriptor, size, at)

        class Reading(io.FileIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return fails(self.fileno(), size or 0, self.tell()) and super().read(size)

        monkeypatch.setattr(os, "pread", fails)
        monkeypatch.setattr(unsent, "open", lambda path, *_, **__: Reading(path), raising=False)
        await owner.die(power=False)
        async with running(owner):
            owner.be_unseen()
            await owner.own.ready.wait()
            await trio.sleep(SETTLED)
            found = await _tree(owner, b"lost+found", b"epoch-3")
            whole = EXPECTED[b"inode-50"]
            if bad == "content":
                assert found == EXPECTED | {b"inode-50": whole[: 8192 + 4096] + bytes(4096) + whole[8192 + 8192 :]}
            else:
                assert found[b"inode-50"] == whole[:120_000]
            kept = place.with_name(f"{place.name}-unread")
            assert [each.name for each in kept.iterdir()] == [path.name]
            assert not place.exists()
            told = describe_disk(owner.own)["unsent"]
            assert told == {"bytes": 0, "trouble": f"what the local disk does not read of it is kept in {kept}"}
        await owner.die(power=False)
        owner.history = History()
        async with running(owner):
            await trio.sleep(SETTLED)
            assert describe_disk(owner.own)["unsent"] == told
            assert kept.exists()

    play(tmp_path, Geometry(2, 1), main)
