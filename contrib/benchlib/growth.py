"""How cost grows with the number of files: a disk of each size is made below the mount, in a process of its own.

    python growth.py DIRECTORY FILES      # what the parent starts: one line of JSON

1. files of 16 bytes are created, a thousand in a directory, and committed as the daemon does;
2. the disk is closed and opened again: that is what a mount waits for;
3. files are looked up by chance, and then all are listed;
4. what cleaning asks of a disk of this size is asked: how many images are alive.

Partners and FUSE cost the same for each file, whatever their number, and are left out.
"""

import json
import math
import random
import resource
import stat
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from coopfs.core.geometry import shard_capacity
from coopfs.core.units import plain
from coopfs.errors import ContentUnavailable
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.limits import DEFAULT_BLOCK_SIZE, GROUP_IMAGES, KIB, ROOT_INO
from coopfs.local.disk import LocalDisk, create_disk

CONTENT = bytes(16)
PER_DIRECTORY = 1000
LOOKUPS = 10_000
N_LOG_N = 1.2  # the exponent that n log n shows between 10^4 and 10^6 is 1.1: above this it is worse


@dataclass(frozen=True, slots=True)
class Size:
    """What a disk of so many files cost. Times in seconds, per file and per lookup in us, memory in MB (10^6 bytes)."""

    files: int
    create_us: float
    mount: float
    lookup_us: float
    listing_us: float
    count_images: float
    memory: float


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
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


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
        with closing(disk.metadata.names.listing(directory, 0)) as listing:
            for _, _, ino in listing:
                disk.metadata.nodes.get(ino)


def measure(directory: Path, files: int) -> Size:
    """In this process, whose memory is that of the disk afterwards. directory: exists and is empty."""
    facts = {"epoch": 1, "k": 6, "shard_length": shard_capacity(DEFAULT_BLOCK_SIZE)}
    create_disk(directory, time.time_ns, 0, 0, facts)
    disk = _open(directory)
    create = _timed(lambda: _fill(disk, files))
    disk.close()
    began = time.perf_counter()
    disk = _open(directory)
    disk.bury_orphans()
    mount = time.perf_counter() - began
    lookups, listing = _timed(lambda: _look_up(disk, files)), _timed(lambda: _list(disk))
    count = _timed(disk.metadata.totals.count)
    disk.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / 1e6
    return Size(files, create / files * 1e6, mount, lookups / LOOKUPS * 1e6, listing / files * 1e6, count, memory)


def run(work: Path, sizes: Sequence[int], watch: Callable[[str, int, int], None]) -> list[Size]:
    """Each size in a new process and directory below `work`."""
    found = []
    for number, files in enumerate(sizes):
        watch(f"growth: {files} files", number, len(sizes))
        directory = work / str(files)
        directory.mkdir()
        command = [sys.executable, __file__, str(directory), str(files)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found.append(Size(**json.loads(done.stdout)))
    return found


def exponent(sizes: Sequence[Size], cost: Callable[[Size], float]) -> float:
    """b of the best fit of cost = a x files^b: 0 constant, 1 linear."""
    x = [math.log(size.files) for size in sizes]
    y = [math.log(cost(size)) for size in sizes]
    return statistics.linear_regression(x, y).slope


COSTS: dict[str, tuple[str, Callable[[Size], float], Callable[[Size], float]]] = {
    # name: (heading, what is shown of a size, the whole cost of a size)
    "create": ("create, us a file", lambda s: s.create_us, lambda s: s.create_us * s.files),
    "mount": ("mount, s", lambda s: s.mount, lambda s: s.mount),
    "lookup": ("look up all, us a file", lambda s: s.lookup_us, lambda s: s.lookup_us * s.files),
    "listing": ("list all, us a file", lambda s: s.listing_us, lambda s: s.listing_us * s.files),
    "count": ("count images, s", lambda s: s.count_images, lambda s: s.count_images),
    "memory": ("most memory, MB", lambda s: s.memory, lambda s: s.memory),
}


def as_json(sizes: Sequence[Size]) -> dict[str, object]:
    """One run for programs."""
    exponents = {name: exponent(sizes, whole) for name, (_, _, whole) in COSTS.items()}
    return {"sizes": [asdict(size) for size in sizes], "exponents": exponents}


def show(sizes: Sequence[Size]) -> None:
    """The table: a column for each size, and the exponent of the whole cost."""
    table = Table("cost", *(f"{size.files:,}" for size in sizes), "exponent", "")
    for heading, shown, whole in COSTS.values():
        power = exponent(sizes, whole)
        verdict = "" if power <= N_LOG_N else "worse than n log n"
        table.add_row(heading, *(f"{shown(size):,.3g}" for size in sizes), f"{power:.2f}", verdict)
    Console(width=None if Console().is_terminal else 132).print(table)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), int(sys.argv[2])))))
