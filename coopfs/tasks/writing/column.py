"""One column of a disk that is written: the session to its partner's store, and the puts on their way there.

1. wait until the partner is reached; OPEN for writing, which raises its claim (R12);
2. compare digests, and where they differ the inventory: only now do blocks found there count, and acks for blocks
   that are not there are taken back (R7, R16); a store that is newer than this home stops everything before the first
   put (R6, R12);
3. put the runs of blocks that the writer and the cleaner queue, several at a time; one in whose place the store holds
   something else of the same version is disputed: it is left out, the column is in A, and the stripe's content is
   written anew elsewhere (compactor, retirer);
4. when the connection ends: what was queued is forgotten, the cleaner will find it missing; begin again.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from math import inf

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState, Event, after
from coopfs.core.master import StorePlace
from coopfs.core.seats import Span
from coopfs.errors import BlockRefused, Fenced, PartnerAway, PeerError, StateError, StoreGone
from coopfs.limits import (
    COLUMN_QUEUE,
    DISPUTES_MAX,
    PUT_RUN,
    PUTS_IN_FLIGHT,
    RECONNECT_MAX,
    RECONNECT_MIN,
    STALL_TIMEOUT,
)
from coopfs.tasks.network import Network, read_inventory
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.rivals import IsMine, Rivals, Settled
from coopfs.tasks.writing.seat import Parcel, Seat
from coopfs.types import BlockStore, Opening, Partner, Write

logger = logging.getLogger(__name__)


class Column:
    """The writer's side of one store of a column. span: of its layout; number: its seat (core/seats); seat: where its
    acks go; is_mine: see Rivals; until_may_change: see Committer."""

    def __init__(
        self,
        span: Span,
        number: int,
        place: StorePlace,
        opening: Opening,
        network: Network,
        seat: Seat,
        is_mine: IsMine,
        until_may_change: Callable[[], Awaitable[None]],
    ) -> None:
        self.layout = span.layout
        self.column = span.column(number)
        self.number = number
        self.place = place
        self.session: BlockStore | None = None
        self.queued: set[int] = set()  # stripes in the queue or in flight
        self.disputed: set[int] = set()  # stripes in whose place it holds something else, for all that is known now
        self.foreign: set[int] = set()  # of these where that is a block of another machine with this disk
        self.trouble: str | None = "not reached yet"  # why it is not open, in words
        self.state = ColumnState.COUNTED
        self.resting: dict[int, float] = {}  # stripes acked and not given back -> trio time when they are sent again
        self.lost = 0  # blocks that it had acked and was found to lack, since the start
        self.changed = Signal()  # opened or closed
        self.gone = False  # it is no store of this disk any more: what it still answers is of no account
        self.takes_nothing = False  # a put failed, and none has got through since
        self.gives_nothing = False  # asked for a block it failed, and has shown none since
        self._opening = opening
        self._network = network
        self.seat = seat
        self._until_may_change = until_may_change
        self._rivals = Rivals(number, place, seat.log, is_mine)
        self._stalled = False
        self._taken = 0  # blocks that it acked, since the start
        self._moved = Signal()  # a run left the queue
        self._send, self._receive = trio.open_memory_channel[Sequence[Parcel]](COLUMN_QUEUE // PUT_RUN)

    def made(self) -> None:
        """Its store is there: what counts is never made anew (R16)."""
        self._opening = replace(self._opening, create=None)

    @property
    def away(self) -> bool:
        """Whether it is in A: its acks do not count."""
        return self.state is not ColumnState.COUNTED

    @property
    def shirks(self) -> bool:
        """Whether it is of no use even when it is reached."""
        return self.takes_nothing or self.gives_nothing

    @property
    def _is_looked_at(self) -> bool:
        return not self.gone and self.state not in GONE_FOR_GOOD

    def happen(self, event: Event) -> None:
        """Change the state as the table says."""
        before, self.state = self.state, after(self.state, event)
        if self.state is not before:
            self.changed.notify()

    async def run(self) -> None:
        """Keep the column open for ever, unless it is lost. StateError: this home must not write any more."""
        pause = RECONNECT_MIN
        while True:
            await self.changed.wait_until(lambda: self._is_looked_at)
            partner = await self._network.reach(self.place.node)
            if not self._is_looked_at:
                continue
            began, taken = trio.current_time(), self._taken
            try:
                session = await partner.open(self._opening)
                if self.gone:
                    continue
                if session.opened.rows < (rows := self.seat.rows_at(self.number).total):  # in A while others grew
                    await session.resize(rows)
                await self._reconcile(session)
                await self._work(partner, session)
            except Fenced as fence:
                raise StateError(
                    f"another machine has taken this disk over (epoch {fence.epoch}): nothing more is sent from here, "
                    "and nothing can be changed; if that was you, copy what the other one lacks from the mount, and "
                    "remove this home"
                ) from None
            except PartnerAway as away:
                self._close(str(away))
                if not self.takes_nothing or self._taken > taken:
                    pause = RECONNECT_MIN
                    await trio.sleep(pause)
                    continue
            except StoreGone as gone:
                logger.warning("partner %s lost the store of this disk: %s", self.place.name, gone)
                self.happen(Event.GONE)
                self._close(str(gone))
            except PeerError as bad:
                logger.info("partner %s: %s", self.place.name, bad)
                self._close(str(bad))
            if trio.current_time() - began > RECONNECT_MAX:  # it was not wrong all the time
                pause = RECONNECT_MIN
            pause = min(2 * pause, RECONNECT_MAX)
            await trio.sleep(pause)

    async def send(self, parcels: Sequence[Parcel]) -> None:
        """Queue a run of at most PUT_RUN blocks, waiting for room as long as this column moves. One that has stalled is
        left to the cleaner."""
        run = [parcel for parcel in parcels if parcel.stripe not in self.queued]
        if self.session is None or not run:
            return
        self.queued.update(parcel.stripe for parcel in run)
        try:
            self._send.send_nowait(run)
        except trio.WouldBlock:
            with trio.move_on_after(0 if self._stalled else STALL_TIMEOUT) as waited:
                await self._send.send(run)
            if waited.cancelled_caught:
                self._stalled = True
                self.queued.difference_update(parcel.stripe for parcel in run)

    async def room(self) -> None:
        """Wait until a run could be queued at once, or nothing can be sent."""
        await self._moved.wait_until(lambda: self.session is None or not self._is_full())

    def _is_full(self) -> bool:
        return self._send.statistics().current_buffer_used == COLUMN_QUEUE // PUT_RUN

    def _close(self, why: str) -> None:
        self.session = None
        self.trouble = why
        self.queued.clear()
        self.disputed.clear()
        self.foreign.clear()
        self._stalled = False
        self._send, self._receive = trio.open_memory_channel[Sequence[Parcel]](COLUMN_QUEUE // PUT_RUN)
        self._moved.notify()
        self.changed.notify()

    async def _work(self, partner: Partner, session: BlockStore) -> None:
        self.session = session
        self.trouble = None
        self.changed.notify()
        first: list[PeerError] = []
        async with trio.open_nursery() as nursery:

            async def until_trouble(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except PeerError as trouble:
                    first.append(trouble)
                nursery.cancel_scope.cancel()

            async def put() -> None:
                await self._put_all(session)

            async def watch() -> None:
                await self._network.gone(partner)

            async def until_lost() -> None:
                await self.changed.wait_until(lambda: self.state in GONE_FOR_GOOD)
                raise PartnerAway("it was declared lost")

            for _ in range(PUTS_IN_FLIGHT // PUT_RUN):
                nursery.start_soon(until_trouble, put)
            nursery.start_soon(until_trouble, watch)
            nursery.start_soon(until_trouble, until_lost)
        raise first[0] if first else PartnerAway("the connection ended")

    async def _put_all(self, session: BlockStore) -> None:
        async for run in self._receive:
            self._moved.notify()
            try:
                outcomes = await session.put_many([Write(p.place.row, p.place.version, p.box) for p in run])
            except PeerError:
                self.takes_nothing = True
                raise
            stored = [parcel.stripe for parcel, refusal in zip(run, outcomes, strict=True) if refusal is None]
            self._stalled = False
            self._take(stored)
            for parcel, refusal in zip(run, outcomes, strict=True):
                if refusal is not None:
                    await self._refused(session, parcel, refusal)

    def _take(self, stored: Sequence[int]) -> None:
        self.takes_nothing = self.takes_nothing and not stored
        self._taken += len(stored)
        self.queued.difference_update(stored)
        if not self.gone:
            self.seat.ack(stored, self.number)

    async def _refused(self, session: BlockStore, parcel: Parcel, refusal: PeerError) -> None:
        if not isinstance(refusal, BlockRefused):
            raise refusal
        settled = await self._rivals.settle(session, parcel, refusal)
        if settled is Settled.THERE:
            self._take([parcel.stripe])
        else:
            self._dispute(parcel.stripe, settled, refusal)

    def _dispute(self, stripe: int, settled: Settled, refusal: PeerError) -> None:
        """It will not take this block, and what it claims to have of it does not count (R15)."""
        self.queued.discard(stripe)
        if self.gone or self.seat.log.get(stripe) is None:
            return
        if len(self.disputed) >= DISPUTES_MAX:
            raise refusal
        if settled is Settled.FOREIGN:
            if not self.foreign:
                logger.warning(
                    "partner %s has blocks of another machine in the way: all is moved away", self.place.name
                )
            self.foreign.add(stripe)
        elif self.disputed == self.foreign:
            logger.warning("partner %s keeps damaged blocks and takes no others: all is moved away", self.place.name)
        self.disputed.add(stripe)
        self.seat.disprove([stripe], self.number)
        self.happen(Event.LACKS)
        self.changed.notify()

    @property
    def is_doubtful(self) -> bool:
        """Whether what it acks is no good reason to let it count now."""
        return bool(self.disputed or self.resting)

    def is_apart(self, stripe: int) -> bool:
        """Whether there is no use in sending a stripe just now: it is on its way, disputed, or rests."""
        if stripe in self.queued or stripe in self.disputed:
            return True
        return self.resting.get(stripe, -inf) > trio.current_time()

    def settle_disputes(self) -> None:
        """Forget those of stripes whose rows are free: a newer block will take their place."""
        self.disputed = {stripe for stripe in self.disputed if self.seat.log.is_sealed(stripe)}
        self.foreign &= self.disputed

    async def _reconcile(self, session: BlockStore) -> None:
        """The digest came after the claim was raised; if it is what this home expects, an inventory would neither find
        nor lack anything."""
        if session.opened.digest == self.seat.digest(self.number):
            return
        found = await read_inventory(session, self.seat.rows_at(self.number).total)
        await self._rivals.compare(session, found)
        lost = await self.seat.reconcile(found, self.number, self)
        if lost:
            logger.warning("partner %s lacks %d blocks that it had acked", self.place.name, lost)
            self.lost += lost

    async def pause(self) -> None:
        """Of a comparison: operations run, and what it changed is committed if that is much."""
        await trio.lowlevel.checkpoint()
        await self._until_may_change()

    def lacks(self) -> None:
        """It was found to lack what it had acked: it is in A."""
        self.happen(Event.LACKS)
