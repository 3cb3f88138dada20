"""A disk of many files, streamed for real to eight partners in the same process, mounted again, and restored.

    python -m benchlib.streamed STEP DIRECTORY FILES      # what the parent starts: one line of JSON

fill      files of 16 bytes are created, a thousand in a directory, committed and streamed until all is complete;
          then the process ends without closing anything
killed    the disk is opened until its partners' columns are open too, looked at, and closed
stopped   the same after that clean stop
changed   a tenth of the files, by chance, get new content, until all is complete: retiring heads and compaction go on
          meanwhile as ever
restore   the newest state is found on the partners alone, and opened

Each step is a process of its own, whose memory is that of the owner, and of eight hosts. Times are seconds, of the
clock if not said otherwise; memory bytes.
"""

import json
import os
import random
import resource
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from benchlib.neighbours import OWNER, Neighbours
from coopfs.app.disk import formatting
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.identity import Identity
from coopfs.core.master import Floor
from coopfs.core.units import plain
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.ports import ReadOnlySpace
from coopfs.limits import DEFAULT_BLOCK_SIZE, KIB, ROOT_INO
from coopfs.local import keyfile
from coopfs.local.disk import LocalDisk
from coopfs.local.home import Home
from coopfs.local.log import Log
from coopfs.local.mastercopy import read_master
from coopfs.local.nodes import Node
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import readers_of
from coopfs.tasks.recovery.recovery import Recovery
from coopfs.types import Layout

CONTENT = bytes(16)
PER_DIRECTORY = 1000
CHANGED_SHARE = 10
LOOKUPS = 10_000
OPERATIONS = 64  # between two looks at what else there is to do, as requests of the kernel come in lots
LAYOUT = Layout(1, 6, 2, DEFAULT_BLOCK_SIZE)


class Stalls:
    """The longest time that the event loop was busy without a break, in seconds of its thread."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            before = time.thread_time()
            await trio.sleep(0.001)
            self.longest = max(self.longest, time.thread_time() - before)


async def fill(directory: Path, files: int) -> None:
    """The disk is made, too, outside of the time."""
    network = Neighbours(directory, LAYOUT.n)
    rows = 300 + files // 500
    entries = await network.create(rows * (LAYOUT.block_size + 64) + (1 << 20))
    node, home = Identity.from_seed(OWNER).key, Home(directory / "owner")
    home.create(OWNER)
    draft = formatting.draft(home, node, formatting.plan(LAYOUT, entries))
    await formatting.form(home, draft, node, network, lambda step, done, total: None)
    async with _running(home, network) as own:
        cost, stall = await _until_complete(own, lambda: _create_all(own, files))
        found = {"streamed": cost / files, "stall": stall, "log_rows": own.log.chain.length()}
        _tell({**found, "owner_memory": _memory()})
        os._exit(0)  # killed: nothing is tidied up


async def _until_complete(own: OwnDisk, work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """(CPU seconds until all that it did is complete, the longest stall)."""
    stalls = Stalls()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stalls.run)
        began = time.process_time()
        await work()
        group = await own.committer.close_group() or 0
        await own.ledger.changed.wait_until(lambda: own.ledger.progress.complete() >= group)
        nursery.cancel_scope.cancel()
    return time.process_time() - began, stalls.longest


async def _create_all(own: OwnDisk, files: int) -> None:
    tree, regular, directory = own.disk.tree, stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
    parent = ROOT_INO
    for number in range(files):
        if number % PER_DIRECTORY == 0:
            parent = tree.create(ROOT_INO, b"d%d" % (number // PER_DIRECTORY), directory, 0, 0).ino
        await _write(own, number, tree.create(parent, b"f%d" % number, regular, 0, 0))


async def _change_some(own: OwnDisk, files: int) -> None:
    for number, file in enumerate(random.Random(files).sample(range(files), files // CHANGED_SHARE)):
        await _write(own, number, _find(own.disk, file))


async def _write(own: OwnDisk, number: int, file: Node) -> None:
    """All of one file, as the number-th operation."""
    if number % OPERATIONS == 0:
        await trio.lowlevel.checkpoint()
        await own.committer.until_may_append(OPERATIONS * len(CONTENT))
    handle = own.disk.open(file, 1, ROOT)
    own.disk.files.write(own.disk.handles.get(handle), 0, [plain(CONTENT)])
    own.disk.release(handle)
    own.committer.hurry()


async def killed(directory: Path, files: int) -> None:
    """Opened after what did not close."""
    reached, memory = await _mount(directory, files)
    _tell({"killed": reached, "mounted_memory": memory})


async def stopped(directory: Path, files: int) -> None:
    """Opened after what closed."""
    reached, _ = await _mount(directory, files)
    _tell({"stopped": reached})


async def _mount(directory: Path, files: int) -> tuple[float, float]:
    """(seconds until all partners are reached, memory after some lookups)."""
    network = Neighbours(directory, LAYOUT.n)
    network.open()
    began = time.perf_counter()
    async with _running(Home(directory / "owner"), network) as own:
        for column in own.columns.columns:
            while column.session is None:
                await column.changed.wait()
        reached = time.perf_counter() - began
        _look_up(own.disk, files)
        await own.committer.close_group()
    return reached, _memory()


async def changed(directory: Path, files: int) -> None:
    """What a change costs in a disk of this size, all that follows on it included."""
    network = Neighbours(directory, LAYOUT.n)
    network.open()
    async with _running(Home(directory / "owner"), network) as own:
        cost, stall = await _until_complete(own, lambda: _change_some(own, files))
        _tell({"changed": cost / (files // CHANGED_SHARE), "changed_stall": stall})


async def restore(directory: Path, files: int) -> None:
    """What a restore view does until it answers, and a few lookups in it."""
    network = Neighbours(directory, LAYOUT.n)
    network.open()
    (owned,) = Home(directory / "owner").disks.iterdir()
    keys = keyfile.read(owned)
    local = LocalDisk(owned, time.time_ns)
    layouts = read_master(local.database, keys, Identity.from_seed(OWNER).key).layouts
    local.close()
    began, cpu = time.perf_counter(), time.process_time()
    readers = readers_of(layouts, keys.disk, network)
    async with trio.open_nursery() as nursery:
        for reader in readers:
            nursery.start_soon(reader.run)
        fetcher = Fetcher(keys, readers)
        recovery = Recovery(keys, layouts, readers, fetcher, directory / "restored", lambda step, done, total: None)
        await recovery.witnesses.gather()
        state = await recovery.find(Floor(0, 0))
        view = LocalDisk(state.directory, time.time_ns)
        log = Log(view.database, view.metadata.stripes.take_id)
        disk = Disk(view, ReadOnlySpace(log.content_bytes()), _Nowhere(), lambda stripes, group: "")
        ready, cost = time.perf_counter() - began, (time.process_time() - cpu) / files
        _look_up(disk, files)
        disk.close()
        nursery.cancel_scope.cancel()
    _tell({"restore": ready, "restore_cpu": cost, "view_memory": _memory()})


class _Nowhere:
    async def read(self, stripe: int, at: int, length: int) -> bytes:
        raise AssertionError("nobody reads content here")


def _look_up(disk: Disk, files: int) -> None:
    chance = random.Random(files)
    for _ in range(LOOKUPS):
        _find(disk, chance.randrange(files))


def _find(disk: Disk, file: int) -> Node:
    parent = disk.tree.lookup(ROOT_INO, b"d%d" % (file // PER_DIRECTORY)).ino
    return disk.tree.lookup(parent, b"f%d" % file)


def _memory() -> float:
    """The most that was resident until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


@asynccontextmanager
async def _running(home: Home, network: Neighbours) -> AsyncIterator[OwnDisk]:
    (directory,) = home.disks.iterdir()
    async with trio.open_nursery() as nursery:
        own = OwnDisk(directory, Identity.from_seed(OWNER).key, network, nursery, time.time)
        nursery.start_soon(own.run)
        yield own
        nursery.cancel_scope.cancel()
    own.close()


def _tell(figures: dict[str, float]) -> None:
    print(json.dumps(figures), flush=True)


STEPS = {step.__name__: step for step in (fill, killed, stopped, changed, restore)}

if __name__ == "__main__":
    trio.run(STEPS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]))
