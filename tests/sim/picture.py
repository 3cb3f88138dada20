"""What a tree looks like: paths, inodes with all their attributes, content."""

import stat
from collections.abc import Callable
from typing import Any

from coopfs.fs.disk import Disk
from coopfs.limits import ROOT_INO
from coopfs.local.nodes import Node

SHOWN = 1 << 17  # bytes that are compared from the start of a file, and as many at its end
STORED = 11  # where a file's facts tell what it takes of stripes

Facts = tuple[Any, ...]
Picture = dict[tuple[bytes, ...], Facts]
Read = Callable[[int, int, int], bytes]  # inode, offset, size


class Camera:
    """Takes pictures of one disk. What did not change since the last one is not read again: no change of an inode
    leaves its ctime alone, as the world's clock never stands still."""

    def __init__(self, disk: Disk, read: Read) -> None:
        self._disk = disk
        self._read = read
        self._facts: dict[int, tuple[Node, Facts]] = {}
        self._listings: dict[int, tuple[Node, list[tuple[bytes, int]]]] = {}

    def take(self) -> Picture:
        picture: Picture = {}
        self._add(picture, (), ROOT_INO)
        return picture

    def _add(self, picture: Picture, path: tuple[bytes, ...], ino: int) -> None:
        node = self._disk.metadata.nodes.get(ino)
        picture[path] = self._facts_of(node)
        if stat.S_ISDIR(node.mode):
            for name, child in self._listing(node):
                self._add(picture, (*path, name), child)

    def _facts_of(self, node: Node) -> Facts:
        known = self._facts.get(node.ino)
        if known is not None and known[0] == node:
            return known[1]
        xattrs = self._disk.metadata.xattrs
        attributes = tuple((name, xattrs.get(node.ino, name)) for name in sorted(xattrs.names(node.ino)))
        content: tuple[bytes, ...] = ()
        if stat.S_ISREG(node.mode):
            content = tuple(self._read(node.ino, start, SHOWN) for start in starts(node))
        runs = self._disk.metadata.extents.runs(node.ino, 0, node.size)
        stored = sum(run.charge for run in runs)  # what the inode says lags behind while a cut goes on in slices
        facts = (*node[:10], node.target, stored, attributes, content)
        self._facts[node.ino] = (node, facts)
        return facts

    def _listing(self, node: Node) -> list[tuple[bytes, int]]:
        known = self._listings.get(node.ino)
        if known is not None and known[0] == node:
            return known[1]
        page = self._disk.metadata.names.page(node.ino, 0, 1000)
        listing = sorted((name, ino) for _, name, ino in page)
        self._listings[node.ino] = (node, listing)
        return listing


def starts(node: Node) -> list[int]:
    """Where the parts of a regular file begin that a picture shows."""
    return [0] if node.size <= SHOWN else [0, node.size - SHOWN]


def difference(one: Picture, other: Picture) -> str:
    """The first path in which two pictures differ."""
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) != other.get(path):
            where = b"/" + b"/".join(path)
            return f"{where!r:.80}: {_short(one.get(path))} is not {_short(other.get(path))}"
    return "no difference"


def _short(facts: Facts | None) -> str:
    return "nothing" if facts is None else f"{(*facts[:13], *((len(c), hash(c)) for c in facts[13]))!r:.300}"
