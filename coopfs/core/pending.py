"""The stripes that some column lacks, in some 20 bytes each: with a partner away, or lost, that may be all 10^7.

What is asked of them is asked by acks: which does a column lack, which have the fewest blocks. So the ids with equal
acks are kept together, as bits; there are few different masks, as there are few partners.
"""

import heapq
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from coopfs.core.ids import CHUNK, NO_IDS, Ids
from coopfs.core.seats import ALL_SEATS


@dataclass(frozen=True, slots=True)
class Pending:
    """A sealed stripe that some column lacks. died: the group that killed it, None while it lives; acks: of all seats
    (core/seats)."""

    id: int
    born: int
    died: int | None
    acks: int

    @property
    def is_complete(self) -> bool:
        """No column of its layout lacks it."""
        return self.acks == ALL_SEATS


@dataclass(slots=True)
class _Chunk:
    """Of ids that follow each other. born 0: not pending; died 0: it lives."""

    count: int = 0
    acks: "array[int]" = field(default_factory=lambda: array("Q", bytes(8 * CHUNK)))
    born: "array[int]" = field(default_factory=lambda: array("I", bytes(4 * CHUNK)))
    died: "array[int]" = field(default_factory=lambda: array("I", bytes(4 * CHUNK)))


class PendingStripes:
    """Stripes by id, and ids by acks."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self._ids: dict[int, Ids] = {}  # acks -> those that have them
        self._counts: dict[int, int] = {}  # acks -> how many

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __contains__(self, id_: int) -> bool:
        return self.get(id_) is not None

    def get(self, id_: int) -> Pending | None:
        """None: it is not pending."""
        chunk, at = self._chunks.get(id_ // CHUNK), id_ % CHUNK
        if chunk is None or not chunk.born[at]:
            return None
        return Pending(id_, chunk.born[at], chunk.died[at] or None, chunk.acks[at])

    def put(self, stripe: Pending) -> None:
        """A new one, or one that has changed."""
        number, at = divmod(stripe.id, CHUNK)
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = _Chunk()
        if chunk.born[at]:
            self._take_out(stripe.id, chunk.acks[at])
        else:
            chunk.count += 1
        chunk.acks[at], chunk.born[at], chunk.died[at] = stripe.acks, stripe.born, stripe.died or 0
        self._ids.setdefault(stripe.acks, Ids()).add(stripe.id)
        self._counts[stripe.acks] = self._counts.get(stripe.acks, 0) + 1

    def remove(self, id_: int) -> None:
        """It is pending no more."""
        number, at = divmod(id_, CHUNK)
        chunk = self._chunks[number]
        self._take_out(id_, chunk.acks[at])
        chunk.born[at] = 0
        chunk.count -= 1
        if not chunk.count:
            del self._chunks[number]

    def _take_out(self, id_: int, acks: int) -> None:
        self._ids[acks].remove(id_)
        self._counts[acks] -= 1
        if not self._counts[acks]:
            del self._ids[acks], self._counts[acks]

    # --- by acks --------------------------------------------------------------------------------------------------

    def masks(self) -> dict[int, int]:
        """How many stripes have these acks."""
        return dict(self._counts)

    def with_acks(self, acks: int, but: Ids = NO_IDS) -> Iterator[Pending]:
        """By ascending id, but for some. Nothing may be changed meanwhile."""
        for id_ in self._ids.get(acks, NO_IDS).without(but):
            chunk, at = self._chunks[id_ // CHUNK], id_ % CHUNK
            yield Pending(id_, chunk.born[at], chunk.died[at] or None, acks)

    def births(self, acks: int) -> Iterator[tuple[int, int]]:
        """(id, born) of those with these acks. Nothing may be changed meanwhile."""
        for id_ in self._ids.get(acks, NO_IDS).without(NO_IDS):
            yield id_, self._chunks[id_ // CHUNK].born[id_ % CHUNK]

    def by_worth(self, masks: Iterable[int], worth: Callable[[int], int], but: Ids = NO_IDS) -> Iterator[Pending]:
        """Those with these acks but for some, least worth first, then oldest first."""
        of_worth: dict[int, list[int]] = {}
        for acks in masks:
            of_worth.setdefault(worth(acks), []).append(acks)
        for _, equal in sorted(of_worth.items()):
            yield from heapq.merge(*(self.with_acks(acks, but) for acks in equal), key=lambda stripe: stripe.id)
