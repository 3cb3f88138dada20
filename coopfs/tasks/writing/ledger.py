"""The ledger of sealed stripes: what happens to them is saved, then spoken.

The writer seals, the columns ack and retract, the filesystem kills; from that follow the barrier, and which rows may be
used again. All changes go into the transaction of the next commit; nothing here waits for others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from coopfs.core.cache import Cache
from coopfs.core.ids import Ids
from coopfs.core.inventory import Inventory
from coopfs.core.meta import extend_chain
from coopfs.core.progress import Progress
from coopfs.core.rows import Rows
from coopfs.core.seats import Seats
from coopfs.core.slicing import Slices
from coopfs.core.space import stripe_payload
from coopfs.limits import CLEANER_BATCH, LEARN_SLICE, LOST_AT_ONCE, MAX_ROWS, RELEASE_SLICE
from coopfs.local.chain import Key
from coopfs.local.groups import State
from coopfs.local.log import Log, Sealed
from coopfs.local.slots import Slots
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.comparing import Compared, reconcile, slices
from coopfs.types import Kind, Layout, Place

NO_ROWS = Rows(0, ())  # of a layout that is gone


class Ledger:
    """Progress and rows of one disk, kept in step with its log.

    seats: of all layouts in force, whose stores have so many `rows`, by layout id; in_use: the one that new stripes
    get; forget_content: called with the ids of stripes that are dead for good, after they have left the log; cache:
    told which margins may have moved.
    """

    def __init__(
        self,
        log: Log,
        slots: Slots,
        seats: Seats,
        in_use: int,
        rows: Mapping[int, int],
        forget_content: Callable[[Sequence[int]], None],
        cache: Cache,
    ) -> None:
        self.log = log
        self.slots = slots
        self.seats = seats
        self._in_use = in_use
        self.placed: set[tuple[int, int]] = set()  # (layout, row) of places whose stripes are not sealed yet
        self.slices: Slices | None = None  # how it gets its rows while there are older layouts
        self._rows: dict[int | None, Rows] = {id_: Rows(total, log.rows_taken(id_)) for id_, total in rows.items()}
        self._log_rows = Counter(
            log.chain.rows_before(MAX_ROWS)
        )  # layout -> rows of its meta stripes, dead ones until held
        self.changed = Signal()
        self.moved = Signal()  # another group is the newest that is sealed, or held; or there are more rows, or less
        self._forget_content = forget_content
        self.progress = Progress(seats.until(in_use), log.barrier, log.newest_sealed(), log.rehold)
        for span in self.progress.seats:
            for stripe in log.acks.below(span):
                self.progress.add(*stripe)
        self._cache = cache
        cache.may_go = self.may_go
        cache.judge_all()

    def may_go(self, id_: int) -> bool:
        """Whether a stripe's content may be evicted from this machine: what is not held stays here (R8)."""
        return self.progress.may_go(id_) and self.log.is_sealed(id_, self.held)  # in this order: this is SQL

    @property
    def held(self) -> int:
        """The newest group that is held, or was when it was taken over."""
        return max(self.progress.barrier, self.log.rehold)

    @property
    def layout(self) -> Layout:
        """What new stripes get."""
        return self.seats.of(self._in_use).layout

    @property
    def rows(self) -> Rows:
        """Of the layout in use."""
        return self._rows[self._in_use]

    def rows_of(self, layout: int) -> Rows:
        """Of a layout in force, by its id."""
        return self._rows[layout]

    def rows_at(self, column: int) -> Rows:
        """Of the layout in which a column has this seat."""
        return self._rows.get(self._layout_at(column), NO_ROWS)

    def places_at(self, column: int, after: int, limit: int) -> list[tuple[int, int, int, int]]:
        """Log.places of the stripes of that layout."""
        return self.log.acks.of_layout(self._layout_at(column), after, limit)

    def _layout_at(self, column: int) -> int | None:
        """None: who still asks has not heard that its layout is gone."""
        return next((span.layout.id for span in self.seats if column in span.seats), None)

    @property
    def log_rows(self) -> int:
        """Rows of the layout in use, before its limit, that meta stripes have, dead ones too until that is held."""
        return self._log_rows[self._in_use]

    @property
    def data_rows(self) -> int:
        """The same of data stripes."""
        return self.rows.limit - self.rows.room - self.log_rows

    # --- layouts --------------------------------------------------------------------------------------------------

    def add_layout(self, seats: Seats, layout: int, rows: int) -> None:
        """One more is in force, which no stripe has. seats: of all; rows: of its stores."""
        self.seats = seats
        self._rows[layout] = Rows(rows, ())

    def use(self, layout: int) -> None:
        """New stripes get this layout from now on; the one before keeps all rows that it has."""
        self.narrow(self._in_use, self.rows.total)
        self._in_use = layout
        self.progress.seats = self.seats.until(layout)
        self._cache.judge_all()
        self._advance()

    def drop_layout(self, seats: Seats, layout: int) -> None:
        """No stripe has this one any more. seats: of the others."""
        del self._rows[layout], self._log_rows[layout]
        self.seats = seats
        self.progress.seats = seats.until(self._in_use)
        self._cache.judge_all()
        self._advance()

    def old_bytes(self) -> int:
        """What the data stripes of layouts that are used no more take at the most, directories included."""
        old = (span.layout for span in self.progress.seats if span.layout.id != self._in_use)
        taken = ((layout, self._rows[layout.id]) for layout in old)
        return sum((rows.total - rows.free) * stripe_payload(layout) for layout, rows in taken)

    @property
    def lowered(self) -> int | None:
        """The oldest layout that has stripes in rows that are on their way out."""
        return next((span.layout.id for span in self.seats if self._rows[span.layout.id].beyond), None)

    # --- the writer -----------------------------------------------------------------------------------------------

    def place(self, layout: int) -> Place:
        """A row in the stores of this layout, and a version, together (R5). OutOfSpace: no row is free."""
        row = self._rows[layout].take()
        self.placed.add((layout, row))
        return Place(self.log.next_version(), row)

    def give_back(self, layout: int, row: int) -> None:
        """A row that no stripe has may be taken again."""
        self._rows[layout].give_back(row)
        self.changed.notify()

    def resize(self, layout: int, rows: int) -> None:
        """So many rows may be taken from now on: all stores that count have them (R14), and nothing lies beyond."""
        self._rows[layout].resize(rows)
        self.narrow(layout, rows)
        self.moved.notify()

    def narrow(self, layout: int, limit: int) -> None:
        """Only the rows before this one are there to stay: what lies beyond is moved away."""
        self._rows[layout].narrow(limit)
        self._log_rows[layout] = self.log.chain.rows_before(limit).get(layout, 0)
        self.changed.notify()

    def seal_data(self, stripe: Sealed) -> None:
        """A data stripe has its place; send it after the next commit."""
        self.log.seal_data(stripe)
        self.placed.discard((stripe.layout, stripe.place.row))
        self.progress.add(stripe.id, stripe.layout, stripe.born, stripe.died, 0)

    def seal_meta(self, stripe: Sealed, payload: bytes, keys: Sequence[Key]) -> None:
        """A meta stripe has its place; send it after the next commit. keys: of the images in it."""
        self.log.add_meta(stripe, payload, keys)
        self.placed.discard((stripe.layout, stripe.place.row))
        self._log_rows[stripe.layout] += stripe.place.row < self._rows[stripe.layout].limit
        self.log.set_tag_chain(extend_chain(self.log.tag_chain, stripe.tag))
        self.progress.add(stripe.id, stripe.layout, stripe.born, None, 0)

    def seal_group(self, group: int) -> None:
        """All stripes of the group are sealed."""
        self.log.drop_images(group)
        self.log.set_state(group, State.SEALED)
        for id_ in self.log.died_in(group):
            self.progress.die(id_, group)
        self.progress.seal_group(group)
        self.moved.notify()
        self._advance()

    def has_buried_the_lost(self) -> bool:
        """Whether stripes are lost, and all of them are dead, as of the last commit: the open group can be held."""
        lost = self.progress.lost
        return bool(lost) and all((stripe := self.log.get(id_)) is None or stripe.died is not None for id_ in lost)

    def write_group(self, group: int, end: Place) -> None:
        """The group's END is written: headers sealed from now on name it."""
        self.log.set_state(group, State.WRITTEN)
        self.log.set_end(end)
        self.changed.notify()

    # --- the columns ----------------------------------------------------------------------------------------------

    def ack(self, ids: Iterable[int], column: int) -> None:
        """The column of this seat has these stripes on stable storage."""
        counted = self._count(ids, column)
        if counted:
            self.slots.put(counted, column)
            self._advance()

    def _count(self, ids: Iterable[int], column: int) -> list[int]:
        """The stripes of which this ack is news."""
        counted = []
        for id_ in ids:
            stripe = self.progress.ack(id_, column)
            if stripe is None:
                continue
            counted.append(id_)
            self._cache.judge(id_)
        self.log.acks.add(counted, column)
        self._drop_payloads(counted)
        return counted

    def retract(self, ids: Sequence[int], column: int) -> None:
        """A column lacks stripes that it acked, LOST_AT_ONCE at most (R7). It is in A from now on, and whoever calls
        this makes that its state."""
        self._note_lost(ids, column)
        self.log.acks.take(ids, column)
        self.set_away(self.progress.away | 1 << column)

    def disprove(self, ids: Sequence[int], column: int) -> None:
        """As `retract`: it holds nothing there, or something damaged, as was found by looking. What it claims to hold
        of them does not count any more: only another ack does."""
        self.slots.disprove(ids, column)
        self.retract(ids, column)

    def _note_lost(self, ids: Sequence[int], column: int) -> None:
        assert len(ids) <= LOST_AT_ONCE, "a step that takes so long holds up everybody"
        complete = self.log.acks.lives([id_ for id_ in ids if self.progress.get(id_) is None])
        for id_ in ids:
            if id_ in complete:
                layout, born, died, acks = complete[id_]
                self.progress.add(id_, layout, born, died, acks & ~(1 << column))
            else:
                self.progress.retract(id_, column)
            self._cache.judge(id_)

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

    def lacking(self, column: int, under_way: Callable[[int], bool], aside: Ids) -> list[int]:
        """Stripes that a column lacks, least redundant first, then oldest first."""
        missing = (pending.id for pending in self.progress.missing(column, aside) if not under_way(pending.id))
        return list(islice(missing, CLEANER_BATCH))

    def lose(self, lost: Sequence[int], column: int) -> None:
        """Another store is the column's, which lacks these stripes; the log has it already, in its acks, digest and
        remains."""
        for some in slices(lost):
            self._note_lost(some, column)
        self._advance()

    def learn(self, column: int, after: int) -> int | None:
        """What the log says that a column has of the next LEARN_SLICE stripes behind this one. The last of these; None:
        there are no more."""
        found = self.log.acks.of_seat(column, after, LEARN_SLICE)
        counted = [id_ for id_ in found if self.progress.ack(id_, column) is not None]
        for id_ in counted:
            self._cache.judge(id_)
        self._drop_payloads(counted)
        self._advance()
        return found[-1] if len(found) == LEARN_SLICE else None

    def set_away(self, away: int) -> None:
        """The columns in A have changed."""
        if away != self.progress.away:
            turned = self.progress.set_away(away)
            if turned:  # a cache of 1 TB has 650,000 stripes, at 17 us each
                self._cache.judge_those(lambda id_: self.progress.acks(id_) in turned)
        self._advance()

    # --- what follows ---------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        before = self.progress.barrier
        barrier = self.progress.advance()
        if barrier > before:
            self.log.set_barrier(barrier)
            self._let_go(self.log.born_in(before, barrier))
            self.release()
            self.moved.notify()
        self.changed.notify()

    def _let_go(self, ids: Sequence[int]) -> None:
        """These stripes have just become held: they need not stay here any more."""
        self._drop_payloads(ids)
        for id_ in ids:
            self._cache.judge(id_)

    def _drop_payloads(self, ids: Iterable[int]) -> None:
        """Of those of these stripes that are complete, and held."""
        complete = [id_ for id_ in ids if self.progress.get(id_) is None]
        self.log.payloads.drop_held(complete, self.held)

    def release(self) -> bool:
        """The rows of RELEASE_SLICE stripes at the most whose death is held may be used again. False: there were no
        more."""
        dead = self.log.dead_by(self.progress.barrier, RELEASE_SLICE)
        for id_, kind, layout, row, _, _ in dead:
            self.progress.release(id_)
            if row is not None:
                self._rows[layout].give_back(row)
                self._log_rows[layout] -= kind != Kind.DATA and row < self._rows[layout].limit
        ids = [id_ for id_, *_ in dead]
        if ids:
            self.slots.leave((row, version, acks) for _, _, _, row, version, acks in dead if row is not None)
            self.log.forget(ids)
            self._forget_content(ids)
            self.moved.notify()
            self.changed.notify()
        return len(dead) == RELEASE_SLICE
