"""How far the log has got: which stripes are written, safe, complete, and up to which group the disk is held (R7).

Fed with seals, acks, retractions, deaths and the columns away; asked for the barrier. Only stripes that are not yet
complete are kept here, so memory grows with what is under way, not with the disk.

Columns are told by their seats (core/seats), and each stripe is judged by the quorum of its own layout. Of what is
complete its layout is not remembered: where that matters, the layout counts that is worst off.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from coopfs.core.ids import NO_IDS, Ids
from coopfs.core.pending import Pending, PendingStripes
from coopfs.core.quorum import Reach
from coopfs.core.seats import ALL_SEATS, Seats, Span


class Progress:
    """The state of all stripes between sealed and complete."""

    def __init__(self, seats: Seats, barrier: int, sealed: int, oldest: int = 0) -> None:
        """seats: of the layouts that stripes have; barrier: the newest group known held; sealed: the newest group all
        of whose stripes are sealed; oldest: the first group that can be held again after a takeover, as those before it
        are not known (R13)."""
        self.seats = seats
        self.barrier = barrier
        self.sealed = sealed
        self._oldest = oldest
        self.away = 0
        self._pending = PendingStripes()
        self._groups: Counter[int] = Counter()  # born -> stripes pending
        self._oldest_groups: list[int] = []  # a heap of these groups, and of some that are complete
        self._unsafe: defaultdict[int, set[int]] = defaultdict(set)  # born -> ids that are not safe
        self._hopeless: set[int] = set()  # of which fewer than k blocks are anywhere, and no content

    # --- what happened --------------------------------------------------------------------------------------------

    def add(self, id_: int, layout: int, born: int, died: int | None, acks: int) -> None:
        """A stripe was sealed, or is about to be found lacking blocks after all. acks: seats of its layout."""
        assert id_ not in self._pending
        pending = Pending(id_, born, died, acks | ALL_SEATS & ~self.seats.of(layout).mask)
        if not self._groups[born]:
            heapq.heappush(self._oldest_groups, born)
        self._groups[born] += 1
        self._put(pending)

    def ack(self, id_: int, seat: int) -> Pending | None:
        """A column has the stripe on stable storage. The stripe from now on, or None if that was known."""
        pending = self._pending.get(id_)
        if pending is None or pending.acks >> seat & 1:
            return None
        self._hopeless.discard(id_)
        pending = self._put(replace(pending, acks=pending.acks | 1 << seat))
        if pending.is_complete:
            self._forget(pending)
        return pending

    def retract(self, id_: int, seat: int) -> None:
        """A column of its layout lacks a pending stripe that it acked."""
        pending = self._pending.get(id_)
        assert pending is not None
        assert pending.is_complete or seat in self.seats.lacked_by(pending.acks).seats
        self._put(replace(pending, acks=pending.acks & ~(1 << seat)))

    def die(self, id_: int, group: int) -> None:
        """The last live byte of a stripe died in `group`."""
        pending = self._pending.get(id_)
        if pending is not None:
            self._pending.put(replace(pending, died=group))

    def give_up(self, id_: int) -> None:
        """A pending stripe cannot be had any more: no column need wait for its block, until one has it after all."""
        if id_ in self._pending:
            self._hopeless.add(id_)

    def release(self, id_: int) -> None:
        """The row of a dead stripe was given back: nobody needs its blocks any more."""
        pending = self._pending.get(id_)
        if pending is not None:
            self._forget(pending)

    def seal_group(self, group: int) -> None:
        """All stripes of `group`, its END included, have been added."""
        assert group > self.sealed
        self.sealed = group

    def set_away(self, away: int) -> Set[int]:
        """The columns in A have changed: every pending stripe is judged again that this may matter for. Returns the
        masks of acks with which content may go from now on and might not before, or the other way round."""
        before, self.away = self.away, away
        masks = self._pending.masks()
        for acks in masks:
            is_safe = self._is_safe(acks, away)
            if is_safe != self._is_safe(acks, before):
                for id_, born in self._pending.births(acks):
                    self._mark(id_, born, is_safe)
        return {acks for acks in (*masks, ALL_SEATS) if self._lets_go(acks, before) != self._lets_go(acks, away)}

    def advance(self) -> int:
        """The barrier, moved on as far as what is safe now allows. It never moves back (R7)."""
        if not all(map(self._is_safe_everywhere, self.seats)):
            return self.barrier  # so many are away that not even what lies on all columns is safe
        for group in range(max(self.barrier + 1, self._oldest), self.sealed + 1):
            if self._is_held(group):
                self.barrier = group
            elif not self._hopeless:  # nobody needs the states before one that is held, so it may be the first
                break
        return self.barrier

    # --- what is the case -----------------------------------------------------------------------------------------

    def get(self, id_: int) -> Pending | None:
        """The stripe if it is not complete."""
        return self._pending.get(id_)

    def may_go(self, id_: int) -> bool:
        """Whether the content of a sealed stripe may be evicted from this machine (R8)."""
        return self._lets_go(self.acks(id_), self.away)

    def acks(self, id_: int) -> int:
        """Who has a sealed stripe; of a complete one ALL_SEATS."""
        pending = self._pending.get(id_)
        return ALL_SEATS if pending is None else pending.acks

    def is_endangered(self, id_: int) -> bool:
        """No further loss may hit a sealed stripe: its margin is 0, or less."""
        return self._to_spare(self.acks(id_)) <= 0

    def endangered(self) -> Iterator[int]:
        """The stripes below target that the held state names, and whose margin is 0 or less; fewest blocks first."""
        masks = [acks for acks in self._pending.masks() if self._to_spare(acks) <= 0]
        return (p.id for p in self._pending.by_worth(masks, self._to_spare) if self._is_named(p))

    def is_written(self, group: int) -> bool:
        """Every stripe born in `group` that was added so far is written, but for those that cannot be had any more: to
        wait for them would keep the deaths from the log that get over their loss."""
        unsafe = self._unsafe.get(group, set()) - self._hopeless
        return all(self._reach(self.acks(id_), self.away) >= Reach.WRITTEN for id_ in unsafe)

    def complete(self) -> int:
        """The newest group up to which every stripe lies on all columns."""
        return min(self._oldest_groups[0] - 1, self.sealed) if self._oldest_groups else self.sealed

    def all_pending(self, but: Ids) -> Iterator[Pending]:
        """The stripes below target but for some, the least redundant first."""
        return self._pending.by_worth(self._pending.masks(), self._redundancy, but)

    def short_of(self, spare: int) -> Iterator[Pending]:
        """Those of which fewer than k + spare blocks were acked, the least redundant first."""
        masks = [acks for acks in self._pending.masks() if self._redundancy(acks) < spare]
        return self._pending.by_worth(masks, self._redundancy)

    def missing(self, seat: int, but: Ids = NO_IDS) -> Iterator[Pending]:
        """The stripes that a column lacks but for some, least redundant first, then oldest first."""
        return self._pending.by_worth(self._without(seat), self._redundancy, but)

    def owes(self, seat: int) -> bool:
        """Whether the column lacks any stripe that can be had."""
        return any(pending.id not in self._hopeless for pending in self.missing(seat))

    def count_missing(self, seat: int) -> int:
        """How many these are."""
        return sum(count for acks, count in self._pending.masks().items() if not acks >> seat & 1)

    def _without(self, seat: int) -> list[int]:
        return [acks for acks in self._pending.masks() if not acks >> seat & 1]

    def has_caught_up(self, seat: int) -> bool:
        """The column has acked every live stripe up to the barrier that can be had. Were it to wait for the others, A
        would never end, and nothing would be held that goes on without them."""
        return not any(self._is_named(p) and p.id not in self._hopeless for p in self.missing(seat))

    def margin(self) -> int:
        """Further losses that the held state survives now."""
        everything_else = self._to_spare(ALL_SEATS)
        if not self._oldest_groups or self._oldest_groups[0] > self.barrier:
            return everything_else  # the held state names none of them
        for acks in sorted(self._pending.masks(), key=self._to_spare):
            if any(map(self._is_named, self._pending.with_acks(acks))):
                return min(self._to_spare(acks), everything_else)
        return everything_else

    def kinds(self) -> dict[int, int]:
        """The masks of stripes below target that the held state names, and how many stripes have these."""
        if not self._oldest_groups or self._oldest_groups[0] > self.barrier:
            return {}
        masks = self._pending.masks()
        return {acks: masks[acks] for acks in masks if any(map(self._is_named, self._pending.with_acks(acks)))}

    def reach_of(self, ids: Iterable[int]) -> Reach:
        """The least reach of these sealed stripes."""
        return min((self._reach(self.acks(i), self.away) for i in ids), default=Reach.COMPLETE)

    @property
    def lost(self) -> Set[int]:
        """The stripes that cannot be had any more: no group that names one will ever be held."""
        return self._hopeless

    @property
    def pending(self) -> int:
        """Stripes below target: not on all columns."""
        return len(self._pending)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _is_named(self, pending: Pending) -> bool:
        """The state at the barrier names this stripe; it does so too if a later group has killed it (R7)."""
        return pending.born <= self.barrier and (pending.died is None or pending.died > self.barrier)

    def _is_held(self, group: int) -> bool:
        """Every stripe that the state at the end of `group` names is safe; those before it are held already."""
        return not any(
            born <= group and not self._died_by(id_, group) for born, ids in self._unsafe.items() for id_ in ids
        )

    def _died_by(self, id_: int, group: int) -> bool:
        pending = self._pending.get(id_)
        assert pending is not None
        return pending.died is not None and pending.died <= group

    def _judged_by(self, acks: int) -> Iterable[Span]:
        """The layout of stripes with this mask; of what is complete, all."""
        return self.seats if acks == ALL_SEATS else (self.seats.lacked_by(acks),)

    def _to_spare(self, acks: int) -> int:
        """Acks that count beyond the k that are needed."""
        return min(span.own(acks & ~self.away).bit_count() - span.layout.k for span in self._judged_by(acks))

    def _redundancy(self, acks: int) -> int:
        """All acks beyond k."""
        return min(span.own(acks).bit_count() - span.layout.k for span in self._judged_by(acks))

    def _lets_go(self, acks: int, away: int) -> bool:
        return all(span.quorum.may_go(span.own(acks), span.own(away)) for span in self._judged_by(acks))

    def _reach(self, acks: int, away: int) -> Reach:
        if acks == ALL_SEATS:
            return Reach.COMPLETE
        span = self.seats.lacked_by(acks)
        return span.quorum.reach(span.own(acks), span.own(away))

    def _is_safe(self, acks: int, away: int) -> bool:
        return self._reach(acks, away) >= Reach.HELD

    def _is_safe_everywhere(self, span: Span) -> bool:
        away = span.own(self.away)
        return span.layout.n - away.bit_count() >= span.quorum.to_be_safe(away)

    def _put(self, pending: Pending) -> Pending:
        self._pending.put(pending)
        self._mark(pending.id, pending.born, self._is_safe(pending.acks, self.away))
        return pending

    def _mark(self, id_: int, born: int, is_safe: bool) -> None:
        ids = self._unsafe[born]
        if not is_safe:
            ids.add(id_)
        else:
            ids.discard(id_)
        if not ids:
            del self._unsafe[born]

    def _forget(self, pending: Pending) -> None:
        self._pending.remove(pending.id)
        self._hopeless.discard(pending.id)
        self._groups[pending.born] -= 1
        oldest = self._oldest_groups
        while oldest and not self._groups[oldest[0]]:
            del self._groups[heapq.heappop(oldest)]
        if pending.born in self._unsafe:
            self._unsafe[pending.born].discard(pending.id)
            if not self._unsafe[pending.born]:
                del self._unsafe[pending.born]
