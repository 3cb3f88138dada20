"""The reclaimer: drops the extents of large files that were deleted or cut, slice by slice (local/graves).

Operations run between two slices. What it does is seen by nobody: the space of stripes in which nothing lives any more
comes back, and so does the local disk's.
"""

from collections.abc import Callable

import trio

from coopfs.local.metadata import Metadata
from coopfs.tasks.signal import Signal


class Reclaimer:
    """hurry: lets the committer know that much has changed."""

    def __init__(self, metadata: Metadata, hurry: Callable[[], None]) -> None:
        self._metadata = metadata
        self._hurry = hurry
        self._graves = metadata.extents.graves
        self._dug = Signal()
        self._graves.on_dug = self._dug.notify

    async def run(self) -> None:
        """Drop for ever what there is to drop, also what a process before this one left. StateError: the database
        failed."""
        while True:
            while self._metadata.reclaim():
                self._hurry()
                await trio.lowlevel.checkpoint()
            await self._dug.wait_until(lambda: len(self._graves) > 0)
