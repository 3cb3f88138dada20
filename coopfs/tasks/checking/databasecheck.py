"""The database and the stage of this machine against their own invariants, while they are in use."""

from collections.abc import Awaitable, Callable, Mapping

import trio

from coopfs.core.findings import About, Bury, Finding, RemoveFile
from coopfs.core.seats import Span
from coopfs.core.stale import stale_by_fix
from coopfs.errors import NotAsked
from coopfs.local.acks import INCOMING
from coopfs.local.disk import LocalDisk
from coopfs.local.lostfound import Tell
from coopfs.local.questions import QUESTIONS, LayoutBounds, Question, Questioner, parameters
from coopfs.local.repairs import Repairs
from coopfs.tasks.checking.asking import in_thread
from coopfs.tasks.checking.report import Report
from coopfs.tasks.writing.ledger import Ledger

Watch = Callable[[str, int, int], None]  # step, done, total
Commit = Callable[[], Awaitable[None]]


class DatabaseCheck:
    """in_use: whether somebody has an inode open; tell: of what a repair has changed; commit: returns when all
    changes are durable."""

    def __init__(
        self,
        local: LocalDisk,
        ledger: Ledger,
        in_use: Callable[[int], bool],
        tell: Tell,
        commit: Commit,
    ) -> None:
        self._local = local
        self._ledger = ledger
        self._in_use = in_use
        self._commit = commit
        self._tell = tell
        self._repairs = Repairs(local.metadata, local.stage, tell)

    async def structure(self, report: Report, watch: Watch) -> bool:
        """Whether SQLite finds its file in order: only then can anything else be asked. From then on the tables count,
        not what is remembered of them."""
        watch("structure of the database", 0, 1)
        self._local.metadata.nodes.forget_clean()
        self._local.metadata.names.forget_known()
        asker = Questioner(self._local.database.path)
        try:
            found = await in_thread(asker, asker.structure, self._local.database)
        except NotAsked as why:
            report.note(f"the structure of the database could not be looked at ({why}), and so nothing else was")
            return False
        finally:
            asker.close()
        for finding in found:
            report.add(finding, repaired=False)
        return not found

    async def invariants(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Ask all questions, one after the other, and repair what one finds before the next is asked."""
        asked = parameters(map(self._bounds, self._ledger.seats))
        asker = Questioner(self._local.database.path)
        try:
            for number, question in enumerate(QUESTIONS):
                watch("invariants of the database", number, len(QUESTIONS))
                for finding in await self._ask(asker, question, asked, report):
                    if not (isinstance(finding.fix, Bury) and self._is_alive(finding.fix.ino)):
                        self._settle(finding, report, repair=repair)
                        await trio.lowlevel.checkpoint()  # a repair may take 40 ms
                await self._commit()
        finally:
            asker.close()
        watch("invariants of the database", 1, 1)

    def _bounds(self, span: Span) -> LayoutBounds:
        return LayoutBounds(span.layout.id, self._ledger.rows_of(span.layout.id).total, span.mask | 1 << INCOMING)

    async def _ask(
        self, asker: Questioner, question: Question, asked: Mapping[str, str], report: Report
    ) -> list[Finding]:
        try:
            return await in_thread(asker, lambda: asker.ask(question, asked), self._local.database)
        except NotAsked as why:
            report.note(f"not all questions about {question.step} could be asked: {why}")
            return []

    def _is_alive(self, ino: int) -> bool:
        """Somebody has it open, or closed it since the question was asked."""
        return self._in_use(ino) or self._local.metadata.nodes.find(ino) is None

    def _settle(self, finding: Finding, report: Report, *, repair: bool) -> None:
        repaired = repair and finding.fix is not None
        if repaired:
            assert finding.fix is not None
            self._repairs.apply(finding.fix)
            for stale in stale_by_fix(finding.fix):
                self._tell(*stale)
        report.add(finding, repaired=repaired)

    async def stage(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Content that may be nowhere else is here, and no file is here that belongs to no stripe."""
        stage, cache = self._local.stage, self._local.cache
        contents = stage.contents
        watch("content on this machine", 0, 1)
        here = await trio.to_thread.run_sync(contents.sizes)
        for stripe, length in self._local.metadata.stripes.unsealed():
            if here.get(stripe, -1) < length and contents.size(stripe) < length:
                text = f"content of stripe {stripe}, which was not sent yet, is missing from the stage"
                report.add(Finding(About.STAGE, text), repaired=False)
        strange = [stripe for stripe in here if stripe not in cache]
        if strange:
            await self._commit()  # what died before is unlinked after the commit that says so
            await self._commit()
        for stripe in strange:
            if stripe not in cache and not stage.is_spare(stripe) and contents.size(stripe) >= 0:
                text = f"the stage has a file of stripe {stripe}, which is not known"
                self._settle(Finding(About.STAGE, text, RemoveFile(stripe)), report, repair=repair)
            await trio.lowlevel.checkpoint()
        report.checked["files"] += len(here)
        watch("content on this machine", 1, 1)
