"""The index at the end of a stage file: which bytes of which files its content is, for when the database is lost (R6).

It grows downward from the end of the file, slot by slot of 29 bytes, while the content grows upward from its start:

    content | free | slot n | ... | slot 1 | slot 0

    slot 0    "coopfs" | format u8 | stripe id u64 | group u64 | 0 0 | check
    slot i    inode u64 | offset u64 | length u32 | stored u32 | codec u8 | check

The slots tell the content in its order: slot i speaks of the next `stored` bytes. check: the first 4 bytes of BLAKE3 of
(stripe id u64, slot number u32, the slot), so that the first slot that does not match is the end. Slots are only ever
added; they are written before the content that they speak of is synced, so what was promised to anybody has its slot.
When a stripe is closed they move up behind its content, and the rest of the file is cut off.

A slot takes no more than an entry in the directory of a block does (core/directory), so both fit into the capacity of a
stripe, which has room for these.
"""

import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from coopfs.core.stripe import Fragment
from coopfs.core.units import PLAIN

_HEAD = struct.Struct(">6sBQQ2x")
_PIECE = struct.Struct(">QQIIB")
_KEY = struct.Struct(">QI")
_CHECK = 4  # bytes
SLOT = _PIECE.size + _CHECK  # bytes
MAGIC, FORMAT = b"coopfs", 0
_AT_ONCE = 1024  # slots read at once


@dataclass(frozen=True, slots=True)
class Piece:
    """`stored` bytes at byte `at` of a stage file are `length` bytes of a file, from byte `offset` on."""

    ino: int
    offset: int
    length: int
    at: int
    stored: int
    codec: int


@dataclass(frozen=True, slots=True)
class Index:
    """What a stage file tells of itself. group: in which its stripe was opened."""

    stripe: int
    group: int
    pieces: tuple[Piece, ...]


def index_size(pieces: int) -> int:
    """Bytes of an index of so many pieces."""
    return SLOT * (1 + pieces)


def encode_slots(stripe: int, group: int, fragments: Sequence[Fragment]) -> bytes:
    """A whole index: what stands at the end of the file."""
    head = _HEAD.pack(MAGIC, FORMAT, stripe, group)
    return encode_pieces(stripe, 1, fragments) + _checked(stripe, 0, head)


def encode_pieces(stripe: int, first: int, fragments: Sequence[Fragment]) -> bytes:
    """The slots of these fragments, the first of which gets this number: the last one stands in front."""
    slots = [
        _checked(stripe, first + i, _PIECE.pack(f.ino, f.offset, f.length, f.stored, f.codec))
        for i, f in enumerate(fragments)
    ]
    return b"".join(reversed(slots))


def _checked(stripe: int, number: int, slot: bytes) -> bytes:
    return slot + blake3(_KEY.pack(stripe, number) + slot).digest(_CHECK)


def uncovered(fragments: Sequence[Fragment], covered: int, length: int) -> list[Fragment]:
    """Of fragments of `length` stored bytes in all those behind the first `covered` bytes; a plain one is cut there, a
    unit never is."""
    found: list[Fragment] = []
    end = length
    for fragment in reversed(fragments):
        if end <= covered:
            break
        start = end - fragment.stored
        known = max(0, covered - start)
        if known:
            assert fragment.codec == PLAIN
            fragment = Fragment(
                fragment.ino, fragment.offset + known, fragment.length - known, fragment.parent, fragment.name
            )
        found.append(fragment)
        end = start
    found.reverse()
    return found


def read_index(path: Path) -> Index | None:
    """None: the file has none, or its end is damaged, or cannot be read. OSError."""
    try:
        return _read_index(path)
    except OSError as bad:
        if bad.errno != errno.EIO:
            raise
        return None


def _read_index(path: Path) -> Index | None:
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size < SLOT:
            return None
        head = os.pread(file.fileno(), SLOT, size - SLOT)
        magic, format_, stripe, group = _HEAD.unpack_from(head)
        if (magic, format_) != (MAGIC, FORMAT) or head != _checked(stripe, 0, head[:-_CHECK]):
            return None
        return Index(stripe, group, tuple(_pieces(file.fileno(), stripe, size - SLOT)))


def _pieces(descriptor: int, stripe: int, end: int) -> list[Piece]:
    """The pieces whose slots end at this byte, as far as they match."""
    pieces: list[Piece] = []
    at = 0
    while end - SLOT >= at:
        count = min(_AT_ONCE, (end - at) // SLOT)
        slots = os.pread(descriptor, count * SLOT, end - count * SLOT)
        for low in range(len(slots) - SLOT, -1, -SLOT):
            slot = slots[low : low + SLOT]
            ino, offset, length, stored, codec = _PIECE.unpack_from(slot)
            if slot != _checked(stripe, len(pieces) + 1, slot[:-_CHECK]) or at + stored > end:
                return pieces
            pieces.append(Piece(ino, offset, length, at, stored, codec))
            at += stored
        end -= count * SLOT
    return pieces
