"""The store that is being filled for a column, as its Column sees it (seat.Seat): what it acks is noted, and counts
for nothing until it takes the column's place (design R7, R14).

Which stripes it lacks is found in two ways: those below target stand in memory, and come first, the least redundant
before all; each is looked at once. The others are found by walking the table from the newest to the oldest. A walk that
finds nothing and a look at what is held say that it has caught up.
"""

from collections.abc import Callable, Sequence
from itertools import islice

from coopfs.core.ids import Ids
from coopfs.core.inventory import Inventory
from coopfs.core.rows import Rows
from coopfs.limits import CLEANER_BATCH, WALK_REST, WALK_SLICE
from coopfs.local.acks import INCOMING
from coopfs.local.incoming import IncomingAcks
from coopfs.local.log import ALL_STRIPES, Log
from coopfs.tasks.writing.comparing import Compared, reconcile
from coopfs.tasks.writing.ledger import Ledger


class Incoming:
    """column: the seat of the column whose place it will take; now: seconds of a steady clock, for the rate."""

    def __init__(self, column: int, ledger: Ledger, acks: IncomingAcks, now: float) -> None:
        self.column = column
        self.log: Log = ledger.log
        self._layout = ledger.seats.at(column).layout.id
        self.slots = ledger.slots
        self.has = acks.count()  # stripes
        self._began = self.has, now
        self._ledger = ledger
        self._acks = acks
        self._floor = self._below = ALL_STRIPES  # the ids that are left of the part to which the walk has come
        self._met = 0  # stripes that it has, in the parts behind
        self._seen = Ids()  # stripes below target that were looked at since the walk began
        self._rest = 0  # looks before the table is walked again

    def rows_at(self, column: int) -> Rows:
        return self._ledger.rows_of(self._layout)

    def places_at(self, column: int, after: int, limit: int) -> list[tuple[int, int, int, int]]:
        return self.log.acks.of_layout(self._layout, after, limit)

    # --- seat.Seat ------------------------------------------------------------------------------------------------

    def ack(self, ids: Sequence[int], column: int) -> None:
        """It has these stripes on stable storage."""
        new = [id_ for id_ in ids if not self._acks.has(id_, self._layout)]
        self._ledger.slots.put(new, INCOMING)
        self._acks.add(new)
        self._note(new, 1)
        self._ledger.changed.notify()

    def digest(self, column: int) -> bytes:
        return self._ledger.slots.digest(INCOMING)

    async def reconcile(self, found: Inventory, column: int, store: Compared) -> int:
        """Its inventory: as Ledger.reconcile."""
        count = await reconcile(self, found, INCOMING, store)
        self._ledger.changed.notify()
        return count

    def retract(self, ids: Sequence[int], column: int) -> None:
        """It lacks stripes that it acked."""
        self._acks.remove(ids)
        self._note(ids, -1)

    def believe(self, ids: Sequence[int], column: int) -> None:
        """It has stripes that it did not ack, as it says."""
        self._acks.add(ids)
        self._note(ids, 1)

    def disprove(self, ids: Sequence[int], column: int) -> None:
        """It has not got these stripes, whatever it claims."""
        self._ledger.slots.disprove(ids, INCOMING)
        self._note([id_ for id_ in ids if self._acks.has(id_, self._layout)], -1)
        self._acks.remove(ids)

    def _note(self, ids: Sequence[int], by: int) -> None:
        self.has += by * len(ids)
        self._met += by * sum(id_ >= self._below for id_ in ids)

    def lacking(self, column: int, under_way: Callable[[int], bool], aside: Ids) -> list[int]:
        """A walk: stripes below target first, the least redundant ones before all, then the newest."""
        if self._rest:
            self._rest -= 1
            return []
        found = self._worst()
        if len(found) < CLEANER_BATCH:  # the walk goes on while what is written just now is endangered
            found += [id_ for id_ in self._next(CLEANER_BATCH - len(found)) if id_ not in found]
        return [id_ for id_ in found if not under_way(id_) and id_ not in aside]

    def _worst(self) -> list[int]:
        """Of those below target; which are not sent now, are when the walk comes to them."""
        looked = [stripe.id for stripe in islice(self._ledger.progress.all_pending(self._seen), WALK_SLICE)]
        worst = self._acks.lacked(looked, self._layout)[:CLEANER_BATCH]
        for id_ in looked:
            self._seen.add(id_)
            if len(worst) == CLEANER_BATCH and id_ == worst[-1]:
                break
        return worst

    def _next(self, limit: int) -> list[int]:
        """Of the part of the table that the walk has come to: the next part when there are no more."""
        if self._floor >= self._below:
            self._floor = self._acks.floor(self._below)
        found = self._acks.lacking(self._layout, self._floor, self._below, limit)
        end = found[-1] if len(found) == limit else self._floor
        self._met += self._acks.count(end, self._below)
        self._below = end
        if end == 0:
            self._begin_walk()
            self._rest = WALK_REST
        return found

    def _begin_walk(self) -> None:
        self.has = self._met
        self._met = 0
        self._floor = self._below = ALL_STRIPES
        self._seen = Ids()

    # --- the replacement ------------------------------------------------------------------------------------------

    def has_caught_up(self) -> bool:
        """It has every stripe that the held state names, or the one that a takeover is holding again. Looks at every
        stripe when it has: not too often."""
        return not self._acks.lacks_held(self._layout, max(self._ledger.progress.barrier, self.log.rehold))

    @property
    def total(self) -> int:
        """Stripes that it will have."""
        rows = self._ledger.rows_of(self._layout)
        return rows.total - rows.free

    def seconds_left(self, now: float) -> int | None:
        """At the rate since this process began; None: too little is known."""
        count, began = self._began
        done = self.has - count
        return int((self.total - self.has) * (now - began) / done) if done > 0 else None

    def lacks_room(self) -> int:
        """Bytes that must be free on the local disk before it can take its column's place, and are not; or 0."""
        return self._acks.lacks_room(self.total, self._ledger.rows_of(self._layout).total)

    def take_place(self) -> None:
        """It is the column's store from now on. The column must be in A, or about to be put there; `Ledger.learn` is to
        be told what it has more."""
        lost = self._acks.lost_by(self.column)
        self._acks.become(self.column)
        self._ledger.lose(lost, self.column)
