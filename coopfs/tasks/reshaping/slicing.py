"""A disk moves to another layout slice by slice, without room for a second copy (core/slicing; design R14).

While two layouts are in force, over and over again:
1. the last rows of the old one are on their way out, as many as what is free in the new one has room for: what lives
   there is told again (tasks/reshaping/lowering);
2. when the death of all that lay in a slice is held, the master block names the smaller number of rows;
3. when all who must know do, the old stores are cut (tasks/reshaping/growing);
4. the new stores grow by what that gave back, as when a disk grows.

What was begun is not saved: the master block and what is taken of the rows say where it stands.
"""

from collections.abc import Callable
from dataclasses import replace

from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.core.master import LayoutPlaces
from coopfs.core.seats import Span
from coopfs.core.slicing import Slices, first_to_go, rows_beside, slices
from coopfs.core.space import rows_to_clean_with
from coopfs.limits import MAX_ROWS
from coopfs.local.oldstripes import OldStripes
from coopfs.tasks.reshaping.growing import Growing
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace
from coopfs.types import NodeKey


def nothing(node: NodeKey) -> int:
    """Of a partner that nobody knows."""
    return 0


class Slicing:
    """given: bytes that a partner gives, by the agreement."""

    def __init__(
        self,
        keeper: MasterKeeper,
        columns: Columns,
        ledger: Ledger,
        space: PartnerSpace,
        growing: Growing,
        stripes: OldStripes,
    ) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._space = space
        self._growing = growing
        self._stripes = stripes
        self._settled = 0  # the layout in use, if nothing gets a row of an older one any more
        self.given: Callable[[NodeKey], int] = nothing

    def end(self, places: LayoutPlaces) -> int:
        """Rows that a layout is to have when there is no other: all that its partners give, but not less than it
        has."""
        return max(places.rows, self._most(places, beside=False))

    def plan(self, old: Span) -> None:
        """Let the books know how the layout in use gets its rows while there is an older one."""
        new = self._keeper.of(self._ledger.layout.id)
        planned = slices(old.layout, new.layout, self.end(new))
        if planned != self._ledger.slices:
            self._ledger.slices = planned
            self._space.refresh()

    async def step(self, old: Span) -> None:
        """Whatever can be done now. StateError: the database failed."""
        self.plan(old)
        planned = self._ledger.slices
        assert planned is not None
        if self._growing.is_done:
            self._grow(planned)
        if self._is_settled(old) and await self._keeper.change(lambda: self._named(old, planned)):
            self._growing.look()
        self._choose(old, planned)

    def _grow(self, planned: Slices) -> None:
        """By what the old stores have given back, if that is a slice, or all."""
        places = self._keeper.of(self._ledger.layout.id)
        most = min(self._most(places, beside=True), planned.end)
        if most - places.rows >= planned.rows:
            self._growing.want(most)

    def finish(self) -> None:
        """The old layout is gone: the new one gets all its room. Durable with the next commit."""
        end = self.end(self._keeper.of(self._ledger.layout.id))
        self._ledger.slices = None
        if end > self._ledger.rows.total:
            self._growing.want(end)

    def _choose(self, old: Span, planned: Slices) -> None:
        rows, usage = self._ledger.rows_of(old.layout.id), self._space.usage()
        room = max(0, rows_to_clean_with(usage)) * usage.layout.k // old.layout.k
        first = first_to_go(rows.top, planned.rows, room)
        if first != rows.limit:
            self._ledger.narrow(old.layout.id, first)

    def _named(self, old: Span, planned: Slices) -> LayoutPlaces | None:
        """The old layout without the last rows, if they are a slice. None: they are not, or nothing is left of it."""
        rows = self._ledger.rows_of(old.layout.id)
        if not 0 < rows.top <= rows.total - planned.rows:
            return None
        self._ledger.resize(old.layout.id, rows.top)
        return replace(self._keeper.of(old.layout.id), rows=rows.total)

    def _is_settled(self, old: Span) -> bool:
        """Whether nobody needs a row of the old layout: no stripe that was filled for it still lacks its place, and a
        state is held whose END lies in the new one. Whoever takes over an older state goes on in the old layout."""
        in_use = self._ledger.layout.id
        if self._settled != in_use and self._is_held_in(in_use) and not self._stripes.has_unplaced(old.layout.id):
            self._settled = in_use
        return self._settled == in_use

    def _is_held_in(self, layout: int) -> bool:
        return bool(self._ledger.log_rows) and self._stripes.has_end(layout, self._ledger.progress.barrier)

    def _most(self, places: LayoutPlaces, beside: bool) -> int:
        """Rows that its stores can have beside those of older layouts, or without these."""
        states = {column.number: column.state for column in self._columns.of(places.layout.id)}
        seats = self._ledger.seats.of(places.layout.id).seats
        counted = [
            store for seat, store in zip(seats, places.primaries, strict=True) if states.get(seat) not in GONE_FOR_GOOD
        ]
        block_size = places.layout.block_size
        return min(
            (
                rows_beside(self.given(store.node), block_size, self._older(places, store.node) if beside else 0)
                for store in counted
            ),
            default=MAX_ROWS,
        )

    def _older(self, places: LayoutPlaces, node: NodeKey) -> int:
        """Rows of the stores of older layouts at a partner, all together."""
        older = (each for each in self._keeper.block.layouts if each.layout.id < places.layout.id)
        return sum(each.rows for each in older for column in each.columns for store in column if store.node == node)
