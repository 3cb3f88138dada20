"""What follows when a database or a stage was lost: bytes that were never sent come into lost+found (design R6).

A takeover has kept them aside (local/unsent): pieces of files, by inode and offset. Each inode gets a sparse file
lost+found/epoch-<epoch of the takeover>/inode-<number>, whose bytes lie where they were. Piece by piece they are
written like anything else; how far that got stands in the same transaction, so that a crash costs and doubles nothing.
The lost disk's directory goes when all of it is held again.
"""

import logging
import os
import shutil
from pathlib import Path

import msgpack
import trio

from coopfs.core.units import PLAIN, decode
from coopfs.errors import NotAuthentic, OutOfSpace
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.handles import Handle
from coopfs.limits import SALVAGE_RETRY, WRITE_MAX
from coopfs.local.lostfound import IMAGES, LostFound
from coopfs.local.stageindex import Piece
from coopfs.local.unsent import DAMAGED, NAMELESS, damaged, indexes
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
        self.trouble: str | None = None

    async def run(self) -> None:
        """Work off all there are. StateError: the database failed."""
        places = await trio.to_thread.run_sync(damaged, self._disks)
        self.left = sum([await trio.to_thread.run_sync(_bytes_after, place, self._mark()) for place in places])
        for place in places:
            await self._put_all(place)
            await self._committer.close_group()
            group = self._mark()[3]
            await self._ledger.changed.wait_until(lambda group=group: self._ledger.progress.barrier >= group)  # type: ignore[misc]
            await trio.to_thread.run_sync(shutil.rmtree, place)
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
            data = await trio.to_thread.run_sync(_read, path, piece)
        except NotAuthentic as bad:
            logger.warning("%d bytes of inode %d in %s are lost: %s", piece.length, piece.ino, path, bad)
            data = b""
        for start in range(0, len(data), WRITE_MAX):
            await self._write(epoch, stripe, piece, start, data[start : start + WRITE_MAX])
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
                self.trouble = str(full)
                await trio.sleep(SALVAGE_RETRY)
                continue
            self.trouble = None
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


def _read(path: Path, piece: Piece) -> bytes:
    """The bytes of the file that a piece is. NotAuthentic: its unit is damaged, or the disk that it lies on."""
    with open(path, "rb") as file:
        try:
            stored = os.pread(file.fileno(), piece.stored, piece.at)
        except OSError as bad:
            raise NotAuthentic(f"the disk does not give them back ({bad.strerror})") from None
    return stored if piece.codec == PLAIN else decode(piece.codec, stored, piece.length)
