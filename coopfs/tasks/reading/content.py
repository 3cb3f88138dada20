"""Content from the partners, for readers of the mount: whole stripes are fetched, kept, and read ahead.

A stripe goes into the cache on the local disk. Where there is none, as in a restore view, or no room in it, a few are
kept in memory. Reading a stripe after the one before it is sequential, whoever does it: the next are fetched ahead, in
runs. A run is asked for while the one before it is being read, so that up to two are under way or wait.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from coopfs.core.records import Stripe
from coopfs.core.stripe import Content
from coopfs.errors import ContentUnavailable
from coopfs.limits import FETCH_BYTES, READERS
from coopfs.local.log import Log
from coopfs.local.stage import Stage
from coopfs.tasks.reading.fetcher import Fetched, Fetcher
from coopfs.types import Kind

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Fetch:
    """A stripe on its way, until it is in the cache. content or failure: once done is set."""

    done: trio.Event = field(default_factory=trio.Event)
    content: Content | None = None
    failure: ContentUnavailable | None = None


class RemoteContent:
    """Bytes of data stripes. stage: takes what was fetched.

    What it does not take is kept in memory, at most FETCH_BYTES of it, or one stripe; least recently used go first.
    """

    def __init__(self, log: Log, fetcher: Fetcher, stage: Stage, nursery: trio.Nursery) -> None:
        self._log = log
        self._fetcher = fetcher
        self._stage = stage
        self._nursery = nursery
        self._kept: OrderedDict[int, Content] = OrderedDict()
        self._kept_bytes = 0
        self._under_way: dict[int, _Fetch] = {}
        self._recent: OrderedDict[int, None] = OrderedDict()  # stripes that readers turned to last
        stage.on_turn = self.turn

    def turn(self, stripe: int) -> None:
        """A reader turned to this stripe, be it here or not: if it was at the one before, fetch what comes next."""
        if stripe - 1 in self._recent:
            del self._recent[stripe - 1]
            self._read_ahead(stripe)
        self._recent[stripe] = None
        if len(self._recent) > READERS:
            self._recent.popitem(last=False)

    async def read(self, stripe: int, at: int, length: int) -> bytes:
        """A run of a stripe's content. ContentUnavailable: not to be had within READ_TIMEOUT."""
        if stripe in self._kept:
            self._kept.move_to_end(stripe)
            return self._kept[stripe].read(at, length)
        fetch = self._under_way.get(stripe) or self._begin(self._record(stripe))
        await fetch.done.wait()
        if fetch.failure is not None:
            raise fetch.failure
        assert fetch.content is not None
        return fetch.content.read(at, length)

    async def read_once(self, stripe: int) -> bytes:
        """A stripe's whole content, for somebody who needs it once: nothing else gives way to it."""
        record = self._record(stripe)
        fetched = await self._fetcher.wait_for(record.layout, record.place, record.tag)
        return Content(fetched.data, record.slices).whole()

    async def recall(self, stripe: int) -> None:
        """Bring a stripe back into the cache. ContentUnavailable: not from the partners that are reached now."""
        record = self._record(stripe)
        await self._take(record, await self._fetcher.fetch(record.layout, record.place, record.tag))

    async def bring(self, stripe: int) -> None:
        """As recall, but waiting for partners as long as a reader does."""
        record = self._record(stripe)
        await self._take(record, await self._fetcher.wait_for(record.layout, record.place, record.tag))

    @property
    def is_awaited(self) -> bool:
        """Whether readers wait for partners, or soon will."""
        return bool(self._under_way)

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _take(self, record: Stripe, fetched: Fetched) -> None:
        """Into the cache; what its header names is noted, if that is not known since a takeover: with both it can be
        repaired from here."""
        sealed = self._log.get(record.id)
        if sealed is not None and sealed.end is None:
            self._log.set_named_end(record.id, fetched.header.end)
        await self._keep(record.id, Content(fetched.data, record.slices))

    def _record(self, stripe: int) -> Stripe:
        sealed = self._log.get(stripe)
        if sealed is None:
            raise ContentUnavailable(f"stripe {stripe} is not known")
        return sealed.record

    def _read_ahead(self, stripe: int) -> None:
        length = self._fetcher.run_length
        if self._lacking(stripe + 1, length):
            records = self._lacking(stripe + 1, 2 * length)[:length]
            for record in records:
                self._under_way[record.id] = _Fetch()
            self._nursery.start_soon(self._fetch_run, records)

    def _lacking(self, first: int, count: int) -> list[Stripe]:
        """Which of so many stripes are data stripes that are not here and not under way."""
        ids = range(first, first + count)
        absent = (
            id_ for id_ in ids if id_ not in self._kept and id_ not in self._under_way and id_ not in self._stage.cache
        )
        sealed = (self._log.get(id_) for id_ in absent)
        return [each.record for each in sealed if each is not None and each.kind == Kind.DATA]

    async def _fetch_run(self, records: Sequence[Stripe]) -> None:
        """Stripes that nobody waits for yet. Those that cannot be had now are waited for one by one."""
        outcomes = await self._fetcher.fetch_run([(record.layout, record.place, record.tag) for record in records])
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(outcome, Fetched):
                self._came(record, outcome)
            else:
                self._nursery.start_soon(self._wait_for, record)
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(outcome, Fetched):
                await self._put_away(record)

    def _begin(self, record: Stripe) -> _Fetch:
        fetch = self._under_way[record.id] = _Fetch()
        self._nursery.start_soon(self._wait_for, record)
        return fetch

    async def _wait_for(self, record: Stripe) -> None:
        try:
            self._came(record, await self._fetcher.wait_for(record.layout, record.place, record.tag))
        except ContentUnavailable as missing:
            fetch = self._under_way.pop(record.id)
            fetch.failure = missing
            fetch.done.set()
        else:
            await self._put_away(record)

    def _came(self, record: Stripe, fetched: Fetched) -> None:
        """Who waits for it can go on."""
        fetch = self._under_way[record.id]
        fetch.content = Content(fetched.data, record.slices)
        fetch.done.set()

    async def _put_away(self, record: Stripe) -> None:
        content = self._under_way[record.id].content
        assert content is not None
        if not await self._keep(record.id, content):
            self._keep_in_memory(record.id, content)
        del self._under_way[record.id]

    async def _keep(self, stripe: int, content: Content) -> bool:
        """Put it into the cache. False: there is no room."""
        try:
            if not self._stage.begin_keep(stripe, len(content)):
                return False
        except OSError as failed:  # what was to make room for it could not be removed
            logger.warning("stripe %d is not kept: %s", stripe, failed)
            return False
        try:
            await trio.to_thread.run_sync(self._stage.contents.write_part, stripe, content.pieces)
            self._stage.finish_keep(stripe, len(content))
        except OSError as full:
            logger.warning("stripe %d is not kept: %s", stripe, full)
            self._stage.give_up_keep(stripe)
            return False
        return True

    def _keep_in_memory(self, stripe: int, content: Content) -> None:
        self._kept[stripe] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > FETCH_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
