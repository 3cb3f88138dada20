"""How far the log has got: which stripes are written, safe, complete, and up to which group the disk is held (R7).

Fed with seals, acks, retractions, deaths and the columns away; asked for the barrier. Only stripes that are not yet
complete are kept here, so memory grows with what is under way, not with the disk.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coopfs.core.quorum import Quorum, Reach


@dataclass(slots=True)
class Pending:
    """A sealed stripe that some column lacks. died: the group that killed it, None while it lives."""

    id: int
    born: int
    died: int | None
    acks: int


class Progress:
    """The state of one layout's stripes between sealed and complete."""

    def __init__(self, quorum: Quorum, barrier: int, sealed: int, oldest: int = 0) -> None:
        """barrier: the newest group known held; sealed: the newest group all of whose stripes are sealed; oldest: the
        first group that can be held again after a takeover, as those before it are not known (R13)."""
        self.quorum = quorum
        self.barrier = barrier
        self.sealed = sealed
        self._oldest = oldest
        self.away = 0
        self._pending: dict[int, Pending] = {}
        self._groups: Counter[int] = Counter()  # born -> stripes pending
        self._unsafe: defaultdict[int, set[int]] = defaultdict(set)  # born -> ids that are not safe

    # --- what happened --------------------------------------------------------------------------------------------

    def add(self, id_: int, born: int, died: int | None, acks: int) -> None:
        """A stripe was sealed, or is about to be found lacking blocks after all."""
        assert id_ not in self._pending
        self._pending[id_] = Pending(id_, born, died, acks)
        self._groups[born] += 1
        self._judge(self._pending[id_])

    def ack(self, id_: int, column: int) -> int | None:
        """A column has the stripe on stable storage. The new mask, or None if that was known."""
        pending = self._pending.get(id_)
        if pending is None or pending.acks >> column & 1:
            return None
        pending.acks |= 1 << column
        self._judge(pending)
        if pending.acks.bit_count() >= self.quorum.n:
            self._forget(pending)
        return pending.acks

    def retract(self, id_: int, column: int) -> int:
        """A column lacks a pending stripe that it acked. The new mask."""
        pending = self._pending[id_]
        pending.acks &= ~(1 << column)
        self._judge(pending)
        return pending.acks

    def die(self, id_: int, group: int) -> None:
        """The last live byte of a stripe died in `group`."""
        if id_ in self._pending:
            self._pending[id_].died = group

    def release(self, id_: int) -> None:
        """The row of a dead stripe was given back: nobody needs its blocks any more."""
        if id_ in self._pending:
            self._forget(self._pending[id_])

    def seal_group(self, group: int) -> None:
        """All stripes of `group`, its END included, have been added."""
        assert group > self.sealed
        self.sealed = group

    def set_away(self, away: int) -> None:
        """The columns in A have changed: every pending stripe is judged again."""
        if away != self.away:
            self.away = away
            for pending in self._pending.values():
                self._judge(pending)

    def advance(self) -> int:
        """The barrier, moved on as far as what is safe now allows. It never moves back (R7)."""
        if self.quorum.n - self.away.bit_count() < self.quorum.to_be_safe(self.away):
            return self.barrier  # so many are away that not even what lies on all columns is safe
        while (group := max(self.barrier + 1, self._oldest)) <= self.sealed and self._is_held(group):
            self.barrier = group
        return self.barrier

    # --- what is the case -----------------------------------------------------------------------------------------

    def get(self, id_: int) -> Pending | None:
        """The stripe if it is not complete."""
        return self._pending.get(id_)

    def may_go(self, id_: int) -> bool:
        """Whether the content of a sealed stripe may be evicted from this machine (R8)."""
        return self.quorum.may_go(self._acks(id_), self.away)

    def is_endangered(self, id_: int) -> bool:
        """No further loss may hit a sealed stripe: its margin is 0, or less."""
        return (self._acks(id_) & ~self.away).bit_count() <= self.quorum.k

    def endangered(self) -> list[int]:
        """The stripes below target that the held state names, and whose margin is 0 or less; fewest blocks first."""
        found = [p for p in self._pending.values() if self._is_named(p) and self.is_endangered(p.id)]
        return [p.id for p in sorted(found, key=lambda p: ((p.acks & ~self.away).bit_count(), p.id))]

    def is_written(self, group: int) -> bool:
        """Every stripe born in `group` that was added so far is written."""
        return all(
            self.quorum.reach(self._pending[id_].acks, self.away) >= Reach.WRITTEN
            for id_ in self._unsafe.get(group, ())
        )

    def complete(self) -> int:
        """The newest group up to which every stripe lies on all columns."""
        return min(min(self._groups, default=self.sealed + 1) - 1, self.sealed)

    def all_pending(self) -> Iterable[Pending]:
        """The stripes below target."""
        return self._pending.values()

    def missing(self, column: int) -> Iterator[Pending]:
        """The stripes that a column lacks."""
        bit = 1 << column
        return (p for p in self._pending.values() if not p.acks & bit)

    def has_caught_up(self, column: int) -> bool:
        """The column has acked every live stripe up to the barrier."""
        return not any(map(self._is_named, self.missing(column)))

    def margin(self) -> int:
        """Further losses that the held state survives now."""
        held = (p.acks for p in self._pending.values() if self._is_named(p))
        everything_else = self.quorum.n - (self.away.bit_count()) - self.quorum.k
        pending = self.quorum.margin(held, self.away)
        return everything_else if pending is None else min(pending, everything_else)

    def reach_of(self, ids: Iterable[int]) -> Reach:
        """The least reach of these sealed stripes."""
        known = (self._pending[i].acks for i in ids if i in self._pending)
        return min((self.quorum.reach(acks, self.away) for acks in known), default=Reach.COMPLETE)

    @property
    def pending(self) -> int:
        """Stripes below target: not on all columns."""
        return len(self._pending)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _acks(self, id_: int) -> int:
        pending = self._pending.get(id_)
        return (1 << self.quorum.n) - 1 if pending is None else pending.acks

    def _is_named(self, pending: Pending) -> bool:
        """The state at the barrier names this stripe; it does so too if a later group has killed it (R7)."""
        return pending.born <= self.barrier and (pending.died is None or pending.died > self.barrier)

    def _is_held(self, group: int) -> bool:
        """Every stripe that the state at the end of `group` names is safe; those before it are held already."""
        return not any(
            born <= group and ((died := self._pending[id_].died) is None or died > group)
            for born, ids in self._unsafe.items()
            for id_ in ids
        )

    def _judge(self, pending: Pending) -> None:
        ids = self._unsafe[pending.born]
        if self.quorum.reach(pending.acks, self.away) < Reach.HELD:
            ids.add(pending.id)
        else:
            ids.discard(pending.id)
        if not ids:
            del self._unsafe[pending.born]

    def _forget(self, pending: Pending) -> None:
        del self._pending[pending.id]
        self._groups[pending.born] -= 1
        if not self._groups[pending.born]:
            del self._groups[pending.born]
        if pending.born in self._unsafe:
            self._unsafe[pending.born].discard(pending.id)
            if not self._unsafe[pending.born]:
                del self._unsafe[pending.born]
