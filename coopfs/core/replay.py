"""Replay: the state of the disk from the groups of the log (design R4).

Groups come newest first. A record is passed on iff nothing newer has killed it: a tombstone or truncate acts on images
of *older* groups only. The caller keeps, of the images that are passed on, the first of every key (INSERT OR IGNORE):
so the memory needed here grows with the tombstones, not with the files.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from coopfs.core.records import Extent, Image, Record, Tombstone, Truncate, Type, Xattr, key_of


class Replay:
    """Feed groups newest first; the first image of every key that comes back is the state."""

    def __init__(self) -> None:
        self._gone: set[tuple[Any, ...]] = set()  # keys with a newer tombstone
        self._least: dict[int, int] = {}  # inode -> least size to which newer groups cut it

    def group(self, records: Iterable[Record]) -> Iterator[Image]:
        """The images of this group that newer groups have not killed. Consume it to its end: only then what this
        group kills is known to older ones."""
        tombstones: list[tuple[Any, ...]] = []
        truncates: list[Truncate] = []
        for record in records:
            match record:
                case Tombstone(key):
                    tombstones.append(key)
                case Truncate():
                    truncates.append(record)
                case _ if self.stands(record):
                    yield record
        self._gone.update(tombstones)
        for cut in truncates:
            self._least[cut.ino] = min(cut.size, self._least.get(cut.ino, cut.size))

    def stands(self, image: Image) -> bool:
        """Whether nothing in the groups told so far kills this image of an older one."""
        if key_of(image) in self._gone:
            return False
        match image:
            case Extent(ino, offset):  # a dead inode's extents and xattrs die by its one tombstone
                return (Type.INODE, ino) not in self._gone and offset < self._least.get(ino, offset + 1)
            case Xattr(ino):
                return (Type.INODE, ino) not in self._gone
        return True
