"""The fetcher: one stripe back from any k of its n columns (section 2.2).

1. k columns are asked at once, data columns first: they need no decoding;
2. one that fails, or has nothing authentic there, is replaced at once; when nothing came for SPARE_DELAY, one more is
   asked than needed;
3. only shards of equal tag are combined, and the tag is checked again after decoding (R2).

Who waits for partners to come back asks with `wait_for`; who does not, with `fetch`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import trio

from coopfs.core import coding
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.core.master import PRIMARY, StorePlace
from coopfs.errors import ContentGone, ContentUnavailable, NotAuthentic, PartnerAway, PeerError
from coopfs.limits import CODING_THREADS, READ_TIMEOUT, SPARE_DELAY
from coopfs.tasks.signal import Signal
from coopfs.types import BlockStore, Layout, Octets, Place, StoreId


class Source(Protocol):
    """A column to read from; session None: not reached now. changed: opened or closed."""

    number: int
    place: StorePlace
    session: BlockStore | None
    changed: Signal


@dataclass(frozen=True, slots=True)
class Fetched:
    """A stripe as it came back: its header and its k data shards."""

    header: Header
    data: list[Octets]


@dataclass(slots=True)
class _Hunt:
    """One stripe being fetched. left: columns not asked yet, best first; found: header -> column -> shard: who has the
    read key can forge a header around a true tag, so only blocks of equal headers are combined."""

    place: Place
    tag: bytes | None
    left: list[Source]
    under_way: int = 0
    found: defaultdict[Header, dict[int, memoryview]] = field(default_factory=lambda: defaultdict(dict))
    overwritten: set[int] = field(default_factory=set)  # columns whose slot holds something newer
    moved: Signal = field(default_factory=Signal)

    def enough(self, k: int) -> Header | None:
        """A header of which k shards are there."""
        return next((header for header, shards in self.found.items() if len(shards) >= k), None)


def _turn(source: Source) -> tuple[bool, int]:
    """Of two stores of one column, the one that is primary comes first, and all primary ones before all others."""
    return source.place.role != PRIMARY, source.number


class Fetcher:
    """Fetches stripes of one layout, and remembers which blocks were damaged."""

    def __init__(self, keys: DiskKeys, layout: Layout, sources: Sequence[Source]) -> None:
        self._keys = keys
        self._tag_key = keys.tag_key
        self._layout = layout
        self._sources = sources
        self._limiter = trio.CapacityLimiter(CODING_THREADS)
        self.on_lack: Callable[[Source, Place], None] = nobody_mends  # a fetch met a missing or damaged block
        self._damaged: defaultdict[StoreId, set[int]] = defaultdict(set)  # rows met rotten or not authentic

    async def wait_for(self, place: Place, tag: bytes | None) -> Fetched:
        """The stripe, waiting for partners to come back. ContentUnavailable: not within READ_TIMEOUT. ContentGone: a
        writer has used its row again."""
        with trio.move_on_after(READ_TIMEOUT):
            while True:
                before = self._sessions()
                try:
                    return await self.fetch(place, tag)
                except ContentGone:
                    raise
                except ContentUnavailable:
                    await self._other_sessions_than(before)
        raise ContentUnavailable(f"not enough partners came back within {READ_TIMEOUT:.0f} s: {self._who_is_missing()}")

    async def fetch(self, place: Place, tag: bytes | None) -> Fetched:
        """The stripe at `place`, of this tag if it is known, from the columns reached now. ContentUnavailable."""
        reached = sorted((s for s in self._sources if s.session is not None), key=_turn)
        hunt = _Hunt(place, tag, reached)
        async with trio.open_nursery() as nursery:
            for _ in range(self._layout.k):
                self._ask_next(hunt, nursery)
            while hunt.enough(self._layout.k) is None and hunt.under_way:
                with trio.move_on_after(SPARE_DELAY) as patience:
                    await hunt.moved.wait()
                if patience.cancelled_caught:
                    self._ask_next(hunt, nursery)
            nursery.cancel_scope.cancel()
        complete = hunt.enough(self._layout.k)
        if complete is None:
            if len(hunt.overwritten) > self._layout.n - self._layout.k:
                raise ContentGone(f"row {place.row} was used again by a writer that still lives: mount the view anew")
            best = max(map(len, hunt.found.values()), default=0)
            raise ContentUnavailable(
                f"row {place.row} has {best} of the {self._layout.k} blocks needed: {self._who_is_missing()}"
            )
        return await self._join(complete, hunt.found[complete])

    async def _join(self, header: Header, shards: dict[int, memoryview]) -> Fetched:
        join = partial(coding.join, self._layout, self._tag_key, header, shards)
        try:
            return Fetched(header, await trio.to_thread.run_sync(join, limiter=self._limiter))
        except NotAuthentic as bad:
            raise ContentUnavailable(str(bad)) from None

    def _ask_next(self, hunt: _Hunt, nursery: trio.Nursery) -> None:
        if hunt.left:
            hunt.under_way += 1
            nursery.start_soon(self._ask, hunt, hunt.left.pop(0), nursery)

    async def _ask(self, hunt: _Hunt, source: Source, nursery: trio.Nursery) -> None:
        got = await self.block(source, hunt.place, hunt.overwritten)
        hunt.under_way -= 1
        if got is not None and hunt.tag in (None, got[0].tag):
            header, shard = got
            hunt.found[header][source.number] = shard
        if hunt.enough(self._layout.k) is None and (got is None or not hunt.under_way):
            self._ask_next(hunt, nursery)
        hunt.moved.notify()

    async def block(
        self, source: Source, place: Place, overwritten: set[int] | None = None
    ) -> tuple[Header, memoryview] | None:
        """Header and shard of one column's block at exactly this place; None: no answer, not there, or not authentic.

        overwritten: gets the column's number if its slot holds something newer.
        """
        try:
            got = await self.ask(source, place, overwritten)
        except PeerError:
            return None
        if got is None:
            self.on_lack(source, place)
        return got

    async def ask(
        self, source: Source, place: Place, overwritten: set[int] | None = None
    ) -> tuple[Header, memoryview] | None:
        """As `block`, but PeerError: no answer, which says nothing of what is there."""
        if source.session is None:
            raise PartnerAway("not connected")
        stored = await source.session.get(place.row)
        if stored is None and await self._is_rotten(source.session, place.row):
            self._damaged[source.place.store].add(place.row)
        if stored is None or stored.version != place.version:
            if stored is not None and stored.version > place.version and overwritten is not None:
                overwritten.add(source.number)
            return None
        try:  # 0.06 ms for 256 KiB: less than the way to a thread and back
            return coding.unbox(self._keys, source.place, self._layout.id, source.number, place, stored.data)
        except NotAuthentic:
            self._damaged[source.place.store].add(place.row)
            return None

    async def is_good(self, source: Source, place: Place, tag: bytes) -> bool:
        """Whether one column's block at this place is there, authentic, and of this tag. PeerError: no answer."""
        got = await self.ask(source, place)
        return got is not None and got[0].tag == tag

    async def _is_rotten(self, session: BlockStore, row: int) -> bool:
        """Whether the partner knows of a slot without a block that it once held one."""
        return any(slot.row == row and slot.version == 0 for slot in await session.inventory(row, 1))

    def damage(self) -> dict[str, int]:
        """Partner -> blocks of it that were met rotten or not authentic. Others took their place."""
        return {source.place.name: len(rows) for source in self._sources if (rows := self._damaged[source.place.store])}

    def _sessions(self) -> list[BlockStore | None]:
        return [source.session for source in self._sources]

    async def _other_sessions_than(self, before: list[BlockStore | None]) -> None:
        """Wait until a column has opened or closed; at once if one did while the fetch was under way."""
        async with trio.open_nursery() as nursery:

            async def wait(source: Source) -> None:
                await source.changed.wait_until(lambda: self._sessions() != before)
                nursery.cancel_scope.cancel()

            for source in self._sources:
                nursery.start_soon(wait, source)

    def _who_is_missing(self) -> str:
        names = [source.place.name for source in self._sources if source.session is None]
        return "missing " + ", ".join(names) if names else "all partners answer, but lack it"


def nobody_mends(source: Source, place: Place) -> None:
    """`on_lack` of who only reads."""
