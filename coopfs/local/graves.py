"""Content that is gone, but whose extents are still in the table.

To drop an extent takes about a microsecond, so that a file of a million would hold up everybody for a second or more.
What an operation drops itself is therefore bounded; for the rest it digs a grave: all extents of this inode at or after
an offset. For the filesystem and for the log they are gone at once, by the operation's tombstone or truncate. What is
left to do is our own book-keeping, in slices between operations, and it goes on after a crash: the stripes that nothing
names any more die in the groups in which the last slices are dropped.
"""

from collections.abc import Callable

from coopfs.limits import FILE_SIZE_MAX
from coopfs.local.database import Database

NOWHERE = FILE_SIZE_MAX  # an offset at which no extent begins


class Graves:
    """The graves table, and all of it in memory. on_dug: called when there is a new one."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._starts: dict[int, int] = dict(database.read("SELECT ino, offset FROM graves").fetchall())
        self.on_dug: Callable[[], None] = nobody_fills_them

    def __len__(self) -> int:
        return len(self._starts)

    def __contains__(self, ino: int) -> bool:
        return ino in self._starts

    def start(self, ino: int) -> int:
        """Extents of this inode at or after this offset are gone."""
        return self._starts.get(ino, NOWHERE)

    def first(self) -> int | None:
        """An inode whose grave is to be filled; None: there is none."""
        return next(iter(self._starts), None)

    def dig(self, ino: int, start: int) -> None:
        """Extents of this inode from here on, and only they, are gone and have still to be dropped."""
        self._starts[ino] = start
        self._db.write("INSERT OR REPLACE INTO graves VALUES (?, ?)", (ino, start))
        self.on_dug()

    def fill(self, ino: int) -> None:
        """All of them were dropped."""
        if self._starts.pop(ino, None) is not None:
            self._db.write("DELETE FROM graves WHERE ino = ?", (ino,))


def nobody_fills_them() -> None:
    """`on_dug` where nobody waits for work."""
