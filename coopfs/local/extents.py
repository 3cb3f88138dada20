"""The map from a file's bytes to the stripes that hold them.

Extents of a file never overlap; what none covers is a hole. Every change returns by how much the bytes kept alive
(units.Run.charge) grew, for the inode's row, and tells `Images` which keys changed and `Stripes` which bytes came to
life or died.
"""

from collections.abc import Sequence

from coopfs.core.records import Extent
from coopfs.core.units import CHARGE, Run
from coopfs.local.database import Database
from coopfs.local.images import Images
from coopfs.local.stripes import Stripes
from coopfs.local.totals import Totals

PUT = "INSERT OR REPLACE INTO extents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DELETE = "DELETE FROM extents WHERE ino = ? AND offset = ?"
BACKWARDS = (
    "SELECT offset, length, stripe, at, stored, raw, skip, codec FROM extents WHERE ino = ? AND offset < ?"
    " ORDER BY offset DESC"
)


class Extents:
    """The extents table."""

    def __init__(self, database: Database, images: Images, stripes: Stripes, totals: Totals) -> None:
        self._db = database
        self._images = images
        self._totals = totals
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
            found.append(Run._make(row))
        rows.close()  # an unfinished statement would hold its read transaction over the next checkpoint
        found.reverse()
        return found

    def write(self, ino: int, pieces: Sequence[Extent]) -> int:
        """Let these adjacent pieces replace whatever was in their range. Returns bytes kept alive more than before."""
        start, end = pieces[0].offset, pieces[-1].end
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
        return self._change(ino, touching, after)

    def _change(self, ino: int, before: Sequence[Run], after: Sequence[Run]) -> int:
        """Let these runs take the place of those. Returns bytes kept alive more than before."""
        gained = 0
        known = set(before)
        offsets = {run.offset for run in after}
        for run in before:
            gained -= run.charge
            self._stripes.live(run.stripe, -run.charge)
            self._stripes.saved -= run.length - run.charge
            if run.offset not in offsets:
                self._db.write(DELETE, (ino, run.offset))
                self._images.mark_extent(ino, run.offset)
        for run in after:
            gained += run.charge
            self._stripes.live(run.stripe, run.charge)
            self._stripes.saved += run.length - run.charge
            if run not in known:
                self._db.write(PUT, (ino, *run, self._images.group))
                self._images.mark_extent(ino, run.offset)
        self._totals.extents(len(after) - len(before), gained)
        return gained

    def cut(self, ino: int, size: int, born: int) -> int:
        """Drop everything at or after `size`. Returns bytes kept alive more than before (negative or 0)."""
        gained = self._drop(ino, size)
        straddling = self.runs(ino, size - 1, size) if size else []
        if straddling and straddling[0].end > size:
            gained += self._change(ino, straddling, [straddling[0].part(straddling[0].offset, size)])
        self._images.truncate(ino, size, born)
        return gained

    def clear(self, ino: int) -> None:
        """A dead inode's extents go; its burial covers their images."""
        self._drop(ino, 0)

    def _drop(self, ino: int, size: int) -> int:
        lost = self._db.read(
            f"SELECT stripe, sum({CHARGE}), sum(length) FROM extents WHERE ino = ? AND offset >= ? GROUP BY stripe",
            (ino, size),
        ).fetchall()
        if not lost:
            return 0
        for stripe, charge, length in lost:
            self._stripes.live(stripe, -charge)
            self._stripes.saved -= length - charge
        count = self._db.write("DELETE FROM extents WHERE ino = ? AND offset >= ?", (ino, size)).rowcount
        total = sum(int(charge) for _, charge, _ in lost)
        self._totals.extents(-count, -total)
        return -total

    def stripes_of(self, ino: int) -> list[int]:
        """The stripes that hold bytes of this file."""
        return [stripe for (stripe,) in self._db.read("SELECT DISTINCT stripe FROM extents WHERE ino = ?", (ino,))]


def _run(e: Extent) -> Run:
    return Run(e.offset, e.length, e.stripe, e.at, e.stored, e.raw, e.skip, e.codec)
