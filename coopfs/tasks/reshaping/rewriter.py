"""The rewriter: writes what older keys sealed again, with the newest, when the owner has asked for that (design R1).

What lives in a data stripe is appended again, as the compactor does, and of the log all heads of older keys are
retired; a few for each group that becomes held, as rows and the line allow. It is an upload of all that the disk holds.
"""

from functools import partial

import trio

from coopfs.core.cleaning import stripes_to_move
from coopfs.limits import HEADS_PER_GROUP, MOVE_AGAIN
from coopfs.tasks.cleaning.compactor import Compactor
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.reshaping.rekeying import Rekeying
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace


class Rewriter:
    """One for the disk."""

    def __init__(
        self,
        rekeying: Rekeying,
        ledger: Ledger,
        space: PartnerSpace,
        compactor: Compactor,
        retirer: Retirer,
    ) -> None:
        self._rekeying = rekeying
        self._mark = rekeying.mark
        self._ledger = ledger
        self._space = space
        self._compactor = compactor
        self._retirer = retirer
        self._after = 0  # stripe tried last: one whose content cannot be had now does not keep the others back

    async def run(self) -> None:
        """Rewrite for ever, whenever something new is held. StateError: the database failed."""
        while True:
            await self._rekeying.changed.wait_until(lambda: self._rekeying.moves_below is not None)
            barrier, version = self._ledger.progress.barrier, self._rekeying.moves_below
            if version is None:
                continue
            found = self._mark.older_data(version, barrier, self._after, stripes_to_move(self._space.usage()))
            self._after = found[-1][0] if found else 0
            for id_, length in found:
                await self._compactor.empty(id_, length)
            await self._retirer.retire(min(self._mark.older_heads(version, barrier), HEADS_PER_GROUP))
            with trio.move_on_after(MOVE_AGAIN):
                await self._ledger.moved.wait_until(partial(self._held_after, barrier))

    def _held_after(self, group: int) -> bool:
        return self._ledger.progress.barrier > group
