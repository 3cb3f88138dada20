"""Rows and digests: what this machine remembers of places against the stripes that are there (design R7, R16)."""

from collections.abc import Callable
from contextlib import ExitStack

import trio

from coopfs.core.findings import About, Finding
from coopfs.core.rows import Rows
from coopfs.errors import NotAsked
from coopfs.limits import CHECK_SLICE, COMPARE_ROWS
from coopfs.local.acks import INCOMING
from coopfs.local.database import Database
from coopfs.local.slotsums import SlotSums
from coopfs.local.survey import Survey
from coopfs.tasks.checking.asking import in_thread
from coopfs.tasks.checking.report import Report
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger

Watch = Callable[[str, int, int], None]  # step, done, total


class PlaceCheck:
    """One object for one check."""

    def __init__(self, columns: Columns, ledger: Ledger, database: Database) -> None:
        self._columns = columns
        self._ledger = ledger
        self._database = database
        self._survey = Survey(database)

    async def rows(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """No row that a stripe has may be given to another one, and a row that no stripe has may be."""
        with ExitStack() as watching:
            books = {span.layout.id: self._ledger.rows_of(span.layout.id) for span in self._ledger.seats}
            seen = {layout: watching.enter_context(rows.watched()) for layout, rows in books.items()}
            for layout, row in self._ledger.placed:  # in the same step: what changes from now on is seen
                seen[layout][row] = True
            await self._see(books, seen, report, watch)
            for layout, rows in books.items():
                await self._leaked(layout, rows, seen[layout], report, repair=repair)

    async def _see(self, books: dict[int, Rows], seen: dict[int, bytearray], report: Report, watch: Watch) -> None:
        """The rows of all stripes, dead ones too."""
        after, total = 0, self._survey.sealed_count()
        while page := self._survey.rows(after, CHECK_SLICE):
            for after, layout, row in page:
                rows = books.get(layout)
                if rows is None or not 0 <= row < min(rows.total, len(seen[layout])):
                    continue  # there is no such row, as is told elsewhere, or it is new
                seen[layout][row] = True
                if not rows.has_taken(row):
                    text = f"row {row} counts as free, and is that of stripe {after}"
                    report.add(Finding(About.ROWS, text), repaired=False)
            report.checked["stripes"] += len(page)
            watch("rows", report.checked["stripes"], total)
            await trio.lowlevel.checkpoint()

    async def _leaked(self, layout: int, rows: Rows, seen: bytearray, report: Report, *, repair: bool) -> None:
        """Rows that count as taken, as they did from the beginning, and that no stripe had all the while."""
        first = 0
        while first < min(rows.total, len(seen)):
            for row in range(first, min(first + COMPARE_ROWS, rows.total, len(seen))):
                if rows.has_taken(row) and not seen[row]:
                    report.add(Finding(About.ROWS, f"row {row} counts as taken, and no stripe has it"), repaired=repair)
                    if repair:
                        self._ledger.give_back(layout, row)
            first += COMPARE_ROWS
            await trio.lowlevel.checkpoint()

    async def digests(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """What is expected of a store is what it acked and what is left there. With a wrong one a store that lost
        something could be taken for one that lost nothing."""
        watch("digests of partners", 0, 1)
        names = {column.number: column.place.name for column in self._columns.columns}
        if (incoming := self._columns.incoming) is not None:
            names[INCOMING] = incoming.place.name
        sums = SlotSums(self._database.path)
        try:
            wrong = await in_thread(sums, sums.wrong, self._database)
        except NotAsked as why:
            report.note(f"the digests of partners could not be looked at: {why}")
            wrong = {}
        finally:
            sums.close()
        for seat, by in wrong.items():
            if seat in names:
                text = f"the digest that is expected of {names[seat]} is not that of what it acked"
                if repair:
                    self._ledger.slots.adjust(seat, by)
                report.add(Finding(About.BLOCKS, text), repaired=repair)
        watch("digests of partners", 1, 1)
