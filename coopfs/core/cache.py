"""What this machine's disk holds of a logical disk, in bytes, and what of it may go (design R8, P6).

A stripe's content is *dirty* until it is held, and its stripe safe with margin >= 1, and *clean* from then on. Nobody
marks content as one or the other: whenever a margin may have moved, and again right before something goes, `may_go` is
asked, which counts acks. Only clean content stands in the policy's queues, so only clean content can be found there.

A *stray* is content that no commit names: most likely nobody's, but all there is if the database is an old one. It is
neither clean nor dirty, and goes before a writer would be refused.
"""

from collections.abc import Callable

from coopfs.core.s3fifo import S3Fifo
from coopfs.limits import FILESYSTEM_BLOCK


def charge_of(length: int) -> int:
    """Bytes that a file of so many bytes takes on the local disk."""
    return -(-length // FILESYSTEM_BLOCK) * FILESYSTEM_BLOCK


def no_content(stripe: int) -> bool:
    """`may_go` of a cache from which nothing is evicted."""
    return False


def nobody_waits() -> None:
    """`on_room` of a cache with no cap."""


class Cache:
    """The books: every stripe whose content is here, or is being written here.

    size: the cap in bytes, of dirty and clean together, None: no cap; dirty_size: dirty bytes from which on writers
    wait, None: they never do. may_go: whether a stripe is held, and safe with margin >= 1; on_room: called when dirty
    bytes have become fewer, or the cap higher.
    """

    def __init__(self) -> None:
        self.size: int | None = None
        self.dirty_size: int | None = None
        self.may_go: Callable[[int], bool] = no_content
        self.on_room: Callable[[], None] = nobody_waits
        self.used = 0
        self.stray = 0  # bytes
        self._charges: dict[int, int] = {}
        self._strays: dict[int, int] = {}  # the oldest first
        self._clean = S3Fifo()

    def __len__(self) -> int:
        return len(self._charges)

    def __contains__(self, stripe: int) -> bool:
        return stripe in self._charges or stripe in self._strays

    @property
    def clean(self) -> int:
        """Bytes that may go."""
        return self._clean.bytes

    @property
    def dirty(self) -> int:
        """Bytes that must stay: not on enough partners, or on their way into the cache."""
        return self.used - self._clean.bytes - self.stray

    def takes_dirty(self, more: int) -> bool:
        """Whether so many bytes may be written without going over the dirty cap."""
        return self.dirty_size is None or self.dirty + more <= self.dirty_size

    def limit(self, size: int | None, dirty_size: int | None) -> None:
        """Set the cap. What is over it goes when room is made next, as far as it is clean."""
        self.size, self.dirty_size = size, dirty_size
        self.on_room()

    # --- what is here ---------------------------------------------------------------------------------------------

    def charge(self, stripe: int, length: int) -> None:
        """A stripe's content is here, or its file has another length than before. Dirty until judged."""
        self.forget(stripe)
        self._charges[stripe] = charge_of(length)
        self.used += self._charges[stripe]

    def charge_stray(self, stripe: int, length: int) -> None:
        """A file is here that no commit names, younger than those that this was called with before."""
        self._strays[stripe] = charge_of(length)
        self.stray += self._strays[stripe]
        self.used += self._strays[stripe]

    def forget(self, stripe: int) -> None:
        """It is here no more."""
        charge = self._charges.pop(stripe, None)
        if charge is None:
            return
        self.used -= charge
        was_dirty = stripe not in self._clean
        self._clean.discard(stripe)
        if was_dirty:
            self.on_room()

    # --- what may go ----------------------------------------------------------------------------------------------

    def judge(self, stripe: int) -> None:
        """The margin of a stripe may have moved."""
        if stripe not in self._charges:
            return
        if not self.may_go(stripe):
            self._clean.discard(stripe)
        elif stripe not in self._clean:
            self._clean.add(stripe, self._charges[stripe])
            self.on_room()

    def judge_all(self) -> None:
        """All margins may have moved."""
        for stripe in self._charges:
            self.judge(stripe)

    def judge_those(self, is_meant: Callable[[int], bool]) -> None:
        """Their margins may have moved."""
        for stripe in filter(is_meant, self._charges):
            self.judge(stripe)

    def touch(self, stripe: int) -> None:
        """Somebody reads it."""
        self._clean.touch(stripe)

    def lacks(self, more: int) -> bool:
        """Whether something must go before so many bytes may come."""
        return self.size is not None and self.used + more > self.size

    def evict(self) -> int | None:
        """The clean stripe that goes first, no longer in the books; None: all that is here must stay."""
        while (stripe := self._clean.evict()) is not None:
            if self.may_go(stripe):
                self.used -= self._charges.pop(stripe)
                return stripe
        return None

    def evict_stray(self) -> int | None:
        """The oldest stray, no longer in the books; None: there is none."""
        stripe = next(iter(self._strays), None)
        if stripe is not None:
            charge = self._strays.pop(stripe)
            self.stray -= charge
            self.used -= charge
        return stripe
