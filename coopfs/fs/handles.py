"""Open files and directories. What is counted are opens, not lookups: memory grows with what programs hold open."""

import os
from dataclasses import dataclass

from coopfs.fs.callers import Caller


@dataclass(frozen=True, slots=True)
class Handle:
    """One open file or directory. caller: who opened it; a request to write does not tell who writes."""

    ino: int
    flags: int
    caller: Caller

    @property
    def writable(self) -> bool:
        return self.flags & os.O_ACCMODE != os.O_RDONLY


class Handles:
    """The table of what is open."""

    def __init__(self) -> None:
        self._handles: dict[int, Handle] = {}
        self._users: dict[int, int] = {}
        self._next = 1

    def open(self, handle: Handle) -> int:
        """The number by which it is known from now on."""
        number = self._next
        self._next += 1
        self._handles[number] = handle
        self._users[handle.ino] = self._users.get(handle.ino, 0) + 1
        return number

    def get(self, number: int) -> Handle:
        return self._handles[number]

    def close(self, number: int) -> int | None:
        """Forget a handle. Returns its inode if nobody else has it open."""
        ino = self._handles.pop(number).ino
        users = self._users[ino] - 1
        if users:
            self._users[ino] = users
            return None
        del self._users[ino]
        return ino

    def in_use(self, ino: int) -> bool:
        return ino in self._users

    def close_all(self) -> list[int]:
        """Forget all handles. Returns the inodes that were open."""
        inodes = list(self._users)
        self._handles.clear()
        self._users.clear()
        return inodes
