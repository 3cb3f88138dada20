"""Stripes of a layout that is not used any more: what lives in them must be told again (paper section 2.6)."""

from coopfs.local.database import Database
from coopfs.types import Kind


class OldStripes:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def has_unplaced(self, layout: int) -> bool:
        """Whether a stripe that was filled for this layout has no place yet. They are among the newest."""
        query = "SELECT 1 FROM stripes WHERE layout = ? AND row IS NULL ORDER BY id DESC LIMIT 1"
        return self._db.read(query, (layout,)).fetchone() is not None

    def has_end(self, layout: int, group: int) -> bool:
        """Whether the END of this group, or of one before it, lies in this layout."""
        query = "SELECT 1 FROM stripes WHERE layout = ? AND kind = ? AND born <= ? LIMIT 1"
        return self._db.read(query, (layout, Kind.END, group)).fetchone() is not None

    def has_any(self, layout: int) -> bool:
        """Whether the log knows of a stripe of this layout, be it dead, or without a place yet. Looks at every
        stripe."""
        return self._db.read("SELECT 1 FROM stripes WHERE layout = ? LIMIT 1", (layout,)).fetchone() is not None

    def forget_seats(self, mask: int) -> None:
        """The columns of these seats are none any more: nothing is known of what their stores hold."""
        for seat in range(mask.bit_length()):
            if mask >> seat & 1:
                self._db.write("DELETE FROM columns WHERE number = ?", (seat,))
                self._db.write("DELETE FROM digests WHERE number = ?", (seat,))
        self._db.write("UPDATE remains SET acks = acks & ~?1 WHERE acks & ?1", (mask,))
        self._db.write("DELETE FROM remains WHERE acks = 0")
