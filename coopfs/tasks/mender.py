"""The mender: damage that somebody meets while fetching is repaired without being asked for.

A fetch that meets a column without the block, or with a damaged one, notes where, and goes on with others. Here the
acks of such blocks are taken back (R7), so that the cleaner seals them again. Which stripes they are takes a look at
all of them, so many notes are worked off at once.
"""

from collections import defaultdict

import trio

from coopfs.limits import CLEANER_BATCH, MEND_INTERVAL
from coopfs.tasks.columns import Columns
from coopfs.tasks.fetcher import Source
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.signal import Signal
from coopfs.types import Place


class Mender:
    """Give `note` to whoever fetches."""

    def __init__(self, columns: Columns, ledger: Ledger) -> None:
        self._columns = columns
        self._ledger = ledger
        self._noted: defaultdict[int, set[Place]] = defaultdict(set)  # column -> CLEANER_BATCH places at most
        self._changed = Signal()

    def note(self, source: Source, place: Place) -> None:
        """This store answered, and has no intact block there."""
        places = self._noted[source.number]
        if source is self._columns.columns[source.number] and len(places) < CLEANER_BATCH:
            places.add(place)
            self._changed.notify()

    async def run(self) -> None:
        """Mend for ever."""
        while True:
            await self._changed.wait_until(lambda: any(self._noted.values()))
            self._mend()
            await trio.sleep(MEND_INTERVAL)

    def _mend(self) -> None:
        """What was noted and is still said to be there."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for id_, row, version, acks in self._ledger.log.places():
            place = Place(version, row)
            for number, places in self._noted.items():
                if place in places and acks >> number & 1:
                    found[number].append(id_)
        self._noted.clear()
        for number, ids in found.items():
            self._columns.disprove(self._columns.columns[number], ids)
