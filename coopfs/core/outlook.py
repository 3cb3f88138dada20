"""How likely is it that this disk could be restored now, and what would help most? Pure; see core/reliability."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from coopfs.core.quorum import Quorum
from coopfs.core.reliability import mixed_failure, weakest_failure
from coopfs.limits import OUTLOOK_KINDS

ALWAYS = 0.999  # of the time: a partner that is as good as always up
WORTH = 0.5  # of what would fail, that must be left for a change to be called a help: less is not worth the trouble


@dataclass(frozen=True, slots=True)
class Holder:
    """The partner of one column. now: the probability that it is up at a random moment; later: that it is at some
    moment of the window; both 0: it is lost."""

    name: str
    now: float
    later: float


@dataclass(frozen=True, slots=True)
class Help:
    """What would help most. partner: whose being up; None: that every stripe were on every partner. failure: what would
    be left."""

    partner: str | None
    failure: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """Probabilities that a restore fails. now: at a random moment, or that it has to ask; within: all through the
    window."""

    now: float
    within: float
    help: Help | None


def look_out(quorum: Quorum, kinds: Collection[int], holders: Sequence[Holder]) -> Outlook:
    """kinds: the columns, as bits, that each kind of stripe of the held state is on; holders: by column.

    Of very many kinds only those with the fewest blocks are looked at: the others fail far less often.
    """
    weakest = sorted(kinds, key=lambda kind: (kind.bit_count(), kind))[:OUTLOOK_KINDS]
    ups = [holder.now for holder in holders]
    now = _failure(quorum, weakest, ups)
    within = weakest_failure(quorum.k, weakest, [holder.later for holder in holders])
    helps = [Help(None, _failure(quorum, [(1 << quorum.n) - 1], ups))]
    for column, holder in enumerate(holders):
        if holder.later:
            better = [*ups[:column], max(ALWAYS, holder.now), *ups[column + 1 :]]
            helps.append(Help(holder.name, _failure(quorum, weakest, better)))
    best = min(helps, key=lambda each: each.failure)
    return Outlook(now, min(within, now), best if best.failure <= WORTH * now else None)


def _failure(quorum: Quorum, kinds: Sequence[int], ups: Sequence[float]) -> float:
    """That a stripe cannot be read, or that too few answer to be sure of the newest state (R11)."""
    return max(weakest_failure(quorum.k, kinds, ups), mixed_failure(quorum.answers_needed, ups))
