"""Operations that only a kernel can judge: by several users, past the page cache, with the flags of open(2)."""

import ctypes
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.fs.operations import Chooser, Operation, RealSide

Path_ = tuple[bytes, ...]
BLOCK = 4096  # bytes: what O_DIRECT is aligned to

libc = ctypes.CDLL(None, use_errno=True)


class User(NamedTuple):
    """Who does it. groups: first the one that new files get."""

    uid: int
    groups: tuple[int, ...]


USERS = (User(0, (0,)), User(1000, (1000, 1001)), User(1001, (1001,)))


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """Make the filesystem's requests of this process those of a user; needs root, and comes back."""
    before = os.getgroups()
    os.setgroups(user.groups[1:])
    libc.setfsgid(user.groups[0])
    libc.setfsuid(user.uid)
    try:
        yield
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())
        os.setgroups(before)


class KernelChooser(Chooser):
    """Operations with the number of the user who does each. A file is used through a handle by who opened it: a
    request to write does not tell who writes."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        r = random
        self._more = {
            "write_direct": lambda: (self.path(), r.randrange(8), r.randrange(1, 4), r.randrange(256)),
            "read_direct": lambda: (self.path(), r.randrange(8), r.randrange(1, 4)),
            "append": lambda: (self.path(), r.randbytes(r.randrange(1, 5000))),
            "overwrite": lambda: (self.path(), r.randbytes(r.randrange(100))),
            "access": lambda: (self.path(), r.randrange(8)),
            "listdir": lambda: (self.path(),),
            "touch": lambda: (self.path(),),
            "chmod": lambda: (self.path(), r.choice([0o1777, 0o2777, 0o3775, 0o6777, 0o4711, 0o777, 0o644, 0o2644])),
            "chown": lambda: (self.path(), r.choice([-1, 0, 1000, 1001]), r.choice([-1, 0, 1000, 1001])),
        }

    def next(self) -> Operation:
        if self.random.random() < 0.4:
            name = self.random.choice(list(self._more))
            operation = name, self._more[name]()
        else:
            operation = super().next()
        name, arguments = operation
        uses_handle = name in ("open", "close", "write", "read", "ftruncate")
        user = arguments[0] if uses_handle else self.random.randrange(len(USERS))
        return "as_user", (user, operation)


class KernelSide(RealSide):
    """A directory, by way of the kernel."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._buffers: dict[int, mmap.mmap] = {}

    def as_user(self, number: int, operation: Operation) -> Any:
        with acting_as(USERS[number]):
            return self.apply(operation)

    def _regular(self, path: Path_) -> bytes:
        """Its path; nothing else is opened, as a FIFO would wait."""
        at = self.at(path)
        if not stat.S_ISREG(os.lstat(at).st_mode):
            raise IsADirectoryError(21, "not regular")
        return at

    def _buffer(self, blocks: int) -> mmap.mmap:
        """Memory that begins at a page."""
        if blocks not in self._buffers:
            self._buffers[blocks] = mmap.mmap(-1, blocks * BLOCK)
        return self._buffers[blocks]

    def write_direct(self, path: Path_, block: int, blocks: int, byte: int) -> int:
        buffer = self._buffer(blocks)
        buffer[:] = bytes([byte]) * (blocks * BLOCK)
        descriptor = os.open(self._regular(path), os.O_WRONLY | os.O_DIRECT)
        try:
            return os.pwritev(descriptor, [buffer], block * BLOCK)
        finally:
            os.close(descriptor)

    def read_direct(self, path: Path_, block: int, blocks: int) -> bytes:
        buffer = self._buffer(blocks)
        descriptor = os.open(self._regular(path), os.O_RDONLY | os.O_DIRECT)
        try:
            return buffer[: os.preadv(descriptor, [buffer], block * BLOCK)]
        finally:
            os.close(descriptor)

    def _write(self, path: Path_, data: bytes, flags: int) -> int:
        descriptor = os.open(self._regular(path), os.O_WRONLY | flags)
        try:
            return os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def append(self, path: Path_, data: bytes) -> int:
        return self._write(path, data, os.O_APPEND)

    def overwrite(self, path: Path_, data: bytes) -> int:
        return self._write(path, data, os.O_TRUNC)

    def access(self, path: Path_, mode: int) -> bool:
        return os.access(self.at(path), mode, effective_ids=True)

    def listdir(self, path: Path_) -> list[bytes]:
        return sorted(os.listdir(self.at(path)))

    def touch(self, path: Path_) -> None:
        os.utime(self.at(path), follow_symlinks=False)
