"""The space of a disk that is written: whether a change fits, and what statvfs says (design R9, P4).

A budget in bytes is counted down with every change and made anew when it runs out, when a group closes, and when rows
come back: so the common case costs a subtraction.
"""

from pathlib import Path

from coopfs.core.rows import budget, reserve_rows, stripe_payload
from coopfs.errors import OutOfSpace
from coopfs.limits import IMAGE_BYTES, LOCAL_HEADROOM, SPACE_USABLE
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage, free_bytes
from coopfs.tasks.ledger import Ledger


class PartnerSpace:
    """Space on the partners, and what the local disk leaves of it. directory: of the stage.

    Content goes from the local disk when it is safe, so that writers wait for room there, and the partners' space
    counts. It is otherwise if nothing ever goes (m = 0), and when other programs have filled the local disk.
    """

    def __init__(self, ledger: Ledger, metadata: Metadata, stage: Stage, directory: Path) -> None:
        self._ledger = ledger
        self._metadata = metadata
        self._stage = stage
        self._directory = directory
        self._left = self._remote = 0
        self.refresh()

    def refresh(self) -> None:
        """Count anew what is free."""
        ledger = self._ledger
        free = ledger.rows.free - ledger.log.unsealed()
        images = self._metadata.images.count + ledger.log.closed_images()
        self._remote = budget(ledger.layout, ledger.rows.total, free, images)
        self._left = min(self._remote, self._local())

    def _local(self) -> int:
        """Bytes that the local disk takes before anything else becomes clean."""
        cache = self._stage.cache
        local = free_bytes(self._directory) + cache.clean - LOCAL_HEADROOM
        if cache.size is None or self._ledger.layout.m:
            return local
        return min(local, cache.size - cache.used)

    def admit(self, data_bytes: int, images: int) -> None:
        """OutOfSpace: new content of so many bytes, or so many new images, do not fit."""
        cost = data_bytes + images * IMAGE_BYTES
        if cost > self._left:
            self.refresh()
            if cost > self._left:
                raise OutOfSpace("the disk is full: delete something")
        self._left -= cost

    def admit_free(self) -> None:
        """What frees is always admitted: a reserve of rows is kept for it."""

    def figures(self) -> tuple[int, int]:
        """(bytes of content that the disk can hold in all, bytes still free)."""
        self.refresh()
        rows = self._ledger.rows.total
        total = int((rows - reserve_rows(rows)) * SPACE_USABLE) * stripe_payload(self._ledger.layout)
        most = self._remote if self._ledger.layout.m and self._left >= self._stage.capacity else self._left
        return total, max(0, most)
