"""The keeper of the master block: moves its floor on, and lets every partner have the newest one (design R14).

The floor names an END known held, and a restore takes nothing older: so partners that were set back, or lie, cannot
pass an old state off as the newest. It follows what is held once a day, and at each export of a kit.

1. a block with a higher counter and the new floor is saved and committed;
2. each partner gets it as soon as its column is open, which is after its store was compared: a copied home stops there.
   One that has lost its store has nothing to compare, and gets it too, and trustees do when any column is open.
   One that refuses it, as it has a block that was not made here, shows that this home is a copy: it stops (R12).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.core.keys import DiskKeys, KeyAge
from coopfs.core.master import (
    VAULT,
    Floor,
    LayoutPlaces,
    MasterBlock,
    StorePlace,
    Trustee,
    Wishes,
    open_master,
    seal_master,
)
from coopfs.errors import NotAuthentic, PeerError, Refused, StaleHome
from coopfs.limits import AWAY_CHECK, FLOOR_CHECK, FLOOR_INTERVAL, FOLLOW_INTERVAL, RECONNECT_MAX, RESTORE_PATIENCE
from coopfs.local.database import REMEDY
from coopfs.local.log import Log
from coopfs.local.mastercopy import MasterHolders
from coopfs.tasks.network import Network
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.types import BlockStore, Claim, Master, NodeKey, Partner

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
        self.wishes: Callable[[], Wishes] = lambda: self.block.wishes  # what the owner wishes for (reshaping/wishing)
        self.changed = Signal()  # there is a newer block, or somebody has it
        self._moving = trio.Lock()

    def of(self, layout: int) -> LayoutPlaces:
        """Who holds the columns of a layout in force."""
        return next(places for places in self.block.layouts if places.layout.id == layout)

    @property
    def stores(self) -> list[StorePlace]:
        """Of all layouts."""
        return [store for places in self.block.layouts for column in places.columns for store in column]

    def spare(self, role: str) -> tuple[LayoutPlaces, int, StorePlace] | None:
        """The one store of this role, with its layout and column, as one column is changed at a time."""
        found = ((places, places.spare(role)) for places in self.block.layouts)
        return next(((places, *spare) for places, spare in found if spare is not None), None)

    @property
    def is_changing(self) -> bool:
        """Whether some column has another store besides the one that counts."""
        return any(places.spares for places in self.block.layouts)

    async def run(self, columns: Columns, network: Network) -> None:
        """Keep the floor and the partners up to date for ever. StateError: the database failed."""

        async def give(column: Column) -> None:
            await self._give(column, network)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(columns.each, give)
            nursery.start_soon(self._tell_others, columns, network)
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
                await self._replace(replace(self.block, counter=self.block.counter + 1, floor=held))
            return self.block.floor

    async def change(self, make: Callable[[], LayoutPlaces | None]) -> bool:
        """Who holds which column of a layout changes, durably; partners get it as they are reached. StateError.

        make: the layout from now on, asked for when it is its turn; what it changes in the database is in the same
        transaction. None: nothing changes after all (False).
        """

        def name() -> tuple[LayoutPlaces, ...] | None:
            places = make()
            if places is None:
                return None
            return tuple(places if each.layout.id == places.layout.id else each for each in self.block.layouts)

        return await self.rename(name)

    async def rename(self, make: Callable[[], tuple[LayoutPlaces, ...] | None]) -> bool:
        """As `change`, of all layouts."""
        async with self._moving:
            layouts = make()
            if layouts is None:
                return False
            await self._replace(replace(self.block, counter=self.block.counter + 1, layouts=layouts))
            return True

    async def rekey(self, make: Callable[[], tuple[KeyAge, ...] | None]) -> None:
        """Which keys are in use changes, as `change` has it. StateError."""
        async with self._moving:
            keys = make()
            if keys is not None:
                await self._replace(replace(self.block, counter=self.block.counter + 1, keys=keys))

    async def renew(self) -> None:
        """Somebody has not what it had taken: the same with a higher counter, as `change` has it. StateError."""
        async with self._moving:
            await self._replace(replace(self.block, counter=self.block.counter + 1))

    async def wish(self) -> None:
        """What the owner wishes for changes, if it does, as `change` has it. StateError."""
        async with self._moving:
            if self.wishes() != self.block.wishes:
                await self._replace(replace(self.block, counter=self.block.counter + 1))

    async def entrust(self, trustee: Trustee) -> None:
        """A further partner is to hold the master block, or one that does is called or found otherwise. StateError."""
        async with self._moving:
            others = tuple(t for t in self.block.trustees if t.node != trustee.node)
            if trustee not in self.block.trustees:
                await self._entrust((*others, trustee))

    async def dismiss(self, node: NodeKey) -> None:
        """It need not hold the master block any more. StateError."""
        async with self._moving:
            left = tuple(t for t in self.block.trustees if t.node != node)
            if left != self.block.trustees:
                await self._entrust(left)

    async def _entrust(self, trustees: tuple[Trustee, ...]) -> None:
        await self._replace(replace(self.block, counter=self.block.counter + 1, trustees=trustees))

    async def follow(self, known: Callable[[], Mapping[NodeKey, tuple[str, ...]]]) -> None:
        """Let the block say where partners are by now, so that a restore with an old kit finds those that moved; for
        ever, but for the time in which a column is given away. known: by the newest word of each. StateError."""

        def name() -> tuple[LayoutPlaces, ...] | None:
            moved = tuple(places.at(known()) for places in self.block.layouts)
            return None if self.is_changing or moved == self.block.layouts else moved

        while True:
            await trio.sleep(FOLLOW_INTERVAL)
            await self.rename(name)

    async def _replace(self, block: MasterBlock) -> None:
        """With it the wishes of the same moment: whoever takes over with a block that names a store no more, and does
        not know that it is to be given back, never would."""
        block = replace(block, wishes=self.wishes())
        self._save(block)
        await self._commit()
        self.block = block
        self._keys.age(block.keys)
        self.changed.notify()

    async def _tell_others(self, columns: Columns, network: Network) -> None:
        """Trustees; and who held a column until now must know that another does: in a restore it would answer for it
        (R7)."""

        async def tell(node: NodeKey, name: str) -> None:
            try:
                with trio.move_on_after(RESTORE_PATIENCE):
                    await self._put(node, name, await network.reach(node))
            except PeerError as trouble:
                logger.info("partner %s does not take the master block: %s", name, trouble)

        while True:
            await self.changed.wait_until(lambda: bool(self._untold()))
            async with trio.open_nursery() as nursery:
                for node, name in self._untold().items():
                    if columns.reached or node == self._former():
                        nursery.start_soon(tell, node, name)
            await trio.sleep(AWAY_CHECK)

    def _former(self) -> NodeKey | None:
        """Who held a column until now."""
        former = self.spare(VAULT)
        return None if former is None else former[2].node

    def _untold(self) -> dict[NodeKey, str]:
        """Those without a column that do not have the newest block, and how they are called."""
        others = {trustee.node: trustee.name for trustee in self.block.trustees}
        former = self.spare(VAULT)
        if former is not None:
            others[former[2].node] = former[2].name
        return {node: name for node, name in others.items() if node not in self.holders()}

    async def _put(self, node: NodeKey, name: str, partner: Partner) -> None:
        block = self.block
        try:
            await partner.put_master(self._claim, seal_master(self._keys, block, node))
        except Refused:
            for stored in await partner.masters(self._keys.disk):
                self._compare(node, name, stored)
            raise
        if block.counter == self.block.counter:
            self._holders.note(block.counter, node)
            self.changed.notify()

    def _compare(self, node: NodeKey, name: str, stored: Master) -> None:
        """StaleHome: this home never made what a partner has."""
        try:
            there = open_master(self._keys, stored, node)
        except NotAuthentic:  # the partner is wrong, or lies
            return
        if there.counter > self.block.counter or (there.counter == self.block.counter and there != self.block):
            raise StaleHome(
                f"{name} holds a master block of this disk that was not made here: this home is a copy of another, or "
                f"older than its partners; nothing more is sent from here: {REMEDY}"
            )

    async def _give(self, column: Column, network: Network) -> None:
        given: tuple[BlockStore | None, int] = (None, 0)  # in which session, and which

        def is_due() -> bool:
            answers = column.session is not None or column.state is ColumnState.EMPTIED
            return answers and given != (column.session, self.block.counter)

        while True:
            await self._until(is_due, column)
            given = column.session, self.block.counter
            try:
                await self._put(column.place.node, column.place.name, await network.reach(column.place.node))
            except PeerError as trouble:
                logger.info("partner %s does not take the master block: %s", column.place.name, trouble)
                with trio.move_on_after(AWAY_CHECK if column.session is None else RECONNECT_MAX):
                    await self._until(is_due, column)
                given = None, 0

    async def _until(self, condition: Callable[[], bool], column: Column) -> None:
        """Until a look after some change of the column, or of the block, finds the condition true."""
        while not condition():
            with changes(column.changed, self.changed) as changed:
                await changed.wait()
