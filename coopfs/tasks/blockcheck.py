"""What partners hold against what they have acked (design R7): by their inventories, or by fetching every block.

An inventory is a claim; a block that was fetched and authenticated is a proof. Partners that are not reached are said,
not blamed: no answer says nothing of what is there. What is found missing or damaged is not counted any more from then
on, if it is to be repaired, and the cleaner seals it again.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

import trio

from coopfs.core.findings import About, Finding
from coopfs.errors import PeerError
from coopfs.limits import CHECK_SLICE, CHECK_STRIPES, FINDINGS_MAX
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.local.paths import files_in, path_of
from coopfs.local.survey import Survey
from coopfs.tasks.column import Column
from coopfs.tasks.columns import Columns
from coopfs.tasks.fetcher import Fetcher
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.network import read_inventory
from coopfs.tasks.proof import lacks
from coopfs.tasks.report import Report
from coopfs.types import Kind

Watch = Callable[[str, int, int], None]  # step, done, total


class BlockCheck:
    """One object for one check."""

    def __init__(self, columns: Columns, ledger: Ledger, local: LocalDisk, fetcher: Fetcher) -> None:
        self._columns = columns
        self._ledger = ledger
        self._metadata = local.metadata
        self._stage = local.stage
        self._fetcher = fetcher
        self._survey = Survey(local.database)
        self._bad: defaultdict[int, int] = defaultdict(int)  # stripe -> columns that lack it, a bit each

    async def inventories(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Blocks that a column acked, and does not claim to hold; and those that it keeps damaged, whatever it is sent:
        these are repaired by the mover."""
        columns = self._columns.columns
        for number, column in enumerate(columns):
            watch("inventories of partners", number, len(columns))
            acked = self._survey.acked(column.number)
            lost = await self._lost(column, acked, report)
            for id_ in lost:
                self._bad[id_] |= 1 << column.number
            if lost:
                text = f"{column.place.name} lacks {len(lost)} blocks that it had acked"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
            if lost and repair:
                self._columns.disprove(column, lost)
            if column.disputed:
                text = f"{column.place.name} keeps {len(column.disputed)} damaged blocks, and takes no others"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
        watch("inventories of partners", 1, 1)

    async def _lost(self, column: Column, acked: Sequence[int], report: Report) -> list[int]:
        """acked: before it was asked, so that no ack on its way is taken for one that is wrong."""
        session = column.session
        if session is None:
            report.note(f"{column.place.name} is not reached: what it holds was not looked at")
            return []
        try:
            found = await read_inventory(session, self._ledger.rows.total)
        except PeerError as trouble:
            report.note(f"{column.place.name} gave no inventory: {trouble}")
            return []
        if column.gone or column.session is not session:
            report.note(f"{column.place.name} went away: what it holds was not looked at")
            return []
        report.checked["inventories"] += 1
        _, lost = found.differing(self._ledger.log.places(), column.number)
        return [id_ for id_ in lost if _holds(acked, id_)]

    # --- every block ----------------------------------------------------------------------------------------------

    async def blocks(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Fetch and authenticate every block of every column that is reached."""
        after, done, total = 0, 0, self._survey.sealed_count()
        slots = trio.Semaphore(CHECK_STRIPES)

        async def look(id_: int) -> None:
            try:
                await self.stripe(id_, report, repair=repair)
            finally:
                slots.release()

        while page := self._survey.sealed(after, CHECK_SLICE):
            after = page[-1][0]
            async with trio.open_nursery() as nursery:
                for id_, _ in page:
                    await slots.acquire()
                    watch("blocks of partners", done, total)
                    done += 1
                    nursery.start_soon(look, id_)
        watch("blocks of partners", 1, 1)

    async def stripe(self, id_: int, report: Report, *, repair: bool) -> None:
        """The blocks of one stripe."""
        stripe = self._ledger.log.get(id_)
        if stripe is None:
            return
        async with trio.open_nursery() as nursery:
            for column in self._columns.columns:
                if stripe.acks >> column.number & 1 and column.session is not None:
                    nursery.start_soon(self._block, column, stripe, report, repair)

    async def _block(self, column: Column, stripe: Sealed, report: Report, repair: bool) -> None:
        try:
            lacking = await lacks(column, stripe, self._fetcher, self._ledger)
        except PeerError as silent:
            report.note(f"{column.place.name} did not answer for all blocks: {silent}")
            return
        report.checked["blocks"] += 1
        if not lacking:
            return
        self._bad[stripe.id] |= 1 << column.number
        text = f"{column.place.name} has no intact block of stripe {stripe.id} in row {stripe.place.row}"
        report.add(Finding(About.BLOCKS, text), repaired=repair)
        if repair:
            self._columns.disprove(column, [stripe.id])

    # --- what follows ---------------------------------------------------------------------------------------------

    def lost(self, report: Report) -> None:
        """Of the stripes met damaged those that cannot be had any more, and whose content they are."""
        for id_, bad in sorted(self._bad.items()):
            stripe = self._ledger.log.get(id_)
            if stripe is None or stripe.died is not None:
                continue
            blocks = (stripe.acks & ~bad).bit_count()
            if blocks < self._ledger.layout.k and not self._is_here(stripe):
                self._give_up(stripe, blocks, report)

    def _is_here(self, stripe: Sealed) -> bool:
        if stripe.kind == Kind.DATA:
            return self._stage.contents.size(stripe.id) >= stripe.length
        return self._ledger.log.meta_payload(stripe.id) is not None

    def _give_up(self, stripe: Sealed, blocks: int, report: Report) -> None:
        have = f"stripe {stripe.id} has {blocks} of the {self._ledger.layout.k} blocks needed, and is not here"
        if stripe.kind != Kind.DATA:
            report.add(Finding(About.LOG, f"{have}: nothing could be restored from the log"), repaired=False)
            return
        for ino in files_in(self._metadata, stripe.id):
            path = path_of(self._metadata, ino)
            if path not in report.lost and len(report.lost) < FINDINGS_MAX:
                report.lost.append(path)
        report.add(Finding(About.CONTENT, have), repaired=False)


def _holds(ascending: Sequence[int], id_: int) -> bool:
    at = bisect_left(ascending, id_)
    return at < len(ascending) and ascending[at] == id_
