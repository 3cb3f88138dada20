"""One session of a peer to one of its stores on this machine's disk (types.BlockStore)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

import trio

from coopfs import limits
from coopfs.core.acceptance import check_put
from coopfs.errors import PeerError, Refused
from coopfs.local.hosted.hosteddisk import HostedDisk
from coopfs.local.hosted.storefile import StoreFile
from coopfs.types import Claim, Octets, Opened, Slot, StoredBlock, Write

_READING = "this store was opened for reading"


class HostStore:
    """Every method may raise Refused: the session is closed, or this machine's disk failed."""

    def __init__(
        self,
        opened: Opened,
        file: StoreFile,
        disk: HostedDisk,
        claim: Claim | None,
        writer: object,
        failures: Callable[[], AbstractContextManager[None]],
        release: Callable[[], None],
        resize: Callable[[StoreFile, int], None],
    ) -> None:
        """claim: what the session was opened for writing with; writer: as HostedDisk.open was told; failures: turns
        this machine's faults into Refused; release: called once, when the session is closed and no call is under way;
        resize: gives it so many rows."""
        self.opened = opened
        self._file = file
        self._disk = disk
        self._claim = claim
        self._writer = writer
        self._failures = failures
        self._release = release
        self._resize = resize
        self._calls = 0
        self._closed = False

    async def put(self, row: int, version: int, data: Octets) -> None:
        """Group commit: see HostedDisk.put. BlockRefused, Fenced, Refused."""
        (error,) = await self.put_many((Write(row, version, data),))
        if error is not None:
            raise error

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        """As `put`: one write and one fdatasync for all of them."""
        with self._call():
            if self._claim is None:
                raise Refused(_READING)
            outcomes = [self._judge(write) for write in writes]
            fitting = [write for write, refusal in zip(writes, outcomes, strict=True) if refusal is None]
            committed = iter(await self._disk.put(self._claim, self._writer, self._file, fitting))
            return [next(committed) if refusal is None else refusal for refusal in outcomes]

    def _judge(self, write: Write) -> PeerError | None:
        """Why no store of this shape can take it."""
        try:
            check_put(self._file.header.rows, self.opened.block_size, write.row, write.version, len(write.data))
        except Refused as refusal:
            return refusal
        return None

    async def get(self, row: int) -> StoredBlock | None:
        (block,) = await self.get_many((row,))
        return block

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        with self._call():
            threads = self._disk.threads
            return await trio.to_thread.run_sync(lambda: [self._file.get(row) for row in rows], limiter=threads)

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        """At most INVENTORY_PAGE slots, whatever the limit."""
        with self._call():
            work = partial(self._file.inventory, first_row, min(limit, limits.INVENTORY_PAGE))
            return await trio.to_thread.run_sync(work, limiter=self._disk.threads)

    async def resize(self, rows: int) -> None:
        """0: the store is given back. Refused: no room in the agreement. Fenced."""
        with self._call():
            if self._claim is None:
                raise Refused(_READING)
            await self._disk.change(self._claim, lambda: self._resize(self._file, rows))
            self.opened = replace(self.opened, rows=self._file.header.rows if rows else 0)

    async def close(self) -> None:
        """Idempotent; it is done even where the caller is being cancelled."""
        if not self._closed:
            self._closed = True
            if self._calls == 0:
                self._release()
        await trio.lowlevel.checkpoint()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Keep the file open while a call uses it."""
        if self._closed:
            raise Refused("this store is closed")
        self._calls += 1
        try:
            with self._failures():
                yield
        finally:
            self._calls -= 1
            if self._closed and self._calls == 0:
                self._release()
