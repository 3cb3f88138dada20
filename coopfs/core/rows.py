"""Rows: which offsets of the stores are free, and how many must stay so (design R7, R9).

A row is taken when a stripe is sealed and given back only behind the barrier: when what killed the stripe is held.
"""

import heapq
from collections.abc import Iterable
from math import floor

from coopfs.core.geometry import shard_capacity
from coopfs.errors import OutOfSpace
from coopfs.limits import IMAGE_BYTES, MIN_RESERVE_ROWS, RESERVE_SHARE, SPACE_USABLE
from coopfs.types import Layout


class Rows:
    """The allocator: lowest free row first, so that stores stay short and can be lowered."""

    def __init__(self, total: int, taken: Iterable[int]) -> None:
        used = set(taken)
        self.total = total
        highest = max(used, default=-1)
        self._taken = bytearray(row in used for row in range(highest + 1))  # rows behind its end were never taken
        self._freed = [row for row, taken in enumerate(self._taken) if not taken]  # ascending: a heap

    @property
    def free(self) -> int:
        return len(self._freed) + self.total - len(self._taken)

    def take(self) -> int:
        """A free row, 0..total-1. OutOfSpace: none left."""
        if self._freed:
            row = heapq.heappop(self._freed)
            self._taken[row] = True
            return row
        if len(self._taken) >= self.total:
            raise OutOfSpace("no row is left on the partners")
        self._taken.append(True)
        return len(self._taken) - 1

    def give_back(self, row: int) -> None:
        """The row of a stripe whose death is held."""
        assert self._taken[row], "a row given back twice would be overwritten while it lives"
        self._taken[row] = False
        heapq.heappush(self._freed, row)


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
