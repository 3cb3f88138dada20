"""What the filesystem is given by the layers around it."""

import errno
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from coopfs.fs.posix import PosixError

StateOf = Callable[[Sequence[int], int], str]
"""(stripe ids, newest group of the inode's image) -> how safe that is, such as "held 100%" (R7)."""


SyncInode = Callable[[int], Awaitable[None]]
"""(inode) -> return when all changes made to it before the call are as safe as fsync promises. StateError: they are
not."""


class Space(Protocol):
    """Whether a change still fits (R9). Asked before each one, after all checks that could refuse it."""

    def admit(self, data_bytes: int, images: int) -> None:
        """OutOfSpace: no. data_bytes of new content, at most so many new or changed images."""

    def admit_free(self) -> None:
        """A change that frees, or of what exists without making it larger: always admitted, or EROFS where nothing may
        change."""

    def figures(self) -> tuple[int, int]:
        """(bytes of content that the disk can hold in all, bytes still free), for statvfs."""


class Content(Protocol):
    """Content that is not on this machine."""

    async def read(self, stripe: int, at: int, length: int) -> bytes:
        """Exactly these bytes of the stripe's content. ContentUnavailable: not now."""


class Committer(Protocol):
    """Who makes changes durable (tasks/writing/committer)."""

    def may_append(self, length: int) -> bool:
        """Whether so many bytes of one file may be appended just now."""

    async def until_may_append(self, length: int) -> None:
        """Wait until they may be. StateError: they will not be."""

    def may_change(self) -> bool:
        """Whether anything may be changed just now: much has been since the last commit."""

    async def until_may_change(self) -> None:
        """Wait until it may be; or never will be, as the disk failed."""

    def hurry(self) -> None:
        """Called after changes: commit before time if much has changed."""

    async def commit(self) -> None:
        """Return when all changes made before the call survive a power loss. StateError: the disk failed."""


class ReadOnlySpace:
    """The space of a restore view: every change is refused. total: bytes, all of them used."""

    def __init__(self, total: int) -> None:
        self._total = total

    def admit(self, data_bytes: int, images: int) -> None:
        raise PosixError(errno.EROFS)

    def admit_free(self) -> None:
        raise PosixError(errno.EROFS)

    def figures(self) -> tuple[int, int]:
        return self._total, 0


class NothingToCommit:
    """The committer of a restore view."""

    def may_append(self, length: int) -> bool:
        return True

    async def until_may_append(self, length: int) -> None:
        """Never asked: nothing can be written."""

    def may_change(self) -> bool:
        return True

    async def until_may_change(self) -> None:
        """Never asked: nothing can be changed."""

    def hurry(self) -> None:
        """Nothing changes."""

    async def commit(self) -> None:
        """All there is came from the partners."""
