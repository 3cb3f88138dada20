"""Serve a mount without partners in a process of its own: `python -m tests.fs.serve_local DISK MOUNTPOINT`.

Says "ready" on standard output when the mount answers, and ends when it is unmounted.
"""

import sys
import time
from pathlib import Path

import trio

from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.mounting import Mount
from coopfs.limits import DEFAULT_BLOCK_SIZE
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.tasks.committer import Committer
from tests.fs.parts import AllowAll, NoPartners, state_of

FACTS = {"epoch": 1, "k": 6, "shard_length": DEFAULT_BLOCK_SIZE - 128}


async def serve(directory: Path, mountpoint: Path) -> None:
    if not (directory / "disk.sqlite").exists():
        directory.mkdir(exist_ok=True)
        create_disk(directory, time.time_ns, 0, 0, FACTS)
    local = LocalDisk(directory, time.time_ns)
    disk = Disk(local, AllowAll(), NoPartners(), state_of)
    disk.bury_orphans()
    committer = Committer(local.metadata, local.stage, lambda group: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        async with trio.open_nursery() as mount:
            await mount.start(Mount(Handlers(disk, committer), mountpoint).run)
            print("ready", flush=True)
        await committer.close_group()
        nursery.cancel_scope.cancel()
    local.close()


if __name__ == "__main__":
    trio.run(serve, Path(sys.argv[1]), Path(sys.argv[2]))
