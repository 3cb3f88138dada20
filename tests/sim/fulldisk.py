"""A disk that is filled by every road, emptied and filled again: deleting always works, it is never stuck (P4, R9).

A round fills the disk by one road until it says ENOSPC, deletes some or all of it in some order, and waits until what
was deleted has come back. Partners come and go meanwhile.
"""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

import trio

from coopfs.core.units import plain
from coopfs.errors import OutOfSpace
from coopfs.fs.callers import ROOT
from coopfs.fs.files import Changes
from coopfs.fs.posix import PosixError
from coopfs.limits import ROOT_INO
from coopfs.local.nodes import Node
from tests.sim import world
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import play

PATIENCE = 3600.0  # seconds in which everything that was deleted must have come back
PER_SECOND = 2000  # operations of one program
MOST = 100_000  # operations by which a disk is full
GRAIN = 400_000  # bytes: four rows, of one file's inode and the group's last stripes
OLD = stat.S_IFREG | 0o644
ROADS = ("data", "tiny", "names", "directories", "symlinks", "links", "xattrs", "mixed")


class Stuck(Exception):
    """A promise was broken."""


@dataclass
class Filler:
    """One road into a full disk."""

    owner: Owner
    random: Random
    _names: int = 0
    _linked: int = 0

    def __post_init__(self) -> None:
        self.disk = self.owner.own.disk
        self.made: list[tuple[int, bytes]] = []  # names, deepest last

    def name(self, length: int = 0) -> bytes:
        self._names += 1
        return (b"%d" % self._names).ljust(length, b"n")

    def _create(self, parent: int, name: bytes, mode: int = OLD, target: bytes | None = None) -> Node:
        node = self.disk.tree.create(parent, name, mode, 0, 0, target=target)
        self.made.append((parent, name))
        return node

    async def _write(self, node: Node, offset: int, data: bytes) -> None:
        await self.owner.own.committer.until_may_append(len(data))
        handle = self.disk.open(node, os.O_RDWR, ROOT)
        try:
            self.disk.files.write(self.disk.handles.get(handle), offset, [plain(data)])
        finally:
            self.disk.release(handle)

    # --- roads ----------------------------------------------------------------------------------------------------

    async def data(self) -> None:
        node = self._create(ROOT_INO, self.name())
        for offset in range(0, 400_000, 100_000):
            await self._write(node, offset, self.random.randbytes(self.random.choice([20_000, 100_000])))

    async def tiny(self) -> None:
        await self._write(self._create(ROOT_INO, self.name()), 0, self.random.randbytes(self.random.choice([1, 90])))

    async def names(self) -> None:
        self._create(ROOT_INO, self.name(self.random.choice([0, 255])))

    async def directories(self) -> None:
        self._create(ROOT_INO, self.name(), stat.S_IFDIR | 0o755)

    async def symlinks(self) -> None:
        self._create(ROOT_INO, self.name(), stat.S_IFLNK | 0o777, b"t" * self.random.choice([10, 4000]))

    async def links(self) -> None:
        if not self._linked:
            self._linked = self._create(ROOT_INO, self.name()).ino
        ino = self._linked
        name = self.name(200)
        try:
            self.disk.tree.link(ino, ROOT_INO, name)
        except PosixError as many:
            if many.errno != errno.EMLINK:
                raise
            self._linked = self._create(ROOT_INO, name).ino
            return
        self.made.append((ROOT_INO, name))

    async def xattrs(self) -> None:
        node = self._create(ROOT_INO, self.name())
        for number in range(self.random.randrange(1, 5)):
            size = self.random.choice([10, 1000, 40_000, 65_536])
            self.disk.attributes.set(node.ino, b"user.%d" % number, self.random.randbytes(size), 0, ROOT)

    async def mixed(self) -> None:
        roads = [self.data, self.tiny, self.names, self.directories, self.symlinks, self.links, self.xattrs]
        await self.random.choice(roads)()

    # --- filling and emptying ---------------------------------------------------------------------------------------

    async def fill(self, road: str) -> int:
        """Until there is no space left; returns how many operations that took."""
        self._linked = 0
        for count in range(MOST):
            try:
                await getattr(self, road)()
            except OutOfSpace:
                return count
            await self._done()
        raise Stuck(f"{MOST} operations, and the disk is not full")

    async def _done(self) -> None:
        self.owner.own.committer.hurry()
        await trio.sleep(1 / PER_SECOND)

    async def shorten(self) -> None:
        """Truncate everything that has content, on the full disk."""
        for parent, name in self.made:
            node = self.disk.tree.lookup(parent, name)
            if stat.S_ISREG(node.mode) and node.size:
                self.disk.files.set_attributes(node.ino, Changes(size=node.size * 9 // 10), ROOT)
                await self._done()

    async def delete(self, keep: float) -> None:
        """All but a share, in some order. Every single one must work."""
        order = self.random.choice(["same", "reverse", "any"])
        names = [name for name in self.made if not (keep and self.random.random() < keep)]
        if order == "any":
            self.random.shuffle(names)
        elif order == "reverse":
            names.reverse()
        for parent, name in names:
            node = self.disk.tree.lookup(parent, name)
            (self.disk.tree.rmdir if stat.S_ISDIR(node.mode) else self.disk.tree.unlink)(parent, name)
            await self._done()
        gone = set(names)
        self.made = [name for name in self.made if name not in gone]


class Rounds:
    """One disk, filled and emptied again and again."""

    def __init__(self, owner: Owner, random: Random) -> None:
        self.owner = owner
        self.random = random
        self.own = owner.own

    async def run(self, roads: Sequence[str], count: int) -> None:
        await self.settle()
        total, empty = self.own.space.figures()
        if empty < 0.9 * total:
            raise Stuck(f"an empty disk of {total} bytes has {empty} free")
        for _ in range(count):
            await self.round(self.random.choice(roads))
            if self.own.space.figures()[1] < 0.9 * empty:
                raise Stuck(f"not all that was deleted came back: {self.describe()}, first {empty} were free")

    async def round(self, road: str) -> None:
        """Fill by this road, delete some of it, fill again, and delete all."""
        filler = Filler(self.owner, Random(self.random.random()))
        self._weather()
        await filler.fill(road)
        if self.random.random() < 0.3:
            await filler.shorten()
        if self.random.random() < 0.3:
            await self.settle()
        self._weather()
        await filler.delete(self.random.choice([0, 0.2, 0.5, 0.9]))
        await self.settle()
        if self.random.random() < 0.5:
            await self.check_figures(filler, road)
        await filler.fill(road)
        self._weather()
        await filler.delete(0)
        await self.settle()

    async def check_figures(self, filler: Filler, road: str) -> None:
        """What statvfs says is free can be written: of content, but for what a few files and their groups cost."""
        free = self.own.space.figures()[1]
        node = filler._create(ROOT_INO, filler.name()) if free > GRAIN else None
        written = 0
        try:
            while node is not None and written < free - GRAIN:
                await filler._write(node, written, bytes(min(30_000, free - GRAIN - written)))
                written += 30_000
                await filler._done()
        except OutOfSpace:
            raise Stuck(f"{free} bytes were free, {written} could be written: {self.describe()}") from None

    def _weather(self) -> None:
        """Who is away now."""
        chance = self.random.random()
        for site in self.owner.world.sites:
            site.go(up=chance < 0.5)
        if 0.5 <= chance < 0.75:
            for site in self.owner.world.sites[1:]:
                site.go(up=True)

    async def settle(self) -> None:
        """Everybody comes back; until all is held and nothing is cleaned any more."""
        for site in self.owner.world.sites:
            site.go(up=True)
        metadata, ledger = self.own.local.metadata, self.own.ledger
        closed = None
        with trio.move_on_after(PATIENCE) as patience:
            while closed != metadata.group or metadata.group_changed:
                await self.own.committer.close_group()
                closed = metadata.group
                await trio.sleep(60)
                await ledger.changed.wait_until(lambda: ledger.progress.barrier >= metadata.group - 1)
        if patience.cancelled_caught:
            raise Stuck(f"not all is held after {PATIENCE:.0f} s: {self.describe()}")

    def describe(self) -> str:
        log, ledger = self.own.log, self.own.ledger
        return (
            f"{ledger.rows.free} of {ledger.rows.total} rows free, {log.unsealed()} unsealed, {log.live_data()} data, "
            f"{log.live_metas()} metas, group {self.own.local.metadata.group}, sealed {ledger.progress.sealed}, "
            f"held {ledger.progress.barrier}, of {self.own.space.figures()} bytes free"
        )


def rounds(directory: Path, roads: Sequence[str], count: int, seed: int, rows: int = 100) -> None:
    """So many rounds on a disk of so many rows, under a seed. Stuck: a promise was broken."""
    with patch.object(world, "ROWS", rows):
        play(directory, Geometry(2, 1), lambda owner: Rounds(owner, Random(seed)).run(roads, count))
