"""The releaser: gives the rows of stripes back whose death is held, slice by slice (design R7).

What killed them may have been one deletion of a terabyte, 10^6 stripes: in one step that would stop everybody for ten
seconds, and in one transaction it would need more than the database's log has room for on a full disk. The ledger
frees the first slice as soon as their death is held; the others are freed here.
"""

from collections.abc import Awaitable, Callable

import trio

from coopfs.limits import RELEASE_COMMIT
from coopfs.tasks.signal import changes
from coopfs.tasks.writing.ledger import Ledger


class Releaser:
    """commit: makes durable what was changed so far."""

    def __init__(self, ledger: Ledger, commit: Callable[[], Awaitable[None]]) -> None:
        self._ledger = ledger
        self._commit = commit

    async def run(self) -> None:
        """Give back for ever, also what a process before this one left. StateError: the database failed."""
        while True:
            with changes(self._ledger.moved) as moved:
                await self._release_all()
                await moved.wait()

    async def _release_all(self) -> None:
        slices = 1
        while self._ledger.release():
            await (self._commit() if slices % RELEASE_COMMIT == 0 else trio.lowlevel.checkpoint())
            slices += 1
