"""The disk gets more rows or less, with the same partners (paper section 2.6, design R14).

More:
1. what is wanted is saved here;
2. every store grows, as its partner is reached; nothing else changes yet, so a partner that refuses does no harm;
3. when all that count have grown, the master block names the new number of rows;
4. when that block is known widely (spreading.py), stripes may take the new rows: a restore that knew of the old number
   only would take no notice of what lies beyond it.

Less:
1. what is wanted is saved here; from now on writers have what fits into that;
2. what lies in the rows that go is written anew before them (tasks/reshaping/lowering);
3. when the death of all that lay there is held, the master block names the new number of rows, and stripes take no
   others;
4. when that block is known widely, stores are cut: whoever took the disk over with the old number would use the rows
   that it names.

A column that is in A meanwhile follows when it is back, and grows before anything is put there. A crash anywhere: where
it stands is what the stores, the master block and the saved numbers say; whoever takes the disk over goes on from what
the master block says is wanted (tasks/reshaping/wishing). Another number may be wanted at any time.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import trio

from coopfs.core.master import LayoutPlaces
from coopfs.errors import PeerError
from coopfs.limits import AWAY_CHECK, COMPARE_ROWS, MAX_ROWS
from coopfs.local.acks import INCOMING
from coopfs.local.kitrecord import KitRecord
from coopfs.local.rowmark import RowMark
from coopfs.tasks.reshaping.spreading import Spreading
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger


class Growing:
    """kits: which names the partners that whoever restores can ask; mark: what is used and wanted."""

    def __init__(self, keeper: MasterKeeper, columns: Columns, ledger: Ledger, kits: KitRecord, mark: RowMark) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._spreading = Spreading(keeper, columns, ledger, kits)
        self._mark = mark
        self.asked = Signal()  # another number is wanted
        self._refusals: dict[int, str] = {}  # column -> why its store has not grown
        self._narrow()

    @property
    def _places(self) -> LayoutPlaces:
        """Of the layout that new stripes get."""
        return self._keeper.of(self._ledger.layout.id)

    @property
    def rows(self) -> int:
        """What the disk is to have in the end."""
        return self._mark.wanted or self._places.rows

    @property
    def wish(self) -> int:
        """What is wanted and not named by the master block yet; 0: nothing."""
        return 0 if self.rows == self._places.rows else self.rows

    @property
    def now(self) -> int:
        """What it has, or some store that is reached and is to be cut."""
        return max(self._ledger.rows.total, *(c.session.opened.rows for c in self._large() if c.session), 0)

    def want(self, rows: int) -> None:
        """Durable with the next commit."""
        self._mark.use(self._ledger.rows.total)  # or a crash right after the master was changed would use what it names
        self._mark.want(rows)
        self._narrow()
        self.asked.notify()

    def look(self) -> None:
        """The master block names less rows of an older layout."""
        self.asked.notify()

    def _narrow(self) -> None:
        limit = min(self.rows, self._ledger.rows.total)
        if limit != self._ledger.rows.limit:
            self._ledger.narrow(self._ledger.layout.id, limit)

    @property
    def is_done(self) -> bool:
        """Whether stripes may take all the rows that are wanted, and no store that is reached has more."""
        return self._ledger.rows.total == self._places.rows == self.rows and not self._large()

    async def run(self) -> None:
        """Bring what is wanted about, for ever. StateError: the database failed."""
        while True:
            while self.is_done:
                if self._mark.wanted:
                    self._mark.want(0)  # another layout may have another number
                with changes(self.asked, self._columns.stirred) as changed:
                    await changed.wait()
            await self._each(self._lacks, self._grow)
            await self._keeper.change(self._named)
            if self._ledger.rows.total < min(self.rows, self._places.rows) and self.hindrance() is None:
                self._mark.use(self._places.rows)
                self._ledger.resize(self._ledger.layout.id, self._places.rows)
            await self._each(self._may_cut, self._cut)
            with trio.move_on_after(AWAY_CHECK):
                await self.asked.wait()

    def _named(self) -> LayoutPlaces | None:
        """What the master block is to say now. None: what it says."""
        places, rows = self._places, self._ledger.rows
        if self.rows == places.rows or (self.rows > places.rows and self._small()):
            return None
        if self.rows < places.rows:
            if not rows.is_clear(self.rows):
                return None
            if rows.total > self.rows:
                self._mark.use(self.rows)
                self._ledger.resize(places.layout.id, self.rows)
        return replace(places, rows=self.rows)

    def hindrance(self) -> str | None:
        """What is waited for, in words. None: nothing."""
        rows = self._ledger.rows
        if rows.limit < rows.total:
            return f"{rows.beyond} rows have to be emptied first"
        if small := self._small():
            return "; ".join(f"{c.place.name}: {self._refusals.get(c.number) or 'not reached'}" for c in small)
        return self._spreading.hindrance()

    def _may_cut(self, column: Column) -> bool:
        """An older layout's while the other one grows, which is what makes room for that."""
        settled = self._ledger.rows.total == self._places.rows == self.rows or not self._is_ours(column)
        return self._exceeds(column) and settled and self._spreading.hindrance() is None

    def _small(self) -> list[Column]:
        """Those that count, and are not known to have all rows."""
        counted = (column for column in self._columns.columns if not column.away and self._is_ours(column))
        return [c for c in counted if c.session is None or c.session.opened.rows < self.rows]

    def _large(self) -> list[Column]:
        return [column for column in self._columns.stores if self._exceeds(column)]

    def _lacks(self, column: Column) -> bool:
        return self._is_ours(column) and column.session is not None and column.session.opened.rows < self.rows

    def _exceeds(self, column: Column) -> bool:
        return column.session is not None and column.session.opened.rows > self._rows_for(column)

    def _rows_for(self, column: Column) -> int:
        """That its store is to have at the most. In other layouts: what the master block names (slicing)."""
        named = {places.layout.id: places.rows for places in self._keeper.block.layouts}
        return self.rows if self._is_ours(column) else named.get(column.layout.id, MAX_ROWS)

    def _is_ours(self, column: Column) -> bool:
        """Whether it belongs to the layout that new stripes get."""
        return column.layout == self._ledger.layout

    async def _each(self, which: Callable[[Column], bool], work: Callable[[Column], Awaitable[None]]) -> None:
        async with trio.open_nursery() as nursery:
            for column in filter(which, self._columns.stores):
                nursery.start_soon(work, column)

    async def _grow(self, column: Column) -> None:
        if column.session is None or not self._lacks(column):  # another layout, or number, came in between
            return
        self._refusals.pop(column.number, None)
        try:
            await column.session.resize(self.rows)
        except PeerError as refusal:
            self._refusals[column.number] = str(refusal)

    async def _cut(self, column: Column) -> None:
        session = column.session
        if session is None or not self._may_cut(column):  # as above
            return
        with suppress(PeerError):  # it is tried again
            await session.resize(self._rows_for(column))
            if column.gone:
                return
            number = INCOMING if column is self._columns.incoming else column.number
            while not self._ledger.slots.cut(number, session.opened.rows, COMPARE_ROWS):
                await trio.lowlevel.checkpoint()
            self._ledger.moved.notify()  # another store may grow by that
