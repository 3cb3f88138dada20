"""Content that this machine keeps: one file stage/<stripe id> for each data stripe that is here (contents.py).

A write appends to the stripe being filled. Its file is allocated to the stripe's capacity when it is opened, so that
what a write was promised is really there, and cut to its length when the stripe is closed. It ends with an index of its
content (stageindex.py), which nobody reads while the database is there. Nothing is ever overwritten: content that was
overwritten by the user stays until its stripe goes. When the cache is full, clean content goes; it comes back with
`keep` when somebody has fetched it.
"""

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from coopfs.core.cache import Cache, charge_of
from coopfs.core.records import Extent
from coopfs.core.stripe import Fragment, Packer
from coopfs.core.units import PLAIN, Portion, is_won, split
from coopfs.errors import NoDescriptors, OutOfSpace, StateError
from coopfs.limits import (
    GROUP_BYTES,
    GROUPS_OF_DIRTY,
    LOCAL_HEADROOM,
    MIN_CACHE_FACTOR,
    NAME_MAX,
    UNIT_MAX,
    UNITS_PER_STRIPE,
    WRITE_MAX,
)
from coopfs.local.contents import HASH, Contents, Local, fill, sync_files
from coopfs.local.filling import Filling
from coopfs.local.scribe import Scribe
from coopfs.local.spares import Spares
from coopfs.local.stocktaking import take_stock
from coopfs.local.stripes import Stripes

FULL = (errno.ENOSPC, errno.EDQUOT)


class Stage:
    """The stage directory of one disk. capacity: content bytes of a stripe at the most; packer: makes an empty one;
    cache: the books of what is here, and the cap on it."""

    def __init__(
        self, directory: Path, stripes: Stripes, capacity: int, packer: Callable[[], Packer], cache: Cache
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.contents = Contents(directory)
        self.cache = cache
        self._directory = directory
        self._scribe = Scribe()
        self._spares = Spares(directory, self._scribe, stripes.take_id)
        self.contents.on_excess = self._close_soon
        self._stripes = stripes
        self.capacity = capacity
        self._packer = packer
        self.unit = min(UNIT_MAX, capacity // UNITS_PER_STRIPE)  # bytes of content that a compressed unit is made of
        self._usable = packer().room(0, 0, bytes(NAME_MAX))  # content bytes of one file with the longest name
        self._filling: Filling | None = None
        self._noted: tuple[int, int] = (0, 0)  # stripe and length that the transaction knows
        self._unsynced: set[int] = set()  # stripes that were written to since their last sync
        self.unsynced_bytes = 0  # written that a commit must make stable first
        self._entries_changed = False  # files were created since the directory's last sync
        self._last_read = 0
        self.on_turn: Callable[[int], None] = nobody_reads_ahead  # called when a reader turns to another stripe
        self.appended = 0  # content bytes ever appended by this object

    def cut_for(self, capacity: int, packer: Callable[[], Packer]) -> None:
        """Stripes have another shape from now on; the one being filled ends here."""
        self.close_stripe()
        self.capacity = capacity
        self._packer = packer
        self.unit = min(UNIT_MAX, capacity // UNITS_PER_STRIPE)
        self._usable = packer().room(0, 0, bytes(NAME_MAX))

    def recover(self) -> None:
        """Take stock, after a start (stocktaking). StateError: content that was not sent is missing or short."""
        self._unsynced |= take_stock(self.contents, self._stripes, self.cache)

    # --- room -----------------------------------------------------------------------------------------------------

    @property
    def least_cache(self) -> int:
        """Bytes of the smallest cache in which writers never wait for each other: a quarter of the dirty cap is one
        group, and beside it there is room for the largest request and two stripes more."""
        return self.least_cache_for(self.capacity, self._packer())

    def least_cache_for(self, capacity: int, empty: Packer) -> int:
        """The same if stripes had this capacity."""
        largest = 1 + -(-WRITE_MAX // empty.room(0, 0, bytes(NAME_MAX)))  # stripes that a request may need
        return MIN_CACHE_FACTOR * (largest + 2) * charge_of(capacity)

    @property
    def group_bytes(self) -> int:
        """Content bytes that close a group: with a small cache it closes before writers wait, to be sent."""
        size = self.cache.dirty_size
        return GROUP_BYTES if size is None else min(GROUP_BYTES, size // GROUPS_OF_DIRTY)

    def may_append(self, length: int) -> bool:
        """Whether so many bytes of one file fit under the dirty cap, before they are compressed (units.is_won)."""
        return self.cache.takes_dirty(self._charge_for(length))

    def _charge_for(self, length: int) -> int:
        """What appending so many bytes may take of the cache: stripes are charged whole when they are opened."""
        return charge_of(self.capacity) * (1 + -(-length // self._usable))

    def make_room(self, more: int) -> bool:
        """Let clean content go until so many bytes more are within the cap. False: there is not enough of it."""
        while self.cache.lacks(more):
            stripe = self.cache.evict()
            if stripe is None:
                return False
            self._remove_file(stripe)
        return True

    def _make_local_room(self) -> None:
        """What others write to the local disk is none of the cap's business: clean content gives way to that too."""
        lacking = self.capacity + LOCAL_HEADROOM - free_bytes(self._directory)
        while lacking > 0 and (freed := self._give_way()) is not None:
            lacking -= freed
        if lacking > 0:
            raise OutOfSpace(f"the local disk of {self._directory} is full: free space there")

    def _give_way(self) -> int | None:
        """Remove what goes first, clean content before strays. Returns its bytes; None: all that is here must stay."""
        stripe = self.cache.evict()
        return self.remove_stray() if stripe is None else self._remove_file(stripe)

    # --- writing --------------------------------------------------------------------------------------------------

    def append(self, ino: int, offset: int, portion: Portion, parent: int, name: bytes) -> list[Extent]:
        """Keep these bytes of a file. Returns where they lie: adjacent extents. OutOfSpace: the local disk is full.

        parent, name: where the file was last seen, for the directory of the blocks (R2). A unit is at most `unit` bytes
        when decoded; where a stripe ends it is split, or its plain bytes are kept, if it would leave
        more of the stripe empty than it wins.
        """
        if portion.codec != PLAIN and len(portion.raw) <= self.unit:  # or it was made for stripes of another shape
            pieces = self._append_unit(ino, offset, portion, parent, name)
            if pieces:
                return pieces
        view = portion.raw
        pieces = []
        while view:
            filling = self._filling or self._open_stripe()
            take = min(filling.room(ino, offset, name, PLAIN), len(view))
            if not take:
                self.close_stripe()
                continue
            pieces.append(Extent(ino, offset, take, filling.stripe, filling.length, take, take))
            self._put(filling, Fragment(ino, offset, take, parent, name), view[:take])
            offset += take
            view = view[take:]
        return pieces

    def _append_unit(self, ino: int, offset: int, unit: Portion, parent: int, name: bytes) -> list[Extent]:
        """None: it is not worth what it would leave empty."""
        filling = self._filling or self._open_stripe()
        raw, stored = len(unit.raw), len(unit.stored)
        assert raw <= self.unit
        room = filling.room(ino, offset, name, unit.codec)
        if room < stored:
            parts = split(unit, room)
            if parts:
                first = self._append_unit(ino, offset, parts[0], parent, name)
                self.close_stripe()
                return first + self.append(ino, first[0].end, parts[1], parent, name)
            if not is_won(raw, stored, room):
                return []
            self.close_stripe()
            filling = self._open_stripe()
        extent = Extent(ino, offset, raw, filling.stripe, filling.length, stored, raw, 0, unit.codec)
        self._put(filling, Fragment(ino, offset, raw, parent, name, unit.codec, stored), unit.stored)
        return [extent]

    def _put(self, filling: Filling, fragment: Fragment, content: bytes | memoryview) -> None:
        filling.append(fragment, memoryview(content), self._scribe)
        self._unsynced.add(filling.stripe)
        self.unsynced_bytes += len(content)
        self.appended += len(content)

    def _open_stripe(self) -> Filling:
        while not self.make_room(charge_of(self.capacity)):
            if self.remove_stray() is not None:
                continue
            raise OutOfSpace(f"the cache is full of content that is not safe elsewhere: {self._directory}")
        self._make_local_room()
        stripe, descriptor = self._open_file()
        self._allocate(stripe, descriptor)
        self._stripes.begin(stripe)
        self.cache.charge(stripe, self.capacity)
        self._entries_changed = True
        self._filling = Filling(stripe, self._stripes.group, descriptor, self._packer(), self.capacity)
        return self._filling

    def _open_file(self) -> tuple[int, int]:
        while True:
            try:
                return self._spares.open()
            except NoDescriptors:
                if not self.contents.spare_descriptor():
                    raise
            except OSError as full:  # of bytes, of inodes, or of what this user may have
                if full.errno not in FULL:
                    raise
                if self._give_way() is not None:
                    continue
                raise OutOfSpace(f"the local disk of {self._directory} takes no more files ({full.strerror})") from None

    def _allocate(self, stripe: int, descriptor: int) -> None:
        """Give a new file its room; what is free may be more than this user may have of it."""
        while True:
            try:
                os.posix_fallocate(descriptor, 0, self.capacity)
                return
            except OSError as full:
                if full.errno in FULL and self._give_way() is not None:
                    continue
                os.close(descriptor)
                self.contents.path(stripe).unlink()
                raise OutOfSpace(
                    f"the local disk of {self._directory} is full ({full.strerror}): free space there"
                ) from None

    @property
    def filling(self) -> int | None:
        """The stripe being filled."""
        return None if self._filling is None else self._filling.stripe

    def note(self) -> None:
        """Write what the stripe being filled holds into the transaction."""
        if self._filling is None or self._noted == (self._filling.stripe, self._filling.length):
            return
        self._stripes.set_content(self._filling.stripe, self._filling.length, self._filling.fragments)
        self._noted = (self._filling.stripe, self._filling.length)

    def close_stripe(self) -> None:
        """Let no more into the stripe being filled: it is full, or its group ends."""
        if self._filling is None:
            return
        self.note()
        size = self._filling.finish()
        if size < self.capacity:
            self._unsynced.add(self._filling.stripe)  # what its end says is written anew
        self._stripes.live(self._filling.stripe, 0)  # it may die now
        self.cache.charge(self._filling.stripe, size)
        self.contents.keep_open(self._filling.stripe, self._filling.descriptor)
        self._filling = None

    def take_unsynced(self) -> list[Path]:
        """What was written since the last call, for `sync`: files, and last the directory if it has new ones."""
        if self._filling is not None:
            self._filling.write_index()
        paths = [self.contents.path(stripe) for stripe in self._unsynced]
        self._unsynced.clear()
        self.unsynced_bytes = 0
        if self._entries_changed:
            paths.append(self._directory)
            self._entries_changed = False
        return paths

    def sync(self, paths: Sequence[Path]) -> None:
        """Make them stable; those that were removed meanwhile need it no more. Waits for the disk: for a thread.
        StateError: the disk failed, or somebody else removed one."""
        self._scribe.settle()
        for path in sync_files(paths):
            if path.name.isdigit() and int(path.name) in self.cache:
                raise StateError(f"{path} is gone: it has content that was not safe yet")

    # --- reading --------------------------------------------------------------------------------------------------

    def read_into(self, stripe: int, at: int, room: Callable[[], memoryview]) -> Local:
        """Fill what `room` gives from the page cache, without waiting for the disk; what is not here needs none."""
        self._scribe.settle()
        if self._filling is not None and self._filling.stripe == stripe:
            return fill(self._filling.descriptor, at, room(), os.RWF_NOWAIT)
        if stripe != self._last_read:
            self._last_read = stripe
            self.cache.touch(stripe)
            self.on_turn(stripe)
        return self.contents.read_into(stripe, at, room)

    def wait_into(self, stripe: int, at: int, view: memoryview) -> Local:
        """Fill the view, READ or ABSENT; waits for the disk: for a thread."""
        self._scribe.settle()
        return self.contents.wait_into(stripe, at, view)

    def content(self, stripe: int, length: int) -> bytes | None:
        """The first `length` bytes of a stripe, None if they are not here. Waits for the disk; safe in a thread."""
        self._scribe.settle()
        return self.contents.whole(stripe, length)

    def read_whole(self, stripe: int, views: Sequence[memoryview]) -> bool:
        """Fill the views with a stripe's whole content, one after the other; False: it is not here. Waits for the disk;
        safe in a thread."""
        self._scribe.settle()
        return self.contents.read_whole(stripe, views)

    # --- what comes back from partners ----------------------------------------------------------------------------

    def begin_keep(self, stripe: int, length: int) -> bool:
        """Whether there is room for content that was fetched, and nobody else brings it. Then `contents.write_part` in
        a thread, and `finish_keep` or `give_up_keep`. Until then it is in the books as -stripe, which may never go."""
        if -stripe in self.cache or not self.contents.wants(stripe) or not self.make_room(charge_of(length + HASH)):
            return False
        self.cache.charge(-stripe, length + HASH)
        return True

    def finish_keep(self, stripe: int, length: int) -> None:
        """The draft is written: it is the stripe's file from now on, unless the stripe has died for good meanwhile."""
        self.cache.forget(-stripe)
        if not self._stripes.known(stripe):
            self.contents.drop_part(stripe)
            return
        self.contents.adopt_part(stripe)
        self.cache.charge(stripe, length + HASH)
        self.cache.judge(stripe)

    def give_up_keep(self, stripe: int) -> None:
        """The draft could not be written."""
        self.contents.drop_part(stripe)
        self.cache.forget(-stripe)

    # --- the end --------------------------------------------------------------------------------------------------

    def remove(self, stripes: list[int]) -> None:
        """Their content is not needed any more. Call it after the commit that says so (R5)."""
        for stripe in stripes:
            self._unsynced.discard(stripe)
            self.cache.forget(stripe)  # first: a sync in its thread must not miss the file
            self._remove_file(stripe)

    def remove_stray(self) -> int | None:
        """Remove the oldest file that no commit names. Returns its bytes; None: there is none."""
        stripe = self.cache.evict_stray()
        return None if stripe is None else self._remove_file(stripe)

    def is_spare(self, stripe: int) -> bool:
        """Whether a file may be here for a stripe that is yet to be."""
        return stripe in self._spares

    def _remove_file(self, stripe: int) -> int:
        self._scribe.settle()
        return self.contents.remove(stripe)

    def _close_soon(self, descriptor: int) -> None:
        if self._scribe.running:
            self._scribe.do(partial(os.close, descriptor))
        else:
            os.close(descriptor)

    def close(self) -> None:
        self._scribe.close()
        self._spares.close()
        if self._filling is not None:
            os.close(self._filling.descriptor)
            self._filling = None
        self.contents.close()


def nobody_reads_ahead(stripe: int) -> None:
    """`on_turn` where there is nobody to fetch from."""


def free_bytes(directory: Path) -> int:
    """What plain users may still write there. StateError: the directory is gone."""
    try:
        status = os.statvfs(directory)
    except OSError as failed:
        raise StateError(f"the local disk of {directory} failed: {failed.strerror}") from failed
    return status.f_bavail * status.f_frsize
