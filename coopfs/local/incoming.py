"""What the store has that is being filled for a column: a bit of its own in the acks of every stripe (design R7, R14).

The bit counts for nothing until the store takes its column's place. Then it becomes the column's bit, in one statement
for all stripes, remains and the digest: that needs room on the local disk. A store that comes to nothing leaves its
bits behind; they go slice by slice before another one is begun, which would be taken to have what they say.

The fact `incoming_clean` is 1 while there are none.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from coopfs.limits import FORGET_SLICE, REMAINS_BYTES, STRIPE_ROW_BYTES, WAL_CHECKPOINT_BYTES, WALK_ROWS
from coopfs.local.acks import INCOMING
from coopfs.local.database import Database
from coopfs.local.log import ALL_STRIPES

_BIT = 1 << INCOMING
_LAST = (1 << 63) - 1  # SQLite's greatest integer: behind every key
_CLEAN = "incoming_clean"
_LACKED = f"row IS NOT NULL AND acks & {_BIT} = 0"


class IncomingAcks:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def count(self, floor: int = 0, below: int = ALL_STRIPES) -> int:
        """How many stripes it has, of those with ids from `floor` to below another. Looks at each of these."""
        query = f"SELECT count(*) FROM stripes WHERE id >= ? AND id < ? AND row IS NOT NULL AND acks & {_BIT}"
        return int(self._db.read(query, (floor, below)).fetchone()[0])

    def has(self, id_: int, layout: int) -> bool:
        """Whether it, a store of this layout, has this stripe, or does not need it: it is of another layout, or the log
        has forgotten it."""
        query = f"SELECT 1 FROM stripes WHERE id = ? AND {_LACKED} AND layout = ?"
        return self._db.read(query, (id_, layout)).fetchone() is None

    def add(self, ids: Iterable[int]) -> None:
        self._db.write_many(f"UPDATE stripes SET acks = acks | {_BIT} WHERE id = ?", [(id_,) for id_ in ids])

    def remove(self, ids: Iterable[int]) -> None:
        self._db.write_many(f"UPDATE stripes SET acks = acks & ~{_BIT} WHERE id = ?", [(id_,) for id_ in ids])

    def lacked(self, ids: Sequence[int], layout: int) -> list[int]:
        """Those of these stripes that it needs, as `has`, and has not got; in their order."""
        query = f"SELECT id FROM stripes WHERE id IN (SELECT value FROM json_each(?)) AND {_LACKED} AND layout = ?"
        found = {id_ for (id_,) in self._db.read(query, (json.dumps(ids), layout))}
        return [id_ for id_ in ids if id_ in found]

    def floor(self, below: int) -> int:
        """The id of the WALK_ROWS-th stripe before this one; 0: there are fewer."""
        query = f"SELECT id FROM stripes WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET {WALK_ROWS - 1}"
        found = self._db.read(query, (below,)).fetchone()
        return 0 if found is None else int(found[0])

    def lacking(self, layout: int, floor: int, below: int, limit: int) -> list[int]:
        """Stripes of this layout that it lacks, with ids from `floor` to below this one, the greatest first."""
        query = f"SELECT id FROM stripes WHERE id >= ? AND id < ? AND {_LACKED} AND layout = ? ORDER BY id DESC LIMIT ?"
        return [id_ for (id_,) in self._db.read(query, (floor, below, layout, limit))]

    def lacks_held(self, layout: int, barrier: int) -> bool:
        """Whether it lacks a stripe of this layout that the state at the barrier names. Looks at every stripe."""
        query = (
            f"SELECT 1 FROM stripes WHERE {_LACKED} AND layout = ?2 AND born <= ?1 AND (died IS NULL OR died > ?1)"
            " LIMIT 1"
        )
        return self._db.read(query, (barrier, layout)).fetchone() is not None

    def lost_by(self, column: int) -> list[int]:
        """Stripes that the column's store has, and it lacks."""
        query = f"SELECT id FROM stripes WHERE row IS NOT NULL AND acks & ? AND acks & {_BIT} = 0"
        return [id_ for (id_,) in self._db.read(query, (1 << column,))]

    def lacks_room(self, stripes: int, slots: int) -> int:
        """Bytes that must be free on the local disk for `become`, with so many stripes in stores of so many slots, and
        are not: 0 if they are."""
        wanted = stripes * STRIPE_ROW_BYTES + (slots - stripes) * REMAINS_BYTES + WAL_CHECKPOINT_BYTES
        return wanted if wanted > self._db.room() else 0

    def become(self, column: int) -> None:
        """It is the column's store from now on; what the one before had is forgotten."""
        bit = 1 << column
        for table in ("stripes", "remains"):
            moved = f"acks & ~{_BIT | bit} | CASE WHEN acks & {_BIT} THEN {bit} ELSE 0 END"
            self._db.write(f"UPDATE {table} SET acks = {moved} WHERE acks & {_BIT | bit}")
        self._db.write("DELETE FROM remains WHERE acks = 0")
        self._db.write("DELETE FROM digests WHERE number = ?", (column,))
        self._db.write("UPDATE digests SET number = ? WHERE number = ?", (column, INCOMING))
        self._db.set_fact(_CLEAN, 1)

    # --- another store --------------------------------------------------------------------------------------------

    @property
    def is_clean(self) -> bool:
        """Nothing is known of what a store has that comes to nothing."""
        return bool(self._db.fact(_CLEAN, 0))

    def begin(self) -> None:
        """A store is filled from now on, of which nothing is known yet."""
        assert self.is_clean
        self._db.set_fact(_CLEAN, 0)

    def forget(self) -> Iterator[None]:
        """Take away what such a store has left, FORGET_SLICE at each step, which the caller commits. When this ends,
        another store may begin."""
        if self.is_clean:
            return
        for table, key in (("stripes", "id"), ("remains", "row")):
            after = -1
            while after < _LAST:
                ahead = f"SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1 OFFSET {FORGET_SLICE - 1}"
                found = self._db.read(ahead, (after,)).fetchone()
                last = _LAST if found is None else found[0]
                slice_ = f"{key} > ? AND {key} <= ? AND acks"
                self._db.write(f"UPDATE {table} SET acks = acks & ~{_BIT} WHERE {slice_} & {_BIT}", (after, last))
                if table == "remains":
                    self._db.write(f"DELETE FROM {table} WHERE {slice_} = 0", (after, last))
                after = last
                if found is not None:
                    yield
        self._db.write("DELETE FROM digests WHERE number = ?", (INCOMING,))
        self._db.set_fact(_CLEAN, 1)
