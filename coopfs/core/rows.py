"""Rows: which offsets of the stores are free (design R7).

A row is taken when a stripe is sealed and given back only behind the barrier: when what killed the stripe is held.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from coopfs.errors import OutOfSpace


class Rows:
    """The allocator: lowest free row first, so that stores stay short and can be lowered. One byte for each row; 10^7
    bytes are searched in a millisecond.

    total: rows that may be taken; limit: those that are there to stay, the others are on their way out; free, room: how
    many of either nobody has.
    """

    def __init__(self, total: int, taken: Iterable[int]) -> None:
        self.total = self.limit = total
        self._taken = bytearray(total)
        for row in taken:
            self._taken[row] = True
        self.free = self.room = total - self._taken.count(True)
        self._from = 0  # no row before this one is free
        self._seen: bytearray | None = None  # rows that changed while somebody watches

    def resize(self, total: int) -> None:
        """There are so many; no row beyond is taken."""
        assert not self._taken.count(True, total), "what lies in a row that goes would be lost"
        del self._taken[total:]
        self._taken.extend(bytes(total - len(self._taken)))
        self.free += total - self.total
        self.total = total
        self._from = min(self._from, total)
        self.narrow(total)

    def narrow(self, limit: int) -> None:
        """Only those before this one are there to stay."""
        assert limit <= self.total
        self.limit = limit
        self.room = limit - self._taken.count(True, 0, limit)

    @property
    def beyond(self) -> int:
        """Rows on their way out that somebody has."""
        return self.total - self.free - (self.limit - self.room)

    @property
    def top(self) -> int:
        """The first row that nobody has, nor any after it."""
        return self._taken.rfind(True) + 1

    def is_clear(self, first: int) -> bool:
        """Whether nobody has this row, or one beyond it."""
        return not self._taken.count(True, first)

    def take(self) -> int:
        """A free row, 0..total-1. OutOfSpace: none left."""
        row = self._taken.find(False, self._from)
        if row < 0:
            raise OutOfSpace("no row is left on the partners")
        self._taken[row] = True
        self._see(row)
        self._from = row + 1
        self.free -= 1
        self.room -= row < self.limit
        return row

    def has_taken(self, row: int) -> bool:
        return bool(self._taken[row])

    @contextmanager
    def watched(self) -> Iterator[bytearray]:
        """A byte for each row that there is now, set where one is taken or given back from now on. One watches at a
        time."""
        self._seen = seen = bytearray(self.total)
        try:
            yield seen
        finally:
            self._seen = None

    def _see(self, row: int) -> None:
        if self._seen is not None and row < len(self._seen):
            self._seen[row] = True

    def give_back(self, row: int) -> None:
        """The row of a stripe whose death is held."""
        assert self._taken[row], "a row given back twice would be overwritten while it lives"
        self._taken[row] = False
        self._see(row)
        self._from = min(self._from, row)
        self.free += 1
        self.room += row < self.limit
