"""The keeper of the master block: moves its floor on, and lets every partner have the newest one (design R14).

The floor names an END known held, and a restore takes nothing older: so partners that were set back, or lie, cannot
pass an old state off as the newest. It follows what is held once a day, and at each export of a kit.

1. a block with a higher counter and the new floor is saved and committed;
2. each partner gets it as soon as its column is open, which is after its store was compared: a copied home stops there.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import trio

from coopfs.core.keys import DiskKeys
from coopfs.core.master import Floor, MasterBlock, seal_master
from coopfs.errors import PeerError
from coopfs.limits import FLOOR_CHECK, FLOOR_INTERVAL
from coopfs.local.log import Log
from coopfs.local.mastercopy import MasterHolders
from coopfs.tasks.column import Column
from coopfs.tasks.network import Network
from coopfs.types import BlockStore, Claim, NodeKey

logger = logging.getLogger(__name__)


class MasterKeeper:
    """block: the newest one. save: puts it into the transaction; commit: makes that durable; claim: of this writer;
    holders: who has it."""

    def __init__(
        self,
        keys: DiskKeys,
        block: MasterBlock,
        claim: Claim,
        log: Log,
        save: Callable[[MasterBlock], None],
        commit: Callable[[], Awaitable[None]],
        holders: MasterHolders,
    ) -> None:
        self.block = block
        self._holders = holders
        self._keys = keys
        self._claim = claim
        self._log = log
        self._save = save
        self._commit = commit
        self._columns: Sequence[Column] = ()
        self._moving = trio.Lock()

    async def run(self, columns: Sequence[Column], network: Network) -> None:
        """Keep the floor and the partners up to date for ever. StateError: the database failed."""
        self._columns = columns
        async with trio.open_nursery() as nursery:
            for column in columns:
                nursery.start_soon(self._give, column, network)
            while True:
                if abs(self._held().date - self.block.floor.date) >= FLOOR_INTERVAL:  # a clock may have been wrong
                    await self.move_floor()
                await trio.sleep(FLOOR_CHECK)

    def holders(self) -> frozenset[NodeKey]:
        """The partners known to have the newest block."""
        return self._holders.of(self.block.counter)

    def _held(self) -> Floor:
        barrier = self._log.barrier
        return Floor(self._log.end_of(barrier).version, self._log.closed_at(barrier)) if barrier else Floor(0, 0)

    async def move_floor(self) -> Floor:
        """Move the floor to what is held now, durably, and return it; partners get it as they are reached.
        StateError."""
        async with self._moving:
            held = self._held()
            if held.version > self.block.floor.version:
                block = replace(self.block, counter=self.block.counter + 1, floor=held)
                self._save(block)
                await self._commit()
                self.block = block
                for column in self._columns:
                    column.changed.notify()
            return self.block.floor

    async def _give(self, column: Column, network: Network) -> None:
        given: tuple[BlockStore | None, int] = (None, 0)  # in which session, and which

        def is_due() -> bool:
            return column.session is not None and given != (column.session, self.block.counter)

        while True:
            await column.changed.wait_until(is_due)
            block, given = self.block, (column.session, self.block.counter)
            try:
                partner = await network.reach(column.place.node)
                await partner.put_master(self._claim, seal_master(self._keys, block, column.place.node))
                if block.counter == self.block.counter:
                    self._holders.note(block.counter, column.place.node)
            except PeerError as trouble:  # its column's next session begins with the newest one
                logger.info("partner %s does not take the master block: %s", column.place.name, trouble)
