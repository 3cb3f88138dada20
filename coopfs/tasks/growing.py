"""The disk gets more rows, with the same partners (paper section 2.6, design R14).

1. what is wanted is saved here;
2. every store grows, as its partner is reached; nothing else changes yet, so a partner that refuses does no harm;
3. when all that count have grown, the master block names the new number of rows;
4. when all that count have that block, and f+1 partners of the kit, stripes may take the new rows: a restore that knew
   of the old number only would take no notice of what lies beyond it.

A column that is in A meanwhile grows when it is back, before anything is put there. A crash anywhere: where it stands
is what the stores, the master block and the saved numbers say. A takeover forgets what is wanted, and no more.
"""

from dataclasses import replace

import trio

from coopfs.core.master import LayoutPlaces
from coopfs.errors import PeerError
from coopfs.limits import AWAY_CHECK
from coopfs.local.kitrecord import KitRecord
from coopfs.local.rowmark import RowMark
from coopfs.tasks.column import Column
from coopfs.tasks.columns import Columns
from coopfs.tasks.keeper import MasterKeeper
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.signal import Signal


class Growing:
    """kits: which names the partners that whoever restores can ask; mark: what is used and wanted."""

    def __init__(self, keeper: MasterKeeper, columns: Columns, ledger: Ledger, kits: KitRecord, mark: RowMark) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._kits = kits
        self._mark = mark
        self._asked = Signal()
        self._refusals: dict[int, str] = {}  # column -> why its store has not grown

    @property
    def rows(self) -> int:
        """What the disk is to have in the end."""
        return max(self._mark.wanted, self._keeper.places.rows)

    def want(self, rows: int) -> None:
        """At least as many as the master block names. Durable with the next commit."""
        assert rows >= self._keeper.places.rows
        self._mark.use(self._ledger.rows.total)  # or a crash right after the master was changed would use what it names
        self._mark.want(rows)
        self._asked.notify()

    @property
    def is_done(self) -> bool:
        """Whether stripes may take all the rows that are wanted."""
        return self._ledger.rows.total >= self.rows

    async def run(self) -> None:
        """Bring what is wanted about, for ever. StateError: the database failed."""
        while True:
            await self._asked.wait_until(lambda: not self.is_done)
            await self._grow_stores()
            if self._keeper.places.rows < self.rows and not self._small():
                await self._keeper.change(self._named)
            if self._ledger.rows.total < self._keeper.places.rows and self.hindrance() is None:
                self._mark.use(self._keeper.places.rows)
                self._ledger.grow(self._keeper.places.rows)
            with trio.move_on_after(AWAY_CHECK):
                await self._asked.wait()

    def _named(self) -> LayoutPlaces:
        return replace(self._keeper.places, rows=self.rows)

    def hindrance(self) -> str | None:
        """What is waited for, in words. None: nothing."""
        if small := self._small():
            return "; ".join(f"{c.place.name}: {self._refusals.get(c.number) or 'not reached'}" for c in small)
        holders, made = self._keeper.holders(), self._kits.newest()
        untold = [c.place.name for c in self._counted() if c.place.node not in holders]
        if untold:
            return f"{', '.join(untold)} must be told and cannot be reached"
        if made is not None and len(holders.intersection(made.partners)) <= self._ledger.progress.quorum.f:
            return "a new kit must be exported"
        return None

    def _counted(self) -> list[Column]:
        return [column for column in self._columns.columns if not column.away]

    def _small(self) -> list[Column]:
        """Those that count, and are not known to have all rows."""
        return [c for c in self._counted() if c.session is None or c.session.opened.rows < self.rows]

    async def _grow_stores(self) -> None:
        async with trio.open_nursery() as nursery:
            for column in self._columns.stores:
                if column.session is not None and column.session.opened.rows < self.rows:
                    nursery.start_soon(self._grow, column)

    async def _grow(self, column: Column) -> None:
        if column.session is None:
            return
        self._refusals.pop(column.number, None)
        try:
            await column.session.grow(self.rows)
        except PeerError as refusal:
            self._refusals[column.number] = str(refusal)
