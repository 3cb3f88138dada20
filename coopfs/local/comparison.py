"""Rows of the tree against the images that the log tells of them, and rows written anew from those images.

A row whose newest group is that of an image, and of which nothing was changed since, equals that image. What is written
here is only the row itself: sums over rows are put right by those who check sums, afterwards.
"""

from enum import Enum, auto
from typing import Any

import msgpack

from coopfs.core.records import Extent, Image, Inode, Name, Stripe, Type, Xattr, key_of
from coopfs.local.extents import DELETE, PUT
from coopfs.local.images import extent_record, inode_record
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node
from coopfs.types import Place


class Match(Enum):
    """How a row and an image of it compare."""

    SAME = auto()  # or the row is newer than the image
    OTHER = auto()
    OLDER = auto()  # the same, but the row names an older group as that of its newest image
    MISSING = auto()  # there is no such row: somebody killed it since, or it was lost


class Comparison:
    """All methods are one step between two operations. Changes belong to the transaction of the next commit."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._db = metadata.database

    def is_touched(self, type_: Type, a: int, b: int | bytes) -> bool:
        """Whether somebody has just changed it, or what it belongs to."""
        return self._metadata.images.touches(type_, a, b)

    def match(self, image: Image, group: int) -> Match:
        """group: that told this image."""
        key = row_key(image)
        if self.is_touched(*key):
            return Match.SAME
        changed, row = self.row(*key)
        if changed is None:
            return Match.MISSING
        if changed > group:
            return Match.SAME
        if row != image:
            return Match.OTHER
        return Match.SAME if changed == group else Match.OLDER

    def row(self, type_: Type, a: int, b: int | bytes) -> tuple[int | None, Image | None]:
        """The group of the row's newest image, and what it tells now; None: there is no such row."""
        match type_:
            case Type.INODE:
                node = self._metadata.nodes.find(a)
                return (None, None) if node is None else (node.changed, inode_record(self._db, node))
            case Type.EXTENT if isinstance(b, int):
                query = "SELECT changed FROM extents WHERE ino = ? AND offset = ?"
                found = self._db.read(query, (a, b)).fetchone()
                return (None, None) if found is None else (found[0], extent_record(self._db, a, b))
            case Type.NAME if isinstance(b, bytes):
                query = "SELECT changed, ino FROM names WHERE parent = ? AND name = ?"
                found = self._db.read(query, (a, b)).fetchone()
                return (None, None) if found is None else (found[0], Name(a, b, found[1]))
            case Type.XATTR if isinstance(b, bytes):
                query = "SELECT changed, value FROM xattrs WHERE ino = ? AND name = ?"
                found = self._db.read(query, (a, b)).fetchone()
                return (None, None) if found is None else (found[0], Xattr(a, b, found[1]))
            case Type.STRIPE:
                return self._stripe(a)
        raise AssertionError(type_, a, b)

    def _stripe(self, id_: int) -> tuple[int | None, Stripe | None]:
        query = "SELECT changed, died, row, version, layout, length, slices, tag, born FROM stripes WHERE id = ?"
        found = self._db.read(query, (id_,)).fetchone()
        if found is None or found[1] is not None:  # dead: so its record is dead, or will be
            return None, None
        changed, _, row, version, layout, length, slices, tag, born = found
        cut = tuple(msgpack.unpackb(slices or b"\x90"))
        return changed or 0, Stripe(id_, Place(version, row), layout, length, cut, tag, born)

    def write(self, image: Image, group: int) -> bool:
        """Let the row be what the image tells. False: that cannot be done while the disk is in use."""
        match image:
            case Inode():
                self._write_inode(image, group)
            case Extent(ino, offset):
                self._db.write(PUT, (ino, offset, *image.values, group))
            case Name(parent, name, ino):
                self._metadata.names.restore(parent, name, ino, group)
            case Xattr(ino, name, value):
                self._db.write("INSERT OR REPLACE INTO xattrs VALUES (?, ?, ?, ?)", (ino, name, value, group))
            case Stripe(id_, place):
                changed, row = self._stripe(id_)
                if changed is None or row is None or row.place != place:
                    return False  # the ledger has counted with it
                query = "UPDATE stripes SET layout = ?, length = ?, slices = ?, tag = ?, born = ? WHERE id = ?"
                values = (image.layout, image.length, msgpack.packb(image.slices), image.tag, image.born, id_)
                self._db.write(query, values)
        return True

    def _write_inode(self, image: Inode, group: int) -> None:
        before = self._metadata.nodes.find(image.ino)
        born, stored = (group, 0) if before is None else (before.born, before.stored)
        self._metadata.nodes.put(Node._make((*_attributes(image), min(born, group), group, stored)))
        self._metadata.nodes.flush()
        if image.extent is None:
            self._db.write(DELETE, (image.ino, 0))
        else:
            self._db.write(PUT, (image.ino, 0, *image.extent.values, group))


def _attributes(i: Inode) -> tuple[Any, ...]:
    return i.ino, i.mode, i.uid, i.gid, i.nlink, i.rdev, i.size, i.atime, i.mtime, i.ctime, i.parent, i.name, i.target


def row_key(image: Image) -> tuple[Type, int, int | bytes]:
    """As in open_images."""
    type_, a, *b = key_of(image)
    return type_, a, b[0] if b else 0
