"""Content from the partners, for readers of the mount: whole stripes are fetched, kept a while, and read ahead."""

from collections import OrderedDict

import trio

from coopfs.core.records import Stripe
from coopfs.core.stripe import content_of
from coopfs.errors import ContentUnavailable
from coopfs.limits import FETCH_STRIPES, READ_AHEAD_STRIPES
from coopfs.local.log import Log
from coopfs.tasks.fetcher import Fetcher
from coopfs.types import Kind


class RemoteContent:
    """Bytes of data stripes. At most FETCH_STRIPES decoded stripes are kept, least recently used go first."""

    def __init__(self, log: Log, fetcher: Fetcher, nursery: trio.Nursery) -> None:
        self._log = log
        self._fetcher = fetcher
        self._nursery = nursery
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._under_way: dict[int, trio.Event] = {}
        self._failed: dict[int, ContentUnavailable] = {}
        self._last = 0  # the stripe read last: reading the one after it is sequential

    async def read(self, stripe: int, at: int, length: int) -> bytes:
        """A run of a stripe's content. ContentUnavailable: not to be had within READ_TIMEOUT."""
        if stripe == self._last + 1:
            self._read_ahead(stripe)
        self._last = stripe
        content = await self._content(stripe)
        return content[at : at + length]

    async def _content(self, stripe: int) -> bytes:
        while stripe not in self._kept:
            if stripe not in self._under_way:
                self._failed.pop(stripe, None)
                await self._fetch(self._record(stripe))
            else:
                await self._under_way[stripe].wait()
            if stripe in self._failed:
                raise self._failed[stripe]
        self._kept.move_to_end(stripe)
        return self._kept[stripe]

    async def _fetch(self, record: Stripe) -> None:
        stripe = record.id
        if stripe in self._under_way:  # since somebody decided that it should be
            return
        done = self._under_way[stripe] = trio.Event()
        try:
            fetched = await self._fetcher.wait_for(record.place, record.tag)
            self._kept[stripe] = content_of(fetched.data, record.slices)
            while len(self._kept) > FETCH_STRIPES:
                self._kept.popitem(last=False)
        except ContentUnavailable as missing:
            self._failed[stripe] = missing
        finally:
            del self._under_way[stripe]
            done.set()

    def _record(self, stripe: int) -> Stripe:
        sealed = self._log.get(stripe)
        if sealed is None:
            raise ContentUnavailable(f"stripe {stripe} is not known")
        return sealed.record

    def _read_ahead(self, stripe: int) -> None:
        for ahead in range(stripe + 1, stripe + 1 + READ_AHEAD_STRIPES):
            sealed = None if ahead in self._kept or ahead in self._under_way else self._log.get(ahead)
            if sealed is not None and sealed.kind == Kind.DATA:
                self._nursery.start_soon(self._fetch, sealed.record)
