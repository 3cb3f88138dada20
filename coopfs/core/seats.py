"""Seats: one number for each column of each layout in force (paper section 2.6).

What is known of columns is kept in bits: who has acked a stripe, who is in A. A disk that is being resized has several
layouts, each with columns 0..n-1; so each column has a seat, and the bit is that of the seat. The seats of a layout
follow each other. They are this machine's own: what is sealed names layout and column.

In a mask of all seats, as progress has it, the bit of a seat outside the stripe's own layout is set: such a column "has
the stripe, or need not have it". So what is complete is complete in any layout, and who lacks it is of its own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from coopfs.core.quorum import Quorum
from coopfs.errors import UsageError
from coopfs.limits import MAX_COLUMNS
from coopfs.types import Layout

ALL_SEATS = (1 << MAX_COLUMNS) - 1  # the mask of a stripe that nobody lacks


@dataclass(frozen=True)  # without slots: what is asked at every ack is kept
class Span:
    """The seats of one layout, from `base` on."""

    layout: Layout
    base: int

    @cached_property
    def quorum(self) -> Quorum:
        return Quorum(self.layout.k, self.layout.m)

    @cached_property
    def mask(self) -> int:
        """A bit for each of its seats."""
        return (1 << self.layout.n) - 1 << self.base

    @property
    def seats(self) -> range:
        """By column."""
        return range(self.base, self.base + self.layout.n)

    def column(self, seat: int) -> int:
        """Which of its columns has this seat."""
        assert seat in self.seats
        return seat - self.base

    def own(self, mask: int) -> int:
        """Of a mask of seats, that of its columns."""
        return (mask & self.mask) >> self.base


class Seats:
    """The spans of all layouts in force, by age of these."""

    def __init__(self, spans: Sequence[Span]) -> None:
        assert spans
        self._spans = {span.layout.id: span for span in spans}

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans.values())

    def until(self, layout: int) -> "Seats":
        """Of this layout and all that are older."""
        ids = list(self._spans)
        return Seats([self._spans[id_] for id_ in ids[: ids.index(layout) + 1]])

    def of(self, layout: int) -> Span:
        """Of a layout that is in force, by its id."""
        return self._spans[layout]

    @property
    def f(self) -> int:
        """Partner losses promised to be survived, in the layout that promises most."""
        return max(span.quorum.f for span in self)

    def at(self, seat: int) -> Span:
        """In which this seat lies."""
        return next(span for span in self if seat in span.seats)

    def lacked_by(self, mask: int) -> Span:
        """Of a mask of all seats that is not complete: the layout of the stripes that have it."""
        lacking = ~mask & ALL_SEATS
        return self.at((lacking & -lacking).bit_length() - 1)


def seat(layouts: Sequence[Layout], bases: Mapping[int, int]) -> Seats:
    """The seats of these layouts, oldest first: where `bases` (by layout id) says, others where there is room.
    UsageError: there is none."""
    spans: dict[int, Span] = {each.id: Span(each, bases[each.id]) for each in layouts if each.id in bases}
    for layout in layouts:
        if layout.id not in spans:
            spans[layout.id] = Span(layout, _room(layout, spans.values()))
    return Seats([spans[layout.id] for layout in layouts])


def _room(layout: Layout, spans: Collection[Span]) -> int:
    """The lowest base at which nobody sits on the next n seats."""
    taken = reduce(or_, (span.mask for span in spans), 0)
    for base in range(MAX_COLUMNS - layout.n + 1):
        if not Span(layout, base).mask & taken:
            return base
    held = sum(span.layout.n for span in spans)
    raise UsageError(
        f"{layout.n} partners beside the {held} that hold the disk until it has moved are more than the {MAX_COLUMNS} "
        "stores that one disk can have"
    )
