"""The retirer: keeps the log short by moving its head on (design R3).

One head at a time and in slices, so that operations run in between; HEADS_PER_GROUP heads are retired for each group
that is sealed while the log is too long: so a group stays small, and yet more rows come back than it takes. What
retiring a head frees is free when the group that did it is held.
"""

from collections.abc import Callable
from functools import partial

import trio

from coopfs.core.cleaning import counts_again, log_is_long
from coopfs.limits import COUNT_SLICE, HEADS_PER_GROUP, RETIRE_SLICE
from coopfs.local.metadata import Metadata
from coopfs.local.retirement import Retirement
from coopfs.tasks.ledger import Ledger


class Retirer:
    """hurry: lets the committer know that much has changed."""

    def __init__(self, ledger: Ledger, metadata: Metadata, hurry: Callable[[], None]) -> None:
        self._ledger = ledger
        self._metadata = metadata
        self._hurry = hurry
        self._retirement = Retirement(metadata, ledger.log)
        self._live = 0  # images of the present state, as counted when
        self._counted_at = 0  # the chain had so many stripes

    async def run(self) -> None:
        """Retire heads for ever, whenever a sealed group has made the log too long. StateError: the database failed."""
        while True:
            sealed = self._ledger.progress.sealed
            await self._retire_some()
            await self._ledger.changed.wait_until(partial(self._sealed_after, sealed))

    def _sealed_after(self, group: int) -> bool:
        return self._ledger.progress.sealed > group

    async def _retire_some(self) -> None:
        metas = self._ledger.log.live_metas()
        live = await self._live_images(metas)
        heads = min(HEADS_PER_GROUP, metas // 2) if log_is_long(self._ledger.layout, metas, live) else 0
        while heads:
            heads -= self._retirement.step(RETIRE_SLICE)
            self._hurry()
            await trio.lowlevel.checkpoint()

    async def _live_images(self, metas: int) -> int:
        if counts_again(metas, self._counted_at):
            live = 0
            for counted in self._metadata.count_images(COUNT_SLICE):
                live += counted
                await trio.lowlevel.checkpoint()
            self._live, self._counted_at = live, metas
        return self._live
