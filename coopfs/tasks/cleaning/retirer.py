"""The retirer: keeps the log short by moving its head on (design R3).

One head at a time and in slices, so that operations run in between; several heads are retired for each group that is
sealed while the log is too long: so a group stays small, and yet more rows come back than it takes. What retiring a
head frees is free when the group that did it is held. Where rows are short, no more is told again than there is room
for, and the rest waits for the rows that come back.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from coopfs.core.cleaning import heads_to_retire
from coopfs.limits import RETIRE_COMMIT, RETIRE_SLICE
from coopfs.local.metadata import Metadata
from coopfs.local.retirement import Retirement
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace


class Retirer:
    """commit: makes durable what was changed so far."""

    def __init__(
        self, ledger: Ledger, metadata: Metadata, space: PartnerSpace, commit: Callable[[], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._space = space
        self._commit = commit
        self._retirement = Retirement(metadata, ledger.log)
        self._broken = 0  # version of the newest meta stripe that nobody can read any more

    async def run(self) -> None:
        """Retire heads for ever, whenever a group was sealed or held. StateError: the database failed."""
        while True:
            before = self._ledger.progress.sealed, self._ledger.progress.barrier
            too_long = heads_to_retire(self._space.usage(), self._ledger.log.chain.length())
            await self.retire(max(too_long, self._up_to_broken()))
            await self._ledger.moved.wait_until(partial(self._moved_on, before))

    def pass_by(self, version: int) -> None:
        """A meta stripe is lost, and with it whatever is older, as the log is a chain; the database still knows what
        they told. All of them are retired, in one go if there is room: then the chain begins after them."""
        self._broken = max(self._broken, version)
        self._ledger.moved.notify()

    def _up_to_broken(self) -> int:
        return self._retirement.heads_up_to(self._broken) if self._broken else 0

    def _moved_on(self, before: tuple[int, int]) -> bool:
        now = self._ledger.progress.sealed, self._ledger.progress.barrier
        return before != now or (self._up_to_broken() > 0 and self._has_room())

    async def retire(self, heads: int) -> None:
        """Retire so many heads, as far as there is room."""
        slices = 1
        while heads and self._has_room() and self._ledger.log.chain.head() is not None:
            heads -= self._retirement.step(RETIRE_SLICE)
            await (self._commit() if slices % RETIRE_COMMIT == 0 else trio.lowlevel.checkpoint())
            slices += 1

    async def retire_up_to(self, version: int, most: int) -> None:
        """Retire heads until this meta stripe is needed no more, so many at the most, as far as there is room."""
        await self.retire(min(most, self._retirement.heads_up_to(version)))

    def _has_room(self) -> bool:
        return self._space.rows_to_clean_with() > 1
