"""The files of a stage directory, one for each stripe whose content is on this machine.

    stage/<stripe id>             written here: content, then its index (stageindex); synced before the commit that
                                  names it
    stage/<stripe id>.fetched     come back from partners: content, then its BLAKE3 hash
    stage/<stripe id>.part        on its way to be the latter

A bad sector is content that is not here: what is held can be fetched, which then takes the file's place, and for what
is not, its absence is said.

What was fetched is not synced, since it can be fetched again. A power loss may leave any part of it, under its name and
at its length; so a file that was there when the process started is not read before its hash was compared. Whether it
must be is asked before it is opened: meanwhile another one may take its place, which proves nothing of this one.
"""

import errno
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from blake3 import blake3

from coopfs.errors import NoDescriptors
from coopfs.limits import STAGE_DESCRIPTORS
from coopfs.local.descriptors import open_now, open_patiently

FETCHED = ".fetched"
PART = ".part"
HASH = 32  # bytes


class Local(Enum):
    """Whether content could be had from this machine's disk."""

    READ = auto()
    SLOW = auto()  # here, but not in memory: ask again where waiting is allowed
    ABSENT = auto()


class Contents:
    """Reading and removing; and putting what was fetched. Reads in threads and changes on the loop may meet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._fetched: set[int] = set()  # stripes whose file is a fetched one
        self._unproved: set[int] = set()  # of these, those not compared with their hash since the start
        self._unreadable: set[int] = set()  # stripes whose file has a bad sector
        self._open: OrderedDict[int, int] = OrderedDict()  # stripe -> descriptor for reading
        self.on_excess: Callable[[int], None] = os.close  # given a descriptor that nobody has used for long

    def scan(self) -> list[tuple[int, int]]:
        """(stripe, bytes) of every file that is there at the start, least recently changed first; drafts go."""
        found = []
        for path in self.directory.iterdir():
            if path.suffix == PART:
                path.unlink()
                continue
            number = path.name.removesuffix(FETCHED)
            if not number.isdigit():
                continue
            if path.suffix == FETCHED:
                if (self.directory / number).exists():  # what was written here is worth more
                    path.unlink()
                    continue
                self._fetched.add(int(number))
                self._unproved.add(int(number))
            status = path.stat()
            found.append((status.st_mtime_ns, int(number), status.st_size))
        return [(stripe, size) for _, stripe, size in sorted(found)]

    def is_fetched(self, stripe: int) -> bool:
        """Whether a stripe's file has come back from partners."""
        return stripe in self._fetched

    def cut(self, stripe: int, size: int, length: int) -> int:
        """Take away what a fetched file has behind its content and hash. Returns its bytes."""
        right = length + HASH
        if size > right:
            os.truncate(self.path(stripe), right)
        return min(size, right)

    def sizes(self) -> dict[int, int]:
        """Stripe -> bytes of every file that is here. Waits for the disk; safe in a thread."""
        found = {}
        with os.scandir(self.directory) as entries:
            for entry in entries:
                number = entry.name.removesuffix(FETCHED)
                if number.isdigit():
                    with suppress(FileNotFoundError):
                        found[int(number)] = entry.stat().st_size
        return found

    def size(self, stripe: int) -> int:
        """Bytes of a stripe's file; -1: it is not here."""
        try:
            return self.path(stripe).stat().st_size
        except FileNotFoundError:
            return -1

    def path(self, stripe: int) -> Path:
        """Of the file that a stripe has, or would have if it were written here."""
        return self.directory / f"{stripe}{FETCHED if stripe in self._fetched else ''}"

    # --- reading --------------------------------------------------------------------------------------------------

    def read_into(self, stripe: int, at: int, room: Callable[[], memoryview]) -> Local:
        """Fill what `room` gives from the page cache, without waiting for the disk; what is not here needs none."""
        if stripe in self._unproved:
            return Local.SLOW
        try:
            return fill(self._descriptor(stripe), at, room(), os.RWF_NOWAIT)
        except OSError as bad:
            return self._absent(stripe, bad)

    def wait_into(self, stripe: int, at: int, view: memoryview) -> Local:
        """Fill the view, READ or ABSENT; waits for the disk: for a thread. The thread needs a descriptor of its own."""
        unproved = stripe in self._unproved
        try:
            with self._open_file(stripe) as file:
                if unproved and not self._prove(stripe, file.readall()):
                    return Local.ABSENT
                return fill(file.fileno(), at, view, 0)
        except OSError as bad:
            return self._absent(stripe, bad)

    def whole(self, stripe: int, length: int) -> bytes | None:
        """The first `length` bytes of a stripe, None if they are not here. Waits for the disk; safe in a thread."""
        fetched = stripe in self._fetched  # what is read as a whole is compared each time
        try:
            with self._open_file(stripe) as file:
                data = file.readall()
        except OSError as bad:
            self._absent(stripe, bad)
            return None
        if len(data) < length or (fetched and not self._prove(stripe, data)):
            return None
        return data[:length]

    def read_whole(self, stripe: int, views: Sequence[memoryview]) -> bool:
        """Fill the views with a stripe's content, one after the other; False: it is not here. Waits for the disk; safe
        in a thread."""
        unproved = stripe in self._unproved
        try:
            with self._open_file(stripe) as file:
                if unproved and not self._prove(stripe, file.readall()):
                    return False
                at = 0
                wanted = sum(map(len, views))
                if os.preadv(file.fileno(), views, 0) == wanted:  # one call: the usual case
                    return True
                for view in views:
                    if fill(file.fileno(), at, view, 0) is not Local.READ:
                        return False
                    at += len(view)
                return True
        except OSError as bad:
            self._absent(stripe, bad)
            return False

    def _absent(self, stripe: int, bad: OSError) -> Local:
        if bad.errno == errno.EIO:
            self._unreadable.add(stripe)
        elif bad.errno != errno.ENOENT:
            raise bad
        return Local.ABSENT

    def _open_file(self, stripe: int) -> io.FileIO:
        return io.FileIO(open_patiently(self.path(stripe), os.O_RDONLY))

    def _prove(self, stripe: int, data: bytes) -> bool:
        if len(data) < HASH or blake3(memoryview(data)[:-HASH]).digest() != data[-HASH:]:
            return False
        self._unproved.discard(stripe)
        return True

    def _descriptor(self, stripe: int) -> int:
        descriptor = self._open.get(stripe)
        if descriptor is not None:
            self._open.move_to_end(stripe)
            return descriptor
        suffix = FETCHED if stripe in self._fetched else ""
        try:
            descriptor = open_now(f"{self.directory}/{stripe}{suffix}", os.O_RDONLY)  # a Path costs more than the open
        except NoDescriptors:
            if not self.spare_descriptor():
                raise
            return self._descriptor(stripe)
        self.keep_open(stripe, descriptor)
        return descriptor

    def spare_descriptor(self) -> bool:
        """Close one that is kept for reading: none is left. False: there is none to spare either."""
        if not self._open:
            return False
        os.close(self._open.popitem(last=False)[1])
        return True

    def keep_open(self, stripe: int, descriptor: int) -> None:
        """Read this stripe through that descriptor from now on."""
        self._open[stripe] = descriptor
        if len(self._open) > STAGE_DESCRIPTORS:
            self.on_excess(self._open.popitem(last=False)[1])

    # --- what was fetched -----------------------------------------------------------------------------------------

    def wants(self, stripe: int) -> bool:
        """Whether there is no file of this stripe yet that was proved, or written here, and can be read."""
        return stripe in self._unproved or stripe in self._unreadable or not self.path(stripe).exists()

    def write_part(self, stripe: int, pieces: Sequence[memoryview]) -> None:
        """Write the draft of a fetched file; OSError: the local disk is full, or failed. For a thread."""
        path = self.directory / f"{stripe}{PART}"
        try:
            with open(path, "wb", buffering=0) as file:
                hasher = blake3()
                for piece in pieces:
                    hasher.update(piece)
                for view in (*pieces, memoryview(hasher.digest())):
                    while view:
                        view = view[file.write(view) :]
        except OSError:
            self.drop_part(stripe)
            raise

    def adopt_part(self, stripe: int) -> None:
        """Let the draft be the stripe's file, also in the place of one that cannot be read."""
        if stripe in self._unreadable:
            self.remove(stripe)
        (self.directory / f"{stripe}{PART}").rename(self.directory / f"{stripe}{FETCHED}")
        self._fetched.add(stripe)
        self._unproved.discard(stripe)

    def drop_part(self, stripe: int) -> None:
        """Nobody wants it any more. If it cannot be removed now, the next start does it."""
        with suppress(OSError):
            (self.directory / f"{stripe}{PART}").unlink(missing_ok=True)

    # --- the end --------------------------------------------------------------------------------------------------

    def remove(self, stripe: int) -> int:
        """Its content is not here any more. Returns the bytes of its file."""
        if (descriptor := self._open.pop(stripe, None)) is not None:
            os.close(descriptor)
        path = self.path(stripe)
        self._fetched.discard(stripe)
        self._unproved.discard(stripe)
        self._unreadable.discard(stripe)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return 0
        path.unlink()
        return size

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])


def fill(descriptor: int, at: int, view: memoryview, flags: int) -> Local:
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


def sync_files(paths: Sequence[Path]) -> list[Path]:
    """Make files and directories stable. Returns those that are not there. Waits: for a thread."""
    missing = []
    for path in paths:
        try:
            descriptor = open_patiently(path, os.O_RDONLY)
        except FileNotFoundError:
            missing.append(path)
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return missing
