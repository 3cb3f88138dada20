"""Which seats the layouts in force have, and which of these layouts new stripes get: facts of the disk (core/seats).

A home that has none of them, since it is from before, or was just rebuilt, gives seats in the order of the master
block, and uses the oldest layout: the only one, or one of which all partners know.
"""

from collections.abc import Sequence

import msgpack

from coopfs.core.geometry import shard_capacity
from coopfs.core.seats import Seats, seat
from coopfs.local.database import Database
from coopfs.types import Layout

_SEATS, _IN_USE = "seats", "layout"


class Seating:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seats(self, layouts: Sequence[Layout]) -> Seats:
        """Of these, oldest first; who has a seat keeps it. UsageError: there are too few."""
        packed = self._database.fact(_SEATS)
        known = {} if packed is None else dict(msgpack.unpackb(packed, strict_map_key=False))
        seats = seat(layouts, known)
        bases = {span.layout.id: span.base for span in seats}
        if bases != known:
            self._database.set_fact(_SEATS, msgpack.packb(bases))
        return seats

    def in_use(self, layouts: Sequence[Layout]) -> int:
        """The id of the layout that new stripes get."""
        return int(self._database.fact(_IN_USE, layouts[0].id))

    def use(self, layout: Layout) -> None:
        """New stripes get this layout from now on."""
        self._database.set_fact(_IN_USE, layout.id)
        self._database.set_fact("k", layout.k)
        self._database.set_fact("shard_length", shard_capacity(layout.block_size))
