"""The space of a disk that is written: whether a change fits, and what statvfs says (design R9, P4).

A budget in bytes is counted down with every change. It is made anew when it runs out, and whenever what it was made of
has changed by a row: a stripe was opened or sealed, a group was closed, rows came back. So the common case costs a
few comparisons, and what is accepted has its row.
"""

import errno
from pathlib import Path

from coopfs.core import space
from coopfs.core.slicing import slices
from coopfs.core.space import Usage
from coopfs.errors import OutOfSpace
from coopfs.fs.posix import PosixError
from coopfs.limits import DIRECTORY_BYTES, IMAGE_BYTES, LOCAL_HEADROOM, LOG_FACTOR, LOG_SPARE, STRIPE_BYTES
from coopfs.local.groups import State
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage, free_bytes
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Layout


class PartnerSpace:
    """Space on the partners, and what the local disk leaves of it. directory: of the stage.

    Content goes from the local disk when it is safe, so that writers wait for room there, and the partners' space
    counts. It is otherwise if nothing ever goes (m = 0), and when other programs have left less of the local disk than
    what makes writers wait: who writes faster than it is sent meets the end of that first.
    """

    def __init__(self, ledger: Ledger, metadata: Metadata, stage: Stage, directory: Path) -> None:
        self._ledger = ledger
        self._metadata = metadata
        self._stage = stage
        self._directory = directory
        self._closed: dict[int, int] = {}  # closed group -> rows that its meta stripes will take
        self._layout = ledger.layout  # of which these rows are
        self._left = self._remote = 0
        self._stopped = False
        self._seen: tuple[int, int, int] = (0, 0, 0)
        self._images = 0
        self.refresh()

    # --- rows -----------------------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What is taken, promised and alive now."""
        ledger, totals = self._ledger, self._metadata.totals
        unsealed = ledger.log.unsealed() + (self._stage.filling is None)  # the next write opens one
        return Usage(
            ledger.layout,
            ledger.rows.limit,
            ledger.data_rows + unsealed,
            ledger.log_rows + self._rows_of_closed_groups() + self._rows_of_open_group(unsealed),
            totals.images,
            totals.content + totals.pieces * DIRECTORY_BYTES,
            *self._moving(),
        )

    def _moving(self) -> tuple[int, int]:
        """Usage.moving, Usage.coming."""
        ledger, planned = self._ledger, self._ledger.slices
        moving = -(-ledger.old_bytes() // space.stripe_payload(ledger.layout))
        if planned is None:
            return moving, 0
        return min(moving, planned.kept), max(0, planned.end - ledger.rows.limit)

    def would_fit(self, layout: Layout, rows: int, end: int) -> bool:
        """Whether all that is there would find room in another layout that has so many rows now, and in the end, with
        some left for writers meanwhile."""
        now = self.usage()
        kept = slices(now.layout, layout, end).kept
        then = Usage(layout, rows, 0, 0, now.images, now.content, kept, end - rows)
        return space.budget(then) > 0

    def _rows_of_open_group(self, stripes: int) -> int:
        size = self._metadata.pending_image_bytes + stripes * STRIPE_BYTES
        return max(1, space.rows_for_images(self._ledger.layout, size))

    def _rows_of_closed_groups(self) -> int:
        log = self._ledger.log
        layout = self._ledger.layout
        closed = log.groups(State.CLOSED)
        known = self._closed if layout == self._layout else {}
        self._closed = {
            group: known.get(group) or space.rows_of_group(layout, log.image_lengths(group)) for group in closed
        }
        self._layout = layout
        return sum(self._closed.values())

    def rows_to_clean_with(self) -> int:
        """Rows that cleaning may take before it gives any back."""
        return space.rows_to_clean_with(self.usage())

    @property
    def is_full(self) -> bool:
        """Whether no row is left for writers: what frees goes on in what is kept for it."""
        return space.budget(self.usage()) <= 0

    # --- bytes ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Count anew what is free."""
        self._seen, self._images = self._state(), self._metadata.totals.images
        self._remote = space.budget(self.usage())
        self._left = min(self._remote, self._local())

    def _state(self) -> tuple[int, int, int]:
        return self._ledger.rows.room, self._metadata.group, self._metadata.stripes.opened

    def _local(self) -> int:
        """Bytes that the local disk takes before anything else becomes clean."""
        cache = self._stage.cache
        local = free_bytes(self._directory) + cache.clean - LOCAL_HEADROOM
        if cache.size is None or self._ledger.layout.m:
            return local
        return min(local, cache.size - cache.used)

    def admit(self, data_bytes: int, images: int) -> None:
        """OutOfSpace: new content of so many bytes, or so many new images, do not fit. EROFS: see `stop`."""
        self.admit_free()
        cost = data_bytes + images * IMAGE_BYTES
        grown = max(0, self._metadata.totals.images - self._images) * (LOG_FACTOR + LOG_SPARE)
        if cost + grown > self._left or self._seen != self._state():
            self.refresh()
            if cost > self._left:
                raise OutOfSpace("the disk is full: delete something")
        self._left -= cost

    def admit_free(self) -> None:
        """What frees is always admitted, and what tells anew what is there: rows are kept for it. EROFS: see `stop`."""
        if self._stopped:
            raise PosixError(errno.EROFS)

    def stop(self) -> None:
        """Nothing is sent any more: what would be written now would never be safe, so nothing may change."""
        self._stopped = True

    def figures(self) -> tuple[int, int]:
        """(bytes of content that the disk can hold in all, bytes still free)."""
        self.refresh()
        _, coming = self._moving()
        total = space.content_rows(self._ledger.rows.limit + coming) * space.stripe_payload(self._ledger.layout)
        return total, max(0, self._remote if self._writers_will_wait() else self._left)

    def _writers_will_wait(self) -> bool:
        """Whether there is local room for all that may be written before they do."""
        cache = self._stage.cache
        return cache.dirty_size is not None and self._local() >= cache.dirty_size - cache.dirty
