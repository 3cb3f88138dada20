"""One hosted store as one file (design R15). The format is core/storeformat.py's; this is what happens to it on a disk.

A put of a batch:
1. each block is judged by the accept rule; only a put that is not newer costs a read of what is stored;
2. content and index entry are written in place;
3. one fdatasync covers the whole batch;
4. the index in memory changes, and only now does anybody see or hear of the new blocks.

After a crash between 2 and 3 a slot holds the old block, the new one, or bytes that fit neither entry and count as
empty.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType

from coopfs import limits
from coopfs.core.acceptance import accepts, check_put, check_row
from coopfs.core.storeformat import (
    ENTRY,
    PAGE,
    SECTOR,
    Entry,
    RowMap,
    RowRun,
    StoreHeader,
    checksum,
    decode_entries,
    decode_entry,
    decode_header,
)
from coopfs.errors import BlockRefused, HomeError
from coopfs.local.diskerrors import disk_errors
from coopfs.local.hosted.storeindex import StoreIndex
from coopfs.types import Octets, Slot, StoredBlock, Write

_SLAB = 16384  # entries read at once when a store is opened: 1 MiB
_PAGE_ROWS = PAGE // ENTRY  # entries in one page of the index


def write_header(path: Path, header: StoreHeader) -> None:
    """Make a store of a file that is zero and has the header's size already, durably. HomeError."""
    with disk_errors("write", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _write_at(descriptor, header.encode(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_header(path: Path) -> StoreHeader:
    """The header of the store in this file, of which anything beyond its size is cut: a growth that came to nothing.
    HomeError: missing, cut short, damaged, or of another version."""
    with disk_errors("open", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        with disk_errors("read", path):
            header = decode_header(os.pread(descriptor, PAGE, 0))
            size = os.fstat(descriptor).st_size
            if size > header.size:
                os.ftruncate(descriptor, header.size)
            if size < header.size:
                raise HomeError(f"has {size} bytes instead of {header.size}")
    except HomeError as error:
        raise HomeError(f"{path} {error}: move it away, its owner will send the blocks again") from None
    finally:
        os.close(descriptor)
    return header


class StoreFile:
    """An open store file. Synchronous; `get` and `inventory` may run in other threads beside one `put`."""

    def __init__(self, path: Path) -> None:
        """HomeError: missing, cut short, damaged, of another version, or not readable."""
        self._path = path
        self._writing = Lock()
        self.writer: object = None  # the session for writing that was opened last: no other may put
        self.header = read_header(path)
        self._map = RowMap(self.header)
        self._bad_rows: list[range] = []  # whose page of the index has a bad sector
        with disk_errors("open", path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            with disk_errors("read", path):
                self.index = StoreIndex(self.header.rows)
                self._load()
            with disk_errors("write", path):  # the last process may have died before it had synced what is told now
                os.fsync(self._descriptor)
        except HomeError:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "StoreFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def grow(self, header: StoreHeader) -> None:
        """Its header is this from now on, with more rows; the file is long enough, and zero there, but for the index of
        rows that had been cut. HomeError."""
        with self._writing, disk_errors("write", self._path):
            last = self._map.runs[-1]
            again = min(last.indexed, header.rows - last.first) - last.count
            _write_at(self._descriptor, bytes(again * ENTRY), last.entry_at(self.header.rows))
            os.fdatasync(self._descriptor)
            self._become(header)

    def cut(self, header: StoreHeader) -> None:
        """Its header is this from now on, with less rows, and what lay in the others is gone: cut short, the next
        opening ends it. HomeError."""
        with self._writing, disk_errors("write", self._path):
            self._become(header)
            os.ftruncate(self._descriptor, header.size)
            os.fdatasync(self._descriptor)

    def _become(self, header: StoreHeader) -> None:
        _write_at(self._descriptor, header.encode()[:SECTOR], 0)
        os.fdatasync(self._descriptor)
        self.index.resize(header.rows)
        self.header, self._map = header, RowMap(header)

    def put(self, writes: Sequence[Write]) -> list[BlockRefused | None]:
        """Put a batch of at most PUT_BATCH blocks; return, for each, why it was refused or None, when all are on
        stable storage.

        Refused: out of the store's shape, nothing was written. HomeError: the disk failed; every row of the batch
        counts as empty.
        """
        assert len(writes) <= limits.PUT_BATCH
        for write in writes:
            check_put(self.header.rows, self.header.block_size, write.row, write.version, len(write.data))
        with self._writing:
            return self._put(writes)

    def get(self, row: int) -> StoredBlock | None:
        """The intact block of `row`; None: empty, torn or rotten, or the disk cannot read it now. Refused: no such row.
        HomeError."""
        check_row(self.header.rows, row)
        with disk_errors("read", self._path), _unless_bad_sector():
            block = self._read(row)
            if block is None and self.index.version(row):
                # Rotten, or being overwritten at this moment: a put in progress is over when it lets go of the lock.
                with self._writing:
                    block = self._intact(row)
            return block
        return None  # it stays: whoever reads it again after a cable was loose has it; its owner may put it once more

    def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        """At most `limit` slots that hold a block on stable storage, or (version 0) one found torn or rotten, from
        first_row on, by ascending row."""
        return self.index.slots(first_row, limit)

    def _put(self, writes: Sequence[Write]) -> list[BlockRefused | None]:
        outcomes: list[BlockRefused | None] = []
        accepted: dict[int, Write] = {}
        changes, _ = self.index.state()
        try:
            with disk_errors("write", self._path):
                for write in writes:
                    try:
                        if self._accepts(write, accepted.get(write.row)):
                            accepted[write.row] = write
                            changes += 1
                            self._write(write, changes)
                        outcomes.append(None)
                    except BlockRefused as refusal:
                        outcomes.append(refusal)
                if accepted:
                    os.fdatasync(self._descriptor)
        except HomeError:
            # After a failed fdatasync nobody knows what is on the disk, and a later one would not tell.
            self.index.set([Slot(row, 0, 0) for row in accepted], changes)
            with suppress(OSError):
                for row in accepted:
                    self._write_empty(row)
            raise
        self.index.set([Slot(write.row, write.version, len(write.data)) for write in accepted.values()], changes)
        return outcomes

    def _accepts(self, write: Write, earlier: Write | None) -> bool:
        """The accept rule, against an earlier write of the same batch or what is stored. BlockRefused."""
        if earlier is not None:
            stored: StoredBlock | None = StoredBlock(earlier.version, earlier.data)
        elif write.version > self.index.version(write.row):
            return True
        else:
            stored = None
            with _unless_bad_sector():
                stored = self._intact(write.row)
        return accepts(stored, write.row, write.version, write.data)

    def _write(self, write: Write, change: int) -> None:
        entry = Entry(write.version, change, write.row, len(write.data), checksum(write.data))
        run = self._map.run_of(write.row)
        _write_at(self._descriptor, _whole_pages(write.data), run.slot_at(write.row))
        _write_at(self._descriptor, entry.encode(self.header.store), run.entry_at(write.row))

    def _write_empty(self, row: int) -> None:
        """Say on disk that the block of `row` is gone, so that it does not come back at the next start."""
        _write_at(self._descriptor, self._nothing_in(row), self._map.run_of(row).entry_at(row))

    def _nothing_in(self, row: int) -> bytes:
        return Entry(0, self.index.state()[0], row, 0, bytes(len(checksum(b"")))).encode(self.header.store)

    def _read(self, row: int) -> StoredBlock | None:
        """The block of the version that the index in memory names, if entry and content say the same. OSError."""
        version = self.index.version(row)
        if version == 0:
            return None
        run = self._map.run_of(row)
        entry = decode_entry(os.pread(self._descriptor, ENTRY, run.entry_at(row)), self.header.store, row)
        if entry is None or entry.version != version:
            return None
        data = os.pread(self._descriptor, entry.length, run.slot_at(row))
        return StoredBlock(version, data) if checksum(data) == entry.content else None

    def _intact(self, row: int) -> StoredBlock | None:
        """As _read, while nobody writes: a block that is rotten leaves the store."""
        block = self._read(row)
        if block is None and self.index.version(row):
            self._empty(row)
        return block

    def _empty(self, row: int) -> None:
        self.index.set([Slot(row, 0, 0)], 0)
        self._write_empty(row)

    def _load(self) -> None:
        """Fill the index, then check the blocks that a crash may have torn. 3 us per row: 8 s for 2.5 M rows."""
        recent: list[tuple[int, int]] = []
        for run in self._map.runs:
            for first in range(run.first, run.first + run.count, _SLAB):
                recent = self._load_slab(run, first, recent)
        self.index.set([], recent[0][0] if recent else 0)
        for rows in self._bad_rows:  # written anew, so that they take blocks again
            self.index.set([Slot(row, 0, 0) for row in rows], 0)
            empty = b"".join(self._nothing_in(row) for row in rows)
            _write_at(self._descriptor, _whole_pages(empty), self._map.run_of(rows.start).entry_at(rows.start))
        for _, row in recent:
            block = None
            with _unless_bad_sector():
                block = self._intact(row)
            if block is None and self.index.version(row):
                self._empty(row)  # it may be torn, and nobody can tell

    def _load_slab(self, run: RowRun, first: int, recent: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Up to _SLAB entries of a run. recent: (change, row) of those that a crash may have torn, the newest first, of
        all slabs before; returned: and of this one."""
        count = min(_SLAB, run.first + run.count - first)
        slab = self._read_index(run, range(first, first + count))
        # A length beyond the slot would reach into the next one: no host wrote that.
        entries = [e for e in decode_entries(slab, self.header.store, first) if e[2] <= self.header.block_size]
        self.index.load((row, version, length) for row, version, length, _ in entries if version)
        self.index.set([Slot(row, 0, 0) for row, version, *_ in entries if not version], 0)
        highest = max([*(change for change, _ in recent[:1]), *(entry[3] for entry in entries)], default=0)
        recent = recent + [(entry[3], entry[0]) for entry in entries if entry[3] > highest - limits.PUT_BATCH]
        return sorted((each for each in recent if each[0] > highest - limits.PUT_BATCH), reverse=True)

    def _read_index(self, run: RowRun, rows: range) -> bytes:
        """The entries of these rows, of which the first begins a page. A page with a bad sector has none: what its rows
        held nobody knows, so they do not deny that it was something (R11)."""
        try:
            return os.pread(self._descriptor, len(rows) * ENTRY, run.entry_at(rows.start))
        except OSError as error:
            if error.errno != errno.EIO or len(self._bad_rows) == limits.BAD_INDEX_PAGES:
                raise
        if len(rows) > _PAGE_ROWS:
            return b"".join(self._read_index(run, rows[at : at + _PAGE_ROWS]) for at in range(0, len(rows), _PAGE_ROWS))
        self._bad_rows.append(rows)
        return bytes(len(rows) * ENTRY)


@contextmanager
def _unless_bad_sector() -> Iterator[None]:
    """What the disk cannot read now ends the block, without an error."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def _whole_pages(data: Octets) -> Octets:
    """With zeros behind it: to write a part of a page the system reads it first, which fails where a sector is bad."""
    rest = len(data) % PAGE
    return b"".join((data, bytes(PAGE - rest))) if rest else data


def _write_at(descriptor: int, data: Octets, offset: int) -> None:
    """All of it: one pwrite may do less."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
