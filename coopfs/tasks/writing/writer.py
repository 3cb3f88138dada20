"""The writer: streams closed groups to the partners, in order (design section 4, R3, R5).

1. a run of PUT_RUN data stripes of the oldest closed group gets rows and versions, from which the key of their tags
   follows, and is coded from the stage (a thread);
2. the transaction that says so is made durable before the first byte is sent;
3. their blocks are sealed (a thread) and queued to every column that is open; others are left to the cleaner;
   steps 1-3 run for WRITER_RUNS runs at once: hops, commits and requests cost more than the bytes of one stripe;
4. when all data stripes of a group are written, its records go into meta stripes, the last one an END: steps 2 and 3;
5. when the END is written, headers name it, and the meta stripes of the next group may go out.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import trio

from coopfs.core import meta, records
from coopfs.core.codec import UNREADABLE
from coopfs.core.coding import Coded
from coopfs.core.keys import DiskKeys
from coopfs.core.meta import MetaHead
from coopfs.core.space import stripe_payload
from coopfs.errors import OutOfSpace
from coopfs.limits import MAX_GROUPS_UNHELD, META_CHAIN_EVERY, META_PREV, PUT_RUN, WRITER_RUNS
from coopfs.local.chain import Key
from coopfs.local.groups import State
from coopfs.local.log import Log, Sealed
from coopfs.tasks.writing.coder import Coder
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.seat import Parcel
from coopfs.types import Kind, Layout, Place

NS = 1_000_000_000


class Writer:
    """columns: every store that gets blocks, as they come and go; commit: makes the transaction durable, together with
    others who ask at the same time."""

    def __init__(
        self,
        keys: DiskKeys,
        ledger: Ledger,
        coder: Coder,
        columns: Sequence[Column],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        self._keys = keys
        self._ledger = ledger
        self._log: Log = ledger.log
        self._coder = coder
        self._columns = columns
        self._commit = commit
        self._coded_up_to = ledger.progress.sealed  # newest group whose data stripes are all sealed
        self.in_hand: set[int] = set()  # stripes between sealing and the columns' queues

    async def run(self) -> None:
        """Stream for ever. StateError: the database failed."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._data)
            nursery.start_soon(self._meta)

    # --- data stripes ---------------------------------------------------------------------------------------------

    async def _data(self) -> None:
        slots = trio.Semaphore(WRITER_RUNS)
        while True:
            await self._ledger.changed.wait_until(lambda: self._log.closed_after(self._coded_up_to) is not None)
            group = self._log.closed_after(self._coded_up_to)
            assert group is not None
            await self._ledger.changed.wait_until(self._may_seal)
            async with trio.open_nursery() as nursery:
                in_use = self._ledger.layout.id
                unsealed = deque((i, size, given or in_use) for i, size, given in self._log.unsealed_of(group))
                while run := _next_run(unsealed):
                    await self._ledger.changed.wait_until(self._somebody_is_reached)
                    await slots.acquire()
                    nursery.start_soon(self._send_data, run, group, slots)
            self._coded_up_to = group
            self._ledger.changed.notify()

    def _may_seal(self) -> bool:
        """G of R9: what is sent and not held is bounded, since its rows cannot be used again. But where something is
        lost, nothing is held until a group kills it; which that is nobody knows, and rows and cache are the bound."""
        progress = self._ledger.progress
        return bool(progress.lost) or self._coded_up_to - progress.barrier < MAX_GROUPS_UNHELD

    def _somebody_is_reached(self) -> bool:
        """Blocks that nobody takes would have to be made again: coding is most of what a stripe costs here."""
        return any(column.session is not None for column in self._columns)

    async def _send_data(self, run: Sequence[tuple[int, int, int]], group: int, slots: trio.Semaphore) -> None:
        """run: (id, content bytes, layout) of each stripe, all of one layout."""
        try:
            sealed: list[tuple[Sealed, Coded]] = []
            layout = self._ledger.seats.of(run[0][2]).layout
            places = [await self._place(layout) for _ in run]
            versions = [(id_, place.version) for (id_, _, _), place in zip(run, places, strict=True)]
            coded_run = await self._coder.code_data(layout, versions)
            for (id_, length, _), place, coded in zip(run, places, coded_run, strict=True):
                end = self._log.end
                stripe = Sealed(id_, Kind.DATA, group, None, layout.id, length, coded.slices, coded.tag, place, end, 0)
                self._ledger.seal_data(stripe)
                if coded.tag != UNREADABLE:  # what there is of that the cleaner meets (cleaning/lost)
                    self.in_hand.add(id_)
                    sealed.append((stripe, coded))
            await self._commit()
            if sealed:
                await self._dispatch(sealed)
        finally:
            slots.release()

    async def _place(self, layout: Layout) -> Place:
        while True:
            try:
                return self._ledger.place(layout.id)
            except OutOfSpace:  # admission keeps a reserve, so this ends when deaths under way are held
                await self._ledger.changed.wait()

    async def _dispatch(self, sealed: list[tuple[Sealed, Coded]]) -> None:
        """Empties the list, of stripes of one layout."""
        layout = sealed[0][0].layout
        columns = [column for column in self._columns if column.session is not None and column.layout.id == layout]
        headed = [(stripe, self._coder.header(stripe, coded), coded) for stripe, coded in sealed]
        boxes = await self._coder.boxes(headed, [(column.column, column.place) for column in columns])
        headed.clear()
        stripes = [stripe for stripe, _ in sealed]
        sealed.clear()
        for column, row in zip(columns, zip(*boxes, strict=True), strict=True):
            await column.send([Parcel(stripe.id, stripe.place, box) for stripe, box in zip(stripes, row, strict=True)])
        self.in_hand.difference_update(stripe.id for stripe in stripes)
        self._ledger.changed.notify()  # what a column did not take is the cleaner's now

    # --- meta stripes ---------------------------------------------------------------------------------------------

    async def _meta(self) -> None:
        for group in self._log.groups(State.SEALED):  # before a restart
            await self._end(group)
        while True:
            await self._ledger.changed.wait_until(self._data_is_written)
            group = self._ledger.progress.sealed + 1
            await self._seal_meta(group)
            await self._end(group)

    def _data_is_written(self) -> bool:
        """Of the group whose meta stripes come next."""
        progress = self._ledger.progress
        return self._coded_up_to > progress.sealed and progress.is_written(progress.sealed + 1)

    async def _end(self, group: int) -> None:
        """The END of a group that is sealed becomes the newest one known written."""
        await self._ledger.changed.wait_until(lambda: self._ledger.progress.is_written(group))
        self._ledger.write_group(group, self._log.end_of(group))

    async def _seal_meta(self, group: int) -> None:
        layout = self._ledger.layout
        capacity = stripe_payload(layout)
        told = [*self._log.images(group), *self._log.stripe_records(group)]
        runs = meta.split([record for _, record in told], meta.records_capacity(capacity))
        keys = iter(key for key, _ in told)
        chain, tags = self._log.chain.of(group), self._log.tag_chain
        coded: list[tuple[Sealed, bytes, list[Key], Coded]] = []
        for index, run in enumerate(runs):
            kind = Kind.END if index == len(runs) - 1 else Kind.META
            place = await self._place(layout)
            head = self._head(layout, place, group, index, chain, tags)
            payload = meta.encode(self._keys, kind, head, records.join(run))
            shards = await self._coder.code_meta(layout, payload, place.version)
            id_ = self._log.new_stripe_id()
            stripe = Sealed(id_, kind, group, None, layout.id, len(payload), (), shards.tag, place, self._log.end, 0)
            images = [key for key in islice(keys, len(run)) if key is not None]
            coded.append((stripe, payload, images, shards))
            chain.append(place)
            tags = meta.extend_chain(tags, shards.tag)
        for (
            stripe,
            payload,
            images,
            _,
        ) in coded:  # no await from here on: all meta stripes of a group are sealed, or none
            self.in_hand.add(stripe.id)
            self._ledger.seal_meta(stripe, payload, images)
        self._ledger.seal_group(group)
        await self._commit()
        for first in range(0, len(coded), PUT_RUN):
            await self._dispatch([(stripe, shards) for stripe, _, _, shards in coded[first : first + PUT_RUN]])

    def _head(self, layout: Layout, place: Place, group: int, index: int, chain: list[Place], tags: bytes) -> MetaHead:
        listed = (len(chain) + 1) % META_CHAIN_EVERY == 0
        return MetaHead(
            place=place,
            group=group,
            index=index,
            head=chain[0] if chain else None,
            previous=tuple(reversed(chain[-META_PREV:])),
            whole_chain=tuple(chain[-meta.chain_room(stripe_payload(layout)) :]) if listed else (),
            chain=tags,
            time=self._log.closed_at(group) * NS,
            held=self._ledger.progress.barrier,
            away=self._ledger.seats.of(layout.id).own(self._ledger.progress.away),
            next_ino=self._log.next_ino,
            next_stripe=self._log.next_stripe,
        )


def _next_run(unsealed: deque[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Take the next stripes, PUT_RUN at the most, of one layout."""
    run: list[tuple[int, int, int]] = []
    while unsealed and len(run) < PUT_RUN and unsealed[0][2] == (run or unsealed)[0][2]:
        run.append(unsealed.popleft())
    return run
