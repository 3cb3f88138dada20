"""The CPU's work on stripes, in threads: coding, sealing, and getting the shards of a stripe that was sealed before.

Two at a time: ISA-L, AEGIS and BLAKE3 leave the interpreter lock while they work, and these machines have few cores.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

import trio

from coopfs.core import coding
from coopfs.core.coding import Coded
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.core.master import PRIMARY, StorePlace
from coopfs.core.stripe import Fragment
from coopfs.errors import StateError
from coopfs.limits import CODING_THREADS
from coopfs.local.database import REMEDY
from coopfs.local.log import Log, Sealed
from coopfs.local.stage import Stage
from coopfs.local.stripes import Stripes
from coopfs.tasks.fetcher import Fetched
from coopfs.types import Kind, Layout

P = ParamSpec("P")
T = TypeVar("T")
Fetch = Callable[[Sealed], Awaitable[Fetched]]


class Coder:
    """Coding for one disk and layout. fetch: a sealed stripe, from partners."""

    def __init__(
        self,
        keys: DiskKeys,
        layout: Layout,
        stage: Stage,
        stripes: Stripes,
        log: Log,
        fetch: Fetch,
    ) -> None:
        self._keys = keys
        self._tag_key = keys.tag_key
        self._layout = layout
        self._stage = stage
        self._stripes = stripes
        self._log = log
        self._fetch = fetch
        self._limiter = trio.CapacityLimiter(CODING_THREADS)

    async def code_data(self, run: Sequence[int]) -> list[Coded]:
        """The shards of data stripes from the stage. StateError: content is not there."""
        wanted = [(id_, self._stripes.fragments(id_)) for id_ in run]
        return await self._run(self._code_run, wanted)

    async def code_meta(self, payload: bytes) -> Coded:
        """The shards of a meta stripe."""
        return await self._run(coding.code_meta, self._layout, self._tag_key, payload)

    async def code_again(self, stripe: Sealed) -> tuple[Coded, Header]:
        """The shards and the header of a sealed stripe, for a column that lacks it: from this machine if they are
        intact here, else from partners. ContentUnavailable: neither."""
        coded = None if stripe.end is None else await self._local(stripe)
        if coded is not None and coded.tag == stripe.tag:
            return coded, self.header(stripe, coded)
        fetched = await self._fetch(stripe)
        recode = partial(coding.recode, self._layout, self._tag_key, stripe.length, stripe.slices)
        return await self._run(recode, fetched.data), fetched.header

    def header(self, stripe: Sealed, coded: Coded) -> Header:
        """The header of a stripe that was sealed here."""
        assert stripe.end is not None
        return coding.header_of(coded, stripe.kind, self._layout, stripe.end, stripe.born)

    async def boxes(
        self, sealed: Sequence[tuple[Sealed, Header, Coded]], stores: Sequence[tuple[int, StorePlace]]
    ) -> list[list[bytearray]]:
        """For each sealed stripe its blocks for these stores, each with its column, in their order. They are taken from
        what was coded."""
        return await self._run(self._boxes, sealed, stores)

    async def _local(self, stripe: Sealed) -> Coded | None:
        if stripe.kind == Kind.DATA:
            return await self._code_staged(stripe.id, stripe.length)
        payload = self._log.meta_payload(stripe.id)
        return None if payload is None else await self.code_meta(payload)

    async def _code_staged(self, id_: int, length: int) -> Coded | None:
        fragments = self._stripes.fragments(id_)
        if sum(fragment.stored for fragment in fragments) != length:
            return None  # after a takeover only what lives is known, not all that the stripe carries
        return await self._run(self._read_and_code, id_, fragments)

    def _code_run(self, run: Sequence[tuple[int, list[Fragment]]]) -> list[Coded]:
        result = []
        for id_, fragments in run:
            coded = self._read_and_code(id_, fragments)
            if coded is None:
                raise StateError(f"content that was not sent yet is gone from the stage (stripe {id_}): {REMEDY}")
            result.append(coded)
        return result

    def _read_and_code(self, id_: int, fragments: list[Fragment]) -> Coded | None:
        draft = coding.draft(self._layout, fragments)
        if not self._stage.read_whole(id_, draft.content):
            return None
        return coding.code_data(self._layout, self._tag_key, draft)

    def _boxes(
        self, sealed: Sequence[tuple[Sealed, Header, Coded]], stores: Sequence[tuple[int, StorePlace]]
    ) -> list[list[bytearray]]:
        result = []
        for stripe, head, coded in sealed:
            # sealing takes the block, and a column may have two stores: what is not primary gets a copy
            blocks = [coded.blocks[j] if store.role == PRIMARY else bytearray(coded.blocks[j]) for j, store in stores]
            boxed = zip(stores, blocks, strict=True)
            result.append([coding.box(self._keys, store, j, stripe.place, head, b) for (j, store), b in boxed])
        return result

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await trio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._limiter)
