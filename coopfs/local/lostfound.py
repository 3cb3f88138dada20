"""The directory lost+found of a disk: what has no name, or was never sent when the database was lost (design R6).

It is an ordinary directory, made when it is needed, only its owner may look into it. Whoever keeps that name for
something else finds lost+found.1, or the next number that is free.
"""

import stat
from collections.abc import Callable, Iterator
from itertools import count

from coopfs.limits import ROOT_INO
from coopfs.local.metadata import DIRECTORY_SIZE, Metadata
from coopfs.local.nodes import Node

NAME = b"lost+found"
IMAGES = 3  # of one thing that is made: itself, its name, and the directory

Tell = Callable[[int, bytes | None], None]
"""(inode, name): this directory has a new name, or with None, this inode has changed, and not by way of the mount."""


class LostFound:
    """Makes names without being asked by a mount. tell: (directory, name) of each, for who remembers that there was
    none; admit: called before anything is made, raises OutOfSpace if there is no room for IMAGES images."""

    def __init__(self, metadata: Metadata, tell: Tell, admit: Callable[[], None]) -> None:
        self._metadata = metadata
        self._tell = tell
        self._admit = admit

    def directory(self) -> int:
        """The inode of lost+found."""
        return self.folder(ROOT_INO, NAME)

    def folder(self, parent: int, name: bytes) -> int:
        """The inode of a directory of this name, or of the first one like it that may be used."""
        for each in self._like(name):
            ino = self._metadata.names.find(parent, each)
            if ino is None:
                return self._make(parent, each, stat.S_IFDIR | 0o700)
            if stat.S_ISDIR(self._metadata.nodes.get(ino).mode):
                return ino
        raise AssertionError("names never end")

    def file(self, parent: int, name: bytes) -> int:
        """The inode of a file of this name, or of the first one like it that may be used."""
        for each in self._like(name):
            ino = self._metadata.names.find(parent, each)
            if ino is None:
                return self._make(parent, each, stat.S_IFREG | 0o600)
            if stat.S_ISREG(self._metadata.nodes.get(ino).mode):
                return ino
        raise AssertionError("names never end")

    def lodge(self, node: Node) -> bytes:
        """Give an inode that has no name one in lost+found; returns that."""
        parent = self.directory()
        free = (each for each in self._like(b"inode-%d" % node.ino) if self._metadata.names.find(parent, each) is None)
        name = next(free)
        is_directory = stat.S_ISDIR(node.mode)
        _, ctime = self._metadata.times()
        links = node.nlink if is_directory else 1
        self._metadata.put(node._replace(parent=parent, name=name, nlink=links, ctime=ctime))
        self._enter(parent, name, node.ino, is_directory)
        return name

    def _like(self, name: bytes) -> Iterator[bytes]:
        yield name
        for number in count(1):
            yield b"%s.%d" % (name, number)

    def _make(self, parent: int, name: bytes, mode: int) -> int:
        self._admit()
        metadata = self._metadata
        now, ctime = metadata.times()
        root, ino, group = metadata.nodes.get(ROOT_INO), metadata.new_ino(), metadata.group
        is_directory = stat.S_ISDIR(mode)
        size, links = (DIRECTORY_SIZE, 2) if is_directory else (0, 1)
        metadata.add(
            Node(ino, mode, root.uid, root.gid, links, 0, size, now, now, ctime, parent, name, None, group, group, 0)
        )
        self._enter(parent, name, ino, is_directory)
        return ino

    def _enter(self, parent: int, name: bytes, ino: int, is_directory: bool) -> None:
        metadata = self._metadata
        metadata.names.add(parent, name, ino)
        now, ctime = metadata.times()
        above = metadata.nodes.get(parent)
        metadata.put(above._replace(nlink=above.nlink + is_directory, mtime=now, ctime=ctime))
        self._tell(parent, name)
