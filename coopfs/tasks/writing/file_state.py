"""How far one file has got: what `user.coopfs.state` and `coopfs log` say of it (design section 8)."""

from collections.abc import Sequence

from coopfs.core.quorum import Reach
from coopfs.tasks.writing.ledger import Ledger

DIRTY = "dirty"  # not sealed yet: on this machine only
_WORDS = {Reach.SENT: "sent", Reach.WRITTEN: "written", Reach.HELD: "held", Reach.COMPLETE: "complete"}
STATES = (DIRTY, *_WORDS.values())  # from the least to the most


class StateOfFile:
    """Call it with a file's stripes and the group of its newest image: "held 97%". The share is of blocks acked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(self, stripes: Sequence[int], group: int) -> str:
        return f"{self.word(stripes, group)} {self.share(stripes, group)}%"

    def word(self, stripes: Sequence[int], group: int) -> str:
        """One of STATES."""
        progress = self._ledger.progress
        if progress.barrier < group <= progress.sealed and progress.is_written(group):
            return _WORDS[min(Reach.WRITTEN, progress.reach_of(stripes))]
        return self.word_of_group(group)

    def word_of_group(self, group: int) -> str:
        """The state of what changed in this group last, whose content was sent before."""
        progress = self._ledger.progress
        if group > progress.sealed:
            return DIRTY
        if group <= progress.complete():
            return _WORDS[Reach.COMPLETE]
        if group <= progress.barrier:
            return _WORDS[Reach.HELD]
        return _WORDS[Reach.WRITTEN if progress.is_written(group) else Reach.SENT]

    def word_of_stripe(self, stripe: int) -> str:
        """That of one stripe, which may be safe before its group is held."""
        if self._ledger.log.get(stripe) is None:
            return DIRTY
        return _WORDS[self._ledger.progress.reach_of([stripe])]

    def share(self, stripes: Sequence[int], group: int) -> int:
        """Per cent of the blocks of these stripes that partners have; without content it is all or nothing."""
        if not stripes:
            return 100 * (group <= self._ledger.progress.sealed)
        # a large file has 10^6 of them, so each is asked for only what is in memory: nearly all are complete
        seats, sealed = self._ledger.seats, self._ledger.log.count_by_layout(stripes)
        complete = sum(seats.of(layout).layout.n * count for layout, count in sealed.items())
        in_all = complete + self._ledger.layout.n * (len(stripes) - sum(sealed.values()))
        pending = (self._ledger.progress.get(stripe) for stripe in stripes)
        return 100 * (complete - sum(self._lacking(each.acks) for each in pending if each is not None)) // in_all

    def _lacking(self, acks: int) -> int:
        span = self._ledger.seats.lacked_by(acks)
        return span.layout.n - span.own(acks).bit_count()

    def blocks(self, stripe: int) -> tuple[int, int]:
        """Blocks of a stripe that partners have, and that it will have."""
        sealed = self._ledger.log.get(stripe)
        if sealed is None:
            return 0, self._ledger.layout.n
        span, pending = self._ledger.seats.of(sealed.layout), self._ledger.progress.get(stripe)
        return span.layout.n if pending is None else span.own(pending.acks).bit_count(), span.layout.n
