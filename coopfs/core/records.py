"""Records of the log: images (the newest value of one key) and tombstones (design section 4, R4).

An image is one msgpack array, its first element the type, then the key, then the values. A tombstone is the type and
the key alone. The state of the disk is the newest image of every key; it is consistent by itself, because a name is
part of the image that owns it: the first name and the first extent live in the inode's image, so that one small file
is one image.

    1 inode     [1, ino | mode, uid, gid, nlink, rdev, size, atime, mtime, ctime, parent, name, target, extent]
    2 name      [2, parent, name | ino]                      a further hard link
    3 extent    [3, ino, offset | length, stripe, at, stored, raw, skip, codec]   all but the one at offset 0
    4 xattr     [4, ino, name | value]
    5 truncate  [5, ino, size]                               kills extents of older groups at offset >= size
    6 stripe    [6, id | row, version, layout, length, slices, tag, born]

Numbers are integers (times in ns since 1970, signed; sizes and offsets in bytes), names, values and targets are byte
strings, absent values nil. Inode 1 is the root; inode numbers are never used again, so there is no generation.
Type 7 is reserved for snapshots (R10).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgpack

from coopfs.core import recordshape
from coopfs.errors import NotAuthentic
from coopfs.limits import MAX_COLUMNS
from coopfs.types import Place


class Type(IntEnum):
    INODE = 1
    NAME = 2
    EXTENT = 3
    XATTR = 4
    TRUNCATE = 5
    STRIPE = 6


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a file's bytes in one stripe.

    offset, length: bytes in the file; stripe: local stripe id; at: byte offset in the stripe's content of the stored
    unit, which has `stored` bytes there and `raw` bytes when decoded by `codec` (core/units); the run starts `skip`
    bytes into the decoded unit. With codec 0, stored == raw == length and skip == 0.
    """

    ino: int
    offset: int
    length: int
    stripe: int
    at: int
    stored: int
    raw: int
    skip: int = 0
    codec: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def values(self) -> tuple[int, ...]:
        """All but the key, as records, tables and runs have them."""
        return self.length, self.stripe, self.at, self.stored, self.raw, self.skip, self.codec


@dataclass(frozen=True, slots=True)
class Inode:
    """One inode with its first name and first extent. mode as in stat(2), with the file type; rdev as in makedev(3).

    parent, name: the first name, None for the root, for an unlinked inode, and when only further links are left.
    target: of a symbolic link. extent: the one at file offset 0, if any.
    """

    ino: int
    mode: int
    uid: int
    gid: int
    nlink: int
    rdev: int
    size: int
    atime: int
    mtime: int
    ctime: int
    parent: int | None = None
    name: bytes | None = None
    target: bytes | None = None
    extent: Extent | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A further hard link: `name` in directory `parent` is inode `ino`."""

    parent: int
    name: bytes
    ino: int


@dataclass(frozen=True, slots=True)
class Xattr:
    ino: int
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """Of one inode and group: the least size to which it was cut. Acts on extents of older groups."""

    ino: int
    size: int


@dataclass(frozen=True, slots=True)
class Stripe:
    """Where a data stripe lies and what is needed to read it.

    length: content bytes; slices: content bytes in each of the k data shards; tag: 16 bytes (R2); born: group number.
    """

    id: int
    place: Place
    layout: int
    length: int
    slices: tuple[int, ...]
    tag: bytes
    born: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The key is gone. `key` is what `key_of` gives for an image of that key."""

    key: tuple[Any, ...]


Image = Inode | Name | Extent | Xattr | Truncate | Stripe
Record = Image | Tombstone


def key_of(record: Record) -> tuple[Any, ...]:
    """(type, ino or parent or stripe id[, offset or name]): sorts, and is unique among images of one state."""
    match record:
        case Tombstone(key):
            return key
        case Inode(ino):
            return (Type.INODE, ino)
        case Name(parent, name):
            return (Type.NAME, parent, name)
        case Extent(ino, offset):
            return (Type.EXTENT, ino, offset)
        case Xattr(ino, name):
            return (Type.XATTR, ino, name)
        case Truncate(ino):
            return (Type.TRUNCATE, ino)
        case Stripe(id_):
            return (Type.STRIPE, id_)


def encode(record: Record) -> bytes:
    """One record as one msgpack array."""
    return msgpack.packb(_fields(record), use_bin_type=True)  # type: ignore[no-any-return]


def _fields(r: Record) -> list[Any]:
    match r:
        case Tombstone(key):
            assert key[0] != Type.TRUNCATE, "a truncate is never taken back"
            return [int(key[0]), *key[1:]]
        case Inode():
            attributes = [r.mode, r.uid, r.gid, r.nlink, r.rdev, r.size, r.atime, r.mtime, r.ctime]
            first = None if r.extent is None else r.extent.values
            return [1, r.ino, *attributes, r.parent, r.name, r.target, first]
        case Name(parent, name, ino):
            return [2, parent, name, ino]
        case Extent():
            return [3, r.ino, r.offset, *r.values]
        case Xattr(ino, name, value):
            return [4, ino, name, value]
        case Truncate(ino, size):
            return [5, ino, size]
        case Stripe():
            return [6, r.id, r.place.row, r.place.version, r.layout, r.length, list(r.slices), r.tag, r.born]


def decode_all(data: bytes) -> Iterator[Record]:
    """The records of one meta stripe, in order.

    NotAuthentic: not records of this format (they were authenticated, so a newer or a broken writer made them).
    """
    unpacker = msgpack.Unpacker(
        use_list=False, max_buffer_size=max(len(data), 1), max_array_len=MAX_COLUMNS, max_map_len=0
    )
    unpacker.feed(data)
    try:
        while unpacker.tell() < len(data):  # not `for`: that would overlook a last record that is cut short
            yield _record(unpacker.unpack())
    except (ValueError, TypeError, msgpack.UnpackException) as bad:
        raise NotAuthentic(f"a meta stripe holds a record that this version cannot read: {bad}") from None


def _record(f: Any) -> Record:
    if recordshape.is_tombstone(f):
        return Tombstone((Type(f[0]), *f[1:]))
    recordshape.check_image(f)
    kind = Type(f[0])
    match kind:
        case Type.INODE:
            extent = None if f[-1] is None else Extent(f[1], 0, *f[-1])
            return Inode(*(*f[1:-1], extent))
        case Type.NAME:
            return Name(*f[1:])
        case Type.EXTENT:
            return Extent(*f[1:])
        case Type.XATTR:
            return Xattr(*f[1:])
        case Type.TRUNCATE:
            return Truncate(*f[1:])
        case Type.STRIPE:
            id_, row, version, *values = f[1:]
            return Stripe(id_, Place(version, row), *values)


def is_readable(image: Image) -> bool:
    """Whether who restores could read this image: it is one of this format, and its values do not contradict each
    other."""
    try:
        return list(decode_all(encode(image))) == [image]
    except (NotAuthentic, OverflowError, TypeError):
        return False


def join(encoded: Iterable[bytes]) -> bytes:
    """Records as they stand in a meta stripe: one after the other."""
    return b"".join(encoded)
