"""All store files of this home: made inside the agreements' room, opened once, shared by the sessions that use them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from coopfs import limits
from coopfs.core.storeformat import StoreHeader, valid_shape
from coopfs.errors import HomeError, Refused, StoreGone
from coopfs.local.diskerrors import disk_errors
from coopfs.local.home import sync_directory
from coopfs.local.hosted import hostrecords
from coopfs.local.hosted.agreements import Agreements
from coopfs.local.hosted.hostrecords import StoreRecord
from coopfs.local.hosted.reservation import carve, extend, peer_file, reserve
from coopfs.local.hosted.storefile import StoreFile, read_header, write_header
from coopfs.local.nodedb import NodeDatabase
from coopfs.sizes import format_size
from coopfs.types import DiskId, NodeKey, Opening, StoreId


@dataclass(slots=True)
class _Open:
    file: StoreFile
    sessions: int


@dataclass(frozen=True, slots=True)
class HostedStore:
    """For status: one store, its rows and how many of them hold a block (None: not opened since the start)."""

    peer: NodeKey
    disk: DiskId
    store: StoreId
    rows: int
    block_size: int
    used: int | None


class HostedStores:
    """Synchronous, safe from any thread, but at most one `acquire` of the same store at a time."""

    def __init__(self, database: NodeDatabase, directory: Path, agreements: Agreements) -> None:
        """HomeError: the directory cannot be written."""
        self._database = database
        self._directory = directory
        self._agreements = agreements
        self._records = {record.header.store: record for record in hostrecords.stores(database)}
        self._open: dict[StoreId, _Open] = {}  # the longest idle first
        self._lock = Lock()
        self._creating = Lock()
        self._finish_creations()
        self._note_growths()
        for peer in {record.peer for record in self._records.values()}:
            if agreements.given(peer) is None:
                self.drop(peer)
        agreements.reconcile(hostrecords.used(list(self._records.values())))

    def close(self) -> None:
        """Close all files; nobody may be using one."""
        for opened in self._open.values():
            opened.file.close()
        self._open.clear()

    def acquire(self, peer: NodeKey, opening: Opening) -> StoreFile:
        """The store, for one more session; made if the opening says so. `release` ends the use.

        Refused: no such store, another's, no room in the agreement, too many. HomeError: damaged, or the disk failed.
        """
        record = self._records.get(opening.store)
        if record is not None and (record.peer, record.header.disk) != (peer, opening.disk):
            raise Refused("this store belongs to another disk")
        with self._lock:
            opened = self._open.get(opening.store)
            if opened is not None and record is None:
                raise StoreGone("this store was given back")
            if opened is not None:
                opened.sessions += 1
                return opened.file
        if record is None or not _exists(record.file(self._directory)):
            record = self._create(peer, opening, record)
        file = StoreFile(record.file(self._directory))
        if _as_made(file.header) != _as_made(record.header):
            file.close()
            raise HomeError(f"{record.file(self._directory)} is the file of another store: move it away")
        with self._creating:
            self._adopt(record, file)
        with self._lock:
            self._open[opening.store] = _Open(file, 1)
        return file

    def resize(self, store: StoreId, file: StoreFile, rows: int) -> None:
        """The open store has so many rows from now on; 0: it is given back. Refused: no room in the agreement, or it
        has grown too often. HomeError: no room on the disk; nothing is changed then."""
        with self._creating:
            record = self._records.get(store)
            if record is None:
                raise StoreGone("this store does not exist here")
            record = self._adopt(record, file)
            if not rows:
                self._take_back(record)
                return
            if not valid_shape(rows, record.header.block_size):
                raise Refused(f"no store can have {rows} rows of {record.header.block_size} bytes")
            if rows > record.header.rows:
                self._grow(record, file, record.header.grown(rows))
            elif rows < record.header.rows:
                self._cut(record, file, record.header.shrunk(rows))

    def _adopt(self, record: StoreRecord, file: StoreFile) -> StoreRecord:
        """What a store has grown or was cut by says its file: a failing disk may have hidden that at the start, or let
        the last such change end half way."""
        if record.header != file.header and record.header.store in self._records:
            record = self._records[record.header.store] = replace(record, header=file.header)
        return record

    def _grow(self, record: StoreRecord, file: StoreFile, header: StoreHeader) -> None:
        if len(header.added) > limits.MAX_GROWTHS:
            raise Refused(f"this store has grown {limits.MAX_GROWTHS} times, which is the most that is possible")
        needed = header.size - record.header.size
        left = self._room(record.peer) - needed
        if left < 0:
            raise Refused(self._no_room(record.peer, needed))
        extend(peer_file(self._directory, record.peer), left, record.file(self._directory), header.size)
        file.grow(header)
        self._records[header.store] = replace(record, header=header)

    def _cut(self, record: StoreRecord, file: StoreFile, header: StoreHeader) -> None:
        """What it loses is reserved again; if other programs are quicker, it is asked for again when it is needed."""
        file.cut(header)
        self._records[header.store] = replace(record, header=header)
        with suppress(HomeError):
            left = self._agreements.promised(record.peer) - self._used(record.peer)
            reserve(peer_file(self._directory, record.peer), left)

    def owns(self, peer: NodeKey, disk: DiskId, store: StoreId) -> bool:
        """Whether this is a store of that peer and disk."""
        record = self._records.get(store)
        return record is not None and (record.peer, record.header.disk) == (peer, disk)

    def release(self, store: StoreId) -> None:
        """One session less. Idle files stay open, to spare the next session the loading, up to IDLE_STORES of them."""
        with self._lock:
            opened = self._open[store]
            opened.sessions -= 1
            assert opened.sessions >= 0
            if opened.sessions == 0 and store not in self._records:
                self._open.pop(store).file.close()
            elif opened.sessions == 0:
                self._open[store] = self._open.pop(store)
                idle = [name for name, other in self._open.items() if other.sessions == 0]
                for name in idle[: -limits.IDLE_STORES]:
                    self._open.pop(name).file.close()

    def drop(self, peer: NodeKey) -> None:
        """Remove all stores of a node whose agreement is over, and give their space back: what a session still has open
        goes when that is closed. Cut short, the next start does it."""
        with self._creating:
            stores = [store for store, record in self._records.items() if record.peer == peer]
            with disk_errors("remove stores in", self._directory):
                for store in stores:
                    self._records[store].file(self._directory).unlink(missing_ok=True)
                sync_directory(self._directory)  # a file that came back later would be on no record
            for store in stores:
                hostrecords.forget_store(self._database, store)
                del self._records[store]
                with self._lock:
                    if store in self._open and self._open[store].sessions == 0:
                        self._open.pop(store).file.close()
            self._agreements.free(peer)

    def _take_back(self, record: StoreRecord) -> None:
        """A store that its owner needs no more: what a session still has open goes when that is closed. Cut short
        before it is off the record, it is there again after the next start; after that its draft goes then."""
        store, draft = record.header.store, _draft(record, self._directory)
        with disk_errors("remove", draft):
            record.file(self._directory).rename(draft)
            sync_directory(self._directory)
        hostrecords.forget_store(self._database, store)
        del self._records[store]
        with disk_errors("remove", draft):
            draft.unlink()
        with suppress(HomeError):  # as at the next start
            reserve(peer_file(self._directory, record.peer), max(0, self._room(record.peer)))

    def report(self) -> list[HostedStore]:
        """Every store, by partner and disk."""
        stores = []
        for record in list(self._records.values()):
            header = record.header
            opened = self._open.get(header.store)
            used = None if opened is None else opened.file.index.used
            stores.append(HostedStore(record.peer, header.disk, header.store, header.rows, header.block_size, used))
        return stores

    @contextmanager
    def still(self, peer: NodeKey) -> Iterator[int]:
        """Bytes that the stores of this node take, while none is made or grown."""
        with self._creating:
            yield self._used(peer)

    def _create(self, peer: NodeKey, opening: Opening, lost: StoreRecord | None) -> StoreRecord:
        """Make the file of a new store, or of one whose file is gone: empty, as its owner will see from the digest."""
        spec = opening.create
        if spec is None:
            raise StoreGone("this store does not exist here" if lost is None else "this store was lost here")
        if opening.claim is None:
            raise Refused("only a writer can create a store")
        if not valid_shape(spec.rows, spec.block_size):
            raise Refused(f"no store can have {spec.rows} rows of {spec.block_size} bytes")
        with self._creating:
            if lost is None:
                if opening.store in self._records:
                    raise Refused("this store belongs to another disk")
                record = StoreRecord(peer, StoreHeader(opening.disk, opening.store, spec.rows, spec.block_size))
                self._check_count(opening.disk, peer)
                left = self._room(peer) - record.header.size
                if left < 0:
                    raise Refused(self._no_room(peer, record.header.size))
            else:
                record = lost
                left = self._room(peer)
            draft = _draft(record, self._directory)
            carve(peer_file(self._directory, peer), left, draft, record.header.size)
            write_header(draft, record.header)
            if lost is None:
                hostrecords.save_store(self._database, record)
                self._records[record.header.store] = record
            self._rename(record)
        return record

    def _finish_creations(self) -> None:
        """A draft whose store is recorded is whole, unless it was to take the place of a lost file. Any other was never
        promised to anybody."""
        for record in self._records.values():
            draft, is_due = _draft(record, self._directory), False
            with suppress(HomeError):  # it says so when it is opened
                is_due = _exists(draft) and not _exists(record.file(self._directory)) and _is_whole(draft, record)
            if is_due:
                self._rename(record)
        with disk_errors("clear", self._directory):
            for draft in self._directory.glob("*.new"):
                draft.unlink()

    def _note_growths(self) -> None:
        """What stores have grown by says their files. One that cannot be read says so when it is opened."""
        for store, record in self._records.items():
            with suppress(HomeError):
                header = read_header(record.file(self._directory))
                if _as_made(header) == record.header:
                    self._records[store] = replace(record, header=header)

    def _rename(self, record: StoreRecord) -> None:
        with disk_errors("write in", self._directory):
            _draft(record, self._directory).rename(record.file(self._directory))
            sync_directory(self._directory)

    def _check_count(self, disk: DiskId, peer: NodeKey) -> None:
        count = sum((record.peer, record.header.disk) == (peer, disk) for record in self._records.values())
        if count >= limits.MAX_STORES_PER_DISK:
            raise Refused(f"this disk has {count} stores here already, the most that are allowed")

    def _used(self, peer: NodeKey) -> int:
        return hostrecords.used(list(self._records.values())).get(peer, 0)

    def _room(self, peer: NodeKey) -> int:
        """Bytes of the agreement that no store has taken."""
        return self._agreements.usable(peer) - self._used(peer)

    def _no_room(self, peer: NodeKey, needed: int) -> str:
        given, used = self._agreements.usable(peer), self._used(peer)
        taken = f", of which {format_size(used)} are in use" if used else ""
        return f"offers {format_size(given)}{taken}, {format_size(needed)} needed"


def _exists(path: Path) -> bool:
    """HomeError: nobody knows."""
    with disk_errors("look at", path):
        return path.exists()


def _as_made(header: StoreHeader) -> StoreHeader:
    """What it said before the store grew or was cut: that is recorded."""
    return replace(header, rows=header.made, added=(), cut=0)


def _is_whole(draft: Path, record: StoreRecord) -> bool:
    """Whether all of the store's file is there."""
    try:
        return _as_made(read_header(draft)) == record.header
    except HomeError:
        return False


def _draft(record: StoreRecord, directory: Path) -> Path:
    return directory / f"{record.header.store.hex()}.new"
