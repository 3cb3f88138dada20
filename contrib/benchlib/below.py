"""A disk of many files below the mount, without partners.

    python -m benchlib.below DIRECTORY FILES      # what the parent starts: one line of JSON

1. files of 16 bytes are created, a thousand in a directory, and committed as the daemon does;
2. the disk is closed and opened again;
3. files are looked up by chance, and then all are listed;
4. a file of 1 TiB gets a tenth as many writes of 16 bytes by chance, is read by chance, and cut to the half.

Times are seconds of CPU, memory bytes.
"""

import json
import random
import resource
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from coopfs.core.geometry import shard_capacity
from coopfs.core.units import plain
from coopfs.errors import ContentUnavailable
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.files import Changes
from coopfs.fs.handles import Handle
from coopfs.limits import DEFAULT_BLOCK_SIZE, GROUP_IMAGES, KIB, ROOT_INO
from coopfs.local.disk import LocalDisk, create_disk

CONTENT = bytes(16)
PER_DIRECTORY = 1000
LOOKUPS = 10_000
SPARSE = 1 << 40  # bytes
WRITES_SHARE = 10


class _Room:
    """Space without end."""

    def admit(self, data_bytes: int, images: int) -> None:
        """Everything fits."""

    def admit_free(self) -> None:
        """Everything may go."""

    def figures(self) -> tuple[int, int]:
        return 0, 0


class _NoPartners:
    async def read(self, stripe: int, at: int, length: int) -> bytes:
        raise ContentUnavailable("all content is here")


def _open(directory: Path) -> Disk:
    return Disk(LocalDisk(directory, time.time_ns), _Room(), _NoPartners(), lambda stripes, group: "")


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _fill(disk: Disk, files: int) -> None:
    tree, regular, directory = disk.tree, stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
    parent = ROOT_INO
    for number in range(files):
        if number % PER_DIRECTORY == 0:
            parent = tree.create(ROOT_INO, b"d%d" % (number // PER_DIRECTORY), directory, 0, 0).ino
        handle = disk.open(tree.create(parent, b"f%d" % number, regular, 0, 0), 1, ROOT)
        disk.files.write(disk.handles.get(handle), 0, [plain(CONTENT)])
        disk.release(handle)
        if disk.metadata.images.count >= GROUP_IMAGES:
            _close_group(disk)
    _close_group(disk)


def _close_group(disk: Disk) -> None:
    disk.metadata.close_group(disk.stage)
    disk.database.commit()
    disk.database.checkpoint()


def _look_up(disk: Disk, files: int) -> None:
    chance = random.Random(files)
    for number in (chance.randrange(files) for _ in range(LOOKUPS)):
        disk.tree.lookup(disk.tree.lookup(ROOT_INO, b"d%d" % (number // PER_DIRECTORY)).ino, b"f%d" % number)


def _list(disk: Disk) -> None:
    for _, _, directory in disk.metadata.names.page(ROOT_INO, 0, sys.maxsize):
        for _, _, ino in disk.metadata.names.listing(directory, 0):
            disk.metadata.nodes.get(ino)


def _write_sparse(disk: Disk, writes: int) -> Handle:
    """Sixteen bytes here and there in a file of 1 TiB."""
    regular, chance = stat.S_IFREG | 0o644, random.Random(writes)
    handle = disk.handles.get(disk.open(disk.tree.create(ROOT_INO, b"sparse", regular, 0, 0), 1, ROOT))
    for _ in range(writes):
        disk.files.write(handle, chance.randrange(SPARSE), [plain(CONTENT)])
        if disk.metadata.images.count >= GROUP_IMAGES:
            _close_group(disk)
    _close_group(disk)
    return handle


def _read_sparse(disk: Disk, handle: Handle) -> None:
    chance = random.Random(0)
    for _ in range(LOOKUPS):
        disk.files.read(handle.ino, chance.randrange(SPARSE), 128 * KIB)


def measure(directory: Path, files: int) -> dict[str, float]:
    """In this process, whose memory is that of the disk afterwards. directory: exists and is empty."""
    facts = {"epoch": 1, "k": 6, "shard_length": shard_capacity(DEFAULT_BLOCK_SIZE)}
    create_disk(directory, time.time_ns, 0, 0, facts)
    disk = _open(directory)
    found = {"create": _timed(lambda: _fill(disk, files)) / files}
    disk.close()
    found["open"] = _timed(lambda: _open(directory).close())
    disk = _open(directory)
    found["lookup"] = _timed(lambda: _look_up(disk, files)) / LOOKUPS
    found["listing"] = _timed(lambda: _list(disk)) / files
    writes = max(files // WRITES_SHARE, 10)
    began = time.process_time()
    handle = _write_sparse(disk, writes)
    found["sparse_write"] = (time.process_time() - began) / writes
    found["sparse_read"] = _timed(lambda: _read_sparse(disk, handle)) / LOOKUPS
    found["sparse_cut"] = _timed(lambda: disk.files.set_attributes(handle.ino, Changes(size=SPARSE // 2), ROOT))
    disk.close()
    found["memory_below"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    return found


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
