"""One column of a disk that is written: the session to its partner's store, and the puts on their way there.

1. wait until the partner is reached; OPEN for writing, which raises its claim (R12);
2. compare digests, and where they differ the inventory: only now do blocks found there count, and acks for blocks
   that are not there are taken back (R7, R16); a store that is newer than this home stops everything before the first
   put (R6, R12);
3. put the runs of blocks that the writer and the cleaner queue, several at a time;
4. when the connection ends: what was queued is forgotten, the cleaner will find it missing; begin again.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState, Event, after
from coopfs.core.inventory import Inventory
from coopfs.core.master import StorePlace
from coopfs.core.rows import Rows
from coopfs.errors import BlockRefused, Fenced, NotAuthentic, PartnerAway, PeerError, StateError, StoreGone
from coopfs.limits import COLUMN_QUEUE, PUT_RUN, PUTS_IN_FLIGHT, RECONNECT_MAX, RECONNECT_MIN, STALL_TIMEOUT
from coopfs.local.log import Log
from coopfs.tasks.network import Network, read_inventory
from coopfs.tasks.signal import Signal
from coopfs.types import BlockStore, Octets, Opening, Partner, Place, Write

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A block on its way to this column."""

    stripe: int
    place: Place
    box: Octets


class Seat(Protocol):
    """What is known of a store: of the one that counts for its column, or of one that is being filled."""

    log: Log
    rows: Rows

    def ack(self, ids: Sequence[int], column: int) -> None:
        """These stripes are on stable storage there."""

    def digest(self, column: int) -> bytes:
        """What it answers if it lost nothing and got nothing else: 16 bytes."""

    def reconcile(self, found: Inventory, column: int) -> int:
        """How many acks had to be taken back."""

    def lacking(self, column: int, under_way: Callable[[int], bool]) -> list[int]:
        """Stripes to send to it next, most urgent first, but for those that are under way; CLEANER_BATCH at most."""


class Column:
    """The writer's side of one store of a column.

    seat: where its acks go; is_mine: whether a block in this store authenticates as this disk's, for this column at
    this place.
    """

    def __init__(
        self,
        number: int,
        place: StorePlace,
        opening: Opening,
        network: Network,
        seat: "Seat",
        is_mine: Callable[[StorePlace, int, Place, Octets], bool],
    ) -> None:
        self.number = number
        self.place = place
        self.session: BlockStore | None = None
        self.queued: set[int] = set()  # stripes in the queue or in flight
        self.trouble: str | None = "not reached yet"  # why it is not open, in words
        self.state = ColumnState.COUNTED
        self.lost = 0  # blocks that it had acked and was found to lack, since the start
        self.changed = Signal()  # opened or closed
        self.gone = False  # it is no store of this disk any more: what it still answers is of no account
        self._opening = opening
        self._network = network
        self.seat = seat
        self._is_mine = is_mine
        self._stalled = False
        self._moved = Signal()  # a run left the queue
        self._send, self._receive = trio.open_memory_channel[Sequence[Parcel]](COLUMN_QUEUE // PUT_RUN)

    @property
    def away(self) -> bool:
        """Whether it is in A: its acks do not count."""
        return self.state is not ColumnState.COUNTED

    def happen(self, event: Event) -> None:
        """Change the state as the table says."""
        before, self.state = self.state, after(self.state, event)
        if self.state is not before:
            self.changed.notify()

    async def run(self) -> None:
        """Keep the column open for ever, unless it is lost. StateError: this home must not write any more."""
        pause = RECONNECT_MIN
        while True:
            await self.changed.wait_until(lambda: self.state not in GONE_FOR_GOOD)
            partner = await self._network.reach(self.place.node)
            if self.state in GONE_FOR_GOOD:
                continue
            try:
                session = await partner.open(self._opening)
                await self._reconcile(session)
                pause = RECONNECT_MIN
                await self._work(partner, session)
            except Fenced as fence:
                raise StateError(
                    f"another machine has taken this disk over (epoch {fence.epoch}): nothing more is sent from here, "
                    "and nothing can be changed; if that was you, copy what the other one lacks from the mount, and "
                    "remove this home"
                ) from None
            except PartnerAway as away:
                self._close(str(away))
            except StoreGone as gone:
                logger.warning("partner %s lost the store of this disk: %s", self.place.name, gone)
                self.happen(Event.GONE)
                self._close(str(gone))
            except PeerError as bad:
                logger.info("partner %s: %s", self.place.name, bad)
                self._close(str(bad))
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
            outcomes = await session.put_many([Write(p.place.row, p.place.version, p.box) for p in run])
            stored = [parcel.stripe for parcel, refusal in zip(run, outcomes, strict=True) if refusal is None]
            self._stalled = False
            self._take(stored)
            for parcel, refusal in zip(run, outcomes, strict=True):
                if refusal is not None:
                    await self._refused(session, parcel, refusal)

    def _take(self, stored: Sequence[int]) -> None:
        self.queued.difference_update(stored)
        if not self.gone:
            self.seat.ack(stored, self.number)

    async def _refused(self, session: BlockStore, parcel: Parcel, refusal: PeerError) -> None:
        if not isinstance(refusal, BlockRefused):
            raise refusal
        if not self._was_overtaken(parcel, refusal):
            await self._dispute(session, parcel, refusal)
        self._take([parcel.stripe])

    def _was_overtaken(self, parcel: Parcel, refusal: BlockRefused) -> bool:
        """The stripe was given up while its block was on the way, and this home used the row again: no harm done."""
        log = self.seat.log
        return log.get(parcel.stripe) is None and refusal.stored_version <= log.newest_version

    async def _dispute(self, session: BlockStore, parcel: Parcel, refusal: BlockRefused) -> NoReturn:
        """R15: an authentic block of equal or newer version means that this home is a copy, or older than its
        partners; anything else means that the partner is wrong."""
        stored = await session.get(parcel.place.row)
        if stored is not None and self._is_mine(
            self.place, self.number, Place(stored.version, parcel.place.row), stored.data
        ):
            raise StateError(
                f"{self.place.name} holds a newer block of this disk in row {parcel.place.row}: this home is a copy of "
                "another, or older than its partners; nothing more is sent from here: restore the disk from its kit"
            )
        raise refusal

    async def _reconcile(self, session: BlockStore) -> None:
        """The digest came after the claim was raised; if it is what this home expects, an inventory would neither find
        nor lack anything."""
        if session.opened.digest == self.seat.digest(self.number):
            return
        found = await read_inventory(session, self.seat.rows.total)
        newest = self.seat.log.newest_version
        for place in (Place(version, row) for row, version in found.items() if version > newest):
            stored = await session.get(place.row)
            if stored is not None and self._is_mine(
                self.place, self.number, Place(stored.version, place.row), stored.data
            ):
                raise StateError(
                    f"{self.place.name} holds blocks newer than this home knows: its database is older than the "
                    "partners; nothing is sent from here: restore the disk from its recovery kit"
                )
            raise NotAuthentic(f"{self.place.name} claims to hold versions that were never sent")
        lost = 0 if self.gone else self.seat.reconcile(found, self.number)
        if lost:
            logger.warning("partner %s lacks %d blocks that it had acked", self.place.name, lost)
            self.happen(Event.LACKS)
            self.lost += lost
