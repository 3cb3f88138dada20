"""The reclaimer: drops the extents of large files that were deleted or cut, slice by slice (local/graves).

Operations run between two slices. What it does is seen by nobody: the space of stripes in which nothing lives any more
comes back, and so does the local disk's. With the extents of one file 10^6 stripes may die, more than one transaction
of the database has room for on a full disk.
"""

from collections.abc import Awaitable, Callable

import trio

from coopfs.limits import RECLAIM_COMMIT
from coopfs.local.metadata import Metadata
from coopfs.tasks.signal import Signal


class Reclaimer:
    """commit: makes durable what was changed so far."""

    def __init__(self, metadata: Metadata, commit: Callable[[], Awaitable[None]]) -> None:
        self._metadata = metadata
        self._commit = commit
        self._graves = metadata.extents.graves
        self._dug = Signal()
        self._graves.on_dug = self._dug.notify

    async def run(self) -> None:
        """Drop for ever what there is to drop, also what a process before this one left. StateError: the database
        failed."""
        while self._metadata.stripes.bury_empty():
            await self._commit()
        while True:
            slices = 1
            while self._metadata.reclaim():
                await (self._commit() if slices % RECLAIM_COMMIT == 0 else trio.lowlevel.checkpoint())
                slices += 1
            await self._dug.wait_until(lambda: len(self._graves) > 0)
