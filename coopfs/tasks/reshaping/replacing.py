"""A column is given to another partner, one at a time (design R7, R12, R14).

1. the master block names a new store beside the old one: it is filled, and gets all that is written; the old one counts
   as long as it answers;
2. when it has all that is held, everybody who counts is up, and the kit would still be good, the master block names it
   as the column's store, in one transaction with its acks. The column is in A from here;
3. when f+1 partners of the kit (less one for each that is lost for good), all that count, and the old partner if it
   was up, have that block, the column counts.
   All who accepted it have accepted this writer's epoch since the new store was made: an older writer could not;
4. the master block forgets the old store, which is given back (returner), and so is one whose filling was given
   up: else it would take room of the agreement until that ends. If the new one is lost before it counts, the old one
   is filled again, which has nearly all.

A partner that answers and has its store no more (it lost its disk, or took over its own machine) gets a new store in
the same way, by itself.

Where it stands is what the master block and the states of the columns say, so a crash anywhere is nothing. A restore
asks who is named as primary, which is always one store, and may read from the others.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from math import inf

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState, Event
from coopfs.core.master import INCOMING, VAULT, LayoutPlaces, StorePlace
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, AWAY_CHECK, ROOM_CHECK
from coopfs.local.acks import INCOMING as ACKS_INCOMING
from coopfs.local.incoming import IncomingAcks
from coopfs.local.kitrecord import MUST_EXPORT, KitRecord
from coopfs.local.returning import Returning
from coopfs.sizes import format_size
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.signal import changes
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import StoreId


class Replacing:
    """kits: which names the partners that whoever restores can ask; returning: stores that the disk needs no more;
    commit: makes durable what was changed so far; draw: random bytes."""

    def __init__(
        self,
        keeper: MasterKeeper,
        columns: Columns,
        ledger: Ledger,
        acks: IncomingAcks,
        kits: KitRecord,
        returning: Returning,
        commit: Callable[[], Awaitable[None]],
        draw: Callable[[int], bytes],
    ) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._acks = acks
        self._kits = kits
        self._returning = returning
        self._commit = commit
        self._draw = draw
        self._beginning = trio.Lock()
        self._named_at = 0.0  # when the old store was put aside, in this process

    async def begin(self, number: int, store: StorePlace) -> None:
        """Fill a new store for the column of this seat, at the node of this one. UsageError: another column is being
        given away just now, or this one is none any more. StateError."""
        store = replace(store, store=StoreId(self._draw(16)))

        def name() -> LayoutPlaces:
            self._check_free(number)
            return self._with_incoming(number, store)

        async with self._beginning:
            incoming = self._columns.incoming
            if incoming is not None and incoming.number == number:
                await self._give_up()
            self._check_free(number)
            await self._forget()
            await self._keeper.change(name)
            self._columns.seat(self._layouts)

    def _check_free(self, number: int) -> None:
        """UsageError: nobody can be found for the column of this seat now."""
        if all(column.number != number for column in self._columns.columns):
            raise UsageError("the disk has just got another layout, without this column: see `coopfs status`")
        busy = self._keeper.spare(INCOMING)
        if busy is not None:
            raise UsageError(
                f"the column of {busy[0].primaries[busy[1]].name} is being given to {busy[2].name}: wait until "
                "that is done, as `coopfs status` tells"
            )
        if self._keeper.is_changing:
            raise UsageError("a column has just been given to another partner, and few partners know: wait a while")

    @property
    def _layouts(self) -> tuple[LayoutPlaces, ...]:
        """Those in force. One that no stripe has any more is in the master block until the next one is durable."""
        known = {span.layout for span in self._ledger.seats}
        return tuple(places for places in self._keeper.block.layouts if places.layout in known)

    def _seat(self, places: LayoutPlaces, column: int) -> int:
        return self._ledger.seats.of(places.layout.id).seats[column]

    def _with_incoming(self, number: int, store: StorePlace) -> LayoutPlaces:
        self._acks.begin()
        span = self._ledger.seats.at(number)
        return self._keeper.of(span.layout.id).with_incoming(span.column(number), store)

    async def give_up(self) -> None:
        """The store that is being filled will not come to anything. StateError."""
        async with self._beginning:
            await self._give_up()
            await self._forget()

    async def _give_up(self) -> None:
        def drop() -> LayoutPlaces | None:
            found = self._keeper.spare(INCOMING)
            if found is None:  # it has taken its column's place a moment ago, perhaps
                return None
            places, column, store = found
            if self._columns.incoming is not None:
                self._columns.incoming.gone = True
            self._give_back(store)
            return places.settled(column)

        await self._keeper.change(drop)
        self._columns.seat(self._layouts)

    async def _forget(self) -> None:
        """What the store has, of which nothing came."""
        for _ in self._acks.forget():
            await self._commit()

    async def run(self) -> None:
        """Bring whatever was begun to its end, for ever. StateError."""
        self._named_at = trio.current_time()
        while True:
            with changes(self._ledger.changed, self._keeper.changed, self._columns.changed) as changed:
                if self._columns.incoming is not None and self.hindrance() is None:
                    await self._promote()
                for column in self._columns.columns:
                    if column.state is ColumnState.REBUILT and self._is_told(column) and self._is_in_kit(column):
                        self._columns.happen(column, Event.KNOWN)
                await self._settle()
                await self._fill_again()
                await trio.sleep(AWAY_CHECK)  # blocks are acked all the time
                with trio.move_on_after(self._patience()):
                    await changed.wait()

    def _patience(self) -> float:
        """Seconds until time alone brings something about: who held a column until now need not be told any more, or
        others have left room on the local disk."""
        incoming = self._columns.incoming
        if incoming is not None and isinstance(incoming.seat, Incoming) and incoming.seat.lacks_room() > 0:
            return ROOM_CHECK
        if self._keeper.spare(VAULT) is None:
            return inf
        return max(0.0, self._named_at + AWAY_AFTER - trio.current_time())

    def hindrance(self) -> str | None:
        """What is waited for besides blocks, in words, before the new store can take its place. None: nothing."""
        incoming = self._columns.incoming
        assert incoming is not None
        if incoming.session is None:
            return f"{incoming.place.name} is not reached"
        others = self._others(incoming)
        old = self._columns.at(incoming.number)
        absent = [c.place.name for c in (*others, old) if c.session is None and not c.away]
        if absent:
            return f"{', '.join(absent)} must be told and cannot be reached"
        made, holders = self._kits.newest(), self._keeper.holders()
        # who has not taken the block of now will not take the next one, as when its disk is full
        if refusing := [c.place.name for c in others if not c.away and c.place.node not in holders]:
            return f"{', '.join(refusing)} must be told, and has not taken the master block of now yet"
        will = {c.place.node for c in (*others, incoming) if c.session is not None and (c is incoming or not c.away)}
        has = {c.place.node for c in others if c.session is not None or c.state is ColumnState.EMPTIED}
        remaining = will | (has | {t.node for t in self._keeper.block.trustees}) & holders
        if made is not None and len(remaining.intersection(made.partners)) <= self._losses_left(others):
            return f"{MUST_EXPORT} that names {incoming.place.name}"
        rows = max(self._ledger.rows_of(incoming.layout.id).total, self._keeper.of(incoming.layout.id).rows)
        if incoming.session.opened.rows < rows:  # the disk has grown meanwhile
            return f"{incoming.place.name} has room for {incoming.session.opened.rows} of {rows} rows"
        assert isinstance(incoming.seat, Incoming)
        if (wanted := incoming.seat.lacks_room()) > 0:
            return f"{format_size(wanted)} must be free on the local disk for a moment"
        return None

    def _losses_left(self, others: Sequence[Column]) -> int:
        """So many are still to be survived at the most, in any layout. An emptied partner may tell of the new store."""
        gone = Counter(column.layout.id for column in others if column.state is ColumnState.LOST)
        return max(0, *(span.quorum.f - gone[span.layout.id] for span in self._ledger.seats))

    async def _promote(self) -> None:
        incoming = self._columns.incoming
        assert incoming is not None
        assert isinstance(incoming.seat, Incoming)
        seat, old = incoming.seat, self._columns.at(incoming.number)

        def name() -> LayoutPlaces | None:
            if incoming.gone or not seat.has_caught_up() or self.hindrance() is not None:
                return None
            keep = old.session is not None and old.place.node != incoming.place.node
            if not keep:
                self._give_back(old.place)
            old.gone = incoming.gone = True
            self._columns.happen(old, Event.REPLACED)
            seat.take_place()
            return self._keeper.of(incoming.layout.id).promoted(incoming.column, keep)

        if await self._keeper.change(name):
            self._named_at = trio.current_time()
            await self._learn(incoming.number)
            self._columns.seat(self._layouts)

    async def _learn(self, number: int) -> None:
        """What the new store has and the old one lacked, if that was lost all: nothing of it counts while the column is
        in A, and nobody sends to it before it has its seat."""
        after = self._ledger.learn(number, 0)
        while after is not None:
            await trio.lowlevel.checkpoint()
            after = self._ledger.learn(number, after)

    def kit_lacking(self) -> str | None:
        """Why another kit is wanted before a new store can count that has taken its place, in words. None: it is
        not."""
        for column in self._columns.columns:
            if column.state is ColumnState.REBUILT and self._is_told(column) and not self._is_in_kit(column):
                return f"{MUST_EXPORT} that names {column.place.name}"
        return None

    def _is_told(self, column: Column) -> bool:
        """Whether so many have the master block that the column's new store may count, by whatever kit (R14)."""
        holders, quorum = self._keeper.holders(), self._ledger.seats.at(column.number).quorum
        others = self._others(column)
        if column.place.node not in holders or any(c.place.node not in holders for c in others if not c.away):
            return False
        former = self._keeper.spare(VAULT)
        others = [c for c in others if c.layout.id == column.layout.id]
        asked = {c.place.node for c in others} | ({former[2].node} if former is not None else set())
        gone = sum(c.state in GONE_FOR_GOOD for c in others)
        if len(holders & asked) < min(quorum.told_needed, len(asked) - gone):  # what went took its claims with it
            return False
        return self._former_knows()

    def _is_in_kit(self, column: Column) -> bool:
        """Whether who restores finds somebody that has it, after all losses that are still to be survived. Not him who
        held the column until now: he goes."""
        made, quorum = self._kits.newest(), self._ledger.seats.at(column.number).quorum
        gone = sum(c.state in GONE_FOR_GOOD for c in self._others(column) if c.layout.id == column.layout.id)
        lasting = {c.place.node for c in self._columns.columns} | {t.node for t in self._keeper.block.trustees}
        named = () if made is None else self._keeper.holders() & lasting & frozenset(made.partners)
        return made is None or len(named) > max(0, quorum.f - gone)

    def _former_knows(self) -> bool:
        """Whether who held the column until now will not answer for it any more."""
        former = self._keeper.spare(VAULT)
        return former is None or former[2].node in self._keeper.holders()

    async def _settle(self) -> None:
        """Forget who held a column until now, when the new store counts, or it has long been away."""
        former = self._keeper.spare(VAULT)
        if former is None or former[0] not in self._layouts:
            return
        places, number, store = former
        column, knows = self._columns.at(self._seat(places, number)), store.node in self._keeper.holders()
        is_away = not knows and trio.current_time() - self._named_at >= AWAY_AFTER
        if column.state in GONE_FOR_GOOD and knows:
            await self._take_back(column)
        elif is_away or column.state not in {ColumnState.REBUILT, *GONE_FOR_GOOD}:
            await self._keeper.change(self._without_former)
            self._columns.seat(self._layouts)

    async def _take_back(self, column: Column) -> None:
        """Who held this column until now is to have it again, as far as his store goes by its inventory."""

        def name() -> LayoutPlaces | None:
            former = self._keeper.spare(VAULT)
            if former is None or column.gone:
                return None
            self._acks.begin()
            self._ledger.slots.expect(ACKS_INCOMING, None)
            return former[0].with_incoming(former[1], former[2])

        async with self._beginning:
            await self._forget()
            await self._keeper.change(name)
            self._columns.seat(self._layouts)

    def _without_former(self) -> LayoutPlaces | None:
        former = self._keeper.spare(VAULT)  # its layout may have gone meanwhile
        if former is None:
            return None
        places, column, store = former
        self._give_back(store)
        return places.settled(column)

    def _give_back(self, store: StorePlace) -> None:
        """In the transaction of the master block that does not name it any more."""
        self._returning.add([(store.store, store.node)])

    async def _fill_again(self) -> None:
        """A partner that has lost a store gets a new one: who asks an emptied one would take it for an answer (R16)."""
        for column in list(self._columns.columns):
            store = replace(column.place, store=StoreId(self._draw(16)))

            def name(column: Column = column, store: StorePlace = store) -> LayoutPlaces | None:
                if self._keeper.is_changing or column.gone or column.state is not ColumnState.EMPTIED:
                    return None
                return self._with_incoming(column.number, store)

            async with self._beginning:  # its owner may have begun something else meanwhile
                if column.state is not ColumnState.EMPTIED or self._keeper.is_changing:
                    continue
                await self._forget()
                if await self._keeper.change(name):
                    self._columns.seat(self._layouts)

    def _others(self, column: Column) -> list[Column]:
        return [other for other in self._columns.columns if other.number != column.number]
