"""The ledger of sealed stripes: what happens to them is saved, then spoken.

The writer seals, the columns ack and retract, the filesystem kills; from that follow the barrier, and which rows may be
used again. All changes go into the transaction of the next commit; nothing here waits for others.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from coopfs.core.cache import Cache
from coopfs.core.inventory import Inventory
from coopfs.core.meta import extend_chain
from coopfs.core.progress import Progress
from coopfs.core.quorum import Quorum
from coopfs.core.rows import Rows
from coopfs.limits import CLEANER_BATCH, LOST_AT_ONCE
from coopfs.local.groups import State
from coopfs.local.log import Key, Log, Sealed
from coopfs.local.slots import Slots
from coopfs.tasks.comparing import Compared, reconcile, slices
from coopfs.tasks.signal import Signal
from coopfs.types import Kind, Layout, Place


class Ledger:
    """Progress and rows of one disk, kept in step with its log.

    forget_content: called with the ids of stripes that are dead for good, after they have left the log; cache: told
    which margins may have moved.
    """

    def __init__(
        self,
        log: Log,
        slots: Slots,
        layout: Layout,
        rows: int,
        forget_content: Callable[[Sequence[int]], None],
        cache: Cache,
    ) -> None:
        self.log = log
        self.slots = slots
        self.layout = layout
        self.rows = Rows(rows, log.rows_taken())
        self.log_rows = log.meta_rows()  # that meta stripes have, dead ones too until that is held
        self.changed = Signal()
        self.moved = Signal()  # another group is the newest that is sealed, or held
        self._forget_content = forget_content
        self.progress = Progress(Quorum(layout.k, layout.m), log.barrier, log.newest_sealed(), log.rehold)
        for stripe in log.below((1 << layout.n) - 1):
            self.progress.add(*stripe)
        self._cache = cache
        cache.may_go = self.may_go
        cache.judge_all()

    def may_go(self, id_: int) -> bool:
        """Whether a stripe's content may be evicted from this machine (R8)."""
        return self.progress.may_go(id_) and self.log.is_sealed(id_)  # in this order: the log is asked in SQL

    @property
    def data_rows(self) -> int:
        """Rows that data stripes have, dead ones too until that is held."""
        return self.rows.total - self.rows.free - self.log_rows

    # --- the writer -----------------------------------------------------------------------------------------------

    def place(self) -> Place:
        """A row and a version, together (R5). OutOfSpace: no row is free."""
        row = self.rows.take()
        return Place(self.log.next_version(), row)

    def grow(self, rows: int) -> None:
        """So many rows may be taken from now on, which is more: all stores that count have them (R14)."""
        self.rows.grow(rows)
        self.changed.notify()

    def seal_data(self, stripe: Sealed) -> None:
        """A data stripe has its place; send it after the next commit."""
        self.log.seal_data(stripe)
        self.progress.add(stripe.id, stripe.born, stripe.died, 0)

    def seal_meta(self, stripe: Sealed, payload: bytes, keys: Sequence[Key]) -> None:
        """A meta stripe has its place; send it after the next commit. keys: of the images in it."""
        self.log.add_meta(stripe, payload, keys)
        self.log_rows += 1
        self.log.set_tag_chain(extend_chain(self.log.tag_chain, stripe.tag))
        self.progress.add(stripe.id, stripe.born, None, 0)

    def seal_group(self, group: int) -> None:
        """All stripes of the group are sealed."""
        self.log.drop_images(group)
        self.log.set_state(group, State.SEALED)
        for id_ in self.log.died_in(group):
            self.progress.die(id_, group)
        self.progress.seal_group(group)
        self.moved.notify()
        self._advance()

    def write_group(self, group: int, end: Place) -> None:
        """The group's END is written: headers sealed from now on name it."""
        self.log.set_state(group, State.WRITTEN)
        self.log.set_end(end)
        self.changed.notify()

    # --- the columns ----------------------------------------------------------------------------------------------

    def ack(self, ids: Iterable[int], column: int) -> None:
        """A column has these stripes on stable storage."""
        counted = self._count(ids, column)
        if counted:
            self.slots.put((id_ for id_, _ in counted), column)
            self._advance()

    def _count(self, ids: Iterable[int], column: int) -> list[tuple[int, int]]:
        """Acks that are news: (stripe, its mask from now on)."""
        masks = []
        for id_ in ids:
            mask = self.progress.ack(id_, column)
            if mask is None:
                continue
            masks.append((id_, mask))
            if mask.bit_count() == self.layout.n:
                self.log.drop_meta_payload(id_)
            self._cache.judge(id_)
        self.log.set_acks(masks)
        return masks

    def retract(self, ids: Sequence[int], column: int) -> None:
        """A column lacks stripes that it acked, LOST_AT_ONCE at most (R7). It is in A from now on, and whoever calls
        this makes that its state."""
        self.log.set_acks(self._note_lost(ids, column))
        self.set_away(self.progress.away | 1 << column)

    def disprove(self, ids: Sequence[int], column: int) -> None:
        """As `retract`: it holds nothing there, or something damaged, as was found by looking. What it claims to hold
        of them does not count any more: only another ack does."""
        self.slots.disprove(ids, column)
        self.retract(ids, column)

    def _note_lost(self, ids: Sequence[int], column: int) -> list[tuple[int, int]]:
        """(stripe, mask) of each."""
        assert len(ids) <= LOST_AT_ONCE, "a step that takes so long holds up everybody"
        masks = []
        complete = self.log.lives([id_ for id_ in ids if self.progress.get(id_) is None])
        for id_ in ids:
            if id_ in complete:
                born, died, acks = complete[id_]
                mask = acks & ~(1 << column)
                self.progress.add(id_, born, died, mask)
            else:
                mask = self.progress.retract(id_, column)
            masks.append((id_, mask))
            self._cache.judge(id_)
        return masks

    def believe(self, ids: Sequence[int], column: int) -> None:
        """A column has stripes that it did not ack, as it says."""
        if self._count(ids, column):
            self._advance()

    async def reconcile(self, found: Inventory, column: int, store: Compared) -> int:
        """A column's inventory: acks for what is not there are taken back, others are counted. How many were taken
        back."""
        return await reconcile(self, found, column, store)

    def digest(self, column: int) -> bytes:
        """What a column's store answers that lost nothing, and got nothing else."""
        return self.slots.digest(column)

    def lacking(self, column: int, under_way: Callable[[int], bool]) -> list[int]:
        """Stripes that a column lacks, least redundant first, then oldest first."""
        missing = (pending.id for pending in self.progress.missing(column) if not under_way(pending.id))
        return list(islice(missing, CLEANER_BATCH))

    def another_store(self, gained: Sequence[int], lost: Sequence[int], column: int) -> None:
        """Another store is the column's, as the log has it already: in its acks, digest and remains."""
        for some in slices(lost):
            self._note_lost(some, column)
        for id_ in gained:
            mask = self.progress.ack(id_, column)
            if mask is not None and mask.bit_count() == self.layout.n:
                self.log.drop_meta_payload(id_)
            self._cache.judge(id_)
        self._advance()

    def set_away(self, away: int) -> None:
        """The columns in A have changed."""
        if away != self.progress.away:
            self.progress.set_away(away)
            self._cache.judge_all()
        self._advance()

    # --- what follows ---------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        before = self.progress.barrier
        barrier = self.progress.advance()
        if barrier > before:
            self.log.set_barrier(barrier)
            self._release(barrier)
            self.moved.notify()
        self.changed.notify()

    def _release(self, barrier: int) -> None:
        dead = self.log.dead_by(barrier)
        for id_, kind, row, _, _ in dead:
            self.progress.release(id_)
            if row is not None:
                self.rows.give_back(row)
                self.log_rows -= kind != Kind.DATA
        ids = [id_ for id_, *_ in dead]
        if ids:
            self.slots.leave((row, version, acks) for _, _, row, version, acks in dead if row is not None)
            self.log.forget(ids)
            self._forget_content(ids)
