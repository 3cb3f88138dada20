"""The disk gets another layout: other partners, another k or m (paper section 2.6; design R7, R14).

1. the master block names the new layout beside the one in use, with a new, empty store at each of its partners; these
   are made as they are reached;
2. when all of them are there, and that block is known widely (spreading.py), new stripes get the new layout. A restore
   that knew of the old one only would overlook them;
3. what lives in stripes of the old layout is told again, the last rows first, as far as there is room for: content as
   the compactor does it, the log by retiring its heads. Meanwhile the old stores are cut, and the new ones grow
   (tasks/reshaping/slicing);
4. when the death of the last of them is held, the master block forgets the old layout; its stores are given back as
   their partners are reached.

At each moment every stripe is held by the rules of its own layout, and a restore looks into the stores of both. Where
it stands is what the master block, the layout in use and the stripes say: a crash anywhere is nothing, and a takeover
goes on. Until step 2 it can be taken back.
"""

from collections.abc import Callable, Sequence

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.core.master import LayoutPlaces, StorePlace
from coopfs.core.pacing import seconds_left
from coopfs.core.seats import Span
from coopfs.errors import UsageError
from coopfs.limits import AWAY_CHECK, MOVE_AGAIN
from coopfs.local.disk import LocalDisk
from coopfs.local.kitrecord import KitRecord
from coopfs.local.oldstripes import OldStripes
from coopfs.local.returning import Returning
from coopfs.local.rowmark import RowMark
from coopfs.local.seating import Seating
from coopfs.tasks.reshaping.growing import Growing
from coopfs.tasks.reshaping.slicing import Slicing
from coopfs.tasks.reshaping.spreading import Spreading
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace
from coopfs.types import Layout


class Reshaping:
    """kits: which names the partners that whoever restores can ask. returning: stores that the disk needs no more."""

    def __init__(
        self,
        keeper: MasterKeeper,
        columns: Columns,
        ledger: Ledger,
        space: PartnerSpace,
        growing: Growing,
        kits: KitRecord,
        local: LocalDisk,
        draw: Callable[[int], bytes],
    ) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._space = space
        self._spreading = Spreading(keeper, columns, ledger, kits)
        self._local = local
        self.draw = draw  # random bytes
        self.returning = Returning(local.database)
        self._seating = Seating(local.database)
        self._mark = RowMark(local.database)
        self._stripes = OldStripes(local.database)
        self.slicing = Slicing(keeper, columns, ledger, space, growing, self._stripes)
        if self.going is not None:
            self.slicing.plan(self.going)
        self._begun = Signal()
        self._since: tuple[float, int] | None = None  # trio time and rows left when this process first saw it move

    @property
    def coming(self) -> LayoutPlaces | None:
        """The layout that is named and not used yet."""
        newest, known = self._keeper.block.layouts[-1], {span.layout.id for span in self._ledger.seats}
        is_taken_back = newest.layout.id not in known  # and the block that says so is being saved
        return None if is_taken_back or newest.layout.id == self._ledger.layout.id else newest

    @property
    def going(self) -> Span | None:
        """The layout that is used no more, and in which stripes are left."""
        oldest = next(iter(self._ledger.progress.seats))
        return None if oldest.layout.id == self._ledger.layout.id else oldest

    @property
    def is_under_way(self) -> bool:
        """Whether the disk has more than one layout."""
        return len(self._keeper.block.layouts) > 1

    @property
    def rows_left(self) -> int:
        """Rows that stripes of the old layout have."""
        if self.going is None:
            return 0
        rows = self._ledger.rows_of(self.going.layout.id)
        return rows.total - rows.free

    def seconds_left(self, now: float) -> int | None:
        """Until the old layout is empty, at the rate since this process began. now: trio time; None: too little is
        known."""
        if self._since is None or now <= self._since[0]:
            return None
        began, rows = self._since
        return seconds_left([(self.rows_left, (rows - self.rows_left) / (now - began))])

    async def begin(self, k: int, m: int, rows: int, stores: Sequence[StorePlace]) -> None:
        """Let the disk have k + m columns, in these new stores of so many rows. UsageError: something else is changing
        just now, or there are too many columns. StateError."""

        def name() -> tuple[LayoutPlaces, ...]:
            layouts = self._keeper.block.layouts
            if self.is_under_way:
                raise UsageError(
                    "the disk is getting another layout already: wait until that is done, or take it back with "
                    "`coopfs reshape --cancel` while it is not used yet"
                )
            if self._keeper.is_changing:
                raise UsageError("a column is being given to another partner: wait until that is done")
            old = layouts[-1].layout
            new = Layout(old.id + 1, k, m, old.block_size)
            self._ledger.add_layout(self._seating.seats([old, new]), new.id, rows)
            return (*layouts, LayoutPlaces(new, rows, tuple((store,) for store in stores)))

        await self._keeper.rename(name)
        self._columns.seat(self._keeper.block.layouts)
        self._begun.notify()

    async def give_up(self) -> None:
        """Let the disk stay as it was. UsageError: nothing is changing, or the new layout is used already.
        StateError."""

        def forget() -> tuple[LayoutPlaces, ...]:
            coming = self.coming
            if coming is None:
                raise UsageError(
                    "the disk is getting another layout, which is used already: it cannot be taken back, only changed "
                    "again when that is done"
                    if self.is_under_way
                    else "the disk is getting no other layout"
                )
            return self._without(coming.layout)

        await self._keeper.rename(forget)

    async def run(self) -> None:
        """Bring whatever was begun to its end, for ever. StateError: the database failed."""
        while True:
            await self._begun.wait_until(lambda: self.coming is not None or self.going is not None)
            with changes(self._ledger.moved, self._keeper.changed, self._columns.stirred) as changed:
                if self.coming is not None and self.hindrance() is None:
                    self._use(self.coming)
                if (old := self.going) is not None:
                    self._since = self._since or (trio.current_time(), self.rows_left)
                    await self.slicing.step(old)
                    await self._forget_if_empty(old)
                await trio.sleep(AWAY_CHECK)
                with trio.move_on_after(MOVE_AGAIN):
                    await changed.wait()

    # --- the new one ----------------------------------------------------------------------------------------------

    def hindrance(self) -> str | None:
        """What is waited for before the coming layout is used, in words. None: nothing."""
        assert self.coming is not None
        new = self._columns.of(self.coming.layout.id)
        if lost := [c.place.name for c in new if c.state is ColumnState.LOST]:
            return f"{', '.join(lost)} was declared lost: stay as before with --cancel, and begin with others"
        if missing := [c for c in new if c.session is None or c.away]:
            return "; ".join(f"{c.place.name}: {c.trouble or 'not reached'}" for c in missing)
        end = self.slicing.end(self.coming)
        if not self._space.would_fit(self.coming.layout, self.coming.rows, end):  # it did when this began
            return "what the disk holds by now does not fit: delete something, or stay as before with --cancel"
        return self._spreading.hindrance()

    def _use(self, places: LayoutPlaces) -> None:
        """In one transaction, before anything is sealed in it."""
        self._local.cut_for(places.layout)
        self._ledger.log.keep_layout(self._ledger.layout.id)
        self._seating.use(places.layout)
        self._mark.use(places.rows)
        self._mark.want(0)
        for column in self._columns.of(places.layout.id):
            column.made()
        old = self._ledger.seats.of(self._ledger.layout.id)
        self._ledger.use(places.layout.id)
        self.slicing.plan(old)
        self._space.refresh()

    # --- the old one ----------------------------------------------------------------------------------------------

    async def _forget_if_empty(self, old: Span) -> None:
        rows = self._ledger.rows_of(old.layout.id)

        def forget() -> tuple[LayoutPlaces, ...] | None:
            if rows.free < rows.total or self._stripes.has_any(old.layout.id):
                return None
            left = self._without(old.layout)
            self.slicing.finish()
            return left

        if rows.free == rows.total:
            await self._keeper.rename(forget)

    def _without(self, layout: Layout) -> tuple[LayoutPlaces, ...]:
        """The others; of this one nothing is left but its stores, which are to be given back."""
        left = tuple(places for places in self._keeper.block.layouts if places.layout != layout)
        stores = (store for column in self._keeper.of(layout.id).columns for store in column)
        self.returning.add((store.store, store.node) for store in stores)
        self._stripes.forget_seats(self._ledger.seats.of(layout.id).mask)
        self._ledger.drop_layout(self._seating.seats([places.layout for places in left]), layout.id)
        self._columns.seat(left)
        self._since = None
        return left
