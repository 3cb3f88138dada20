"""Partners whose stores are real files (local/hosted), and what a power loss leaves of them.

Claims and master blocks stay in memory: they are transactions of SQLite. A write reaches the disk in any order until
one fdatasync covers it; of one that was not synced, power loss leaves all, nothing, or the sectors of its beginning.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, MutableMapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import cast
from unittest.mock import patch

import trio

from coopfs.core.storeformat import ENTRY, PAGE, StoreHeader
from coopfs.errors import PartnerAway
from coopfs.local.hosted import storefile
from coopfs.local.hosted.hosteddisk import HostedDisk
from coopfs.local.hosted.hoststore import HostStore
from coopfs.local.hosted.storefile import StoreFile, Write, write_header
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import BlockStore, NodeKey, Opening, Slot, StoredBlock
from tests.memory import MemoryHost, MemoryPartner, StoreContent

SECTOR = 512  # bytes that a disk writes wholly or not at all


class FileBlocks(MutableMapping[int, StoredBlock]):
    """The blocks of a store file, as those of a store in memory."""

    def __init__(self, file: StoreFile) -> None:
        self.file = file

    def __getitem__(self, row: int) -> StoredBlock:
        block = self.file.get(row) if row < self.file.header.rows else None
        if block is None:
            raise KeyError(row)
        return block

    def __iter__(self) -> Iterator[int]:
        return (slot.row for slot in self.file.inventory(0, self.file.header.rows) if slot.version)

    def __len__(self) -> int:
        return self.file.index.used

    def __setitem__(self, row: int, block: StoredBlock) -> None:
        """Something else lies there than was put."""
        self.file._write(Write(row, block.version, block.data), self.file.index.state()[0])
        self.file.index.set([Slot(row, block.version, len(block.data))], 0)

    def __delitem__(self, row: int) -> None:
        """As if nothing had ever been there."""
        storefile._write_at(self.file._descriptor, bytes(ENTRY), PAGE + row * ENTRY)
        self.file.index.set([Slot(row, 0, 0)], 0)
        self.file.index._lengths[row] = 0


@dataclass(slots=True, kw_only=True)
class FileContent(StoreContent):
    """A store in a file. hosted: through which it is written."""

    path: Path
    file: StoreFile
    hosted: HostedDisk

    def spoil(self, row: int) -> None:
        self.file.index.set([Slot(row, 0, 0)], 0)

    def digest(self) -> bytes:
        return self.file.index.state()[1]


class Writes:
    """What was written to all store files of this process and not synced: path -> offset, bytes before, bytes after."""

    def __init__(self) -> None:
        self._unsynced: dict[str, list[tuple[int, bytes, bytes]]] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """See every write to a store, and every fdatasync and fsync: a new header is synced by the latter."""
        write, sync, sync_all = storefile._write_at, os.fdatasync, os.fsync

        def see_write(descriptor: int, data: bytes, offset: int) -> None:
            before = os.pread(descriptor, len(data), offset)
            self._unsynced.setdefault(_path(descriptor), []).append((offset, before, bytes(data)))
            write(descriptor, data, offset)

        def see_sync(descriptor: int) -> None:
            self._unsynced.pop(_path(descriptor), None)
            sync(descriptor)

        def see_sync_all(descriptor: int) -> None:
            self._unsynced.pop(_path(descriptor), None)
            sync_all(descriptor)

        syncs = patch.multiple(os, fdatasync=see_sync, fsync=see_sync_all)
        with patch.object(storefile, "_write_at", see_write), syncs:
            yield

    def lose(self, path: Path, copy: Path, random: Random) -> None:
        """`copy` is what a power loss leaves of the file."""
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file:
            for offset, before, _ in reversed(self._unsynced.get(str(path), [])):
                file.seek(offset)
                file.write(before)
            for offset, _, after in self._unsynced.pop(str(path), []):
                sectors = random.choice([0, random.randint(0, len(after) // SECTOR), len(after)])
                file.seek(offset)
                file.write(after[: sectors * SECTOR])


def _path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


class FileHost(MemoryHost):
    """A node whose stores are files in `directory`. writes: sees all that is written to them."""

    def __init__(self, seed: bytes, directory: Path, writes: Writes) -> None:
        super().__init__(seed)
        self._directory = directory
        self._writes = writes
        self._files = 0

    def partner(self, peer: NodeKey) -> "FilePartner":
        return FilePartner(self, peer)

    def create(self, peer: NodeKey, opening: Opening) -> StoreContent:
        made = super().create(peer, opening)
        path = self._next_path()
        header = StoreHeader(opening.disk, opening.store, made.rows, made.block_size)
        with path.open("wb") as file:
            file.truncate(header.size)
        write_header(path, header)
        content = self._open(path, peer, made)
        self.stores[opening.store] = content
        return content

    def lose_power(self, random: Random) -> None:
        """Whatever was being put is on the disk in parts; then everything starts again."""
        for store, content in list(self.stores.items()):
            assert isinstance(content, FileContent)
            changes, _ = content.file.index.state()
            for number, waiting in enumerate(content.hosted._queue):
                if waiting.write.version > content.file.index.version(waiting.write.row):
                    content.file._write(waiting.write, changes + 1 + number)
                waiting.finish(PartnerAway("the power is gone"))
            content.hosted._queue.clear()
            path = self._next_path()
            self._writes.lose(content.path, path, random)
            self.stores[store] = self._open(path, content.peer, content)

    def spoiled(self) -> bool:
        """Whether a slot is known to be torn or rotten."""
        files = [content.file for content in self.stores.values() if isinstance(content, FileContent)]
        return any(not slot.version for file in files for slot in file.inventory(0, file.header.rows))

    def _next_path(self) -> Path:
        self._files += 1
        return self._directory / f"{self.key.hex()[:16]} {self._files}"

    def _open(self, path: Path, peer: NodeKey, like: StoreContent) -> FileContent:
        file = StoreFile(path)
        hosted = HostedDisk(cast(NodeDatabase, None), peer, like.disk, None, trio.CapacityLimiter(1))
        return FileContent(
            peer, like.disk, like.rows, like.block_size, FileBlocks(file), path=path, file=file, hosted=hosted
        )


class FilePartner(MemoryPartner):
    """One session of one peer."""

    async def open(self, opening: Opening) -> BlockStore:
        if isinstance(known := self._host.stores.get(opening.store), FileContent):
            known.rows = known.file.header.rows
        session = await super().open(opening)
        content = self._host.stores[opening.store]
        assert isinstance(content, FileContent)
        disk = self._host.known_disk(self._peer, opening.disk)
        assert disk is not None
        content.hosted.claim = disk.claim

        def resize(file: StoreFile, rows: int) -> None:
            if rows:
                _resize(file, rows)
            else:
                self._host.stores = {id_: each for id_, each in self._host.stores.items() if each is not content}

        if opening.claim is not None:
            content.file.writer = session
        disk_and_claim = (content.hosted, opening.claim)
        return HostStore(session.opened, content.file, *disk_and_claim, session, nullcontext, lambda: None, resize)


def _resize(file: StoreFile, rows: int) -> None:
    if rows > file.header.rows:
        header = file.header.grown(rows)
        os.truncate(file._path, header.size)
        file.grow(header)
    elif rows < file.header.rows:
        file.cut(file.header.shrunk(rows))
