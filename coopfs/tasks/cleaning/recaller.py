"""The recaller: fetches content back whose margin has fallen to 0, while it can still be had (design R8).

What is back counts as dirty, since it may not go; so it is fetched only up to a share of the cache that leaves room for
writers. The stripes below target come first, those with the fewest blocks before all; the cleaner repairs them from
here then. When so many columns are away that everything is endangered, the newest content follows.
"""

import logging
from itertools import islice
from math import inf

import trio

from coopfs.core.cache import Cache
from coopfs.errors import ContentUnavailable
from coopfs.limits import RECALL_AGAIN, RECALL_BATCH, RECALL_INTERVAL, RECALL_SHARE
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.signal import changes
from coopfs.tasks.writing.ledger import Ledger

logger = logging.getLogger(__name__)


class Recaller:
    """content: fetches, and puts into the cache."""

    def __init__(self, ledger: Ledger, cache: Cache, content: RemoteContent) -> None:
        self._ledger = ledger
        self._cache = cache
        self._content = content

    async def run(self) -> None:
        """Look for endangered content for ever, as soon as there may be some; what cannot be had is tried again."""
        while True:
            with changes(self._ledger.changed) as changed:
                wanted = self._wanted()
                for stripe in wanted:
                    await self._recall(stripe)
                await trio.sleep(RECALL_INTERVAL)
                if not any(stripe in self._cache for stripe in wanted):
                    with trio.move_on_after(RECALL_AGAIN if wanted else inf):
                        await changed.wait()

    def _wanted(self) -> list[int]:
        """Stripes that are endangered and not here, as many as one look takes."""
        progress, log = self._ledger.progress, self._ledger.log
        if self._ledger.layout.m == 0 or not self._has_room():
            return []
        below = islice((id_ for id_ in progress.endangered() if id_ not in self._cache), 4 * RECALL_BATCH)
        found = [id_ for id_ in below if log.is_data(id_)][:RECALL_BATCH]
        if not found and progress.margin() <= 0:
            newest = log.newest_data(len(self._cache) + RECALL_BATCH)
            found = [id_ for id_ in newest if id_ not in self._cache and progress.is_endangered(id_)][:RECALL_BATCH]
        return found

    def _has_room(self) -> bool:
        """The share is not used up yet."""
        size = self._cache.size
        return size is None or self._cache.dirty < size * RECALL_SHARE

    async def _recall(self, stripe: int) -> None:
        if not self._has_room() or not self._ledger.progress.is_endangered(stripe):  # blocks come back meanwhile, too
            return
        try:
            await self._content.recall(stripe)
        except ContentUnavailable as missing:
            logger.info("stripe %d cannot be fetched back now: %s", stripe, missing)
