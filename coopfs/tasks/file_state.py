"""What `user.coopfs.state` says of one file: how far its newest change has got (design section 8)."""

from collections.abc import Sequence

from coopfs.core.quorum import Reach
from coopfs.tasks.ledger import Ledger

_WORDS = {Reach.SENT: "sent", Reach.WRITTEN: "written", Reach.HELD: "held", Reach.COMPLETE: "complete"}


class StateOfFile:
    """Call it with a file's stripes and the group of its newest image: "held 97%". The share is of blocks acked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(self, stripes: Sequence[int], group: int) -> str:
        progress = self._ledger.progress
        acked = sum(self._acks(stripe) for stripe in stripes)
        share = 100 * acked // (len(stripes) * self._ledger.layout.n) if stripes else 100 * (group <= progress.sealed)
        if group > progress.sealed:
            return f"dirty {share}%"
        if group <= progress.complete():
            reach = Reach.COMPLETE
        elif group <= progress.barrier:
            reach = Reach.HELD
        else:
            reach = min(Reach.WRITTEN, progress.reach_of(stripes)) if progress.is_written(group) else Reach.SENT
        return f"{_WORDS[reach]} {share}%"

    def _acks(self, stripe: int) -> int:
        pending = self._ledger.progress.get(stripe)
        if pending is not None:
            return pending.acks.bit_count()
        return self._ledger.layout.n if self._ledger.log.get(stripe) is not None else 0
