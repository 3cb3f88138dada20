"""Room on the local disk that a database has before it needs it, so that it goes on when others fill that disk.

SQLite cannot take back a transaction for which the disk is full and then finish it: it undoes all of it. So its files
get blocks behind their ends (fallocate(2) with KEEP_SIZE), into which they grow without asking the file system:

- the write-ahead log, which is used again from its start after each checkpoint and never cut;
- its index in shared memory, 32 KiB for each 16 MiB of the log;
- the database itself, a little more after each checkpoint.

When all are closed SQLite removes the log. The room is then kept by a file of its own, which goes before they are
opened again. Where a file system cannot allocate, or writes elsewhere what is written again, there is no such room.
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from coopfs.limits import FILESYSTEM_BLOCK, KIB, MIB

KEEP_SIZE = 1  # <linux/falloc.h>
INDEX_STEP = 32 * KIB  # bytes of the index for each
LOG_STEP = 16 * MIB  # of the log
STAT_BLOCK = 512  # bytes of one of stat(2)
WAL_FRAME = FILESYSTEM_BLOCK + 24  # bytes of one page in the log
MAX_FRAME = slice(16, 20)  # of the index: the newest frame of the log (SQLite's "WAL-mode file format", 2.1)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def allocate_behind(descriptor: int, start: int, size: int) -> None:
    """Give these bytes of a file their blocks, without making it longer; fewer if there is no room, or no way. It goes
    in steps, since some file systems allocate all that is asked for at once, or nothing."""
    for at in range(start, start + size, MIB):
        if _libc.fallocate(descriptor, KEEP_SIZE, at, min(MIB, start + size - at)):
            return


class Ballast:
    """The room of one database. path: of the database, which is open; log_room, growth: bytes for its log and itself.
    Our descriptors are closed after SQLite's: the first that a process closes takes all its locks of a file away."""

    def __init__(self, path: Path, log_room: int, growth: int) -> None:
        self._file = ballast_of(path)
        self._log_room = log_room
        self._index_room = INDEX_STEP * (log_room // LOG_STEP + 1)
        self._growth = growth
        self._database = os.open(path, os.O_RDWR)
        self.log = os.open(f"{path}-wal", os.O_RDWR | os.O_CREAT, 0o600)
        self._index = os.open(f"{path}-shm", os.O_RDWR | os.O_CREAT, 0o600)
        self._holds = False

    def hold(self) -> None:
        """Take the room, as far as there is any."""
        end = os.fstat(self._database).st_size
        self._holds = True
        allocate_behind(self._index, 0, self._index_room)
        allocate_behind(self._database, end, self._growth)
        allocate_behind(self.log, 0, self._log_room)

    def is_left(self) -> bool:
        """Whether a process that was killed has left the log its room."""
        return os.fstat(self.log).st_blocks * STAT_BLOCK >= self._log_room

    def hold_on(self) -> None:
        """Take it again, if it was taken before: the database has grown."""
        if self._holds:
            self.hold()

    def log_bytes(self) -> int:
        """Bytes of the log that are in use."""
        return int.from_bytes(os.pread(self._index, MAX_FRAME.stop, 0)[MAX_FRAME], sys.byteorder) * WAL_FRAME

    def room(self) -> int:
        """Bytes by which the log can grow: what is allocated, and what is free on its disk."""
        system = os.fstatvfs(self.log)
        allocated = max(os.fstat(self.log).st_blocks * STAT_BLOCK - self.log_bytes(), 0)
        return allocated + system.f_bavail * system.f_frsize

    def close(self) -> None:
        """The database is closed, and SQLite has removed the log and cut the rest: a file takes their room's place."""
        for descriptor in (self._database, self.log, self._index):
            os.close(descriptor)
        if self._holds:
            with suppress(OSError), open(self._file, "wb") as file:
                allocate_behind(file.fileno(), 0, self._log_room + self._index_room + self._growth)


def ballast_of(path: Path) -> Path:
    """The file that keeps the room of a database that is closed."""
    return path.with_suffix(".ballast")
