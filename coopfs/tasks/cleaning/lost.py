"""What cannot be had any more: nobody waits for it, and what is left of it here is written again.

1. the cleaner meets a stripe of which it gets no block; where too few are left, it is lost for good;
2. no column waits for it from then on, and the first group in which it is dead can be held without those before;
3. the log goes on without a stripe of its own: the database still knows what that told;
4. of content that the local disk does not read, and too few partners have, what can be read is appended again.
"""

from collections.abc import Set
from functools import partial

import trio

from coopfs.core.codec import UNREADABLE
from coopfs.core.units import PLAIN, Run
from coopfs.errors import NoDescriptors, NotAuthentic, OutOfSpace
from coopfs.limits import CLEANER_BATCH, FILESYSTEM_BLOCK
from coopfs.local.contents import Local
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.tasks.cleaning.compactor import Compactor
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Kind


class Lost:
    """Give `note` to the cleaner."""

    def __init__(
        self,
        columns: Columns,
        ledger: Ledger,
        local: LocalDisk,
        compactor: Compactor,
        retirer: Retirer,
        committer: Committer,
    ) -> None:
        self._columns = columns
        self._ledger = ledger
        self._stripes = local.metadata.stripes
        self._stage = local.stage
        self._compactor = compactor
        self._retirer = retirer
        self._committer = committer
        self._unread: dict[int, Sealed] = {}  # whose files are here, but cannot be had as a whole
        self._changed = Signal()
        self._begun = False

    def note(self, stripe: Sealed) -> None:
        """It cannot be had now. After a takeover nothing is lost before what was found is held."""
        if not self._begun or self._columns.blocks_left(stripe) >= self._ledger.seats.of(stripe.layout).layout.k:
            return
        self._ledger.progress.give_up(stripe.id)
        self._ledger.changed.notify()
        if stripe.kind != Kind.DATA:
            self._retirer.pass_by(stripe.place.version)
        elif stripe.id in self._stage.cache and len(self._unread) < CLEANER_BATCH:
            self._unread[stripe.id] = stripe
            self._changed.notify()

    async def run(self) -> None:
        """Give up what is lost from now on, and write again what is left of it, for ever. StateError."""
        self._begun = True
        while True:
            await self._changed.wait_until(lambda: bool(self._unread))
            _, stripe = self._unread.popitem()
            await self._rescue(stripe)

    async def _rescue(self, stripe: Sealed) -> None:
        content = bytearray(stripe.length)
        bad = await trio.to_thread.run_sync(self._read, stripe, content)
        if bad is None:
            return
        try:
            for fragment in self._stripes.fragments(stripe.id):
                await self._committer.until_may_move()  # be the cache full: nothing else makes that safe
                self._compactor.append_again(stripe.id, fragment, content, partial(good_parts, bad))
                await trio.lowlevel.checkpoint()
        except (NoDescriptors, NotAuthentic, OutOfSpace):
            return  # the cleaner meets it again

    def _read(self, stripe: Sealed, content: bytearray) -> set[int] | None:
        """Fill it block by block. Returns the numbers of those that cannot be read; None: it is rotten, and nobody
        knows where. Waits for the disk."""
        if self._stage.contents.is_fetched(stripe.id):  # it has a hash, and no list of what has died in it
            whole = self._stage.content(stripe.id, stripe.length)
            content[:] = whole or b""
            return None if whole is None else set()
        bad = set()
        for at in range(0, len(content), FILESYSTEM_BLOCK):
            view = memoryview(content)[at : at + FILESYSTEM_BLOCK]
            if self._stage.wait_into(stripe.id, at, view) is not Local.READ:
                bad.add(at // FILESYSTEM_BLOCK)
        return bad if bad or stripe.tag == UNREADABLE else None


def good_parts(bad: Set[int], run: Run) -> list[Run]:
    """What of a run lies in blocks that are not bad; of a compressed unit all or nothing."""
    end = -(-(run.at + run.stored) // FILESYSTEM_BLOCK)
    gaps = [block for block in range(run.at // FILESYSTEM_BLOCK, end) if block in bad]
    if run.codec != PLAIN:
        return [] if gaps else [run]
    parts, low = [], run.offset
    for gap in (*gaps, end):
        high = min(run.end, run.offset + gap * FILESYSTEM_BLOCK - run.at)
        if high > low:
            parts.append(run.part(low, high))
        low = max(low, high + FILESYSTEM_BLOCK)
    return parts
