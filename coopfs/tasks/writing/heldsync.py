"""fsync that waits until what was written is held (`-o fsync=partners`).

A group must be closed before it can be held, and a group of one small write costs two rows. So one group at a time is
closed for those who wait: who comes while it is on its way waits for it, then they close the next one together. That
costs nobody the order of things, since no group is held before those in front of it.
"""

import errno
import logging

from coopfs.errors import StateError
from coopfs.fs.posix import PosixError
from coopfs.limits import MAX_FSYNCS
from coopfs.local.metadata import Metadata
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.ledger import Ledger

logger = logging.getLogger(__name__)


class HeldSync:
    """waiting: calls under way. The commits are the committer's own: nobody here keeps it from anything."""

    def __init__(self, metadata: Metadata, committer: Committer, ledger: Ledger) -> None:
        self._metadata = metadata
        self._committer = committer
        self._ledger = ledger
        self._closed = 0  # the newest group that was, or is being, closed for somebody here
        self._hopeless: StateError | None = None
        self.waiting = 0

    async def sync(self, ino: int) -> None:
        """Return when all changes made to this inode before the call are held. StateError: they will not be while this
        process runs. EIO: so many wait already that more would keep other requests from being answered."""
        if self.waiting >= MAX_FSYNCS:
            logger.warning("%d calls of fsync wait for partners already: one more is refused", self.waiting)
            raise PosixError(errno.EIO)
        self.waiting += 1
        try:
            await self._until_held(self._metadata.images.newest_group(self._metadata.nodes.get(ino)))
        finally:
            self.waiting -= 1

    async def _until_held(self, group: int) -> None:
        if group > self._closed:
            await self._wait_for(self._closed)
        if group > self._closed and group >= self._metadata.group:
            self._closed = self._metadata.group
            await self._committer.close_group()
        await self._wait_for(group)

    async def _wait_for(self, group: int) -> None:
        progress = self._ledger.progress
        await self._ledger.changed.wait_until(lambda: progress.barrier >= group or self._hopeless is not None)
        if self._hopeless is not None:
            raise self._hopeless

    def give_up(self, failure: StateError) -> None:
        """Nothing is sent any more: who waits is told, and who comes."""
        self._hopeless = failure
        self._ledger.changed.notify()
