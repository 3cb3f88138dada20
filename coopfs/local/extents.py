"""The map from a file's bytes to the stripes that hold them.

Extents of a file never overlap; what none covers is a hole. Every change returns by how much the stored bytes grew, for
the inode's row, and tells `Images` which keys changed and `Stripes` which bytes came to life or died.
"""

from collections.abc import Sequence

from coopfs.core.records import Extent
from coopfs.local.database import Database
from coopfs.local.images import Images
from coopfs.local.stripes import Stripes

Run = tuple[int, int, int, int]  # offset, length, stripe, at

PUT = "INSERT OR REPLACE INTO extents VALUES (?, ?, ?, ?, ?, ?)"
DELETE = "DELETE FROM extents WHERE ino = ? AND offset = ?"
BACKWARDS = "SELECT offset, length, stripe, at FROM extents WHERE ino = ? AND offset < ? ORDER BY offset DESC"


class Extents:
    """The extents table."""

    def __init__(self, database: Database, images: Images, stripes: Stripes) -> None:
        self._db = database
        self._images = images
        self._stripes = stripes

    def runs(self, ino: int, start: int, end: int) -> list[Run]:
        """The extents that overlap bytes start..end-1, ascending."""
        return self._touching(ino, start + 1, end)

    def _touching(self, ino: int, start: int, end: int) -> list[Run]:
        """Extents with offset < end that reach byte `start` - 1 at least, ascending."""
        found = []
        rows = self._db.read(BACKWARDS, (ino, end))
        for row in rows:
            if row[0] + row[1] < start:
                break
            found.append(row)
        rows.close()  # an unfinished statement would hold its read transaction over the next checkpoint
        found.reverse()
        return found

    def write(self, ino: int, pieces: Sequence[Extent]) -> int:
        """Let these adjacent pieces replace whatever was in their range. Returns stored bytes gained."""
        start, end = pieces[0].offset, pieces[-1].end
        gained = end - start
        new: dict[int, tuple[int, int, int]] = {}  # offset -> length, stripe, at
        replaced: list[int] = []
        last: Run | None = None  # the extent that ends where the pieces begin
        for run in self._touching(ino, start, end):
            offset, length, stripe, at = run
            if offset + length == start:
                last = run
                continue
            low, high = max(offset, start), min(offset + length, end)
            gained -= high - low
            self._stripes.live(stripe, low - high)
            replaced.append(offset)
            if offset < start:
                last = (offset, start - offset, stripe, at)
                new[offset] = last[1:]
            if offset + length > end:
                new[end] = (offset + length - end, stripe, at + end - offset)
        for piece in pieces:
            self._stripes.live(piece.stripe, piece.length)
            if last is not None and last[2] == piece.stripe and last[3] + last[1] == piece.at:
                last = (last[0], last[1] + piece.length, last[2], last[3])  # it goes on in the same stripe: one extent
            else:
                last = (piece.offset, piece.length, piece.stripe, piece.at)
            new[last[0]] = last[1:]
        self._change(ino, [offset for offset in replaced if offset not in new], new)
        return gained

    def _change(self, ino: int, gone: Sequence[int], new: dict[int, tuple[int, int, int]]) -> None:
        for offset in gone:
            self._db.write(DELETE, (ino, offset))
            self._images.mark_extent(ino, offset)
        for offset, (length, stripe, at) in new.items():
            self._db.write(PUT, (ino, offset, length, stripe, at, self._images.group))
            self._images.mark_extent(ino, offset)

    def cut(self, ino: int, size: int, born: int) -> int:
        """Drop everything at or after `size`. Returns stored bytes gained (negative or 0)."""
        gained = self._drop(ino, size)
        straddling = self.runs(ino, size - 1, size) if size else []
        if straddling:
            ((offset, length, stripe, at),) = straddling
            if (over := offset + length - size) > 0:
                self._stripes.live(stripe, -over)
                gained -= over
                self._change(ino, (), {offset: (length - over, stripe, at)})
        self._images.truncate(ino, size, born)
        return gained

    def clear(self, ino: int) -> None:
        """A dead inode's extents go; its burial covers their images."""
        self._drop(ino, 0)

    def _drop(self, ino: int, size: int) -> int:
        lost = self._db.read(
            "SELECT stripe, sum(length) FROM extents WHERE ino = ? AND offset >= ? GROUP BY stripe", (ino, size)
        ).fetchall()
        if not lost:
            return 0
        for stripe, length in lost:
            self._stripes.live(stripe, -length)
        self._db.write("DELETE FROM extents WHERE ino = ? AND offset >= ?", (ino, size))
        return -sum(int(length) for _, length in lost)

    def stripes_of(self, ino: int) -> list[int]:
        """The stripes that hold bytes of this file."""
        return [stripe for (stripe,) in self._db.read("SELECT DISTINCT stripe FROM extents WHERE ino = ?", (ino,))]
