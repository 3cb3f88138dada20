"""What the store has that is being filled for a column: a bit of its own in the acks of every stripe (design R7, R14).

The bit counts for nothing until the store takes its column's place. Then it becomes the column's bit, in one statement
for all stripes, remains and the digest.
"""

import json
from collections.abc import Iterable, Sequence

from coopfs.local.acks import INCOMING
from coopfs.local.database import Database

_BIT = 1 << INCOMING
_LACKED = f"row IS NOT NULL AND acks & {_BIT} = 0"


class IncomingAcks:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def count(self) -> int:
        """How many stripes it has. Looks at every stripe."""
        query = f"SELECT count(*) FROM stripes WHERE row IS NOT NULL AND acks & {_BIT}"
        return int(self._db.read(query).fetchone()[0])

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

    def lacking(self, layout: int, below: int, limit: int) -> list[int]:
        """Stripes of this layout that it lacks, with ids below this one, the greatest first."""
        query = f"SELECT id FROM stripes WHERE id < ? AND {_LACKED} AND layout = ? ORDER BY id DESC LIMIT ?"
        return [id_ for (id_,) in self._db.read(query, (below, layout, limit))]

    def lacks_held(self, layout: int, barrier: int) -> bool:
        """Whether it lacks a stripe of this layout that the state at the barrier names. Looks at every stripe."""
        query = (
            f"SELECT 1 FROM stripes WHERE {_LACKED} AND layout = ?2 AND born <= ?1 AND (died IS NULL OR died > ?1)"
            " LIMIT 1"
        )
        return self._db.read(query, (barrier, layout)).fetchone() is not None

    def differing(self, column: int) -> tuple[list[int], list[int]]:
        """(stripes that it has and the column's store lacks, those that it lacks and the column's store has)."""
        query = "SELECT id FROM stripes WHERE row IS NOT NULL AND acks & ? AND acks & ? = 0"
        gained, lost = self._db.read(query, (_BIT, 1 << column)), self._db.read(query, (1 << column, _BIT))
        return [id_ for (id_,) in gained], [id_ for (id_,) in lost]

    def become(self, column: int) -> None:
        """It is the column's store from now on; what the one before had is forgotten."""
        bit = 1 << column
        for table in ("stripes", "remains"):
            moved = f"acks & ~{_BIT | bit} | CASE WHEN acks & {_BIT} THEN {bit} ELSE 0 END"
            self._db.write(f"UPDATE {table} SET acks = {moved} WHERE acks & {_BIT | bit}")
        self._db.write("DELETE FROM remains WHERE acks = 0")
        self._db.write("DELETE FROM digests WHERE number = ?", (column,))
        self._db.write("UPDATE digests SET number = ? WHERE number = ?", (column, INCOMING))

    def forget(self) -> None:
        """Another store begins, or none: nothing is known of what it has."""
        for table in ("stripes", "remains"):
            self._db.write(f"UPDATE {table} SET acks = acks & ~{_BIT} WHERE acks & {_BIT}")
        self._db.write("DELETE FROM remains WHERE acks = 0")
        self._db.write("DELETE FROM digests WHERE number = ?", (INCOMING,))
