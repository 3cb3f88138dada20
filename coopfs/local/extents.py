"""The map from a file's bytes to the stripes that hold them.

Extents of a file never overlap; what none covers is a hole. Every change returns by how much the bytes kept alive
(units.Run.charge) grew, for the inode's row, and tells `Images` which keys changed and `Stripes` which bytes came to
life or died. What is dropped at once is bounded; the rest of it lies in graves (graves.py), and nobody sees it.
"""

from collections.abc import Sequence

from coopfs.core.records import Extent
from coopfs.core.units import CHARGE, Run
from coopfs.limits import EXTENTS_AT_ONCE, MAX_GRAVES
from coopfs.local.database import Database
from coopfs.local.graves import NOWHERE, Graves
from coopfs.local.images import Images
from coopfs.local.stripes import Stripes
from coopfs.local.totals import Totals

PUT = "INSERT OR REPLACE INTO extents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DELETE = "DELETE FROM extents WHERE ino = ? AND offset = ?"
BACKWARDS = (
    "SELECT offset, length, stripe, at, stored, raw, skip, codec FROM extents WHERE ino = ? AND offset < ?"
    " ORDER BY offset DESC"
)
FIRST = (
    f"SELECT offset, length, stripe, {CHARGE} FROM extents WHERE ino = ? AND offset >= ? AND offset < ? ORDER BY offset"
)
Row = tuple[int, int, int, int]  # of those: offset, length, stripe, charge


class Extents:
    """The extents table. at_once: extents that one operation drops itself."""

    def __init__(self, database: Database, images: Images, stripes: Stripes, totals: Totals) -> None:
        self._db = database
        self._images = images
        self._totals = totals
        self._stripes = stripes
        self.graves = Graves(database)
        self.at_once = EXTENTS_AT_ONCE

    def runs(self, ino: int, start: int, end: int) -> list[Run]:
        """The extents that overlap bytes start..end-1, ascending."""
        return self._touching(ino, start + 1, end)

    def _touching(self, ino: int, start: int, end: int) -> list[Run]:
        """Extents with offset < end that reach byte `start` - 1 at least, ascending."""
        found = []
        rows = self._db.read(BACKWARDS, (ino, min(end, self.graves.start(ino))))
        for row in rows:
            if row[0] + row[1] < start:
                break
            found.append(Run._make(row))
        rows.close()  # an unfinished statement would hold its read transaction over the next checkpoint
        found.reverse()
        return found

    def write(self, ino: int, pieces: Sequence[Extent]) -> int:
        """Let these adjacent pieces replace whatever was in their range. Returns bytes kept alive more than before."""
        start, end = pieces[0].offset, pieces[-1].end
        gained = self._clear_way(ino, end)
        touching = self._touching(ino, start, end)
        old = touching[1:] if touching and touching[0].end == start else touching
        after: list[Run] = []  # what there is from now on, from the extent that ends where the pieces begin
        if touching and touching[0].offset < start:
            after.append(touching[0].part(touching[0].offset, start))
        for piece in pieces:
            run = _run(piece)
            joined = after[-1].joined(run) if after else None
            if joined is None:
                after.append(run)
            else:
                after[-1] = joined
        if old and old[-1].end > end:
            after.append(old[-1].part(end, old[-1].end))
        return gained + self._change(ino, touching, after)

    def _change(self, ino: int, before: Sequence[Run], after: Sequence[Run]) -> int:
        """Let these runs take the place of those. Returns bytes kept alive more than before."""
        gained = length = 0
        known = set(before)
        offsets = {run.offset for run in after}
        for run in before:
            gained -= run.charge
            self._stripes.live(run.stripe, -run.charge)
            length -= run.length
            if run.offset not in offsets:
                self._db.write(DELETE, (ino, run.offset))
                self._images.mark_extent(ino, run.offset)
        for run in after:
            gained += run.charge
            self._stripes.live(run.stripe, run.charge)
            length += run.length
            if run not in known:
                self._db.write(PUT, (ino, *run, self._images.group))
                self._images.mark_extent(ino, run.offset)
        self._totals.extents(len(after) - len(before), length, gained)
        return gained

    def cut(self, ino: int, size: int, born: int) -> int:
        """Drop everything at or after `size`. Returns bytes kept alive more than before (negative or 0)."""
        gained = self._drop(ino, size) if size < self.graves.start(ino) else 0
        straddling = self.runs(ino, size - 1, size) if size else []
        if straddling and straddling[0].end > size:
            gained += self._change(ino, straddling, [straddling[0].part(straddling[0].offset, size)])
        self._images.truncate(ino, size, born)
        return gained

    def clear(self, ino: int) -> None:
        """A dead inode's extents go; its burial covers their images."""
        self._drop(ino, 0)

    def has_way(self, ino: int, end: int) -> bool:
        """Whether a write up to `end` has to drop no more than `at_once` extents of content that was cut off before."""
        start = self.graves.start(ino)
        return start >= end or len(self._first(ino, start, end)) <= self.at_once

    def drop_some(self, ino: int) -> int:
        """Drop the next `at_once` extents of a grave. Returns bytes kept alive more than before (negative or 0)."""
        return self._drop(ino, self.graves.start(ino))

    def _clear_way(self, ino: int, end: int) -> int:
        """Drop what lies in a grave before `end`: something new comes there."""
        start = self.graves.start(ino)
        if start >= end:
            return 0
        gained = self._forget(ino, self._db.read(FIRST, (ino, start, end)).fetchall(), end)
        self.graves.dig(ino, end)
        return gained

    def _drop(self, ino: int, start: int) -> int:
        """Drop extents from `start` on; if there are many, the rest comes into a grave."""
        rows = self._first(ino, start, NOWHERE)
        if len(rows) <= self.at_once:
            self.graves.fill(ino)
            return self._forget(ino, rows, NOWHERE)
        end = rows.pop()[0]
        self.graves.dig(ino, end)
        return self._forget(ino, rows, end)

    def _first(self, ino: int, start: int, end: int) -> list[Row]:
        """The first extents from `start` on, one more than may be dropped at once."""
        limit = self.at_once + 1 if ino in self.graves or len(self.graves) < MAX_GRAVES else -1
        return self._db.read(f"{FIRST} LIMIT ?", (ino, start, end, limit)).fetchall()

    def _forget(self, ino: int, rows: Sequence[Row], end: int) -> int:
        """These are all from the first of them up to `end`. Returns bytes kept alive more than before."""
        if not rows:
            return 0
        total = 0
        for _, _, stripe, charge in rows:
            self._stripes.live(stripe, -charge)
            total += charge
        self._db.write("DELETE FROM extents WHERE ino = ? AND offset >= ? AND offset < ?", (ino, rows[0][0], end))
        self._totals.extents(-len(rows), -sum(length for _, length, _, _ in rows), -total)
        return -total

    def stripes_of(self, ino: int) -> list[int]:
        """The stripes that hold bytes of this file."""
        query = "SELECT DISTINCT stripe FROM extents WHERE ino = ? AND offset < ?"
        return [stripe for (stripe,) in self._db.read(query, (ino, self.graves.start(ino)))]


def _run(e: Extent) -> Run:
    return Run(e.offset, e.length, e.stripe, e.at, e.stored, e.raw, e.skip, e.codec)
