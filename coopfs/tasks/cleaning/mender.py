"""The mender: damage that somebody meets while fetching is repaired without being asked for.

A fetch that meets a column without the block, or with a damaged one, notes where, and goes on with others. A column is
asked for blocks that it never acked too, and the cleaner may have put one since; so a block is asked for again, and
only what is lacking then has its ack taken back (R7): the cleaner seals it again. Which stripes they are takes a look
at all of them, so many notes are worked off at once.

When it is acked again it is asked for again. A partner that acks it and still does not give it back would be sent the
same for ever: so the block rests, ever longer, before it is sent once more. Until it was given back once, the column
is in A.
"""

import logging
from dataclasses import dataclass, field

import trio

from coopfs.errors import PeerError
from coopfs.limits import CHECK_SLICE, CLEANER_BATCH, MEND_INTERVAL, MEND_REST_MAX, MEND_REST_MIN
from coopfs.tasks.checking.proof import stands
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.hunt import Source
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Place

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Ward:
    """What was met at one store. noted: places to look into; again: stripes that it lacked, to be asked for when it has
    acked them; CLEANER_BATCH of either at most. rest: seconds that a block rests that it lacks then."""

    noted: set[Place] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    rest: float = MEND_REST_MIN


class Mender:
    """Give `note` to whoever fetches."""

    def __init__(self, columns: Columns, ledger: Ledger, fetcher: Fetcher) -> None:
        self._columns = columns
        self._ledger = ledger
        self._fetcher = fetcher
        self._wards: dict[Column, _Ward] = {}
        self._changed = Signal()

    def note(self, source: Source, place: Place) -> None:
        """This store answered, and has no intact block there."""
        column = next((column for column in self._columns.columns if column is source), None)
        if column is None:  # it is being filled
            return
        ward = self._wards.setdefault(column, _Ward())
        if len(ward.noted) < CLEANER_BATCH:
            ward.noted.add(place)
            self._changed.notify()

    async def run(self) -> None:
        """Mend for ever."""
        while True:
            await self._changed.wait_until(self._has_work)
            for column in [column for column in self._wards if column.gone]:
                del self._wards[column]
            for column, id_ in await self._acked():
                await self._look(column, id_, self._wards[column])
            for column, ward in list(self._wards.items()):
                await self._look_again(column, ward)
            await trio.sleep(MEND_INTERVAL)

    def _has_work(self) -> bool:
        return any(ward.noted or ward.again for ward in self._wards.values())

    async def _acked(self) -> list[tuple[Column, int]]:
        """Of what was noted, what was acked."""
        noted = {column: ward.noted for column, ward in self._wards.items() if ward.noted}
        for column in noted:
            self._wards[column].noted = set()
        found: list[tuple[Column, int]] = []
        after = 0
        while noted and (page := self._ledger.log.places(after, CHECK_SLICE)):
            after = page[-1][0]
            for id_, row, version, acks in page:
                place = Place(version, row)
                found += [(c, id_) for c, places in noted.items() if place in places and acks >> c.number & 1]
            await trio.lowlevel.checkpoint()
        return found

    async def _look(self, column: Column, id_: int, ward: _Ward) -> None:
        if id_ in ward.again or len(ward.again) >= CLEANER_BATCH:
            return
        if await self._lacks(column, id_):
            ward.again.add(id_)
            self._columns.disprove(column, [id_])

    async def _look_again(self, column: Column, ward: _Ward) -> None:
        """At what it lacked, and has acked since: one answer for all of them says how long they rest."""
        denied = False
        for id_ in list(ward.again):
            match await self._lacks(column, id_):
                case True:
                    denied = True
                    column.resting[id_] = trio.current_time() + ward.rest
                    self._columns.disprove(column, [id_])
                case False:
                    ward.again.discard(id_)
                    if column.resting.pop(id_, None) is not None:
                        column.changed.notify()
        if denied:
            logger.warning(
                "partner %s acknowledges blocks and does not give them back: they are sent again in %d s",
                column.place.name,
                ward.rest,
            )
            ward.rest = min(2 * ward.rest, MEND_REST_MAX)
        elif not ward.again:
            ward.rest = MEND_REST_MIN

    async def _lacks(self, column: Column, id_: int) -> bool | None:
        """Whether a column lacks a stripe that it has acked. None: it has not acked it, or gives no answer. One that
        is gone is not lacking."""
        stripe = self._ledger.log.get(id_)
        if stripe is None:
            return False
        session = column.session
        if session is None or not stripe.acks >> column.number & 1:
            return None
        try:
            if await self._fetcher.is_good(column, stripe.place, stripe.tag):
                return False
        except PeerError:
            return None
        return True if stands(column, stripe, session, self._ledger) else None
