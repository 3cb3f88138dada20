"""What follows on a takeover: the new machine has no content yet, and fetches it before anybody reads it.

The newest first, until the cache is nearly full or all is here. What is endangered goes before: the recaller fetches
that, and while there is any this goes slowly. A restart goes on where it was (local/refillmark).
"""

import logging

import trio

from coopfs.core.cache import Cache
from coopfs.errors import ContentUnavailable
from coopfs.limits import RECALL_BATCH, RECALL_INTERVAL, REFILL_SHARE
from coopfs.local.refillmark import RefillMark
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.writing.ledger import Ledger

logger = logging.getLogger(__name__)


class Refill:
    """mark: how far it got, 0 where no takeover was; content: fetches, and puts into the cache."""

    def __init__(self, mark: RefillMark, ledger: Ledger, cache: Cache, content: RemoteContent) -> None:
        self._mark = mark
        self._ledger = ledger
        self._cache = cache
        self._content = content

    def figures(self) -> tuple[int, int] | None:
        """(bytes that are here, bytes that will be); None: nothing is being fetched."""
        if not self._mark.below:
            return None
        _, live = self._ledger.log.live_data()
        total = live if self._cache.size is None else min(live, self._most(self._cache.size))
        return min(self._cache.used, total), total

    async def run(self) -> None:
        """Fetch until all that fits is here."""
        log, progress = self._ledger.log, self._ledger.progress
        while below := self._mark.below:
            if next(progress.endangered(), None) is not None:
                await trio.sleep(RECALL_INTERVAL)
            batch = log.newest_data(RECALL_BATCH, below)
            for stripe in batch:
                if self._cache.size is not None and self._cache.used >= self._most(self._cache.size):
                    batch = []
                    break
                await self._fetch(stripe)
            self._mark.move(batch[-1] if batch else 0)

    def _most(self, size: int) -> int:
        return int(size * REFILL_SHARE)

    async def _fetch(self, stripe: int) -> None:
        if stripe in self._cache:
            return
        try:
            await self._content.bring(stripe)
        except ContentUnavailable as missing:  # whoever reads it will wait for it
            logger.info("stripe %d cannot be fetched now: %s", stripe, missing)
