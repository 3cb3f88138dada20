"""What the slots of every column hold, as far as this home knows: a digest for each store (design R16).

A store counts whatever lies in its slots: live stripes, and remains of dead ones in rows that were not used again. So
what the log forgets goes on here until something newer is acked in its row. The digest of a column is therefore
the sum over all stripes that it acked and all remains that it has; nothing that a partner says goes into it, save
what an inventory listed. If a partner's digest is equal when it returns, it has lost nothing that it acked.

A block that was stored and whose ack was lost, or came after its stripe was gone, makes the digests differ. That costs
an inventory, no more.

A column may claim to hold a block in whose place it was found to have something else. Its slot is not empty, so that
stands among the remains too, in the row and with the version of a stripe that lives and that it did not ack: what it
claims of that one does not count, after a restart neither, until it acks it again.
"""

from collections.abc import Iterable, Sequence

from coopfs.core import digest
from coopfs.core.inventory import Inventory
from coopfs.local.database import Database

# Where a stripe lies, who has it, and the version of what a column's slot held there before.
_OVER = (
    "SELECT s.row, s.version, s.acks, r.version FROM stripes s LEFT JOIN remains r ON r.row = s.row AND r.acks & ?"
    " WHERE s.id = ?"
)
MODULUS = 1 << 8 * digest.DIGEST
NONE = MODULUS - 1  # the digest of nothing that there is
_ADD = "INSERT INTO remains VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET acks = acks | excluded.acks"


class Slots:
    """All changes belong to the transaction of the caller's next commit, and so to that of the acks they follow."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def digest(self, column: int) -> bytes:
        """What a store that lost nothing and got nothing else answers: 16 bytes."""
        row = self._db.read("SELECT digest FROM digests WHERE number = ?", (column,)).fetchone()
        return digest.to_bytes(0) if row is None else row[0]

    def put(self, stripes: Iterable[int], column: int) -> None:
        """The column has acked these stripes, each over whatever lay in its row."""
        bit = 1 << column
        known = int.from_bytes(self.digest(column), "big")
        for stripe in stripes:
            row, version, _, before = self._db.read(_OVER, (bit, stripe)).fetchone()
            self._empty(row, before, bit)
            known = digest.replace(known, row, before or 0, version)
        self._set(column, known)

    def _empty(self, row: int, version: int | None, bit: int) -> None:
        if version is not None:
            self._db.write("UPDATE remains SET acks = acks & ~? WHERE row = ? AND version = ?", (bit, row, version))
            self._db.write("DELETE FROM remains WHERE row = ? AND acks = 0", (row,))

    def disprove(self, stripes: Iterable[int], column: int) -> None:
        """The column has not got these stripes, whatever it has acked or claims. Take the acks back after this."""
        bit = 1 << column
        known = int.from_bytes(self.digest(column), "big")
        for stripe in stripes:
            row, version, acks, before = self._db.read(_OVER, (bit, stripe)).fetchone()
            if not acks & bit:
                self._empty(row, before, bit)
                known = digest.replace(known, row, before or 0, version)
            self._db.write(_ADD, (row, version, bit))
        self._set(column, known)

    def disproved(self, stripes: Sequence[int], column: int) -> set[int]:
        """Those of these, LOST_AT_ONCE at most, that the column has not got, and has not acked again since."""
        query = (
            "SELECT s.id FROM stripes s JOIN remains r ON r.row = s.row AND r.version = s.version"
            f" WHERE s.id IN ({', '.join('?' * len(stripes))}) AND r.acks & ?"
        )
        return {id_ for (id_,) in self._db.read(query, (*stripes, 1 << column))}

    def leave(self, dead: Iterable[tuple[int, int, int]]) -> None:
        """(row, version, acks) of stripes that the log forgets; the partners do not."""
        self._db.write_many(_ADD, [each for each in dead if each[2]])

    def found(self, column: int, slots: Inventory, acked: Sequence[int], rows: range) -> None:
        """What the column says it holds in these rows. acked: row -> version of all that it has acked, or had when that
        was asked: what has left the log since stands among the remains already."""
        bit = 1 << column
        query = "SELECT row, version FROM remains WHERE row >= ? AND row < ? AND acks & ?"
        # of one row there may be two: what it claims may have made the death of that be held a moment ago
        known = set(self._db.read(query, (rows.start, rows.stop, bit)).fetchall())
        new = []
        for row in range(rows.start, min(rows.stop, slots.next_row)):
            version = slots.get(row)
            if (row, version) in known:
                known.remove((row, version))
            elif version and acked[row] != version:
                new.append((row, version, bit))
        clear = "UPDATE remains SET acks = acks & ~? WHERE row = ? AND version = ?"
        self._db.write_many(clear, [(bit, row, version) for row, version in known])
        self._db.write_many(_ADD, new)
        if known:
            self._db.write("DELETE FROM remains WHERE row >= ? AND row < ? AND acks = 0", (rows.start, rows.stop))

    def cut(self, column: int, rows: int, count: int) -> bool:
        """Its store has only so many rows by now, and no stripe lay beyond. Up to `count` of what did are forgotten;
        whether that is all."""
        bit = 1 << column
        query = "SELECT row, version FROM remains WHERE row >= ? AND acks & ? LIMIT ?"
        gone = self._db.read(query, (rows, bit, count)).fetchall()
        known = int.from_bytes(self.digest(column), "big")
        for row, version in gone:
            self._empty(row, version, bit)
            known = digest.replace(known, row, version, 0)
        self._set(column, known)
        return len(gone) < count

    def pass_over(self, column: int, rows: int) -> None:
        """What it holds beyond so many rows is of no account: the digest that is expected of it next is without."""
        self._db.write("UPDATE remains SET acks = acks & ~? WHERE row >= ?", (1 << column, rows))
        self._db.write("DELETE FROM remains WHERE row >= ? AND acks = 0", (rows,))

    def expect(self, column: int, value: int | None) -> None:
        """The digest that the column's store answers from now on. None: whatever it answers must be looked into."""
        self._set(column, NONE if value is None else value)

    def adjust(self, column: int, by: int) -> None:
        """The digest is to be higher by this, modulo MODULUS, however it has changed since: if it was set anew
        meanwhile, its store is asked for an inventory once more."""
        known = int.from_bytes(self.digest(column), "big")
        if known != NONE:
            self._set(column, (known + by) % MODULUS)

    def _set(self, column: int, value: int) -> None:
        self._db.write("INSERT OR REPLACE INTO digests VALUES (?, ?)", (column, digest.to_bytes(value)))
