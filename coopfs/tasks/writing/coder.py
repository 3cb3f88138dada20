"""The CPU's work on stripes, in threads: coding, sealing, and getting the shards of a stripe that was sealed before.

Two at a time: ISA-L, AEGIS and BLAKE3 leave the interpreter lock while they work, and these machines have few cores.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

import trio

from coopfs.core import coding
from coopfs.core.codec import UNREADABLE
from coopfs.core.coding import Coded, Draft
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.core.master import PRIMARY, StorePlace
from coopfs.core.stripe import Fragment
from coopfs.errors import ContentUnavailable, StateError
from coopfs.limits import CODING_THREADS
from coopfs.local.database import REMEDY
from coopfs.local.log import Log, Sealed
from coopfs.local.stage import Stage
from coopfs.local.stripes import Stripes
from coopfs.tasks.reading.fetcher import Fetched
from coopfs.types import Kind, Layout

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Fetch = Callable[[Sealed], Awaitable[Fetched]]


class Coder:
    """Coding for one disk. layout_of: a layout in force, by its id; fetch: a sealed stripe, from partners."""

    def __init__(
        self,
        keys: DiskKeys,
        layout_of: Callable[[int], Layout],
        stage: Stage,
        stripes: Stripes,
        log: Log,
        fetch: Fetch,
    ) -> None:
        self._keys = keys
        self._layout_of = layout_of
        self._stage = stage
        self._stripes = stripes
        self._log = log
        self._fetch = fetch
        self._limiter = trio.CapacityLimiter(CODING_THREADS)

    async def code_data(self, layout: Layout, run: Sequence[tuple[int, int]]) -> list[Coded]:
        """The shards of data stripes from the stage, each for its version; the tag of what the local disk does not read
        is UNREADABLE. StateError: content is not there."""
        wanted = [(id_, version, self._stripes.fragments(id_)) for id_, version in run]
        return await self._run(self._code_run, layout, wanted)

    async def code_meta(self, layout: Layout, payload: bytes, version: int) -> Coded:
        """The shards of a meta stripe of this version."""
        return await self._run(coding.code_meta, layout, self._keys.tag_key(version), payload)

    async def code_again(self, stripe: Sealed) -> tuple[Coded, Header]:
        """The shards and the header of a sealed stripe, for a column that lacks it: from this machine if they are
        intact here, else from partners. ContentUnavailable: neither."""
        if stripe.tag == UNREADABLE:
            raise ContentUnavailable(f"the local disk could not read stripe {stripe.id} when it was to be sent")
        coded = None if stripe.end is None else await self._local(stripe)
        if coded is not None and coded.tag == stripe.tag:
            return coded, self.header(stripe, coded)
        fetched = await self._fetch(stripe)
        tag_key, layout = self._keys.tag_key(stripe.place.version), self._layout_of(stripe.layout)
        recode = partial(coding.recode, layout, tag_key, stripe.length, stripe.slices)
        return await self._run(recode, fetched.data), fetched.header

    async def is_intact(self, id_: int) -> bool:
        """Whether a data stripe's content is here as it was sealed. Of what came back from partners its hash is
        compared where it is read."""
        if self._stage.contents.is_fetched(id_):
            return True
        stripe = self._log.get(id_)
        coded = None if stripe is None else await self._code_staged(stripe)
        return coded is not None and stripe is not None and coded.tag == stripe.tag

    def header(self, stripe: Sealed, coded: Coded) -> Header:
        """The header of a stripe that was sealed here."""
        assert stripe.end is not None
        return coding.header_of(coded, stripe.kind, self._layout_of(stripe.layout), stripe.end, stripe.born)

    async def boxes(
        self, sealed: Sequence[tuple[Sealed, Header, Coded]], stores: Sequence[tuple[int, StorePlace]]
    ) -> list[list[bytearray]]:
        """For each sealed stripe its blocks for these stores, each with its column, in their order. They are taken from
        what was coded."""
        return await self._run(self._boxes, sealed, stores)

    async def _local(self, stripe: Sealed) -> Coded | None:
        if stripe.kind == Kind.DATA:
            return await self._code_staged(stripe)
        payload = self._log.payloads.get(stripe.id)
        if payload is None:
            return None
        return await self.code_meta(self._layout_of(stripe.layout), payload, stripe.place.version)

    async def _code_staged(self, stripe: Sealed) -> Coded | None:
        fragments = self._stripes.fragments(stripe.id)
        if sum(fragment.stored for fragment in fragments) != stripe.length:
            return None  # after a takeover only what lives is known, not all that the stripe carries
        layout = self._layout_of(stripe.layout)
        draft = await self._run(coding.redraft, layout, fragments)
        if draft is None:
            return None
        return await self._run(self._fill_and_code, layout, stripe.id, stripe.place.version, draft)

    def _code_run(self, layout: Layout, run: Sequence[tuple[int, int, list[Fragment]]]) -> list[Coded]:
        result = []
        for id_, version, fragments in run:
            draft = coding.draft(layout, fragments)
            coded = self._fill_and_code(layout, id_, version, draft)
            if coded is None:
                coded = self._code_unread(id_, draft)
            result.append(coded)
        return result

    def _code_unread(self, id_: int, draft: Draft) -> Coded:
        path = self._stage.contents.path(id_)
        if not path.exists():
            raise StateError(f"content that was not sent yet is gone from the stage (stripe {id_}): {REMEDY}")
        logger.warning("the local disk does not read %s, whose content was not sent yet", path)
        how = draft.how
        return Coded(sum(how.slices), how.shard_length, how.slices, draft.blocks, UNREADABLE)

    def _fill_and_code(self, layout: Layout, id_: int, version: int, draft: Draft) -> Coded | None:
        if not self._stage.read_whole(id_, draft.content):
            return None
        return coding.code_data(layout, self._keys.tag_key(version), draft)

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
