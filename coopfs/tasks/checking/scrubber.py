"""The scrub: every block of every partner is fetched and authenticated once in a while, so that rot which nobody meets
is found before it meets other rot (design R7).

Each store is walked by itself, in the order of stripes, at an even pace (core/scrub). Who is not reached is waited for
and caught up with. A block found wrong has its ack taken back, and the cleaner seals it again.

One block at a time is on its way, of all stores together, and none is asked for while a reader waits for partners; what
comes pays to the download limit like everything else.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import trio

from coopfs.core.scrub import Pass, Scrub
from coopfs.errors import PeerError
from coopfs.limits import SCRUB_COUNT, SCRUB_NOTE, SCRUB_ROUNDS, SCRUB_SLICE, SCRUB_TRIES, SCRUB_YIELD
from coopfs.local.scrubmark import ScrubMark
from coopfs.local.survey import Survey
from coopfs.tasks.checking.proof import lacks
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import StoreId

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScrubFigures:
    """Over all stores that count. done, left: stripes of the passes under way; finished_at: wall seconds by which each
    had had a whole pass, None: not all had; wrong, silent: blocks, of the newest pass of each and the one before."""

    done: int
    left: int
    finished_at: int | None
    wrong: int
    silent: int


class Scrubber:
    """period: seconds of one pass, 0 for never; wall: seconds since 1970."""

    def __init__(
        self,
        period: float,
        mark: ScrubMark,
        survey: Survey,
        columns: Columns,
        ledger: Ledger,
        fetcher: Fetcher,
        content: RemoteContent,
        wall: Callable[[], float],
    ) -> None:
        self.period = period
        self._mark = mark
        self._survey = survey
        self._columns = columns
        self._ledger = ledger
        self._fetcher = fetcher
        self._content = content
        self._wall = wall
        self._scrubs = mark.read()
        self._left: dict[StoreId, int] = {}  # stripes still to look at, as counted last
        self._noted = -inf  # trio time
        self._rest = min(SCRUB_NOTE, period / SCRUB_ROUNDS)
        self._recount = min(SCRUB_COUNT, period / SCRUB_ROUNDS)
        self._turn = trio.Lock()

    def figures(self) -> ScrubFigures:
        """How far it is, and what it found."""
        stores = [column.place.store for column in self._columns.columns]
        scrubs = [self._scrubs.get(store, Scrub()) for store in stores]
        ends = [scrub.finished.ended for scrub in scrubs]
        passes = [one for scrub in scrubs for one in (scrub.now, scrub.last)]
        return ScrubFigures(
            done=sum(scrub.now.done for scrub in scrubs),
            left=sum(self._left.get(store, 0) for store in stores),
            finished_at=min(ends) if all(ends) else None,
            wrong=sum(one.wrong for one in passes),
            silent=sum(one.silent for one in passes),
        )

    async def run(self, column: Column) -> None:
        """Scrub one store for as long as it counts. StateError: the database failed."""
        if not self.period or column is self._columns.incoming:  # what is being filled counts for nothing yet
            return
        counted = -inf
        while not column.gone:  # nothing is noted of it any more, so that it would find the same again at once
            await column.changed.wait_until(lambda: column.session is not None)
            scrub = self._begun(column)
            if not scrub.now.is_under_way:
                await trio.sleep(self._rest)
                continue
            store = column.place.store
            if trio.current_time() - counted >= self._recount or not self._left.get(store):
                counted = trio.current_time()
                self._left[store] = await self._count(scrub.now.after)
            await self._step(column, scrub)

    def _begun(self, column: Column) -> Scrub:
        """Begin a pass if it is time, and there is something to look at."""
        wall, store = self._wall(), column.place.store
        now, known = int(wall), self._scrubs.get(store, Scrub())
        scrub = known.not_before(wall)
        if scrub is not known:  # remembered, or it would have begun just now at every look, and the next one never
            self._put(column, scrub)
        if scrub.is_due(self.period, now) and (until := self._survey.newest()):
            scrub = scrub.begin(until, now)
            self._put(column, scrub)
            self._note()
        return scrub

    async def _count(self, after: int) -> int:
        total = 0
        while (found := self._survey.count(after, SCRUB_SLICE))[0]:
            total, after = total + found[0], found[1]
            await trio.lowlevel.checkpoint()
        return total

    async def _step(self, column: Column, scrub: Scrub) -> None:
        """The next stripe, when it is due; or the end of the pass."""
        following = self._survey.sealed(scrub.now.after, 1)
        late = not scrub.now.has_time(self.period, self._wall())
        if not following or (late and following[0][0] > scrub.now.until):
            self._left[column.place.store] = 0
            self._put(column, scrub.end(int(self._wall())))
            self._note()
            await trio.lowlevel.checkpoint()
            return
        ((id_, _),) = following
        left = self._left[column.place.store] = max(self._left[column.place.store], 1)
        await self._until_due(scrub.now, left)
        after = await self._look(column, id_, scrub.now)
        self._left[column.place.store] -= 1
        self._put(column, Scrub(after, scrub.last))
        if after.wrong > scrub.now.wrong or trio.current_time() - self._noted >= self._rest:
            self._note()

    async def _until_due(self, one: Pass, left: int) -> None:
        """In short naps: this machine may sleep meanwhile, or have its clock set."""
        while one.latest <= (now := self._wall()) and (wait := one.pause(left, self.period, now)) > 0:
            await trio.sleep(min(wait, self._rest))

    async def _look(self, column: Column, id_: int, one: Pass) -> Pass:
        """The pass after this stripe."""
        for _ in range(SCRUB_TRIES):
            await column.changed.wait_until(lambda: column.session is not None)
            async with self._turn:
                while self._content.is_awaited:
                    await trio.sleep(SCRUB_YIELD)
                stripe = self._ledger.log.get(id_)
                if stripe is None or not stripe.acks >> column.number & 1:
                    return one.over(id_, self._wall())
                try:
                    wrong = await lacks(column, stripe, self._fetcher, self._ledger)
                except PeerError:
                    continue
            if wrong:
                logger.warning("partner %s has no intact block of stripe %d any more", column.place.name, id_)
                self._columns.disprove(column, [id_])
            return one.over(id_, self._wall(), looked=1, wrong=int(wrong))
        return one.over(id_, self._wall(), silent=1)

    def _put(self, column: Column, scrub: Scrub) -> None:
        if not column.gone:
            self._scrubs[column.place.store] = scrub

    def _note(self) -> None:
        """Make it durable with the next commit, of the stores that still count."""
        stores = {column.place.store for column in self._columns.columns}
        self._scrubs = {store: scrub for store, scrub in self._scrubs.items() if store in stores}
        self._mark.note(self._scrubs)
        self._noted = trio.current_time()
