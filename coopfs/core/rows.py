"""Rows: which offsets of the stores are free (design R7).

A row is taken when a stripe is sealed and given back only behind the barrier: when what killed the stripe is held.
"""

from collections.abc import Iterable

from coopfs.errors import OutOfSpace


class Rows:
    """The allocator: lowest free row first, so that stores stay short and can be lowered. One byte for each row; 10^7
    bytes are searched in a millisecond."""

    def __init__(self, total: int, taken: Iterable[int]) -> None:
        self.total = total
        self._taken = bytearray(total)
        for row in taken:
            self._taken[row] = True
        self.free = total - self._taken.count(True)
        self._from = 0  # no row before this one is free

    def grow(self, total: int) -> None:
        """There are so many, which is more."""
        assert total > self.total
        self._taken.extend(bytes(total - self.total))
        self.free += total - self.total
        self.total = total

    def take(self) -> int:
        """A free row, 0..total-1. OutOfSpace: none left."""
        row = self._taken.find(False, self._from)
        if row < 0:
            raise OutOfSpace("no row is left on the partners")
        self._taken[row] = True
        self._from = row + 1
        self.free -= 1
        return row

    def has_taken(self, row: int) -> bool:
        return bool(self._taken[row])

    def give_back(self, row: int) -> None:
        """The row of a stripe whose death is held."""
        assert self._taken[row], "a row given back twice would be overwritten while it lives"
        self._taken[row] = False
        self._from = min(self._from, row)
        self.free += 1
