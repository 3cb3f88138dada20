"""Choosing k and m: which splits of partners into data and redundancy reach what the owner wants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coopfs.core.quorum import Quorum
from coopfs.core.reliability import mixed_failure, yearly_loss
from coopfs.limits import DEFAULT_PARTNER_UP, MAX_COLUMNS, UPTIME_KNOWN

LEAST_DOWN = 0.001  # of the time: even the best machine is off for nine hours a year, or its line is
ROUNDING = 1e-9  # of a probability: 1 - 0.9999 is not 0.1^4 in binary, and is meant to be


@dataclass(frozen=True, slots=True)
class Hopes:
    """What is assumed. lost: the probability that a partner is lost for good within a year; repair: days until its
    column is filled again."""

    lost: float
    repair: float


def expected(seen: tuple[float, int] | None, promised: float | None = None) -> float:
    """The probability that a node is up of which this share was seen, in so many seconds: none is believed to be always
    up, and what was seen for less than a week says nothing, so that what it has promised, if anything, stands for
    it."""
    if seen is None or seen[1] < UPTIME_KNOWN:
        return DEFAULT_PARTNER_UP if promised is None else promised
    return min(seen[0], 1.0 - LEAST_DOWN)


@dataclass(frozen=True, slots=True)
class Choice:
    """k and m, and what they give. failure: the probability that a restore at a random moment finds fewer than k
    partners; unsure: that it finds too few to be sure, without asking, that it shows the newest state (design R11);
    loss: that a year loses content that only partners have.

    Being sure needs max(k, m) partners if m >= 2: redundancy above k helps who is ready to be asked, and nobody else.
    """

    k: int
    m: int
    failure: float
    unsure: float
    loss: float

    @property
    def n(self) -> int:
        return self.k + self.m

    @property
    def overhead(self) -> float:
        """Bytes at partners for each byte of content, and bytes given to them in exchange."""
        return self.n / self.k

    def reaches(self, target: float) -> bool:
        """Whether a restore works, and is sure, with this probability at least."""
        return self.unsure <= (1.0 - target) * (1.0 + ROUNDING)


def weigh(k: int, ups: Sequence[float], hopes: Hopes) -> Choice:
    """k of these partners as data; ups: for each the probability that it is up."""
    n = len(ups)
    sure = max(k, n - k - Quorum(k, n - k).f_min + 1)
    return Choice(
        k, n - k, mixed_failure(k, ups), mixed_failure(sure, ups), yearly_loss(k, n, hopes.lost, hopes.repair)
    )


def choices(target: float, up: float, most: int, hopes: Hopes) -> Iterator[Choice]:
    """By ascending n the splits of at most `most` partners that reach the target with less overhead than those of
    fewer partners; each partner is up with probability `up`."""
    assert most <= MAX_COLUMNS
    least = float("inf")
    for n in range(2, most + 1):
        best = _thriftiest(target, [up] * n, hopes)
        if best is not None and best.overhead < least:
            least = best.overhead
            yield best


def nearest(up: float, most: int, hopes: Hopes) -> Choice:
    """Of the splits of at most `most` partners the one with which a restore works most often: where partners are up for
    half of the time or less, more of them make it worse."""
    assert most <= MAX_COLUMNS
    return min((_surest([up] * n, hopes) for n in range(2, most + 1)), key=_doubts)


def split(target: float, ups: Sequence[float], hopes: Hopes) -> Choice:
    """The best use of just these partners, two at least: the least overhead that reaches the target, or if none does
    the split that comes nearest to it."""
    return _thriftiest(target, ups, hopes) or _surest(ups, hopes)


def _surest(ups: Sequence[float], hopes: Hopes) -> Choice:
    return min(_all(ups, hopes), key=_doubts)


def _doubts(choice: Choice) -> tuple[float, float]:
    return choice.unsure, choice.failure


def _thriftiest(target: float, ups: Sequence[float], hopes: Hopes) -> Choice | None:
    """The largest k that reaches the target, with redundancy."""
    return next((choice for choice in _all(ups, hopes) if choice.reaches(target)), None)


def _all(ups: Sequence[float], hopes: Hopes) -> Iterator[Choice]:
    """All splits with redundancy, by descending k."""
    assert len(ups) >= 2
    return (weigh(k, ups, hopes) for k in range(len(ups) - 1, 0, -1))
