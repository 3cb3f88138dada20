"""A check of the whole disk while it is in use: what is damaged is found, said, and repaired from redundancy.

1. SQLite's own structure; where that is damaged nothing else can be believed;
2. the database against the log, which restores rows (logcheck);
3. its invariants and sums, rows, and the stage (databasecheck);
4. inventories of partners, and with `deep` every block (blockcheck);
5. what cannot be had any more, by path.

Without `repair` nothing is changed.
"""

from collections.abc import Awaitable, Callable

from coopfs.core.keys import DiskKeys
from coopfs.errors import UsageError
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.tasks.blockcheck import BlockCheck
from coopfs.tasks.columns import Columns
from coopfs.tasks.databasecheck import DatabaseCheck
from coopfs.tasks.fetcher import Fetched, Fetcher
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.logcheck import LogCheck
from coopfs.tasks.report import Report

Watch = Callable[[str, int, int], None]  # step, done, total


class Checker:
    """fetch: a sealed stripe from partners; in_use: whether somebody has an inode open; commit: returns when all
    changes are durable."""

    def __init__(
        self,
        keys: DiskKeys,
        local: LocalDisk,
        ledger: Ledger,
        columns: Columns,
        fetcher: Fetcher,
        fetch: Callable[[Sealed], Awaitable[Fetched]],
        in_use: Callable[[int], bool],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        self._keys = keys
        self._local = local
        self._ledger = ledger
        self._columns = columns
        self._fetcher = fetcher
        self._fetch = fetch
        self._in_use = in_use
        self._commit = commit
        self._running = False

    async def run(self, watch: Watch, *, deep: bool, repair: bool) -> Report:
        """UsageError: a check is under way. StateError: the database failed."""
        if self._running:
            raise UsageError("a check of this disk is under way already")
        self._running = True
        try:
            return await self._run(watch, deep=deep, repair=repair)
        finally:
            self._running = False

    async def _run(self, watch: Watch, *, deep: bool, repair: bool) -> Report:
        report = Report()
        await self._commit()
        database = DatabaseCheck(self._local, self._ledger, self._in_use, self._commit)
        if not await database.structure(report, watch):
            return report
        log = LogCheck(self._keys, self._ledger.log, self._local.metadata, self._fetch)
        await log.run(report, watch, repair=repair)
        await self._commit()
        await database.invariants(report, watch, repair=repair)
        await database.rows(report, watch)
        await database.stage(report, watch, repair=repair)
        blocks = BlockCheck(self._columns, self._ledger, self._local, self._fetcher)
        await blocks.inventories(report, watch, repair=repair)
        if deep:
            await blocks.blocks(report, watch, repair=repair)
        blocks.lost(report)
        await self._commit()
        return report
