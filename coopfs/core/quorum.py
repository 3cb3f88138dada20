"""When is it safe? Counting acks and answers (design R7). Pure arithmetic on bit masks of columns.

Vocabulary: A = the columns away, lost, being rebuilt or not caught up; f = promised partner losses; acks count only
outside A. All figures are of one layout.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Reach(IntEnum):
    """How far a stripe or group has got; ordered."""

    SENT = 1
    WRITTEN = 2
    HELD = 3  # of a stripe: safe
    COMPLETE = 4


@dataclass(frozen=True, slots=True)
class Quorum:
    """The promise of k data and m redundancy columns."""

    k: int
    m: int

    @property
    def n(self) -> int:
        return self.k + self.m

    @property
    def f(self) -> int:
        """Partner losses promised to be survived, besides that of this machine."""
        return self.m - 1 if self.m >= 2 else self.m

    @property
    def f_min(self) -> int:
        """Losses survived however many columns are away when something becomes held."""
        return 1 if self.m >= 2 else 0

    @property
    def answers_needed(self) -> int:
        """a_min: primary answers after which a restore overlooks nothing that was held."""
        return self.n - self.k - self.f_min + 1

    @property
    def claims_needed(self) -> int:
        """Primary stores that must grant a takeover's claim: enough to overlook nothing that was held, and more than
        half, so that of two machines with one kit only one can (R13)."""
        return max(self.answers_needed, self.n // 2 + 1)

    @property
    def told_needed(self) -> int:
        """Primary stores that must know of a change before it is relied on, so that every set that is enough for a
        claim has one that knows."""
        return self.n - self.claims_needed + 1

    def to_be_written(self, away: int) -> int:
        """Acks outside A that make a stripe written."""
        return max(self.k, self.f + 1 - away.bit_count())

    def to_be_safe(self, away: int) -> int:
        """Acks outside A that make a stripe safe; what is safe has at least k + f_min blocks for good."""
        return max(self.k + self.f - away.bit_count(), self.k + self.f_min)

    def reach(self, acks: int, away: int) -> Reach:
        """How far a stripe has got whose columns in `acks` hold it, with A = `away`."""
        assert 0 <= acks < 1 << self.n
        if acks.bit_count() == self.n:
            return Reach.COMPLETE
        counted = (acks & ~away).bit_count()
        if counted >= self.to_be_safe(away):
            return Reach.HELD
        return Reach.WRITTEN if counted >= self.to_be_written(away) else Reach.SENT

    def may_go(self, acks: int, away: int) -> bool:
        """Whether a stripe's content may be evicted here: it is safe, and survives one loss more than it must (R8)."""
        return (acks & ~away).bit_count() >= max(self.to_be_safe(away), self.k + 1)

    def margin(self, acks: Iterable[int], away: int) -> int | None:
        """Further losses that the held state survives now: the least of (acks outside A - k). None: no stripes."""
        return min(((a & ~away).bit_count() - self.k for a in acks), default=None)

    def may_have_been_held(self, denials: int) -> bool:
        """Whether a stripe can have been held, given how many primary stores answered that their intact slot holds
        something else or was never written."""
        return self.n - denials >= self.k + self.f_min
