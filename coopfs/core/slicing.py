"""Slices: how a disk moves to another layout without room for a second copy (paper section 2.6).

At each partner of both layouts the old store is cut from its end by as many rows as the new one then grows by. What
lived in the rows that go was told again in the new layout before; so the new store needs room for one slice that is not
used by anybody else, and the old one none. The less there is free, the thinner are the slices, but never thinner than
1/SLICES of the disk: a store can grow MAX_GROWTHS times in its life.
"""

from dataclasses import dataclass

from coopfs.core.storeformat import PAGE, rows_within, slots_offset
from coopfs.limits import MAX_GROWTHS, SLICES
from coopfs.types import Layout


@dataclass(frozen=True, slots=True)
class Slices:
    """end: rows that the layout in use has when the old one is gone; rows: of the thinnest slice, of either layout;
    kept: rows of the new one that what lies in a slice of the old one may need."""

    end: int
    rows: int
    kept: int


def slices(old: Layout, new: Layout, end: int) -> Slices:
    """Of a disk that moves, and has so many rows in the end."""
    rows = -(-end // SLICES)
    return Slices(end, rows, -(-rows * old.k // new.k))


def first_to_go(top: int, slice_rows: int, room: int) -> int:
    """The row of the old layout from which on its rows are to go now. top: the first that nobody has, nor any after it;
    room: stripes of the old layout that fit into what is free in the new one."""
    return max(0, top - max(slice_rows, room))


def rows_beside(given: int, block_size: int, other: int) -> int:
    """The most rows of a store in an agreement of so many bytes that has a store of `other` rows too (0: none), however
    often both have grown, and been cut: a growth costs up to a page, and the index of what was cut stays."""
    overhead = slots_offset(rows_within(given, block_size)) + MAX_GROWTHS * PAGE
    stores = 2 if other else 1
    return max(0, (given - stores * overhead) // block_size - other)
