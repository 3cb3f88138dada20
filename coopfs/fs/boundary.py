"""The one boundary between requests and the filesystem.

What the filesystem refuses becomes its errno; everything unexpected becomes EIO and a line in the log, as pyfuse3 would
end the whole mount for it. An unexpected error inside a change may have left half of it in the transaction, so nothing
is committed after that: a restart continues at the last commit (P1).
"""

import errno
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pyfuse3 import FUSEError

from coopfs.errors import ContentGone, ContentUnavailable, CoopfsError, NoDescriptors, OutOfSpace
from coopfs.fs.disk import Disk
from coopfs.fs.ports import Committer
from coopfs.fs.posix import PosixError
from coopfs.local.database import SqliteError, damage_of

log = logging.getLogger(__name__)


class HasDisk(Protocol):
    @property
    def disk(self) -> Disk: ...
    @property
    def committer(self) -> Committer: ...


H = TypeVar("H", bound=HasDisk)
P = ParamSpec("P")
R = TypeVar("R")
Handler = Callable[Concatenate[H, P], Coroutine[Any, Any, R]]


def reads(handler: Handler[H, P, R]) -> Handler[H, P, R]:
    """The boundary of a request that changes nothing."""
    return _bounded(handler, lambda disk, why: None)


def modifies(handler: Handler[H, P, R]) -> Handler[H, P, R]:
    """The boundary of a request that may have left a change half done. It waits while one commit would become too
    large."""

    @functools.wraps(handler)
    async def in_turn(self: H, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not self.committer.may_change():
            await self.committer.until_may_change()
        return await handler(self, *args, **kwargs)

    return modifies_now(in_turn)


def modifies_now(handler: Handler[H, P, R]) -> Handler[H, P, R]:
    """The same of one that may not wait."""
    return _bounded(handler, lambda disk, why: disk.database.fail(why))


def _bounded(handler: Handler[H, P, R], on_bug: Callable[[Disk, str], None]) -> Handler[H, P, R]:
    @functools.wraps(handler)
    async def answer(self: H, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if self.disk.database.undone:  # nodes and names in memory are not those of its tables any more
                raise PosixError(errno.EIO)
            return await handler(self, *args, **kwargs)
        except Exception as problem:
            if isinstance(problem, SqliteError):
                problem = damage_of(self.disk.database.path, problem)
                self.disk.database.fail(str(problem))
            if (number := _expected(problem)) is None:
                log.exception("%s met an error of this program", handler.__name__)
                on_bug(self.disk, f"{handler.__name__}: {problem!r}")
                number = errno.EIO
            raise FUSEError(number) from None

    return answer


def _expected(problem: Exception) -> int | None:
    """The errno of what can happen to a correct program."""
    match problem:
        case PosixError() | FUSEError():
            return int(problem.errno)
        case OutOfSpace():
            return errno.ENOSPC
        case NoDescriptors():
            log.error("%s", problem)
            return errno.ENFILE
        case ContentGone():
            log.warning("%s", problem)
            return errno.ESTALE
        case ContentUnavailable():
            log.error("%s", problem)
            return errno.EIO
        case CoopfsError():
            log.error("%s", problem)
            return errno.EIO
    return None
