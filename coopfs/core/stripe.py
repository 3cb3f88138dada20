"""Data stripes: content packed into k shards, each with the directory of its own bytes (design R2).

The life of a data stripe's content:

1. fragments (runs of one file's bytes) are appended while the stripe is open; `Packer` says how much still fits;
2. at sealing `plan` chooses the shortest shards that hold everything; content goes into shard 0, then 1, ... k-1,
   a fragment that reaches a shard's end goes on in the next;
3. content is read into its slices of the shards; `finish` writes what follows it.

    shard = content | zero pad | directory | directory length u32 | content length u32

The directory (directory.py) tells which file each byte of the shard belongs to. Plain fragments of the same inode whose
offsets follow on each other are one entry; each compressed unit has its own, one in each shard that it lies in.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coopfs.core.directory import FOOTER_SIZE, Entry, encode_entry, encode_footer, entry_size, name_size
from coopfs.core.geometry import shard_lengths
from coopfs.core.units import PLAIN
from coopfs.errors import NotAuthentic
from coopfs.types import Octets


@dataclass(frozen=True, slots=True)
class Fragment:
    """A run of one file's bytes in a stripe's content: `length` bytes of the file. parent and name: where the file was
    last seen; name may be empty (an unlinked file). codec, packed: of a compressed unit, and the bytes that it has in
    the stripe."""

    ino: int
    offset: int
    length: int
    parent: int
    name: bytes
    codec: int = PLAIN
    packed: int = 0

    @property
    def stored(self) -> int:
        """Bytes that it takes of the stripe's content."""
        return self.length if self.codec == PLAIN else self.packed

    def is_followed_by(self, ino: int, offset: int, codec: int) -> bool:
        """Whether what begins there goes on where this ends, so that both are one."""
        return self.codec == codec == PLAIN and self.ino == ino and self.offset + self.length == offset

    def longer(self, by: int) -> "Fragment":
        """With so many bytes more (dataclasses.replace takes three times as long, for each request of a stream)."""
        return Fragment(self.ino, self.offset, self.length + by, self.parent, self.name)


@dataclass(frozen=True, slots=True)
class Part:
    """The piece of a fragment that lies in one shard: `size` stored bytes, from its byte `start` on. named: the
    directory entry carries its name. A plain fragment is cut where shards end, so that start is 0."""

    shard: int
    fragment: Fragment
    named: bool
    start: int
    size: int

    @property
    def entry(self) -> Entry:
        """Its entry in the directory, without the content."""
        f = self.fragment
        name = f.name if self.named else b""
        return Entry(f.ino, f.offset, b"", f.parent, name, f.codec, f.length, f.packed, self.start)


class Packer:
    """One data stripe being filled: fragments in content order, never more than k shards of shard_length bytes."""

    def __init__(self, k: int, shard_length: int) -> None:
        self._k = k
        self._shard_length = shard_length
        self._shard = 0
        self._left = shard_length - FOOTER_SIZE  # bytes for content and directory in the current shard
        self._inodes: set[int] = set()  # whose names are in the stripe
        self.parts: list[Part] = []
        self.slices = [0] * k  # content bytes in each shard

    def room(self, ino: int, offset: int, name: bytes, codec: int = PLAIN) -> int:
        """Content bytes of this inode that still fit, when they are added at this file offset; 0: full."""
        fresh = self._shard_length - FOOTER_SIZE
        entry = entry_size(codec)
        here = self._left - self._entry_cost(ino, offset, name, codec)
        after = self._k - 1 - self._shard
        if here > 0:
            return here + after * (fresh - entry)
        if not after:
            return 0
        return max(0, fresh - entry - self._name_cost(ino, name)) + (after - 1) * (fresh - entry)

    def add(self, fragment: Fragment) -> None:
        """Append a fragment whose stored bytes are at most room(); it is split where shards end."""
        ino, codec, stored = fragment.ino, fragment.codec, fragment.stored
        done = 0
        while done < stored:
            offset = fragment.offset if codec else fragment.offset + done
            cost = self._entry_cost(ino, offset, fragment.name, codec)
            take = min(stored - done, self._left - cost)
            if take <= 0:
                self._shard += 1
                assert self._shard < self._k, "more was added than fits"
                self._left = self._shard_length - FOOTER_SIZE
                continue
            whole = codec or take == stored  # as small files are: a copy would cost more than all the rest
            piece = fragment if whole else Fragment(ino, offset, take, fragment.parent, fragment.name)
            self._append(piece, done if codec else 0, take, cost)
            done += take

    def _append(self, piece: Fragment, start: int, size: int, cost: int) -> None:
        self._left -= cost + size
        self.slices[self._shard] += size
        if cost == 0:
            last = self.parts[-1]
            self.parts[-1] = Part(last.shard, last.fragment.longer(size), last.named, 0, last.size + size)
            return
        named = piece.ino not in self._inodes and bool(piece.name)
        self._inodes.add(piece.ino)
        self.parts.append(Part(self._shard, piece, named, start, size))

    def _entry_cost(self, ino: int, offset: int, name: bytes, codec: int) -> int:
        if self.parts:
            last = self.parts[-1]
            if last.shard == self._shard and last.fragment.is_followed_by(ino, offset, codec):
                return 0
        return entry_size(codec) + self._name_cost(ino, name)

    def _name_cost(self, ino: int, name: bytes) -> int:
        return 0 if not name or ino in self._inodes else name_size(name)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stripe's content is cut into shards."""

    shard_length: int
    slices: tuple[int, ...]
    parts: tuple[Part, ...]


def plan(fragments: Sequence[Fragment], k: int, block_size: int) -> Plan:
    """The shortest shards that hold these fragments, which a Packer of full length took."""
    found = plan_if_fits(fragments, k, block_size)
    assert found is not None, "the fragments were not admitted by a Packer of this geometry"
    return found


def plan_if_fits(fragments: Sequence[Fragment], k: int, block_size: int) -> Plan | None:
    """The shortest shards that hold these fragments, among those that waste nothing in the block rounding; None: no
    length does.

    A binary search, as whatever fits into a length fits into a longer one; but from below, where the content alone
    would fit: directories are small, and each look costs 13 us for each file.
    """
    lengths = shard_lengths(block_size)
    least = -(-sum(fragment.stored for fragment in fragments) // k)
    low, high, step = bisect_left(lengths, least), len(lengths) - 1, 0
    best: Plan | None = None
    while low <= high:
        at = min(low + step, (low + high) // 2)
        packed = _pack(fragments, k, lengths[at])
        if packed is None:
            low, step = at + 1, 2 * step + 1
        else:
            best, high = packed, at - 1
    return best


def _pack(fragments: Sequence[Fragment], k: int, shard_length: int) -> Plan | None:
    packer = Packer(k, shard_length)
    for f in fragments:
        if packer.room(f.ino, f.offset, f.name, f.codec) < f.stored:
            return None
        packer.add(f)
    return Plan(shard_length, tuple(packer.slices), tuple(packer.parts))


def finish(how: Plan, shards: Sequence[memoryview]) -> None:
    """Write directory and footer of each of the k data shards, zeros but for their content."""
    directories: list[list[bytes]] = [[] for _ in shards]
    ends = [0] * len(shards)
    for part in how.parts:
        start = ends[part.shard]
        ends[part.shard] = end = start + part.size
        directories[part.shard].append(encode_entry(part.entry, shards[part.shard][start:end]))
    assert tuple(ends) == how.slices
    for shard, length, entries in zip(shards, how.slices, directories, strict=True):
        directory = b"".join(entries)
        tail = directory + encode_footer(len(directory), length)
        shard[len(shard) - len(tail) :] = tail


class Content:
    """The content of a stripe, where its k data shards have it. NotAuthentic: they are not cut as `slices` says."""

    __slots__ = ("_slices", "pieces")

    def __init__(self, shards: Sequence[Octets], slices: Sequence[int]) -> None:
        if len(slices) != len(shards) or any(length > len(s) for s, length in zip(shards, slices, strict=True)):
            raise NotAuthentic("a stripe is not cut into shards as its record says")
        self.pieces = [memoryview(shard)[:length] for shard, length in zip(shards, slices, strict=True)]
        self._slices = tuple(slices)

    def __len__(self) -> int:
        return sum(self._slices)

    def read(self, at: int, length: int) -> bytes:
        """A run of it, cut at its end."""
        return b"".join(self.pieces[j][low : low + size] for j, low, size in locate(self._slices, at, length))

    def whole(self) -> bytes:
        return b"".join(self.pieces)


def locate(slices: Sequence[int], at: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(shard, offset in shard, bytes) of a run of content."""
    start = 0
    for shard, size in enumerate(slices):
        low, high = max(at, start), min(at + length, start + size)
        if low < high:
            yield shard, low - start, high - low
        start += size
