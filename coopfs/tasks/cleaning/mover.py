"""The mover: takes the content of disputed stripes elsewhere (design R15).

A partner that holds something else in the place of a block, and takes that for what it was sent, will never take the
block. It does take a newer one: so what lives of the stripe is appended again, as the compactor does, and of the log
all heads up to it are retired. When that is held the old row is free, and whatever comes there heals the partner.

A partner that does the same with all that it gets would have the disk written over and over again: MOVES_A_DAY bounds
that, and the column stays in A.
"""

from collections.abc import Sequence

import trio

from coopfs.core.cleaning import stripes_to_move
from coopfs.limits import HEADS_PER_GROUP, MOVE_AGAIN, MOVES_A_DAY
from coopfs.local.database import Database
from coopfs.local.disputed import DisputedStripes
from coopfs.tasks.cleaning.compactor import Compactor
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace

_DAY = 86400.0  # seconds


class Mover:
    """One for all columns."""

    def __init__(
        self,
        columns: Columns,
        ledger: Ledger,
        space: PartnerSpace,
        compactor: Compactor,
        retirer: Retirer,
        database: Database,
    ) -> None:
        self._columns = columns
        self._ledger = ledger
        self._space = space
        self._compactor = compactor
        self._retirer = retirer
        self._stripes = DisputedStripes(database)
        self._day = 0.0  # when the count began
        self._moved: set[int] = set()  # data stripes, since then
        self._retired = 0  # heads, since then

    async def run(self) -> None:
        """Move for ever, whenever something new is disputed or held. StateError: the database failed."""
        while True:
            await self._columns.stirred.wait_until(lambda: bool(self._columns.disputed()))
            disputed, barrier = self._columns.disputed(), self._ledger.progress.barrier
            await self._move(disputed, barrier)
            with trio.move_on_after(MOVE_AGAIN):
                await self._other_than(disputed, barrier)

    async def _other_than(self, disputed: frozenset[int], barrier: int) -> None:
        await self._ledger.changed.wait_until(
            lambda: not self._columns.disputed() <= disputed or self._ledger.progress.barrier > barrier
        )

    async def _move(self, disputed: frozenset[int], barrier: int) -> None:
        if trio.current_time() - self._day >= _DAY:
            self._day, self._moved, self._retired = trio.current_time(), set(), 0
        for id_, length in self._chosen(self._stripes.content(disputed, barrier)):
            self._moved.add(id_)
            await self._compactor.empty(id_, length)
        heads = min(self._stripes.heads(disputed, barrier), HEADS_PER_GROUP, MOVES_A_DAY - self._retired)
        self._retired += heads
        await self._retirer.retire(heads)

    def _chosen(self, stripes: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """As many as there is room for now. Those of which content could not be had before come again."""
        old = [stripe for stripe in stripes if stripe[0] in self._moved]
        new = [stripe for stripe in stripes if stripe[0] not in self._moved]
        return (new[: MOVES_A_DAY - len(self._moved)] + old)[: stripes_to_move(self._space.usage())]
