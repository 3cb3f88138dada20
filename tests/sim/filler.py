"""What fills a disk, one operation after another, and empties it again."""

import errno
import os
import stat
from dataclasses import dataclass
from random import Random

import trio

from coopfs.core.units import plain
from coopfs.errors import OutOfSpace
from coopfs.fs.callers import ROOT
from coopfs.fs.files import Changes
from coopfs.fs.posix import PosixError
from coopfs.limits import ROOT_INO
from coopfs.local.nodes import Node
from tests.sim.owner import WAIT, Owner

PER_SECOND = 2000  # operations of one program
PIECE = 30_000  # bytes of one write to a long file
MOST = 100_000  # operations by which a disk is full
OLD = stat.S_IFREG | 0o644
WAYS = ("data", "tiny", "names", "directories", "symlinks", "links", "xattrs", "mixed")


class Stuck(Exception):
    """A promise was broken."""


class WaitsForRoom(Exception):
    """The cache holds as much as it may of what is not safe yet, and that does not change."""


@dataclass
class Filler:
    """Makes files until there is no space left.

    pause: seconds after each operation; operations: how many were done, deletes too; written: bytes of content.
    """

    owner: Owner
    random: Random
    pause: float = 1 / PER_SECOND
    operations: int = 0
    written: int = 0
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
        with trio.move_on_after(WAIT) as patience:
            await self.owner.own.committer.until_may_append(len(data))
        if patience.cancelled_caught:
            raise WaitsForRoom
        handle = self.disk.open(node, os.O_RDWR, ROOT)
        try:
            self.disk.files.write(self.disk.handles.get(handle), offset, [plain(data)])
        finally:
            self.disk.release(handle)
        self.written += len(data)

    # --- ways -----------------------------------------------------------------------------------------------------

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
        ways = [self.data, self.tiny, self.names, self.directories, self.symlinks, self.links, self.xattrs]
        await self.random.choice(ways)()

    # --- filling and emptying ---------------------------------------------------------------------------------------

    async def fill(self, way: str) -> None:
        """Until there is no space left. WaitsForRoom."""
        self._linked = 0
        for _ in range(MOST):
            try:
                await getattr(self, way)()
            except OutOfSpace:
                return
            await self._done()
        raise Stuck(f"{MOST} operations, and the disk is not full")

    async def grow(self, size: int) -> None:
        """One file of so many bytes. OutOfSpace, WaitsForRoom."""
        node = self._create(ROOT_INO, self.name())
        for offset in range(0, size, PIECE):
            await self._write(node, offset, bytes(min(PIECE, size - offset)))
            await self._done()

    async def _done(self) -> None:
        self.operations += 1
        self.owner.own.committer.hurry()
        await trio.sleep(self.pause)

    async def shorten(self) -> None:
        """Truncate everything that has content, on the full disk."""
        for parent, name in self.made:
            node = self.disk.tree.lookup(parent, name)
            if stat.S_ISREG(node.mode) and node.size:
                self.disk.files.set_attributes(node.ino, Changes(size=node.size * 9 // 10), ROOT)
                await self._done()

    async def touch(self) -> None:
        """Change the mode of everything, on the full disk, a few times."""
        for mode in (0o600, 0o640, 0o644):
            for parent, name in self.made:
                node = self.disk.tree.lookup(parent, name)
                self.disk.files.set_attributes(node.ino, Changes(mode=mode), ROOT)
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
