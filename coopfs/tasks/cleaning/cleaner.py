"""The cleaner: repairs stripes that lack blocks (sections 2.3, 3.1; design R7).

For each store that is open, least redundant stripes first: the block it lacks is sealed again at the stripe's old row
and version, from this machine's content or from the partners' blocks, and put. It never changes a version.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import inf

import trio

from coopfs.core.aside import Aside
from coopfs.core.master import PRIMARY
from coopfs.core.pacing import Rate, seconds_left
from coopfs.errors import ContentUnavailable, KeyMissing
from coopfs.limits import CLEANER_BATCH, CLEANER_INTERVAL, PUT_RUN
from coopfs.local.log import Sealed
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.coder import Coder
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.seat import Parcel

logger = logging.getLogger(__name__)


class Cleaner:
    """in_hand: the stripes that the writer is sending just now; they are not missing, only on their way. on_unreadable:
    told which stripes cannot be had now."""

    def __init__(
        self, ledger: Ledger, coder: Coder, in_hand: set[int], on_unreadable: Callable[[Sealed], None]
    ) -> None:
        self._ledger = ledger
        self._coder = coder
        self._in_hand = in_hand
        self._on_unreadable = on_unreadable
        self._given_up: set[int] = set()  # stripes that could not be repaired when last tried, which was said
        self._aside = Aside()  # stripes that could not be had, by trio's clock
        self._taken_up = Signal()  # none of them is any more
        self._rates: defaultdict[int, Rate] = defaultdict(Rate)  # column that counts -> blocks brought to it

    async def run(self, column: Column) -> None:
        """Keep one store clean for ever. Where there was nothing to do, the next look waits for something to happen."""
        session, gave_nothing = None, False
        while True:
            with changes(self._ledger.changed, column.changed, self._taken_up) as changed:
                if column.session is not session or (gave_nothing and not column.gives_nothing):
                    self._aside.hope()  # whoever is reached anew may bring what could not be had, for any column
                    self._taken_up.notify()
                session, gave_nothing = column.session, column.gives_nothing
                worst = self._worst(column)
                await self._clean(column, worst)
                await trio.sleep(CLEANER_INTERVAL)
                if not worst and (session is None or column.place.role == PRIMARY):  # others are found by walking on
                    with trio.move_on_at(self._next_end(column)):
                        await changed.wait()

    async def _clean(self, column: Column, worst: Sequence[int]) -> None:
        rate = self._rates[column.number] if column.place.role == PRIMARY else Rate()
        if not worst:
            rate.rest()
        queued = len(column.queued)
        for start in range(0, len(worst), PUT_RUN):
            await column.room()  # before the work: who stands still would have it done again and again
            if column.session is None:
                break
            parcels = [await self._repair(id_, column) for id_ in worst[start : start + PUT_RUN]]
            sent = [parcel for parcel in parcels if parcel is not None]
            await column.send(sent)
            acked, queued = max(0, queued + len(sent) - len(column.queued)), len(column.queued)
            rate.note(trio.current_time(), acked)

    def _next_end(self, column: Column) -> float:
        """Trio time at which the first of the stripes that nothing is done for just now gets another chance. For those
        aside it may have come since the last look."""
        now = trio.current_time()
        return min(self._aside.until, *(end for end in column.resting.values() if end > now), inf)

    @property
    def unavailable(self) -> int:
        """Stripes that could not be had when last tried, CLEANER_BATCH at the most."""
        return len(self._given_up)

    def seconds_left(self, columns: Iterable[Column]) -> int | None:
        """Until those of these columns that are reached have what they lack, about; None: that is not known, or
        nothing is lacking."""
        now, progress = trio.current_time(), self._ledger.progress
        reached = [column.number for column in columns if column.session is not None]
        return seconds_left([(progress.count_missing(j), self._rates[j].per_second(now)) for j in reached])

    def _worst(self, column: Column) -> list[int]:
        """What its store lacks and would take, the most urgent first."""
        self._aside.look(trio.current_time())
        if column.session is None:
            return []

        def is_apart(id_: int) -> bool:
            return id_ in self._in_hand or column.is_apart(id_)

        return column.seat.lacking(column.number, is_apart, self._aside.ids)

    async def _repair(self, id_: int, column: Column) -> Parcel | None:
        """The block that the column lacks; None: it cannot be had now, or is not needed any more."""
        stripe = self._ledger.log.get(id_)
        if stripe is None:  # died for good meanwhile
            return None
        try:
            coded, head = await self._coder.code_again(stripe)
            ((box,),) = await self._coder.boxes(((stripe, head, coded),), ((column.column, column.place),))
        except KeyMissing:  # it died for good while it was fetched, and its key went with it
            self._aside.put(id_, trio.current_time())
            return None
        except ContentUnavailable as missing:
            if id_ not in self._given_up and len(self._given_up) < CLEANER_BATCH:
                self._given_up.add(id_)
                logger.warning("stripe %d cannot be repaired now: %s", id_, missing)
            self._aside.put(id_, trio.current_time())
            self._on_unreadable(stripe)
            return None
        self._given_up.discard(id_)
        return Parcel(id_, stripe.place, box)
