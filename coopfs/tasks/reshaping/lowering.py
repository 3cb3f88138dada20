"""Empties rows that a disk is to lose (design R14): what lives there is written again, in rows that stay.

If it moves to another layout, these are rows of the old one, and it is written in the new one.

Content is appended again, as the compactor does, and of the log all heads up to the newest that lies there are retired.
Both take rows before they give any back, so as many at a time as there is room for; the rows are free when the deaths
are held. New stripes take the lowest row that is free.
"""

from functools import partial

import trio

from coopfs.core.cleaning import stripes_to_move
from coopfs.limits import COMPARE_ROWS, HEADS_PER_GROUP, MOVE_AGAIN
from coopfs.local.database import Database
from coopfs.local.highrows import HighRows
from coopfs.tasks.cleaning.compactor import Compactor
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace


class Lowering:
    """One for the disk."""

    def __init__(
        self, ledger: Ledger, space: PartnerSpace, compactor: Compactor, retirer: Retirer, database: Database
    ) -> None:
        self._high = HighRows(database)
        self._ledger = ledger
        self._space = space
        self._compactor = compactor
        self._retirer = retirer
        self._after = 0  # id of the stripe up to which all were looked at

    async def run(self) -> None:
        """Empty what is to go, for ever, whenever something new is held. StateError: the database failed."""
        while True:
            await self._ledger.changed.wait_until(lambda: self._ledger.lowered is not None)
            layout = self._ledger.lowered
            assert layout is not None
            limit, barrier, before = self._ledger.rows_of(layout).limit, self._ledger.progress.barrier, self._state()
            await self._move_content(layout, limit, barrier)
            await self._move_log(layout, limit)
            with trio.move_on_after(MOVE_AGAIN):
                await self._ledger.changed.wait_until(partial(self._is_other_than, before))

    def _state(self) -> tuple[int, int, int | None, int]:
        """What has changed if there is more to do, or more room for it."""
        ledger, layout = self._ledger, self._ledger.lowered
        limit = 0 if layout is None else ledger.rows_of(layout).limit
        return ledger.progress.barrier, ledger.rows.total, layout, limit

    def _is_other_than(self, before: tuple[int, int, int | None, int]) -> bool:
        return self._state() != before

    async def _move_content(self, layout: int, limit: int, barrier: int) -> None:
        """One walk through all stripes at the most, which goes on where the last one ended for want of room."""
        begun = self._after == 0
        while self._has_room():
            found, last = self._high.data(layout, limit, self._after, COMPARE_ROWS)
            for id_, length, born in found:
                if not self._has_room():
                    return
                if born <= barrier:
                    await self._compactor.empty(id_, length)
                self._after = id_
            self._after = last
            if last == 0:
                if begun:
                    return
                begun = True
            await trio.lowlevel.checkpoint()

    async def _move_log(self, layout: int, limit: int) -> None:
        version = self._high.newest_meta(layout, limit)
        if version:
            await self._retirer.retire_up_to(version, HEADS_PER_GROUP)

    def _has_room(self) -> bool:
        return stripes_to_move(self._space.usage()) > 0
