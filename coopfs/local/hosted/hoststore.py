"""One session of a peer to one of its stores on this machine's disk (types.BlockStore)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import trio

from coopfs import limits
from coopfs.core.acceptance import check_put
from coopfs.errors import Refused
from coopfs.local.hosted.hosteddisk import HostedDisk
from coopfs.local.hosted.storefile import StoreFile, Write
from coopfs.types import Claim, Opened, Slot, StoredBlock


class HostStore:
    """Every method may raise Refused: the session is closed, or this machine's disk failed."""

    def __init__(
        self,
        opened: Opened,
        file: StoreFile,
        disk: HostedDisk,
        claim: Claim | None,
        failures: Callable[[], AbstractContextManager[None]],
        release: Callable[[], None],
    ) -> None:
        """claim: what the session was opened for writing with; failures: turns this machine's faults into Refused;
        release: called once, when the session is closed and no call is under way."""
        self.opened = opened
        self._file = file
        self._disk = disk
        self._claim = claim
        self._failures = failures
        self._release = release
        self._calls = 0
        self._closed = False

    async def put(self, row: int, version: int, data: bytes) -> None:
        """Group commit: see HostedDisk.put. BlockRefused, Fenced, Refused."""
        with self._call():
            if self._claim is None:
                raise Refused("this store was opened for reading")
            check_put(self.opened.rows, self.opened.block_size, row, version, len(data))
            await self._disk.put(self._claim, self._file, Write(row, version, data))

    async def get(self, row: int) -> StoredBlock | None:
        with self._call():
            return await trio.to_thread.run_sync(self._file.get, row)

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        """At most INVENTORY_PAGE slots, whatever the limit."""
        with self._call():
            return await trio.to_thread.run_sync(self._file.inventory, first_row, min(limit, limits.INVENTORY_PAGE))

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
