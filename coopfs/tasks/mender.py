"""The mender: damage that somebody meets while fetching is repaired without being asked for.

A fetch that meets a column without the block, or with a damaged one, notes where, and goes on with others. A column is
asked for blocks that it never acked too, and the cleaner may have put one since; so a block is asked for again, and
only what is lacking then has its ack taken back (R7): the cleaner seals it again. Which stripes they are takes a look
at all of them, so many notes are worked off at once.
"""

import trio

from coopfs.errors import PeerError
from coopfs.limits import CLEANER_BATCH, MEND_INTERVAL
from coopfs.tasks.column import Column
from coopfs.tasks.columns import Columns
from coopfs.tasks.fetcher import Fetcher
from coopfs.tasks.hunt import Source
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.proof import lacks
from coopfs.tasks.signal import Signal
from coopfs.types import Place


class Mender:
    """Give `note` to whoever fetches."""

    def __init__(self, columns: Columns, ledger: Ledger, fetcher: Fetcher) -> None:
        self._columns = columns
        self._ledger = ledger
        self._fetcher = fetcher
        self._noted: dict[Column, set[Place]] = {}  # CLEANER_BATCH places at most, for each
        self._changed = Signal()

    def note(self, source: Source, place: Place) -> None:
        """This store answered, and has no intact block there."""
        column = self._columns.columns[source.number]
        if source is not column:
            return
        places = self._noted.setdefault(column, set())
        if len(places) < CLEANER_BATCH:
            places.add(place)
            self._changed.notify()

    async def run(self) -> None:
        """Mend for ever."""
        while True:
            await self._changed.wait_until(lambda: bool(self._noted))
            await self._mend()
            await trio.sleep(MEND_INTERVAL)

    async def _mend(self) -> None:
        """What was noted, was acked, and still is not there."""
        noted, self._noted = self._noted, {}
        found: list[tuple[Column, int]] = []
        for id_, row, version, acks in self._ledger.log.places():
            place = Place(version, row)
            found += [
                (column, id_) for column, places in noted.items() if place in places and acks >> column.number & 1
            ]
        for column, id_ in found:
            stripe = self._ledger.log.get(id_)
            if stripe is None or column.session is None:
                continue
            try:
                if await lacks(column, stripe, self._fetcher, self._ledger):
                    self._columns.disprove(column, [id_])
            except PeerError:
                continue  # no answer says nothing
