"""Rows: which offsets of the stores are free, and how many must stay so (design R7, R9).

A row is taken when a stripe is sealed and given back only behind the barrier: when what killed the stripe is held.
"""

from collections.abc import Iterable
from math import floor

from coopfs.core.geometry import shard_capacity
from coopfs.errors import OutOfSpace
from coopfs.limits import IMAGE_BYTES, MIN_RESERVE_ROWS, RESERVE_SHARE, SPACE_USABLE
from coopfs.types import Layout


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

    def take(self) -> int:
        """A free row, 0..total-1. OutOfSpace: none left."""
        row = self._taken.find(False, self._from)
        if row < 0:
            raise OutOfSpace("no row is left on the partners")
        self._taken[row] = True
        self._from = row + 1
        self.free -= 1
        return row

    def give_back(self, row: int) -> None:
        """The row of a stripe whose death is held."""
        assert self._taken[row], "a row given back twice would be overwritten while it lives"
        self._taken[row] = False
        self._from = min(self._from, row)
        self.free += 1


def stripe_payload(layout: Layout) -> int:
    """Bytes of a stripe's k shards: what one row takes at the most, directories included."""
    return layout.k * shard_capacity(layout.block_size)


def reserve_rows(total: int) -> int:
    """R: rows that only deletes may use, as a delete is a record too and must always work (P4)."""
    return max(MIN_RESERVE_ROWS, total // RESERVE_SHARE)


def rows_for_images(layout: Layout, images: int) -> int:
    """Rows that the meta stripes of so many images may take."""
    return -(-images * IMAGE_BYTES // stripe_payload(layout))


def budget(layout: Layout, total: int, free: int, pending_images: int) -> int:
    """Bytes of content that still fit beside the images not yet sealed; less than 0: none, and the reserve is touched.
    free: rows neither taken nor promised to open and unsealed stripes."""
    rows = free - reserve_rows(total) - rows_for_images(layout, pending_images)
    return floor(rows * SPACE_USABLE) * stripe_payload(layout)
