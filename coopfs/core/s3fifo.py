"""Which content to let go first: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023), sized in bytes.

New entries join a small queue, and leave the cache from there unless they were read again; those that were go to the
main queue, where each further read buys one more round. Who comes back soon after leaving goes to the main queue at
once. So a backup that reads everything once flows through the small queue and leaves the main one alone.

A reader takes a stripe in many small requests. They count as one read: a second one counts when READ_APART other
stripes were turned to in between.
"""

from collections import OrderedDict
from dataclasses import dataclass

from coopfs.limits import GHOST_STRIPES, READ_APART

SMALL_SHARE = 10  # the small queue is cut back while it is longer than 1/10 of all
MOST_READS = 3  # that are remembered: rounds in the main queue
READS_TO_STAY = 2  # in the small queue: more than the one for which an entry was fetched


@dataclass(slots=True)
class _Entry:
    size: int
    reads: int = 0
    read_at: int = -READ_APART  # count of turns at the last read that counted


class S3Fifo:
    """Entries that may go. Sizes in bytes; ids are never reused."""

    def __init__(self) -> None:
        self._small: OrderedDict[int, _Entry] = OrderedDict()
        self._main: OrderedDict[int, _Entry] = OrderedDict()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._small_bytes = 0
        self._main_bytes = 0
        self._turns = 0
        self._last = -1

    def __contains__(self, id_: int) -> bool:
        return id_ in self._small or id_ in self._main

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    @property
    def bytes(self) -> int:
        """Of all entries."""
        return self._small_bytes + self._main_bytes

    def add(self, id_: int, size: int) -> None:
        """A new entry."""
        assert id_ not in self
        if id_ in self._ghosts:
            del self._ghosts[id_]
            self._main[id_] = _Entry(size)
            self._main_bytes += size
        else:
            self._small[id_] = _Entry(size)
            self._small_bytes += size

    def discard(self, id_: int) -> None:
        """Forget an entry, if it is one: it is pinned, or gone for another reason than want of room."""
        if (entry := self._small.pop(id_, None)) is not None:
            self._small_bytes -= entry.size
        elif (entry := self._main.pop(id_, None)) is not None:
            self._main_bytes -= entry.size

    def touch(self, id_: int) -> None:
        """Somebody reads this stripe, be it an entry or not."""
        if id_ != self._last:
            self._turns += 1
            self._last = id_
        entry = self._small.get(id_) or self._main.get(id_)
        if entry is not None and self._turns - entry.read_at >= READ_APART:
            entry.read_at = self._turns
            entry.reads = min(entry.reads + 1, MOST_READS)

    def evict(self) -> int | None:
        """The entry that goes, None if there is none. Takes O(1) on average: each read pays for one more look."""
        while self._small or self._main:
            gone = self._leave_small() if self._small_is_long() else self._leave_main()
            if gone is not None:
                return gone
        return None

    def _small_is_long(self) -> bool:
        return not self._main or self._small_bytes * SMALL_SHARE >= self.bytes

    def _leave_small(self) -> int | None:
        id_, entry = self._small.popitem(last=False)
        self._small_bytes -= entry.size
        if entry.reads >= READS_TO_STAY:
            self._main[id_] = _Entry(entry.size, 0, entry.read_at)
            self._main_bytes += entry.size
            return None
        self._ghosts[id_] = None
        while len(self._ghosts) > min(GHOST_STRIPES, max(len(self), 1)):
            self._ghosts.popitem(last=False)
        return id_

    def _leave_main(self) -> int | None:
        id_, entry = self._main.popitem(last=False)
        if entry.reads:
            entry.reads -= 1
            self._main[id_] = entry
            return None
        self._main_bytes -= entry.size
        return id_
