"""The versions that this home gives: each run of the daemon begins at a distance of its own (design R5, R12).

A home and a copy of it go on from the same version. If both just counted on, each would take what the other has put at
some partner for its own. So a run leaps before it gives its first version, by a random distance; what it leaps over is
remembered, since a block with such a version, or with one above all that were given, is of somebody else.

Facts kept here: `sequence` (the last one given, or leapt over), `leaps` (pairs of the last version before and after).
"""

from bisect import bisect_left
from collections.abc import Callable

import msgpack

from coopfs.limits import LEAPS_REMEMBERED
from coopfs.local.database import Database
from coopfs.types import Version, epoch_of, make_version


class Versions:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._draw: Callable[[], int] | None = None
        self._has_leapt = True

    def begin_run(self, draw: Callable[[], int]) -> None:
        """Leap before the next version is given. draw: how far."""
        self._draw = draw
        self._has_leapt = False

    @property
    def epoch(self) -> int:
        return int(self._db.fact("epoch"))

    @property
    def newest(self) -> Version:
        """The greatest version that this home gave, or leapt over."""
        return make_version(self.epoch, int(self._db.fact("sequence", 0)))

    def next(self) -> Version:
        """A version greater than all before; durable with the next commit, before anything is sent under it."""
        if not self._has_leapt:
            self._leap()
        self._db.set_fact("sequence", self.newest + 1 - make_version(self.epoch, 0))
        return self.newest

    def skip_to(self, version: int) -> None:
        """The next version is this one, of this epoch, or a greater one; durable as `next` is. A copy would skip to the
        same one."""
        if version > self.newest:
            assert epoch_of(version) == self.epoch
            self._db.set_fact("sequence", version - make_version(self.epoch, 0) - 1)
            self._has_leapt = self._draw is None

    def foreign(self) -> Callable[[int], bool]:
        """Tells of which versions of this disk this home cannot have given any by now: they are too high, or were leapt
        over."""
        newest, leaps = self.newest, self._leaps()
        begins = [before for before, _ in leaps]

        def is_foreign(version: int) -> bool:
            last = bisect_left(begins, version) - 1
            return version > newest or (last >= 0 and version <= leaps[last][1])

        return is_foreign

    def _leap(self) -> None:
        assert self._draw is not None
        before = self.newest
        after = before + self._draw()
        self._has_leapt = True
        self._db.set_fact("sequence", after - make_version(self.epoch, 0))
        self._db.set_fact("leaps", msgpack.packb([*self._leaps(), (before, after)][-LEAPS_REMEMBERED:]))

    def _leaps(self) -> list[tuple[int, int]]:
        known = self._db.fact("leaps")
        return [(before, after) for before, after in msgpack.unpackb(known)] if known is not None else []
