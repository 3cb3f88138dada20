"""Content that this machine keeps: one file stage/<stripe id> for each data stripe.

A write appends to the stripe being filled. Its file is allocated to the stripe's capacity when it is opened, so that
what a write was promised is really there, and cut to its length when the stripe is closed. Nothing is ever overwritten:
content that was overwritten by the user stays until its stripe goes.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from coopfs.core.records import Extent
from coopfs.core.stripe import Fragment, Packer
from coopfs.errors import OutOfSpace, StateError
from coopfs.limits import LOCAL_HEADROOM, STAGE_DESCRIPTORS
from coopfs.local.database import REMEDY
from coopfs.local.stripes import Stripes


class Local(Enum):
    """Whether content could be had from this machine's disk."""

    READ = auto()
    SLOW = auto()  # here, but not in memory: ask again where waiting is allowed
    ABSENT = auto()


class _Filling:
    """The stripe being filled."""

    def __init__(self, stripe: int, descriptor: int, packer: Packer) -> None:
        self.stripe = stripe
        self.descriptor = descriptor
        self.packer = packer
        self.length = 0
        self.fragments: list[Fragment] = []

    def append(self, fragment: Fragment, content: memoryview) -> None:
        written = 0
        while written < len(content):
            written += os.pwrite(self.descriptor, content[written:], self.length + written)
        self.packer.add(fragment)
        self.length += fragment.length
        last = self.fragments[-1] if self.fragments else None
        if last is not None and last.ino == fragment.ino and last.offset + last.length == fragment.offset:
            self.fragments[-1] = replace(last, length=last.length + fragment.length)
        else:
            self.fragments.append(fragment)


class Stage:
    """The stage directory of one disk. capacity: content bytes of a stripe at the most; packer: makes an empty one."""

    def __init__(self, directory: Path, stripes: Stripes, capacity: int, packer: Callable[[], Packer]) -> None:
        self._directory = directory
        self._stripes = stripes
        self.capacity = capacity
        self._packer = packer
        self._filling: _Filling | None = None
        self._noted: tuple[int, int] = (0, 0)  # stripe and length that the transaction knows
        self._unsynced: dict[int, int] = {}  # stripe -> bytes written since its last sync
        self._entries_changed = False  # files were created since the directory's last sync
        self._open: OrderedDict[int, int] = OrderedDict()  # stripe -> descriptor for reading
        self.appended = 0  # content bytes ever appended by this object
        directory.mkdir(exist_ok=True)

    def recover(self) -> None:
        """After a start: files that no commit names go, the stripe that was being filled is closed.

        StateError: content that has still to be sent is missing or short.
        """
        unsealed = dict(self._stripes.unsealed())
        for stripe, length in unsealed.items():
            path = self._path(stripe)
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                raise StateError(f"the stage file {path} is missing: {REMEDY}") from None
            if size < length:
                raise StateError(f"the stage file {path} is shorter than the database says: {REMEDY}")
            os.truncate(path, length)
            self._stripes.live(stripe, 0)  # the one that was being filled may die now
        for path in self._directory.iterdir():
            if path.name.isdigit() and int(path.name) not in unsealed and not self._stripes.known(int(path.name)):
                path.unlink()

    def append(self, ino: int, offset: int, data: bytes | memoryview, parent: int, name: bytes) -> list[Extent]:
        """Keep these bytes of a file. Returns where they lie: adjacent extents. OutOfSpace: the local disk is full.

        parent, name: where the file was last seen, for the directory of the blocks (R2).
        """
        view = memoryview(data)
        pieces = []
        while view:
            filling = self._filling or self._open_stripe()
            take = min(filling.packer.room(ino, offset, name), len(view))
            if not take:
                self.close_stripe()
                continue
            pieces.append(Extent(ino, offset, take, filling.stripe, filling.length, take, take))
            filling.append(Fragment(ino, offset, take, parent, name), view[:take])
            self._unsynced[filling.stripe] = self._unsynced.get(filling.stripe, 0) + take
            self.appended += take
            offset += take
            view = view[take:]
        return pieces

    def _open_stripe(self) -> _Filling:
        local = os.statvfs(self._directory)
        if local.f_bavail * local.f_frsize < self.capacity + LOCAL_HEADROOM:
            raise OutOfSpace(f"the local disk of {self._directory} is full: free space there")
        stripe = self._stripes.new()
        descriptor = os.open(self._path(stripe), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.capacity)
        except OSError as full:
            os.close(descriptor)
            self._path(stripe).unlink()
            self._stripes.forget(stripe)
            raise OutOfSpace(
                f"the local disk of {self._directory} is full ({full.strerror}): free space there"
            ) from None
        self._entries_changed = True
        self._filling = _Filling(stripe, descriptor, self._packer())
        return self._filling

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
        os.ftruncate(self._filling.descriptor, self._filling.length)
        self._stripes.live(self._filling.stripe, 0)  # it may die now
        self._keep_open(self._filling.stripe, self._filling.descriptor)
        self._filling = None

    def unsynced_bytes(self) -> int:
        """Bytes written that a commit must make stable first."""
        return sum(self._unsynced.values())

    def take_unsynced(self) -> list[Path]:
        """What was written since the last call, for `sync_files`: files, and last the directory if it has new ones."""
        paths = [self._path(stripe) for stripe in self._unsynced]
        self._unsynced.clear()
        if self._entries_changed:
            paths.append(self._directory)
            self._entries_changed = False
        return paths

    def read_into(self, stripe: int, at: int, view: memoryview) -> Local:
        """Fill the view from the page cache, without waiting for the disk."""
        return self._read(stripe, at, view, os.RWF_NOWAIT)

    def wait_into(self, stripe: int, at: int, view: memoryview) -> Local:
        """Fill the view, READ or ABSENT; waits for the disk: for a thread. The thread needs a descriptor of its own."""
        try:
            with open(self._path(stripe), "rb", buffering=0) as file:
                return _fill(file.fileno(), at, view, 0)
        except FileNotFoundError:
            return Local.ABSENT

    def _read(self, stripe: int, at: int, view: memoryview, flags: int) -> Local:
        descriptor = self._descriptor(stripe)
        return Local.ABSENT if descriptor is None else _fill(descriptor, at, view, flags)

    def content(self, stripe: int, length: int) -> bytes | None:
        """The first `length` bytes of a stripe, None if they are not here. Waits for the disk; safe in a thread."""
        try:
            data = self._path(stripe).read_bytes()
        except FileNotFoundError:
            return None
        return data[:length] if len(data) >= length else None

    def _descriptor(self, stripe: int) -> int | None:
        if self._filling is not None and self._filling.stripe == stripe:
            return self._filling.descriptor
        descriptor = self._open.get(stripe)
        if descriptor is not None:
            self._open.move_to_end(stripe)
            return descriptor
        try:
            descriptor = os.open(f"{self._directory}/{stripe}", os.O_RDWR)  # a Path costs more than the open
        except FileNotFoundError:
            return None
        self._keep_open(stripe, descriptor)
        return descriptor

    def _keep_open(self, stripe: int, descriptor: int) -> None:
        self._open[stripe] = descriptor
        if len(self._open) > STAGE_DESCRIPTORS:
            os.close(self._open.popitem(last=False)[1])

    def remove(self, stripes: list[int]) -> None:
        """Their content is not needed any more. Call it after the commit that says so (R5)."""
        for stripe in stripes:
            self._unsynced.pop(stripe, None)
            if (descriptor := self._open.pop(stripe, None)) is not None:
                os.close(descriptor)
            self._path(stripe).unlink(missing_ok=True)

    def close(self) -> None:
        if self._filling is not None:
            os.close(self._filling.descriptor)
            self._filling = None
        while self._open:
            os.close(self._open.popitem()[1])

    def _path(self, stripe: int) -> Path:
        return self._directory / str(stripe)


def _fill(descriptor: int, at: int, view: memoryview, flags: int) -> Local:
    """Short reads are waits for the disk with RWF_NOWAIT, and a stage file cut short without it."""
    done = 0
    while done < len(view):
        try:
            got = os.preadv(descriptor, [view[done:]], at + done, flags)
        except BlockingIOError:
            return Local.SLOW
        except OSError as bad:
            if flags and bad.errno == errno.EOPNOTSUPP:  # tmpfs, for one, cannot say whether it would wait
                return Local.SLOW
            raise
        if got == 0:
            return Local.ABSENT
        done += got
    return Local.READ


def sync_files(paths: list[Path]) -> None:
    """Make files and directories stable; those that were removed meanwhile need it no more. Waits: for a thread."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
