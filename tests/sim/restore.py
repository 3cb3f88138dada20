"""A machine that has nothing but the kit: the newest state from the partners that are left."""

import stat
from dataclasses import dataclass
from pathlib import Path

import trio

from coopfs.errors import ContentUnavailable, KeyMissing, NotRestorable
from coopfs.fs.disk import Disk
from coopfs.fs.ports import ReadOnlySpace
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Log
from coopfs.tasks.network import Network
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import readers_of
from coopfs.tasks.recovery.masters import MasterSearch
from coopfs.tasks.recovery.recovery import Recovery, State
from tests.sim.picture import SHOWN, Camera, Picture, starts
from tests.sim.trace import Violation
from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Restored:
    """state: T; picture: the tree as the restore view shows it; doubt: why something newer may have been held."""

    state: State
    picture: Picture

    @property
    def group(self) -> int:
        return self.state.group

    @property
    def doubt(self) -> str | None:
        return self.state.doubt


@dataclass(frozen=True, slots=True)
class Refused:
    """No state was found whole."""

    why: str


def ignore(step: str, done: int, total: int) -> None:
    """Nobody watches."""


async def restore(world: World, network: Network, directory: Path) -> Restored | Refused:
    """What a user with the kit gets, from whoever answers."""
    keys = world.kit_keys()
    directory.mkdir()
    async with trio.open_nursery() as nursery:
        try:
            search = MasterSearch(keys, network, lambda node, addresses: None, ignore)
            master = await search.run(world.kit)
            readers = readers_of(master.layouts, keys.disk, network)
            for reader in readers:
                nursery.start_soon(reader.run)
            fetcher = Fetcher(keys, readers)
            recovery = Recovery(keys, master.layouts, readers, fetcher, directory, ignore)
            await recovery.witnesses.gather()
            state = await recovery.find(master.floor)
            return Restored(state, await _view(world, state, fetcher, nursery))
        except NotRestorable as refusal:
            return Refused(str(refusal))
        except (ContentUnavailable, KeyMissing) as missing:
            raise Violation(f"P1: a state was found whole, but {missing}") from missing
        finally:
            nursery.cancel_scope.cancel()


async def _view(world: World, state: State, fetcher: Fetcher, nursery: trio.Nursery) -> Picture:
    local = LocalDisk(state.directory, lambda: int(world.wall()))
    log = Log(local.database, local.metadata.stripes.take_id)
    local.cache.limit(0, 0)
    content = RemoteContent(log, fetcher, local.stage, nursery)
    disk = Disk(local, ReadOnlySpace(0), content, lambda stripes, group: "")
    try:
        return await photograph(disk)
    finally:
        disk.close()


async def photograph(disk: Disk) -> Picture:
    """What a restore view shows: all content is read through it."""
    parts: dict[tuple[int, int], bytes] = {}
    for (ino,) in disk.database.read("SELECT ino FROM inodes").fetchall():
        node = disk.metadata.nodes.get(ino)
        for start in starts(node) if stat.S_ISREG(node.mode) else ():
            parts[ino, start] = await _read(disk, ino, start)
    return Camera(disk, lambda ino, start, size: parts[ino, start]).take()


async def _read(disk: Disk, ino: int, start: int) -> bytes:
    whole, missing = disk.files.read(ino, start, SHOWN)
    for part in missing:
        assert not part.here
        part.room.view()[:] = await disk.content.read(part.stripe, part.at, part.room.length)
        assert part.finish()
    return bytes(whole.view())
