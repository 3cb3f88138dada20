"""The fetcher: stripes back from any k of their n columns (section 2.2).

1. k columns are asked at once, data columns first: they need no decoding. Each is asked for its blocks of a whole run
   of stripes in one go: asking costs as much as the bytes of a block. Where fewer are reached nobody is asked;
2. one that fails, or has nothing authentic there, is replaced at once; when nothing came for SPARE_DELAY, one more is
   asked than needed;
3. only shards of equal tag are combined, and the tag is checked again after decoding (R2).

Who waits for partners to come back asks with `wait_for`; who does not, with `fetch`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from coopfs.core import coding
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.errors import ContentGone, ContentUnavailable, KeyMissing, NotAuthentic, PartnerAway, PeerError
from coopfs.limits import CODING_THREADS, READ_AHEAD_STRIPES, READ_RUN_BYTES, READ_TIMEOUT, SPARE_DELAY
from coopfs.tasks.reading.hunt import Hunt, Source, turn
from coopfs.tasks.signal import Signal, changes
from coopfs.types import BlockStore, Layout, Octets, Place, StoredBlock, StoreId


@dataclass(frozen=True, slots=True)
class Fetched:
    """A stripe as it came back: its header and its k data shards."""

    header: Header
    data: list[Octets]


class Fetcher:
    """Fetches stripes, and remembers which blocks were damaged. sources: of all layouts, at least one of each."""

    def __init__(self, keys: DiskKeys, sources: Sequence[Source]) -> None:
        self._keys = keys
        self._sources = sources
        self._limiter = trio.CapacityLimiter(CODING_THREADS)
        self.on_lack: Callable[[Source, Place], None] = nobody_mends  # a fetch met a missing or damaged block
        self.on_silence: Callable[[Source], None] = nobody_challenges  # a store gave an error instead of blocks
        self._damaged: defaultdict[StoreId, set[int]] = defaultdict(set)  # rows met rotten or not authentic

    @property
    def run_length(self) -> int:
        """Stripes that are well asked for together."""
        largest = max(source.layout.k * source.layout.block_size for source in self._sources)
        return max(1, min(READ_AHEAD_STRIPES, READ_RUN_BYTES // largest))

    async def wait_for(self, layout: int, place: Place, tag: bytes | None) -> Fetched:
        """The stripe, waiting for partners to come back. ContentUnavailable: not within READ_TIMEOUT. ContentGone: a
        writer has used its row again."""
        with trio.move_on_after(READ_TIMEOUT):
            while True:
                before = self._sessions()
                try:
                    return await self.fetch(layout, place, tag)
                except ContentGone:
                    raise
                except ContentUnavailable:
                    await self._other_sessions_than(before)
        raise ContentUnavailable(
            f"not enough partners came back within {READ_TIMEOUT:.0f} s: {self._who_is_missing(layout)}"
        )

    async def fetch(self, layout: int, place: Place, tag: bytes | None) -> Fetched:
        """The stripe at `place` in the stores of this layout, of this tag if it is known, from the columns reached now.
        ContentUnavailable."""
        (outcome,) = await self.fetch_run([(layout, place, tag)])
        if isinstance(outcome, ContentUnavailable):
            raise outcome
        return outcome

    async def fetch_run(self, wanted: Sequence[tuple[int, Place, bytes | None]]) -> list[Fetched | ContentUnavailable]:
        """`fetch` for each, together."""
        hunts, first = self._plan(wanted)
        moved = Signal()
        async with trio.open_nursery() as nursery:

            async def ask(source: Source, asking: Sequence[Hunt]) -> None:
                blocks = await self._blocks(source, asking)
                for hunt, block in zip(asking, blocks, strict=True):
                    if not hunt.take(source, block):
                        ask_one_more(hunt)
                moved.notify()

            def ask_one_more(hunt: Hunt) -> None:
                if hunt.left:
                    hunt.under_way += 1
                    nursery.start_soon(ask, hunt.left.pop(0), [hunt])

            for source, asking in first:
                nursery.start_soon(ask, source, asking)
            while any(hunt.goes_on for hunt in hunts):
                with trio.move_on_after(SPARE_DELAY * len(hunts)) as patience:
                    await moved.wait()
                if patience.cancelled_caught:
                    for hunt in hunts:
                        if hunt.goes_on:
                            ask_one_more(hunt)
            nursery.cancel_scope.cancel()
        return await trio.to_thread.run_sync(self._join_all, hunts, limiter=self._limiter)

    def _plan(
        self, wanted: Sequence[tuple[int, Place, bytes | None]]
    ) -> tuple[list[Hunt], list[tuple[Source, list[Hunt]]]]:
        """A hunt for each, and who is asked first, for which of them."""
        hunts: list[Hunt] = []
        first: dict[Source, list[Hunt]] = {}
        reached = sorted((source for source in self._sources if source.session is not None), key=turn)
        for layout, place, tag in wanted:
            sources = [source for source in reached if source.layout.id == layout]
            k = self._layout(layout).k
            if len({source.column for source in sources}) < k:  # what they have would be fetched in vain
                sources = []
            hunt = Hunt(layout, place, tag, k, sources[k:], len(sources[:k]))
            hunts.append(hunt)
            for source in sources[:k]:
                first.setdefault(source, []).append(hunt)
        return hunts, list(first.items())

    def _layout(self, id_: int) -> Layout:
        return next(source.layout for source in self._sources if source.layout.id == id_)

    def _join_all(self, hunts: Sequence[Hunt]) -> list[Fetched | ContentUnavailable]:
        """For a thread."""
        return [self._join(hunt) for hunt in hunts]

    def _join(self, hunt: Hunt) -> Fetched | ContentUnavailable:
        header = hunt.caught
        if header is None:
            return self._why_not(hunt)
        try:
            tag_key, layout = self._keys.tag_key(hunt.place.version), self._layout(hunt.layout)
            return Fetched(header, coding.join(layout, tag_key, header, hunt.found[header]))
        except NotAuthentic as bad:
            return ContentUnavailable(str(bad))

    def _why_not(self, hunt: Hunt) -> ContentUnavailable:
        row = hunt.place.row
        if len(hunt.overwritten) > self._layout(hunt.layout).m:
            return ContentGone(f"row {row} was used again by a writer that still lives: mount the view anew")
        best = max(map(len, hunt.found.values()), default=0)
        return ContentUnavailable(
            f"row {row} has {best} of the {hunt.k} blocks needed: {self._who_is_missing(hunt.layout)}"
        )

    async def _blocks(self, source: Source, hunts: Sequence[Hunt]) -> list[tuple[Header, memoryview] | None]:
        """For each header and shard of this column's block; None: no answer, not there, or not authentic."""
        try:
            got = await self._ask_all(source, [(hunt.place, hunt.overwritten) for hunt in hunts])
        except PeerError:
            return [None] * len(hunts)
        for hunt, block in zip(hunts, got, strict=True):
            if block is None:
                self.on_lack(source, hunt.place)
        return got

    async def ask(self, source: Source, place: Place) -> tuple[Header, memoryview] | None:
        """Header and shard of one column's block at exactly this place; None: not there, or not authentic. PeerError:
        no answer, which says nothing of what is there."""
        (block,) = await self._ask_all(source, [(place, set())])
        return block

    async def _ask_all(
        self, source: Source, wanted: Sequence[tuple[Place, set[int]]]
    ) -> list[tuple[Header, memoryview] | None]:
        """`ask` for each place. The set there gets the column's number if its slot holds something newer."""
        session = source.session
        if session is None:
            raise PartnerAway("not connected")
        got = []
        try:
            stored = await session.get_many([place.row for place, _ in wanted])
        except PeerError:
            self.on_silence(source)
            raise
        for (place, overwritten), block in zip(wanted, stored, strict=True):
            if block is None and await self._is_damaged(session, place):
                self._damaged[source.place.store].add(place.row)
            if block is not None and block.version > place.version:
                overwritten.add(source.column)
            got.append(self._unbox(source, place, block))
        return got

    def _unbox(self, source: Source, place: Place, stored: StoredBlock | None) -> tuple[Header, memoryview] | None:
        if stored is None or stored.version != place.version:
            return None
        try:  # 0.06 ms for 256 KiB: less than the way to a thread and back
            return coding.unbox(self._keys, source.place, source.layout.id, source.column, place, stored.data)
        except KeyMissing:
            return None
        except NotAuthentic:
            self._damaged[source.place.store].add(place.row)
            return None

    async def is_good(self, source: Source, place: Place, tag: bytes) -> bool:
        """Whether one column's block at this place is there, authentic, and of this tag. PeerError: no answer."""
        got = await self.ask(source, place)
        return got is not None and got[0].tag == tag

    async def _is_damaged(self, session: BlockStore, place: Place) -> bool:
        """Whether the partner, which gave no block, knows of one that was there; or claims to hold it, as its disk does
        not read it now."""
        for slot in await session.inventory(place.row, 1):
            if slot.row == place.row:
                return slot.version == 0 or (slot.version == place.version and await session.get(place.row) is None)
        return False

    def damage(self) -> dict[str, int]:
        """Partner -> blocks of it that were met rotten or not authentic. Others took their place."""
        return Counter(source.place.name for source in self._sources for _ in self._damaged[source.place.store])

    def met_damage(self, source: Source, row: int) -> bool:
        """Whether a block of this row was met rotten or not authentic there."""
        return row in self._damaged[source.place.store]

    def _sessions(self) -> list[BlockStore | None]:
        return [source.session for source in self._sources]

    async def _other_sessions_than(self, before: list[BlockStore | None]) -> None:
        """Wait until a column has opened or closed; at once if one did while the fetch was under way."""
        while self._sessions() == before:
            with changes(*(source.changed for source in self._sources)) as changed:
                await changed.wait()

    def _who_is_missing(self, layout: int) -> str:
        sources = (source for source in self._sources if source.layout.id == layout)
        names = dict.fromkeys(source.place.name for source in sources if source.session is None)  # some have two stores
        return "missing " + ", ".join(names) if names else "all partners answer, but lack it"


def nobody_challenges(source: Source) -> None:
    """`on_silence` of who only reads."""


def nobody_mends(source: Source, place: Place) -> None:
    """`on_lack` of who only reads."""
