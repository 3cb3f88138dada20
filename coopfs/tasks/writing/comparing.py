"""A store's inventory against the log, in slices between which operations run (design R7, R16).

1. Acks for what is not there are taken back; from the first one on the column is in A, and none of it counts. That
   comes before anything is counted that could move the barrier.
2. What it claims without having acked it counts, unless it was disproved.
3. What else it told is left of stripes that are gone.

Between two slices it waits where much is to be committed first: 10^6 acks taken back are 90 MiB of the database's log,
and that has 64 MiB on a full disk.

Meanwhile no digest is expected of it, so that a crash costs another inventory and nothing else; and it is closed, so
that nobody else changes what is known of its slots, but for stripes that die (Slots.leave).
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Protocol

import trio

from coopfs.core.inventory import Inventory
from coopfs.limits import COMPARE_ROWS, LOST_AT_ONCE
from coopfs.local.log import Log
from coopfs.local.slots import Slots


class Books(Protocol):
    """What is known of a store. column: its bit in acks."""

    log: Log
    slots: Slots

    def places_at(self, column: int, after: int, limit: int) -> list[tuple[int, int, int, int]]:
        """Log.places of the stripes that it should have."""

    def retract(self, ids: Sequence[int], column: int) -> None:
        """It lacks stripes that it acked; LOST_AT_ONCE at most."""

    def believe(self, ids: Sequence[int], column: int) -> None:
        """It claims to have stripes that it did not ack; LOST_AT_ONCE at most."""


class Compared(Protocol):
    """The store. gone: it is none of this disk any more, and what it told is of no account."""

    gone: bool

    def lacks(self) -> None:
        """It lacks what it had acked."""

    async def pause(self) -> None:
        """Let others run, and wait while so much was changed that it is to be committed first."""


async def reconcile(books: Books, found: Inventory, column: int, store: Compared) -> int:
    """Make the books say what a store told. How many acks were taken back."""
    if store.gone:
        return 0
    count, gained, after = 0, array("Q"), 0
    books.slots.expect(column, None)
    while page := books.places_at(column, after, LOST_AT_ONCE):
        if store.gone:
            return count
        after = page[-1][0]
        some, lost = found.differing(page, column)
        if lost:
            books.retract(lost, column)
            store.lacks()
        count += len(lost)
        gained.extend(some)
        await store.pause()
    for some in slices(gained):
        if store.gone:
            return count
        disproved = books.slots.disproved(some, column)
        books.believe([id_ for id_ in some if id_ not in disproved], column)
        await store.pause()
    await _note_remains(books, found, column, store)
    if not store.gone:
        books.slots.pass_over(column, found.rows)
        books.slots.expect(column, found.digest)
    return count


async def _note_remains(books: Books, found: Inventory, column: int, store: Compared) -> None:
    acked, after = array("Q", bytes(8 * found.next_row)), 0  # row -> version
    while page := books.places_at(column, after, LOST_AT_ONCE):
        after = page[-1][0]
        for _, row, version, acks in page:
            if acks >> column & 1 and row < found.next_row:
                acked[row] = version
        await trio.lowlevel.checkpoint()
    for first in range(0, found.rows, COMPARE_ROWS):
        if store.gone:
            return
        books.slots.found(column, found, acked, range(first, first + COMPARE_ROWS))
        await store.pause()


def slices(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """All of these, LOST_AT_ONCE at a time."""
    return (ids[first : first + LOST_AT_ONCE] for first in range(0, len(ids), LOST_AT_ONCE))
