"""When the open group may close (design R9): closing one sooner than it can be sent wins nothing, and costs rows.

While nothing becomes held, each group waits twice as long as the one before for its age to close it: two weeks without
partners are sixteen groups. When no row is left for writers, only one group is under way at a time; what frees goes
into the open one meanwhile, in which a key is told once however often it changes. But a group that kills all that is
lost waits for none before it, as these will never be held.
"""

from typing import Protocol

from coopfs.local.metadata import Metadata
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace

MOST_DOUBLINGS = 20  # 30 s x 2^20 = a year


class Pace(Protocol):
    """Asked by the committer. changed: it may answer otherwise now."""

    changed: Signal

    def stretch(self) -> int:
        """Times the age that closes a group when all is well."""

    def holds_back(self) -> bool:
        """Whether the open group must wait for those before it, unless its content closes it."""


class Steady:
    """The pace of a disk whose groups are never in each other's way."""

    def __init__(self) -> None:
        self.changed = Signal()

    def stretch(self) -> int:
        return 1

    def holds_back(self) -> bool:
        return False


class HeldPace:
    """The pace at which groups become held."""

    def __init__(self, ledger: Ledger, metadata: Metadata, space: PartnerSpace) -> None:
        self.changed = ledger.moved
        self._ledger = ledger
        self._metadata = metadata
        self._space = space

    def stretch(self) -> int:
        return 1 << min(self._unheld(), MOST_DOUBLINGS)

    def holds_back(self) -> bool:
        return self._unheld() > 0 and self._space.is_full

    def _unheld(self) -> int:
        if self._ledger.has_buried_the_lost():
            return 0  # those before it name what is lost, and never become held
        return self._metadata.group - 1 - self._ledger.progress.barrier
