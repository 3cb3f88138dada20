"""What follows when a database or a stage was lost: bytes that were never sent come into lost+found (design R6).

A takeover has kept them aside (local/unsent): pieces of files, by inode and offset. Each inode gets a sparse file
lost+found/epoch-<epoch of the takeover>/inode-<number>, whose bytes lie where they were. Piece by piece they are
written like anything else; how far that got stands in the same transaction, so that a crash costs and doubles nothing.
The lost disk's directory goes when all of it is held again, but for what the local disk does not read.
"""

import errno
import logging
import os
from pathlib import Path

import msgpack
import trio

from coopfs.core.units import PLAIN, decode
from coopfs.errors import NotAuthentic, OutOfSpace
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.handles import Handle
from coopfs.limits import FILESYSTEM_BLOCK, SALVAGE_RETRY, WRITE_MAX
from coopfs.local.lostfound import IMAGES, LostFound
from coopfs.local.stageindex import Piece
from coopfs.local.unsent import DAMAGED, NAMELESS, damaged, indexes, remove, unread
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.ledger import Ledger

logger = logging.getLogger(__name__)

_FACT = "salvaged"  # [epoch, stripe, byte in its file, open group then] of the newest piece that was written


class Salvager:
    """disks: where the directories of lost disks are. left: bytes that are still to be put there; trouble: why they
    cannot be."""

    def __init__(self, disks: Path, disk: Disk, committer: Committer, ledger: Ledger) -> None:
        self._disks = disks
        self._disk = disk
        self._committer = committer
        self._ledger = ledger
        self._lost = LostFound(disk.metadata, disk.tell, lambda: disk.space.admit(0, IMAGES))
        self.left = 0
        self._full: str | None = None
        self._unread: list[Path] = []

    @property
    def trouble(self) -> str | None:
        unread = [f"what the local disk does not read of it is kept in {path}" for path in self._unread]
        return "; ".join(filter(None, [self._full, *unread])) or None

    async def run(self) -> None:
        """Work off all there are. StateError: the database failed."""
        self._unread = await trio.to_thread.run_sync(unread, self._disks)
        places = await trio.to_thread.run_sync(damaged, self._disks)
        self.left = sum([await trio.to_thread.run_sync(_bytes_after, place, self._mark()) for place in places])
        for place in places:
            await self._put_all(place)
            await self._committer.close_group()
            group = self._mark()[3]
            await self._ledger.changed.wait_until(lambda group=group: self._ledger.progress.barrier >= group)  # type: ignore[misc]
            await trio.to_thread.run_sync(remove, place)
            self._unread = await trio.to_thread.run_sync(unread, self._disks)
            logger.info("what %s had not sent is in lost+found, and held", place.name)

    def _mark(self) -> list[int]:
        packed = self._disk.database.fact(_FACT)
        return [0, 0, 0, 0] if packed is None else msgpack.unpackb(packed)

    async def _put_all(self, place: Path) -> None:
        epoch = int(place.name.removeprefix(DAMAGED))
        files = await trio.to_thread.run_sync(lambda: list(indexes(place)))
        for path, index in files:
            for piece in index.pieces:
                if [epoch, index.stripe, piece.at] > self._mark()[:3]:
                    await self._put(path, epoch, index.stripe, piece)

    async def _put(self, path: Path, epoch: int, stripe: int, piece: Piece) -> None:
        try:
            parts = await trio.to_thread.run_sync(_read, path, piece)
        except NotAuthentic as bad:
            logger.warning("%d bytes of inode %d in %s are lost: %s", piece.length, piece.ino, path, bad)
            parts = []
        for at, data in parts:
            for start in range(0, len(data), WRITE_MAX):
                await self._write(epoch, stripe, piece, at + start, data[start : start + WRITE_MAX])
        self._disk.database.set_fact(_FACT, msgpack.packb([epoch, stripe, piece.at, self._disk.metadata.group]))
        self.left -= piece.length
        self._committer.hurry()

    async def _write(self, epoch: int, stripe: int, piece: Piece, start: int, data: bytes) -> None:
        """Until there is room for it."""
        content = await self._disk.compressor.portions(piece.ino, data)
        while True:
            if not self._committer.may_append(len(data)):
                await self._committer.until_may_append(len(data))
            try:
                ino = self._file(epoch, stripe, piece)
                while not self._disk.files.make_way(ino, piece.offset + start + len(data)):
                    pass
                self._disk.files.write(Handle(ino, os.O_WRONLY, ROOT), piece.offset + start, content)
            except OutOfSpace as full:
                self._full = str(full)
                await trio.sleep(SALVAGE_RETRY)
                continue
            self._full = None
            self._disk.tell(ino, None)
            return

    def _file(self, epoch: int, stripe: int, piece: Piece) -> int:
        folder = self._lost.folder(self._lost.directory(), b"epoch-%d" % epoch)
        name = b"stripe-%d" % stripe if piece.ino == NAMELESS else b"inode-%d" % piece.ino
        return self._lost.file(folder, name)


def _bytes_after(place: Path, mark: list[int]) -> int:
    epoch = int(place.name.removeprefix(DAMAGED))
    return sum(
        piece.length
        for _, index in indexes(place)
        for piece in index.pieces
        if [epoch, index.stripe, piece.at] > mark[:3]
    )


def _read(path: Path, piece: Piece) -> list[tuple[int, bytes]]:
    """Bytes of the file that a piece is, and where in the piece they lie; those that the disk gives back. NotAuthentic:
    its unit is damaged, or cannot be read as a whole."""
    with open(path, "rb", buffering=0) as file:
        parts = _parts(file.fileno(), piece.at, piece.stored)
    if sum(len(data) for _, data in parts) < piece.stored:
        logger.warning("the disk does not give back all %d bytes at byte %d of %s", piece.stored, piece.at, path)
    if piece.codec == PLAIN:
        return parts
    if len(parts) != 1:
        raise NotAuthentic("the disk does not give them back")
    return [(0, decode(piece.codec, parts[0][1], piece.length))]


def _parts(descriptor: int, at: int, size: int) -> list[tuple[int, bytes]]:
    """All in one, or each block of the disk that can be read for itself."""
    try:
        return [(0, os.pread(descriptor, size, at))]
    except OSError as bad:
        if bad.errno != errno.EIO:
            raise NotAuthentic(f"the disk does not give them back ({bad.strerror})") from None
    if size <= FILESYSTEM_BLOCK:
        return []
    blocks = range(0, size, FILESYSTEM_BLOCK)
    return [(b + i, d) for b in blocks for i, d in _parts(descriptor, at + b, min(FILESYSTEM_BLOCK, size - b))]
