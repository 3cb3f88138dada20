"""A check of the whole disk while it is in use: what is damaged is found, said, and repaired from redundancy.

1. SQLite's own structure; where that is damaged nothing else can be believed;
2. the database against the log, which restores rows (logcheck), and its rows against the same log, which is told of
   those it lacks (toldcheck);
3. its invariants and sums, and the stage (databasecheck), rows and digests (placecheck), what is not held
   (unheldcheck);
4. master blocks (mastercheck) and inventories of partners (blockcheck), and with `deep` every block (deepcheck), which
   takes the longest by far: one that was interrupted goes on where it was. The rest is short, and made again: what it
   looks at changes.
5. what cannot be had any more, by path.

Without `repair` nothing is changed.
"""

from collections.abc import Awaitable, Callable

from coopfs.core.keys import DiskKeys
from coopfs.errors import UsageError
from coopfs.local.checkmark import CheckMark
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.local.lostfound import Tell
from coopfs.local.survey import Survey
from coopfs.tasks.checking.blockcheck import BlockCheck
from coopfs.tasks.checking.databasecheck import DatabaseCheck
from coopfs.tasks.checking.deepcheck import DeepCheck
from coopfs.tasks.checking.logcheck import LogCheck
from coopfs.tasks.checking.mastercheck import MasterCheck
from coopfs.tasks.checking.placecheck import PlaceCheck
from coopfs.tasks.checking.report import Report
from coopfs.tasks.checking.toldcheck import ToldCheck
from coopfs.tasks.checking.unheldcheck import UnheldCheck
from coopfs.tasks.reading.fetcher import Fetched, Fetcher
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger

Watch = Callable[[str, int, int], None]  # step, done, total


class Checker:
    """fetch: a sealed stripe from partners; in_use: whether somebody has an inode open; tell: of what a
    repair has changed; commit: returns when all changes are durable; wall: seconds since 1970; recall:
    content of a stripe into the cache."""

    def __init__(
        self,
        keys: DiskKeys,
        local: LocalDisk,
        ledger: Ledger,
        columns: Columns,
        fetcher: Fetcher,
        fetch: Callable[[Sealed], Awaitable[Fetched]],
        in_use: Callable[[int], bool],
        tell: Tell,
        commit: Callable[[], Awaitable[None]],
        wall: Callable[[], float],
        recall: Callable[[int], Awaitable[None]],
        masters: MasterCheck,
    ) -> None:
        self._keys = keys
        self._local = local
        self._ledger = ledger
        self._columns = columns
        self._fetcher = fetcher
        self._fetch = fetch
        self._in_use = in_use
        self._tell = tell
        self._commit = commit
        self._recall = recall
        self._masters = masters
        self._survey = Survey(local.database)
        self._mark = CheckMark(local.database, wall)
        self._running = False

    async def run(self, watch: Watch, *, deep: bool, repair: bool, anew: bool = False) -> Report:
        """anew: even if one was interrupted. UsageError: a check is under way. StateError: the database failed."""
        if self._running:
            raise UsageError("a check of this disk is under way already")
        self._running = True
        try:
            report = Report()
            if deep and self._mark.begin(anew=anew):
                report.continued = self._mark.begun, self._mark.looked
            await self._run(report, watch, deep=deep, repair=repair)
        finally:
            self._running = False
        return report

    async def _run(self, report: Report, watch: Watch, *, deep: bool, repair: bool) -> None:
        await self._commit()
        database = DatabaseCheck(self._local, self._ledger, self._in_use, self._tell, self._commit)
        if not await database.structure(report, watch):
            return
        await self._log(report, watch, repair=repair)
        await database.invariants(report, watch, repair=repair)
        places = PlaceCheck(self._columns, self._ledger, self._local.database)
        await places.rows(report, watch, repair=repair)
        await places.digests(report, watch, repair=repair)
        await database.stage(report, watch, repair=repair)
        blocks = BlockCheck(self._columns, self._ledger, self._local)
        unheld = UnheldCheck(self._local, self._ledger, self._fetch, self._recall, blocks.bad)
        await unheld.run(report, watch, repair=repair)
        await self._masters.run(report, watch, repair=repair)
        await blocks.inventories(report, watch, repair=repair)
        if deep:
            every = DeepCheck(self._columns, self._ledger, self._survey, self._fetcher, self._mark, blocks.bad)
            await every.run(report, watch, repair=repair)
        await blocks.lost(report, repair=repair)
        await self._commit()

    async def _log(self, report: Report, watch: Watch, *, repair: bool) -> None:
        log, metadata = self._ledger.log, self._local.metadata
        rows = ToldCheck(log, metadata, self._tell)
        try:
            images = LogCheck(self._keys, log, metadata, self._fetch, self._tell, rows.hear)
            walked = await images.run(report, watch, repair=repair)
            await self._commit()
            await rows.run(walked, report, watch, repair=repair)
            await self._commit()
        finally:
            rows.close()
