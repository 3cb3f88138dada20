"""The versions that this home gives: each run of the daemon begins at a distance of its own (design R5, R12).

A home and a copy of it go on from the same version. If both just counted on, each would take what the other has put at
some partner for its own. So a run leaps before it gives its first version, by a random distance; what it leaps over is
remembered, since a block with such a version, or with one above all that were given, is of somebody else. So is one
with a version for which nothing was sealed: nothing was sent with it, but by whoever this home is a copy of.

Facts kept here: `sequence` (the last one given, or leapt over), `leaps` (pairs of the last version before and after),
`unsealed` (those given for which nothing is sealed yet).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

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
        self._unsealed: set[int] = set(self._unpacked("unsealed"))

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
        self._go_to(self.newest + 1)
        self._unsealed.add(self.newest)
        self._save_unsealed()
        return self.newest

    def sealed(self, version: int) -> None:
        """A stripe was sealed with this one, and may be sent after the next commit."""
        self._unsealed.discard(version)
        self._save_unsealed()

    def skip_to(self, version: int) -> None:
        """The next version is this one, of this epoch, or a greater one; durable as `next` is. A copy would skip to the
        same one."""
        if version > self.newest:
            assert epoch_of(version) == self.epoch
            self._remember([(self.newest, version - 1)])
            self._go_to(version - 1)
            self._has_leapt = self._draw is None

    def foreign(self) -> Callable[[int], bool]:
        """Tells of which versions of this disk this home cannot have sent any by now: they are too high, were leapt
        over, or nothing was sealed with them."""
        newest, leaps, unsealed = self.newest, self._leaps(), frozenset(self._unsealed)
        begins = [before for before, _ in leaps]

        def is_foreign(version: int) -> bool:
            last = bisect_left(begins, version) - 1
            return version > newest or version in unsealed or (last >= 0 and version <= leaps[last][1])

        return is_foreign

    def _leap(self) -> None:
        """Over what the last run gave and sealed nothing with, too."""
        assert self._draw is not None
        before = self.newest
        after = before + self._draw()
        self._has_leapt = True
        self._remember([*((version - 1, version) for version in self._unsealed), (before, after)])
        self._unsealed.clear()
        self._go_to(after)

    def _go_to(self, version: int) -> None:
        self._db.set_fact("sequence", version - make_version(self.epoch, 0))

    def _remember(self, leaps: Iterable[tuple[int, int]]) -> None:
        joined: list[tuple[int, int]] = []
        for before, after in sorted([*self._leaps(), *leaps]):
            if joined and joined[-1][1] == before:
                joined[-1] = joined[-1][0], after
            else:
                joined.append((before, after))
        self._db.set_fact("leaps", msgpack.packb(joined[-LEAPS_REMEMBERED:]))

    def _leaps(self) -> list[tuple[int, int]]:
        return [(before, after) for before, after in self._unpacked("leaps")]

    def _save_unsealed(self) -> None:
        self._db.set_fact("unsealed", msgpack.packb(sorted(self._unsealed)))

    def _unpacked(self, fact: str) -> list[Any]:
        packed = self._db.fact(fact)
        return [] if packed is None else list(msgpack.unpackb(packed))
