"""What the mount compresses, and what becomes of requests that come while others are compressed."""

import errno
import os
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from pyfuse3 import FUSEError

from coopfs.core.units import FASTEST, PLAIN, ZSTD, compress, plain
from coopfs.fs.compressing import Compressor
from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.ports import NothingToCommit
from coopfs.limits import AT_ONCE_BYTES, UNIT_MAX
from tests.fs.operations import ME
from tests.fs.parts import commit, new_disk, open_disk

WIDE = {"epoch": 1, "k": 6, "shard_length": 256 * 1024}
TEXT = b"the same again " * 70_000  # 1 MiB
NOISE = Random(1).randbytes(1 << 20)


async def codecs(compressor: Compressor, ino: int, data: bytes) -> list[int]:
    portions = await compressor.portions(ino, data)
    assert b"".join(portion.raw for portion in portions) == data
    return [portion.codec for portion in portions]


@pytest.mark.parametrize("size", [4096, AT_ONCE_BYTES, UNIT_MAX, len(TEXT)])
async def test_what_shrinks_becomes_units_and_what_does_not_stays_plain(size: int) -> None:
    compressor = Compressor(lambda: UNIT_MAX)
    assert await codecs(compressor, 7, TEXT[:size]) == [PLAIN]  # until it is asked to
    compressor.level = 1
    assert set(await codecs(compressor, 7, TEXT[:size])) == {ZSTD}
    assert await codecs(compressor, 7, NOISE[:size]) == [PLAIN]
    compressor.level = 19
    assert set(await codecs(compressor, 8, TEXT[:size])) == {ZSTD}


async def test_a_file_that_does_not_shrink_goes_by_untried_for_a_while() -> None:
    compressor = Compressor(lambda: UNIT_MAX)
    compressor.level = 1
    assert await codecs(compressor, 7, NOISE[:UNIT_MAX]) == [PLAIN]
    assert await codecs(compressor, 7, TEXT[:UNIT_MAX]) == [PLAIN]
    assert await codecs(compressor, 7, TEXT[:UNIT_MAX]) == [ZSTD]
    assert await codecs(compressor, 8, TEXT[:UNIT_MAX]) == [ZSTD]


def file(disk: Disk, name: bytes) -> tuple[int, int]:
    """Inode and handle of a new file."""
    node = disk.tree.create(1, name, 0o100644, 0, 0)
    return node.ino, disk.open(node, os.O_WRONLY, ME)


def content(disk: Disk, ino: int, size: int) -> bytes:
    whole, missing = disk.files.read(ino, 0, size)
    for part in missing:
        disk.stage.wait_into(part.stripe, part.at, part.room.view())
        assert part.finish()
    return bytes(whole.view())


async def test_requests_that_are_compressed_meanwhile_are_each_applied_whole(tmp_path: Path) -> None:
    """Large ones go through threads; others overtake them, and every file is what its last request made of it."""
    disk = new_disk(tmp_path, WIDE)
    disk.compressor.level = 1
    handlers = Handlers(disk, NothingToCommit())
    files = [file(disk, b"%d" % number) for number in range(8)]
    async with trio.open_nursery() as nursery:
        for number, (_, handle) in enumerate(files):
            nursery.start_soon(handlers.write, handle, 0, TEXT[number : number + 300_000])
            nursery.start_soon(handlers.write, handle, 300_000, TEXT[: 3000 + number])
    for number, (ino, handle) in enumerate(files):
        await handlers.write(handle, 100_000, b"%d" % number)
        expected = TEXT[number : number + 100_000] + b"%d" % number + TEXT[number + 100_001 : number + 300_000]
        assert content(disk, ino, 1 << 20) == expected + TEXT[: 3000 + number]
        assert disk.metadata.nodes.get(ino).stored < 20_000
    commit(disk)
    disk.close()


async def test_a_file_that_was_closed_and_removed_while_its_request_was_compressed_stays_away(tmp_path: Path) -> None:
    """As after a kill: the kernel has let go of the file, and the request is still under way."""
    disk = new_disk(tmp_path, WIDE)
    disk.compressor.level = 1
    handlers = Handlers(disk, NothingToCommit())
    ino, handle = file(disk, b"a")
    refused: list[int] = []

    async def write() -> None:
        with pytest.raises(FUSEError) as caught:
            await handlers.write(handle, 0, TEXT)
        refused.append(caught.value.errno)

    threads = disk.compressor._threads
    threads.total_tokens = 1
    async with trio.open_nursery() as nursery, threads:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        disk.tree.unlink(1, b"a")
        disk.release(handle)
    assert refused == [errno.ENOENT]
    assert disk.metadata.nodes.find(ino) is None
    assert not disk.database.failed
    disk.close()


def test_holes_beside_units_stay_holes_and_survive_a_restart(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    ino, handle = file(disk, b"a")
    opened = disk.handles.get(handle)
    (unit,) = compress(bytes(disk.stage.unit), disk.stage.unit, FASTEST)
    disk.files.write(opened, 1 << 20, [unit])
    disk.files.write(opened, 5 << 20, [plain(b"end")])
    stored = disk.metadata.nodes.get(ino).stored
    assert stored < 100
    assert content(disk, ino, 10 << 20) == bytes(5 << 20) + b"end"
    commit(disk)
    disk.close()
    disk = open_disk(tmp_path)
    assert disk.metadata.nodes.get(ino).stored == stored
    assert content(disk, ino, 10 << 20) == bytes(5 << 20) + b"end"
    disk.close()
