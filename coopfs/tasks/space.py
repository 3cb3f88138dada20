"""The space of a disk that is written: whether a change fits, and what statvfs says (design R9, P4).

A budget in bytes is counted down with every change and made anew when it runs out, when a group closes, and when rows
come back: so the common case costs a subtraction.
"""

import os
from pathlib import Path

from coopfs.core.rows import budget, reserve_rows, stripe_payload
from coopfs.errors import OutOfSpace
from coopfs.limits import IMAGE_BYTES, LOCAL_HEADROOM, SPACE_USABLE
from coopfs.local.metadata import Metadata
from coopfs.tasks.ledger import Ledger


class PartnerSpace:
    """Space on the partners, and on the local disk, which holds all content for now. directory: of the stage."""

    def __init__(self, ledger: Ledger, metadata: Metadata, directory: Path) -> None:
        self._ledger = ledger
        self._metadata = metadata
        self._directory = directory
        self._left = 0
        self.refresh()

    def refresh(self) -> None:
        """Count anew what is free."""
        ledger = self._ledger
        free = ledger.rows.free - ledger.log.unsealed()
        images = self._metadata.images.count + ledger.log.closed_images()
        remote = budget(ledger.layout, ledger.rows.total, free, images)
        local = os.statvfs(self._directory)
        self._left = min(remote, local.f_bavail * local.f_frsize - LOCAL_HEADROOM)

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
        return total, max(0, self._left)
