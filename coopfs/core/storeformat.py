"""The format of a store file, version 0: what one partner holds of one column (design R15).

    0                       header, one page of 4096 bytes
    4096                    index: one entry of 64 bytes per row, zero-filled to a whole page
    4096 + index            slots: `block size` bytes per row; a block lies at the start of its slot,
                            and what is behind it means nothing
    ...                     for each time it has grown: index and slots of the rows that were added

All numbers are big-endian; checksums are BLAKE3-128. Header:

     0  magic         16 bytes  "coopfs store 0", two NUL
    16  disk id       16 bytes
    32  store id      16 bytes
    48  rows          u32       1..2^31, that it was made with
    52  block size    u32       bytes, 16 KiB..1 MiB, a multiple of 4096
    56  checksum      16 bytes  of the 56 bytes before
    72  added         u32 each  rows added, the oldest first, at most 64 times; 0 ends them
   ...                          2^31 + rows, once and last: so many of the last rows have been cut
   ...  checksum      16 bytes  of all before, if there are any; zero follows to the end of the page

All that is not zero lies in the first 512 bytes, which a disk writes whole or not at all: that is how a store grows, or
is cut. What is cut off is slots; the index of the last rows that are there stays as long as it was, and means nothing
beyond them.

Entry:

     0  version       u64       0: this slot is empty
     8  change        u64       the number of the put that wrote it: 1, 2, ... over the life of the store
    16  row           u32
    20  length        u32       bytes of the block
    24  content       16 bytes  checksum of the block
    40  reserved      8 bytes   0
    48  checksum      16 bytes  of the store id and the 48 bytes before

An entry of 64 zero bytes was never written. One whose checksum is wrong, or that is of another row, is torn: its
slot is empty. One with version 0 and a right checksum says that the block was found torn or rotten; its change is
the highest number given until then.

At most 64 puts lie between two `fdatasync` of a store. So, after a crash, only the 64 highest change numbers can
belong to entries that reached the disk without their content: whoever opens the file checks those blocks before it
believes the index. Content that reached the disk without its entry spoils the block it overwrites, whose entry
still looks right: each reading compares the checksum.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from blake3 import blake3

from coopfs import limits
from coopfs.errors import HomeError
from coopfs.types import DiskId, Octets, StoreId

PAGE = 4096  # bytes
ENTRY = limits.INDEX_ENTRY
CHECKSUM = 16  # bytes

_MAGIC = b"coopfs store 0\0\0"
_ANY_MAGIC = b"coopfs store "
_HEADER = struct.Struct(">16s16s16sII")
_ENTRY = struct.Struct(">QQII16s8x")
_FIELDS_OF_SLAB = struct.Struct(">QQII24x16s")  # an entry without its content checksum
_NEVER_WRITTEN = bytes(ENTRY)
SECTOR = 512  # bytes of the header that may not be zero
_ADDED_AT = _HEADER.size + CHECKSUM
_ADDED = struct.Struct(">I")
assert _ENTRY.size + CHECKSUM == ENTRY
_CUT = 1 << 31  # marks the number of rows that were cut
assert _ADDED_AT + (limits.MAX_GROWTHS + 2) * _ADDED.size + CHECKSUM <= SECTOR


@dataclass(frozen=True, slots=True)
class StoreHeader:
    """rows of block_size bytes of one store of one disk. added: how many rows each growth has brought; cut: how many of
    the last of them are gone again."""

    disk: DiskId
    store: StoreId
    rows: int
    block_size: int
    added: tuple[int, ...] = ()
    cut: int = 0

    @property
    def made(self) -> int:
        """Rows that it was made with."""
        return self.rows + self.cut - sum(self.added)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        *_, last = self.runs()
        return last.end

    def runs(self) -> "tuple[RowRun, ...]":
        """The rows as they lie in the file: those that it was made with, then those that each growth has brought."""
        counts = (self.made, *self.added)
        firsts = (0, *accumulate(counts[:-1]))
        offsets = accumulate((store_size(count, self.block_size) - PAGE for count in counts[:-1]), initial=PAGE)
        return tuple(
            RowRun(first, min(count, self.rows - first), count, offset, self.block_size)
            for first, count, offset in zip(firsts, counts, offsets, strict=True)
        )

    def grown(self, rows: int) -> "StoreHeader":
        """The same with so many rows, which is more: first those come back that were cut."""
        assert rows > self.rows
        back = min(self.cut, rows - self.rows)
        added = (*self.added, rows - self.rows - back) if rows - self.rows > back else self.added
        return replace(self, rows=rows, added=added, cut=self.cut - back)

    def shrunk(self, rows: int) -> "StoreHeader":
        """The same with so many rows, which is less."""
        assert 1 <= rows < self.rows
        last = max(run.first for run in self.runs() if run.first < rows)
        added = [count for run, count in zip(self.runs()[1:], self.added, strict=True) if run.first <= last]
        return replace(self, rows=rows, added=tuple(added), cut=self.made + sum(added) - rows)

    def encode(self) -> bytes:
        """One page."""
        fields = _HEADER.pack(_MAGIC, self.disk, self.store, self.made, self.block_size)
        page = fields + checksum(fields)
        changes = (*self.added, _CUT + self.cut) if self.cut else self.added
        if changes:
            page += b"".join(map(_ADDED.pack, (*changes, 0)))
            page += checksum(page)
        return page.ljust(PAGE, b"\0")


@dataclass(frozen=True, slots=True)
class RowRun:
    """Rows that lie together in a store file: from `first` on, with their index at `offset` bytes, which has room for
    `indexed` rows."""

    first: int
    count: int
    indexed: int
    offset: int
    block_size: int

    def entry_at(self, row: int) -> int:
        """Where a row's index entry lies, in bytes from the start of the file."""
        return self.offset + (row - self.first) * ENTRY

    def slot_at(self, row: int) -> int:
        """Where its block lies."""
        return self.offset + slots_offset(self.indexed) - PAGE + (row - self.first) * self.block_size

    @property
    def end(self) -> int:
        return self.slot_at(self.first + self.count)


class RowMap:
    """Where each row of a store lies."""

    def __init__(self, header: StoreHeader) -> None:
        self.runs = header.runs()
        self._firsts = [run.first for run in self.runs]

    def run_of(self, row: int) -> RowRun:
        """The run that a row is in."""
        return self.runs[bisect_right(self._firsts, row) - 1]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index says of one row. change: number of the put; length in bytes; content: the block's checksum, 16
    bytes.
    """

    version: int
    change: int
    row: int
    length: int
    content: bytes

    def encode(self, store: StoreId) -> bytes:
        """64 bytes."""
        fields = _ENTRY.pack(self.version, self.change, self.row, self.length, self.content)
        return fields + checksum(store + fields)


def decode_header(page: bytes) -> StoreHeader:
    """HomeError: not a store file, of another version, or damaged (the message is the end of a sentence about the
    file).
    """
    magic = page[: len(_MAGIC)]
    if not magic.startswith(_ANY_MAGIC):
        raise HomeError("is not a store file")
    if magic != _MAGIC:
        raise HomeError("is a store file of a version that this program cannot read")
    if page[_HEADER.size : _HEADER.size + CHECKSUM] != checksum(page[: _HEADER.size]):
        raise HomeError("has a damaged header")
    _, disk, store, rows, block_size = _HEADER.unpack_from(page)
    added = _decode_changes(page)
    cut = added.pop() - _CUT if added and added[-1] > _CUT else 0
    total = rows + sum(added)
    if not valid_shape(total, block_size) or rows == 0 or cut >= (added or [rows])[-1]:
        raise HomeError("has a header with a size that no store has")
    return StoreHeader(DiskId(disk), StoreId(store), total - cut, block_size, tuple(added), cut)


def _decode_changes(page: bytes) -> list[int]:
    """The rows of each growth, and what was cut. HomeError: damaged."""
    added: list[int] = []
    page, at = page.ljust(PAGE, b"\0"), _ADDED_AT
    while len(added) <= limits.MAX_GROWTHS + 1:
        (rows,) = _ADDED.unpack_from(page, at)
        at += _ADDED.size
        if rows == 0:
            break
        added.append(rows)
    else:
        raise HomeError("has a damaged header")
    if added and page[at : at + CHECKSUM] != checksum(page[:at]):
        raise HomeError("has a damaged header")
    return added


def decode_entry(data: bytes, store: StoreId, row: int) -> Entry | None:
    """The entry of `row`; None: never written, torn, or of another row or store."""
    if data == _NEVER_WRITTEN or data[_ENTRY.size :] != checksum(store + data[: _ENTRY.size]):
        return None
    entry = Entry(*_ENTRY.unpack_from(data))
    return entry if entry.row == row else None


def decode_entries(slab: bytes, store: StoreId, first: int) -> Iterator[tuple[int, int, int, int]]:
    """(row, version, length, change) of each entry that was ever written, in a run of entries from row `first` on; of
    a torn one version, length and change are 0.

    Made for millions of rows: plain tuples.
    """
    if slab.count(0) == len(slab):
        return
    start = 0
    for row, (version, change, named, length, expected) in enumerate(_FIELDS_OF_SLAB.iter_unpack(slab), first):
        # Never written ones have change 0: puts are numbered from 1.
        if change or version or any(expected):
            intact = named == row and blake3(store + slab[start : start + _ENTRY.size]).digest(CHECKSUM) == expected
            yield (row, version, length, change) if intact else (row, 0, 0, 0)
        start += ENTRY


def checksum(data: Octets) -> bytes:
    """BLAKE3-128."""
    return blake3(data).digest(length=CHECKSUM)


def valid_shape(rows: int, block_size: int) -> bool:
    """Whether a store may have this many rows of this many bytes."""
    return (
        1 <= rows <= limits.MAX_ROWS
        and limits.MIN_BLOCK_SIZE <= block_size <= limits.MAX_BLOCK_SIZE
        and block_size % PAGE == 0
    )


def slots_offset(rows: int) -> int:
    """Bytes before the first slot."""
    return PAGE + -(-rows * ENTRY // PAGE) * PAGE


def store_size(rows: int, block_size: int) -> int:
    """Bytes that a store takes from its agreement: header, index and slots."""
    return slots_offset(rows) + rows * block_size


def rows_within(size: int, block_size: int) -> int:
    """The most rows of block_size bytes whose store fits into `size` bytes; 0: not even one."""
    rows = max(0, size - PAGE) // (block_size + ENTRY)
    # The index is rounded up to a page, which can cost one row.
    if rows > 0 and store_size(rows, block_size) > size:
        rows -= 1
    return min(rows, limits.MAX_ROWS)
