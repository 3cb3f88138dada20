"""The returner: gives stores back that the disk needs no more, as their partners are reached (paper section 2.6).

Not before all that count have the master block that does not name them, and, should many not count, so many that no
takeover can do without: a restore that only found the one before would look for stores that nobody has (R14). For the
same reason not while a column waits to count in a new store (R7).
"""

import logging

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.core.quorum import Quorum
from coopfs.errors import Fenced, NoAgreement, PeerError, StoreGone
from coopfs.limits import AWAY_CHECK, RECONNECT_MAX, RESTORE_PATIENCE
from coopfs.local.returning import Returning
from coopfs.tasks.network import Network
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.types import Claim, NodeKey, Opening, StoreId

logger = logging.getLogger(__name__)


class Returner:
    """claim: of this writer."""

    def __init__(
        self, returning: Returning, keeper: MasterKeeper, columns: Columns, network: Network, claim: Claim
    ) -> None:
        self._returning = returning
        self._keeper = keeper
        self._columns = columns
        self._network = network
        self._claim = claim
        self.changed = Signal()  # fewer are owed

    @property
    def owed(self) -> dict[StoreId, NodeKey]:
        """What is still to be given back, and who has it."""
        return self._returning.owed

    async def run(self) -> None:
        """Give back whatever is to be, for ever."""
        while True:
            with changes(self._keeper.changed, self._columns.stirred) as changed:
                due = self._due()
                if not (due and self._is_known()):
                    await changed.wait()
                    continue
            async with trio.open_nursery() as nursery:
                for store, node in due.items():
                    nursery.start_soon(self._try, store, node)
            self.changed.notify()
            await trio.sleep(RECONNECT_MAX if self._returning.owed else AWAY_CHECK)

    def _due(self) -> dict[StoreId, NodeKey]:
        """What is owed and not named any more: the block without it may still be on its way to the disk here, and who
        lost that would begin with the one before."""
        named = {each.store for each in self._keeper.stores}
        return {store: node for store, node in self._returning.owed.items() if store not in named}

    def _is_known(self) -> bool:
        holders = self._keeper.holders()
        if any(column.state is ColumnState.REBUILT for column in self._columns.columns):
            return False
        if any(column.place.node not in holders for column in self._columns.columns if not column.away):
            return False
        for places in self._keeper.block.layouts:
            quorum = Quorum(places.layout.k, places.layout.m)
            if sum(store.node in holders for store in places.primaries) < quorum.told_needed:
                return False
        return True

    async def _try(self, store: StoreId, node: NodeKey) -> None:
        try:
            with trio.move_on_after(RESTORE_PATIENCE):
                partner = await self._network.reach(node)
                session = await partner.open(Opening(self._claim.disk, store, self._claim))
                await session.resize(0)
                await session.close()
                self._returning.done(store)
        except (StoreGone, NoAgreement):
            self._returning.done(store)
        except Fenced:
            return  # another writer has the disk; the columns say so
        except PeerError as trouble:
            logger.info("a store that is not needed any more was not given back: %s", trouble)
