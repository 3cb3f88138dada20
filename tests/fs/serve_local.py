"""Serve a mount without partners in a process of its own: `python -m tests.fs.serve_local DISK MOUNTPOINT [GATE]`.

Says "ready" on standard output when the mount answers, and ends when it is unmounted.

GATE is a FIFO: content that is not on this machine is to be had, as zeros, once somebody has written to it. Until
then "waiting N" is said when so many reads wait.
"""

import sys
import time
from pathlib import Path

import trio

from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.mounting import Mount
from coopfs.fs.ports import Content
from coopfs.limits import DEFAULT_BLOCK_SIZE
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.tasks.cleaning.reclaimer import Reclaimer
from coopfs.tasks.writing.committer import Committer
from tests.fs.parts import AllowAll, NoPartners, state_of

FACTS = {"epoch": 1, "k": 6, "shard_length": DEFAULT_BLOCK_SIZE - 128}


class PartnersBehindGate:
    """Content that comes when the gate is opened."""

    def __init__(self, gate: Path) -> None:
        self._gate = gate
        self._opened = trio.Event()
        self._waiting = 0

    async def read(self, stripe: int, at: int, length: int) -> bytes:
        self._waiting += 1
        print("waiting", self._waiting, flush=True)
        await self._opened.wait()
        return bytes(length)

    async def open_in_time(self) -> None:
        await trio.to_thread.run_sync(self._gate.read_bytes, abandon_on_cancel=True)
        self._opened.set()


async def serve(directory: Path, mountpoint: Path, gate: Path | None) -> None:
    if not (directory / "disk.sqlite").exists():
        directory.mkdir(exist_ok=True)
        create_disk(directory, time.time_ns, 0, 0, FACTS)
    local = LocalDisk(directory, time.time_ns)
    partners = None if gate is None else PartnersBehindGate(gate)
    content: Content = partners or NoPartners()
    disk = Disk(local, AllowAll(), content, state_of)
    disk.bury_orphans()
    committer = Committer(local.metadata, local.stage, lambda group: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        nursery.start_soon(Reclaimer(local.metadata, committer.commit).run)
        if partners is not None:
            nursery.start_soon(partners.open_in_time)
        async with trio.open_nursery() as mount:
            await mount.start(Mount(Handlers(disk, committer), mountpoint).run)
            print("ready", flush=True)
        await committer.close_group()
        nursery.cancel_scope.cancel()
    local.close()


if __name__ == "__main__":
    directory, mountpoint, *gate = map(Path, sys.argv[1:])
    trio.run(serve, directory, mountpoint, gate[0] if gate else None)
