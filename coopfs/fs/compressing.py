"""Compression of what is written, before it is written: what shrinks becomes units, the rest stays plain.

The work is done before a request is checked and applied, so that those remain one step (P1). Little is compressed on
the loop at the fast levels, as a thread would cost more than that; requests of programs that write in large pieces go
through threads meanwhile.
"""

from collections.abc import Callable, Sequence
from functools import partial

import trio

from coopfs.core.shrinking import Shrinking
from coopfs.core.units import PLAIN, Portion, compress, plain
from coopfs.limits import AT_ONCE_BYTES, AT_ONCE_LEVEL, COMPRESSING_THREADS, UNIT_GAIN


class Compressor:
    """unit: tells bytes that one unit is made of. level: of zstd, 1 to 19; None: nothing is compressed."""

    def __init__(self, unit: Callable[[], int]) -> None:
        self.level: int | None = None
        self._unit = unit
        self._shrinking = Shrinking()
        self._threads = trio.CapacityLimiter(COMPRESSING_THREADS)

    async def portions(self, ino: int, data: bytes) -> Sequence[Portion]:
        """These bytes of a file as they are to be stored."""
        level = self.level
        if level is None or len(data) <= UNIT_GAIN or not self._shrinking.is_worth_trying(ino, len(data)):
            return [plain(data)]
        if len(data) <= AT_ONCE_BYTES and level <= AT_ONCE_LEVEL:
            found = compress(data, self._unit(), level)
        else:
            work = partial(compress, data, self._unit(), level)
            found = await trio.to_thread.run_sync(work, limiter=self._threads)
        if any(portion.codec != PLAIN for portion in found):
            self._shrinking.shrank(ino)
        else:
            self._shrinking.did_not_shrink(ino, len(data))
        return found
