"""The directory of one data shard: which file each of its bytes belongs to (design R2).

It lists the shard's own bytes in order, so that a single block, without database or log, can still be read. An entry is
29 bytes, the name once for each inode and stripe, and 12 bytes more for each part of a compressed unit:

    inode u64 | file offset u64 | codec u8 | length u24 | checksum 8 bytes (BLAKE3 of these bytes) | name length u8
    [ parent inode u64 | name ]                     if name length > 0
    [ raw u32 | stored u32 | start u32 ]            if codec > 0

Of compressed content the file offset is that of the unit, which has `stored` bytes in all and `raw` when decoded; the
entry speaks of those from `start` on. A unit goes on in the next shard where one ends.
"""

import struct
from dataclasses import dataclass

from blake3 import blake3

from coopfs.core.units import PLAIN, ZSTD
from coopfs.errors import NotAuthentic
from coopfs.types import Octets

_ENTRY = struct.Struct(">QQI8sB")
_PARENT = struct.Struct(">Q")
_UNIT = struct.Struct(">III")
_FOOTER = struct.Struct(">II")
_CODEC = 24  # bits of the length, which a codec stands in front of

FOOTER_SIZE = _FOOTER.size  # bytes: length of the directory, length of the content


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, with the bytes it speaks of. With a codec, they are those of a unit from `start` on."""

    ino: int
    offset: int
    content: bytes
    parent: int
    name: bytes
    codec: int = PLAIN
    raw: int = 0
    stored: int = 0
    start: int = 0


def entry_size(codec: int) -> int:
    """Bytes of an entry without a name."""
    return _ENTRY.size if codec == PLAIN else _ENTRY.size + _UNIT.size


def name_size(name: bytes) -> int:
    """Bytes that a name adds to an entry."""
    return _PARENT.size + len(name)


def encode_entry(entry: Entry, content: memoryview) -> bytes:
    """content: what the entry speaks of, in place of its own."""
    where = (entry.ino, entry.offset, entry.codec << _CODEC | len(content))
    encoded = _ENTRY.pack(*where, blake3(content).digest(8), len(entry.name))
    if entry.name:
        encoded += _PARENT.pack(entry.parent) + entry.name
    if entry.codec != PLAIN:
        encoded += _UNIT.pack(entry.raw, entry.stored, entry.start)
    return encoded


def encode_footer(directory_length: int, content_length: int) -> bytes:
    """The last bytes of a shard."""
    return _FOOTER.pack(directory_length, content_length)


def read_directory(shard: Octets) -> list[Entry]:
    """What a single data shard tells of its own bytes. NotAuthentic: no directory of this format, or a bad checksum."""
    try:
        directory_length, content_length = _FOOTER.unpack_from(shard, len(shard) - _FOOTER.size)
        at = len(shard) - _FOOTER.size - directory_length
        if content_length > at or at < 0:
            raise NotAuthentic("a shard's directory lies outside of it")
        entries, start, end = [], 0, at + directory_length
        while at < end:
            entry, at = _decode_entry(shard, at, start)
            start += len(entry.content)
            entries.append(entry)
    except struct.error:
        raise NotAuthentic("a shard has no directory that this version can read") from None
    if start != content_length or at != end:
        raise NotAuthentic("a shard's directory does not cover its content")
    return entries


def _decode_entry(shard: Octets, at: int, start: int) -> tuple[Entry, int]:
    """The entry at this byte, whose content begins at `start`; and where the next one stands."""
    ino, offset, length, checksum, name_length = _ENTRY.unpack_from(shard, at)
    codec, length = length >> _CODEC, length & (1 << _CODEC) - 1
    at += _ENTRY.size
    parent, name = 0, b""
    if name_length:
        (parent,) = _PARENT.unpack_from(shard, at)
        at += _PARENT.size
        name = bytes(shard[at : at + name_length])
        at += name_length
    unit = (0, 0, 0)
    if codec != PLAIN:
        unit = _UNIT.unpack_from(shard, at)
        at += _UNIT.size
    content = bytes(shard[start : start + length])
    if codec not in (PLAIN, ZSTD) or blake3(content).digest(8) != checksum:
        raise NotAuthentic("a shard's content does not match its directory")
    return Entry(ino, offset, content, parent, name, codec, *unit), at
