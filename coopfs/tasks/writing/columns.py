"""All columns of a disk that is written: who is reached, and who is in A (design R7; core/columnstate has the table).

A column that has been unreachable for GRACE_PERIOD is lost by itself. When most are unreachable it is this machine that
is offline, and nobody is lost: nor before it has tried for as long as it takes to call anybody away. Who is reached,
and takes none of the blocks that it lacks, or gives back none of those that it has, is as good as unreachable: its
disk is full, or hangs, or it does not keep its word.

Stores come and go while a column is given to another partner. `stores` is always the list of all that get blocks: the
same list, so that who was given it sees every change.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import inf

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState, Event
from coopfs.core.master import INCOMING, LayoutPlaces, StorePlace
from coopfs.limits import AWAY_AFTER, AWAY_CHECK, CLOCK_STEP, GRACE_PERIOD, LOST_CHECK, ONLINE_AFTER
from coopfs.local.log import Sealed
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.comparing import slices
from coopfs.tasks.writing.ledger import Ledger

Make = Callable[[int, StorePlace], Column]


class Columns:
    """make: of a column's seat and one of its stores; wall: seconds since 1970, to remember across restarts since
    when a partner is unreachable."""

    def __init__(self, layouts: Sequence[LayoutPlaces], make: Make, ledger: Ledger, wall: Callable[[], float]) -> None:
        self.stores: list[Column] = []  # those that count, by layout and column, then the one that is being filled
        self.changed = Signal()  # stores came or went
        self.stirred = Signal()  # one of them opened, closed, or changed its state
        self._count = 0  # that count
        self._make = make
        self._ledger = ledger
        self._wall = wall
        self._began = 0.0
        self._online = 0.0  # since when this machine has been online, and has neither slept nor had its clock set
        self._ahead = 0.0  # seconds by which the clock on the wall is ahead of the process's
        self._states = ledger.log.columns()  # as the log has them: column -> (unreachable since, state)
        self.seat(layouts)
        for column in self.columns:
            since, state = self._states[column.number]
            if since is not None:  # for all that is known: the hours before a restart count
                column.takes_nothing = state is ColumnState.COUNTED
                column.gives_nothing = True

    @property
    def columns(self) -> list[Column]:
        """The stores that count, by layout and column."""
        return self.stores[: self._count]

    def of(self, layout: int) -> list[Column]:
        """Those of one layout, by column."""
        return [column for column in self.columns if column.layout.id == layout]

    def at(self, number: int) -> Column:
        """The one of this seat."""
        return next(column for column in self.columns if column.number == number)

    def disputed(self) -> frozenset[int]:
        """The stripes that some store will not take, since it holds something else in their place."""
        return frozenset().union(*(column.disputed for column in self.stores))

    def blocks_left(self, stripe: Sealed) -> int:
        """Blocks of it that may still be had: acked, and not by a store that is never looked at again."""
        gone = sum(1 << column.number for column in self.columns if column.state in GONE_FOR_GOOD)
        return (stripe.acks & ~gone).bit_count()

    @property
    def incoming(self) -> Column | None:
        """The store that is being filled."""
        return self.stores[self._count] if len(self.stores) > self._count else None

    def seat(self, layouts: Sequence[LayoutPlaces]) -> None:
        """The stores of these layouts are those of the disk from now on."""
        known = {(column.place.store, column.place.role): column for column in self.stores}
        seats = self._ledger.seats
        wanted = [
            (seats.of(places.layout.id).seats[column], store)
            for places in layouts
            for column, store in enumerate(places.primaries)
        ]
        self._count = len(wanted)
        for places in layouts:
            if (incoming := places.spare(INCOMING)) is not None:
                wanted.append((seats.of(places.layout.id).seats[incoming[0]], incoming[1]))
        seated = [
            known.pop((place.store, place.role)) if (place.store, place.role) in known else self._make(number, place)
            for number, place in wanted
        ]
        for column in known.values():
            column.gone = True
        self.stores[:] = seated
        taken = {column.number for column in self.columns}  # who gets a seat that is free begins anew
        self._states = {number: state for number, state in self._states.items() if number in taken}
        for column in self.columns:
            _, column.state = self._states.setdefault(column.number, (None, ColumnState.COUNTED))
        self._tell()
        self.changed.notify()

    async def run(self) -> None:
        """Run all columns. StateError: from any of them."""
        self._began = self._online = trio.current_time()
        self._ahead = self._wall() - self._began
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.each, Column.run)
            nursery.start_soon(self.each, self._watch)
            while True:
                with changes(self._ledger.changed) as changed:
                    await trio.sleep(AWAY_CHECK)
                    if patience := self._patience():
                        with trio.move_on_after(patience):
                            await changed.wait()
                self._look_around()
                for column in self.columns:
                    self._judge(column)

    def _look_around(self) -> None:
        """While this machine was offline, slept, or believed another time, nobody was missed by his own fault."""
        ahead = self._wall() - trio.current_time()
        if self.offline or abs(ahead - self._ahead) >= CLOCK_STEP:
            self._online = trio.current_time()
        self._ahead = ahead

    def _patience(self) -> float:
        """Seconds until time alone may change the state of a column, beyond AWAY_CHECK. Who comes, goes or acks is told
        by the ledger."""
        missed = [column for column in self.columns if column.session is None or column.shirks]
        return min((self._time_left(c) for c in missed if c.state not in GONE_FOR_GOOD), default=inf)

    def _time_left(self, column: Column) -> float:
        """Of one that is missed, until it is called away; LOST_CHECK at the most, as the clock on the wall may be set,
        and goes on while this machine sleeps."""
        since, state = self._states[column.number]
        if since is None:
            return 0.0
        left = since + AWAY_AFTER - self._wall()
        return min(LOST_CHECK, left) if left > 0 and state is not ColumnState.AWAY else LOST_CHECK

    async def each(self, work: Callable[[Column], Awaitable[None]]) -> None:
        """Do this for every store for ever, for each from when it comes until it goes."""
        running: dict[Column, trio.CancelScope] = {}

        async def until_gone(column: Column, scope: trio.CancelScope) -> None:
            with scope:
                await work(column)

        async with trio.open_nursery() as nursery:
            while True:
                for column in [column for column in running if column.gone]:
                    running.pop(column).cancel()
                for column in self.stores:
                    if column not in running:
                        running[column] = trio.CancelScope()  # it may be gone before the task begins
                        nursery.start_soon(until_gone, column, running[column])
                await self.changed.wait()

    def happen(self, column: Column, event: Event) -> None:
        """To a store that counts, and what follows of its state. Durable with the next commit."""
        column.happen(event)
        self._note(column, None if event is Event.REPLACED else self._states[column.number][0])

    def disprove(self, column: Column, ids: Sequence[int]) -> None:
        """A store that counts turned out to lack blocks that it had acked, or holds damaged ones instead (R7)."""
        for some in slices([id_ for id_ in ids if self._ledger.log.is_sealed(id_)]):  # others died since they were seen
            self._ledger.disprove(some, column.number)
            column.lost += len(some)
            self.happen(column, Event.LACKS)

    async def _watch(self, column: Column) -> None:
        while True:
            self._look_around()
            self._judge(column)
            self.stirred.notify()
            self._ledger.changed.notify()  # the writer waits until somebody is reached
            await column.changed.wait()

    def _judge(self, column: Column) -> None:
        column.settle_disputes()
        if column.gone or column is self.incoming:  # it counts for nothing any more, or yet
            return
        since, _ = self._states[column.number]
        column.takes_nothing = column.takes_nothing and self._ledger.progress.owes(column.number)
        if column.session is not None and not column.shirks:
            since = None
            if column.state is ColumnState.AWAY:
                column.happen(Event.REACHED)
            if column.state is ColumnState.CATCHING_UP and self._has_caught_up(column):
                column.happen(Event.CAUGHT_UP)
        elif column.state not in GONE_FOR_GOOD:
            now = int(self._wall())
            since = min(since or now, now)  # a clock that was set back must not shorten the wait
            if now - since >= AWAY_AFTER and column.state in (ColumnState.COUNTED, ColumnState.CATCHING_UP):
                column.happen(Event.ABSENT)
            if now - since >= GRACE_PERIOD and self.may_judge():
                column.happen(Event.LOST)
        self._note(column, since)

    def _has_caught_up(self, column: Column) -> bool:
        """Who will not take a block stays in A, or nothing could become held that names it with m = 1; and so does who
        takes one and does not give it back."""
        return not column.is_doubtful and self._ledger.progress.has_caught_up(column.number)

    def may_judge(self) -> bool:
        """Whether this machine is online, and has been for long enough to know who is not."""
        self._look_around()
        now = trio.current_time()
        return now - self._began >= AWAY_AFTER and now - self._online >= ONLINE_AFTER and not self.offline

    def _note(self, column: Column, since: int | None) -> None:
        if (since, column.state) != self._states[column.number]:
            self._states[column.number] = since, column.state
            self._ledger.log.set_column(column.number, since, column.state)
            self._tell()

    def _tell(self) -> None:
        self._ledger.set_away(sum(1 << column.number for column in self.columns if column.away))

    @property
    def offline(self) -> bool:
        """Whether most of those that might be reached are not: then it is this machine that nobody reaches. Of two, one
        that is reached shows that it is not."""
        might = [column for column in self.columns if column.state not in GONE_FOR_GOOD]
        unreached = sum(column.session is None for column in might)
        return 2 * unreached > len(might)

    @property
    def reached(self) -> int:
        """How many columns are open now."""
        return sum(column.session is not None for column in self.columns)
