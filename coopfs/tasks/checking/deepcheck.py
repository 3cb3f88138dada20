"""Every block of every partner, fetched and authenticated: a proof, where an inventory is only a claim (design R7).

Each store is walked by itself, in the order of stripes. One whose partner goes away is waited for a little, and left
where it is then; so is all of it when whoever waits for the check gives up, or the daemon ends. The next check goes on
there. What it had found wrong is looked at again first: the report is that of the whole check.
"""

from collections.abc import Callable, MutableMapping, Sequence

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.core.findings import About, Finding
from coopfs.errors import PeerError, first_of
from coopfs.limits import CHECK_PAGE, CHECK_PATIENCE, CHECK_STRIPES, CHECK_TRIES
from coopfs.local.checkmark import CheckMark, Walk
from coopfs.local.survey import Survey
from coopfs.tasks.checking.proof import lacks
from coopfs.tasks.checking.report import Report
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger

Watch = Callable[[str, int, int], None]  # step, done, total


class DeepCheck:
    """One object for one check. bad: gets, of each stripe met damaged, the columns that lack it, a bit each."""

    def __init__(
        self,
        columns: Columns,
        ledger: Ledger,
        survey: Survey,
        fetcher: Fetcher,
        mark: CheckMark,
        bad: MutableMapping[int, int],
    ) -> None:
        self._columns = columns
        self._ledger = ledger
        self._survey = survey
        self._fetcher = fetcher
        self._mark = mark
        self._bad = bad
        self._done = 0
        self._total = 0

    async def run(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Look at all that is left to be looked at, of who is not lost."""
        columns = [column for column in self._columns.columns if column.state not in GONE_FOR_GOOD]
        walks = [self._mark.walks.get(column.place.store, Walk()) for column in columns]
        report.checked["blocks"] = sum(walk.looked for walk in walks)
        self._done, self._total = sum(walk.done for walk in walks), len(columns) * self._survey.sealed_count()
        async with trio.open_nursery() as nursery:
            for column, walk in zip(columns, walks, strict=True):
                nursery.start_soon(self._walk, column, walk, report, watch, repair)
        watch("blocks of partners", 1, 1)
        if not report.left:
            self._mark.end()

    async def _walk(self, column: Column, walk: Walk, report: Report, watch: Watch, repair: bool) -> None:
        why = await self._look_again(column, walk, report, repair)
        while why is None and (page := self._survey.sealed(walk.after, CHECK_PAGE)):
            watch("blocks of partners", self._done, self._total)
            found = await self._look(column, [id_ for id_, _ in page])
            if isinstance(found, str):
                why = found
                break
            looked, wrong = found
            self._done += len(page)
            report.checked["blocks"] += looked
            walk = walk.over([id_ for id_, _ in page], looked, wrong)
            for id_ in wrong:
                self._settle(column, id_, report, repaired=repair)
            if wrong and repair:
                self._columns.disprove(column, wrong)
            self._mark.note(column.place.store, walk)
        if why is not None:
            left = self._survey.count(walk.after, self._total)[0]
            report.left += left
            report.note(f"{column.place.name} did not show its blocks of {left} stripes: {why}")

    async def _look_again(self, column: Column, walk: Walk, report: Report, repair: bool) -> str | None:
        """At what this check found wrong before it was interrupted; why that could not be."""
        if not walk.bad:
            return None
        found = await self._look(column, walk.bad)
        if isinstance(found, str):
            return found
        _, still = found
        for id_ in walk.bad:
            self._settle(column, id_, report, repaired=repair or id_ not in still)
        if still and repair:
            self._columns.disprove(column, still)
        return None

    async def _look(self, column: Column, ids: Sequence[int]) -> tuple[int, list[int]] | str:
        """(blocks that were looked at, stripes whose block is wrong), or why there is no answer."""
        why = "it is not reached"
        for attempt in range(CHECK_TRIES):
            if attempt:
                with trio.move_on_after(CHECK_PATIENCE):
                    await column.changed.wait_until(lambda: column.session is not None)
            if column.session is None:
                break
            try:
                return await self._look_once(column, ids)
            except* PeerError as silent:
                why = str(first_of(silent))
        return why

    async def _look_once(self, column: Column, ids: Sequence[int]) -> tuple[int, list[int]]:
        slots = trio.Semaphore(CHECK_STRIPES)
        good, wrong = 0, list[int]()

        async def look(id_: int) -> None:
            nonlocal good
            async with slots:
                stripe = self._ledger.log.get(id_)
                if stripe is None or not stripe.acks >> column.number & 1:
                    return
                if await lacks(column, stripe, self._fetcher, self._ledger):
                    wrong.append(id_)
                else:
                    good += 1

        async with trio.open_nursery() as nursery:
            for id_ in ids:
                nursery.start_soon(look, id_)
        return good + len(wrong), sorted(wrong)

    def _settle(self, column: Column, id_: int, report: Report, *, repaired: bool) -> None:
        stripe = self._ledger.log.get(id_)
        if stripe is None:  # dead by now
            return
        self._bad[id_] = self._bad.get(id_, 0) | 1 << column.number
        text = f"{column.place.name} has no intact block of stripe {id_} in row {stripe.place.row}"
        report.add(Finding(About.BLOCKS, text), repaired=repaired)
