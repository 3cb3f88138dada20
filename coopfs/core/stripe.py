"""Data stripes: content packed into k shards, each with the directory of its own bytes (design R2).

The life of a data stripe's content:

1. fragments (runs of one file's bytes) are appended while the stripe is open; `Packer` says how much still fits;
2. at sealing `plan` chooses the shortest shards that hold everything; content goes into shard 0, then 1, ... k-1,
   a fragment that reaches a shard's end goes on in the next;
3. content is read into its slices of the shards; `finish` writes what follows it.

    shard = content | zero pad | directory | directory length u32 | content length u32

The directory lists the shard's own bytes in order: 29 bytes an entry and the name once for each inode and stripe,
so that a single block, without database or log, still tells which file its bytes belong to:

    inode u64 | file offset u64 | length u32 | checksum 8 bytes (BLAKE3 of these bytes) | name length u8
    [ parent inode u64 | name ]      if name length > 0

Fragments of the same inode whose offsets follow on each other are one entry.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blake3 import blake3

from coopfs.core.geometry import shard_lengths
from coopfs.errors import NotAuthentic
from coopfs.types import Octets

_ENTRY = struct.Struct(">QQI8sB")
_PARENT = struct.Struct(">Q")
_FOOTER = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A run of one file's bytes in a stripe's content. parent and name: where the file was last seen; name may be
    empty (an unlinked file)."""

    ino: int
    offset: int
    length: int
    parent: int
    name: bytes

    def longer(self, by: int) -> "Fragment":
        """With so many bytes more (dataclasses.replace takes three times as long, for each request of a stream)."""
        return Fragment(self.ino, self.offset, self.length + by, self.parent, self.name)


@dataclass(frozen=True, slots=True)
class Part:
    """The piece of a fragment that lies in one shard; `named`: the directory entry carries its name."""

    shard: int
    fragment: Fragment
    named: bool

    @property
    def directory_size(self) -> int:
        return _ENTRY.size + (_PARENT.size + len(self.fragment.name) if self.named else 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One decoded directory entry, with the bytes it speaks of."""

    ino: int
    offset: int
    content: bytes
    parent: int
    name: bytes


class Packer:
    """One data stripe being filled: fragments in content order, never more than k shards of shard_length bytes."""

    def __init__(self, k: int, shard_length: int) -> None:
        self._k = k
        self._shard_length = shard_length
        self._shard = 0
        self._left = shard_length - _FOOTER.size  # bytes for content and directory in the current shard
        self._inodes: set[int] = set()  # whose names are in the stripe
        self.parts: list[Part] = []
        self.slices = [0] * k  # content bytes in each shard

    def room(self, ino: int, offset: int, name: bytes) -> int:
        """Content bytes of this inode that still fit, when they are added at this file offset; 0: full."""
        fresh = self._shard_length - _FOOTER.size
        here = self._left - self._entry_cost(ino, offset, name)
        after = self._k - 1 - self._shard
        if here > 0:
            return here + after * (fresh - _ENTRY.size)
        if not after:
            return 0
        return max(0, fresh - _ENTRY.size - self._name_cost(ino, name)) + (after - 1) * (fresh - _ENTRY.size)

    def add(self, fragment: Fragment) -> None:
        """Append a fragment of at most room() bytes; it is split where shards end."""
        ino, offset, left = fragment.ino, fragment.offset, fragment.length
        while left:
            cost = self._entry_cost(ino, offset, fragment.name)
            take = min(left, self._left - cost)
            if take <= 0:
                self._shard += 1
                assert self._shard < self._k, "more was added than fits"
                self._left = self._shard_length - _FOOTER.size
                continue
            whole = take == fragment.length  # as small files are: a copy would cost more than all the rest
            self._append(fragment if whole else Fragment(ino, offset, take, fragment.parent, fragment.name), cost)
            offset += take
            left -= take

    def _append(self, piece: Fragment, cost: int) -> None:
        self._left -= cost + piece.length
        self.slices[self._shard] += piece.length
        if cost == 0:
            last = self.parts[-1]
            self.parts[-1] = Part(last.shard, last.fragment.longer(piece.length), last.named)
            return
        named = piece.ino not in self._inodes and bool(piece.name)
        self._inodes.add(piece.ino)
        self.parts.append(Part(self._shard, piece, named))

    def _entry_cost(self, ino: int, offset: int, name: bytes) -> int:
        if self.parts:
            last = self.parts[-1]
            f = last.fragment
            if last.shard == self._shard and f.ino == ino and f.offset + f.length == offset:
                return 0
        return _ENTRY.size + self._name_cost(ino, name)

    def _name_cost(self, ino: int, name: bytes) -> int:
        return 0 if not name or ino in self._inodes else _PARENT.size + len(name)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stripe's content is cut into shards."""

    shard_length: int
    slices: tuple[int, ...]
    parts: tuple[Part, ...]


def plan(fragments: Sequence[Fragment], k: int, block_size: int) -> Plan:
    """The shortest shards that hold these fragments, among those that waste nothing in the block rounding.

    A binary search: whatever fits into a length fits into a longer one. What a Packer of full length took, fits.
    """
    lengths = shard_lengths(block_size)
    low, high = 0, len(lengths) - 1
    best: Plan | None = None
    while low <= high:
        middle = (low + high) // 2
        packed = _pack(fragments, k, lengths[middle])
        if packed is None:
            low = middle + 1
        else:
            best = packed
            high = middle - 1
    assert best is not None, "the fragments were not admitted by a Packer of this geometry"
    return best


def _pack(fragments: Sequence[Fragment], k: int, shard_length: int) -> Plan | None:
    packer = Packer(k, shard_length)
    for f in fragments:
        if packer.room(f.ino, f.offset, f.name) < f.length:
            return None
        packer.add(f)
    return Plan(shard_length, tuple(packer.slices), tuple(packer.parts))


def finish(how: Plan, shards: Sequence[memoryview]) -> None:
    """Write directory and footer of each of the k data shards, zeros but for their content."""
    directories: list[list[bytes]] = [[] for _ in shards]
    ends = [0] * len(shards)
    for part in how.parts:
        start = ends[part.shard]
        ends[part.shard] = end = start + part.fragment.length
        directories[part.shard].append(_entry(part, shards[part.shard][start:end]))
    assert tuple(ends) == how.slices
    for shard, length, entries in zip(shards, how.slices, directories, strict=True):
        directory = b"".join(entries)
        tail = directory + _FOOTER.pack(len(directory), length)
        shard[len(shard) - len(tail) :] = tail


def _entry(part: Part, content: memoryview) -> bytes:
    f = part.fragment
    checksum = blake3(content).digest(8)
    if not part.named:
        return _ENTRY.pack(f.ino, f.offset, f.length, checksum, 0)
    return _ENTRY.pack(f.ino, f.offset, f.length, checksum, len(f.name)) + _PARENT.pack(f.parent) + f.name


def content_of(shards: Sequence[Octets], slices: Sequence[int]) -> bytes:
    """The content of a stripe from its k data shards. NotAuthentic: they are not cut as `slices` says."""
    if len(slices) != len(shards) or any(length > len(s) for s, length in zip(shards, slices, strict=True)):
        raise NotAuthentic("a stripe is not cut into shards as its record says")
    return b"".join(memoryview(shard)[:length] for shard, length in zip(shards, slices, strict=True))


def locate(slices: Sequence[int], at: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(shard, offset in shard, bytes) of a run of content: what a reader must fetch when all data columns are up."""
    start = 0
    for shard, size in enumerate(slices):
        low, high = max(at, start), min(at + length, start + size)
        if low < high:
            yield shard, low - start, high - low
        start += size


def read_directory(shard: Octets) -> list[Entry]:
    """What a single data shard tells of its own bytes. NotAuthentic: no directory of this format, or a bad checksum."""
    try:
        directory_length, content_length = _FOOTER.unpack_from(shard, len(shard) - _FOOTER.size)
        at = len(shard) - _FOOTER.size - directory_length
        if content_length > at or at < 0:
            raise NotAuthentic("a shard's directory lies outside of it")
        entries, start, end = [], 0, at + directory_length
        while at < end:
            ino, offset, length, checksum, name_length = _ENTRY.unpack_from(shard, at)
            at += _ENTRY.size
            parent, name = 0, b""
            if name_length:
                (parent,) = _PARENT.unpack_from(shard, at)
                at += _PARENT.size
                name = bytes(shard[at : at + name_length])
                at += name_length
            content = bytes(shard[start : start + length])
            start += length
            if blake3(content).digest(8) != checksum:
                raise NotAuthentic("a shard's content does not match its directory")
            entries.append(Entry(ino, offset, content, parent, name))
    except struct.error:
        raise NotAuthentic("a shard has no directory that this version can read") from None
    if start != content_length or at != end:
        raise NotAuthentic("a shard's directory does not cover its content")
    return entries
