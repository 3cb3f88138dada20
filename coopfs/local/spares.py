"""Empty stage files made ahead: ext4 takes 0.1-0.2 ms to make one, which is much for 1.5 MB of a stream."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from coopfs.errors import NoDescriptors
from coopfs.limits import SPARE_FILES
from coopfs.local.descriptors import open_now
from coopfs.local.scribe import Scribe


class Spares:
    """Files of no length, each with the id of the stripe that it will be, made by the scribe's thread once that runs.

    Those that a crash leaves are named by no commit, and go at the next start.
    """

    def __init__(self, directory: Path, scribe: Scribe, take_id: Callable[[], int]) -> None:
        self._directory = directory
        self._scribe = scribe
        self._take_id = take_id
        self._ready: deque[tuple[int, int]] = deque()  # (stripe id, descriptor)
        self._ordered = self._answered = 0
        self._newest = 0  # id that was given away
        self._ids: set[int] = set()  # of all that were ordered and not opened

    def open(self) -> tuple[int, int]:
        """A new stripe's id and the descriptor of its empty file. OSError, NoDescriptors."""
        found = self._next()
        while self._scribe.running and len(self._ready) + self._ordered - self._answered < SPARE_FILES:
            self._ordered += 1
            stripe = self._take_id()
            self._ids.add(stripe)
            self._scribe.do(partial(self._make, stripe))
        return found

    def _next(self) -> tuple[int, int]:
        """Ids tell in which order stripes were written (R6): one that was overtaken while it was made goes."""
        while self._ready:
            stripe, descriptor = self._ready.popleft()
            self._ids.discard(stripe)
            if stripe > self._newest:
                self._newest = stripe
                return stripe, descriptor
            os.close(descriptor)
            os.unlink(f"{self._directory}/{stripe}")
        self._newest, descriptor = self._create(self._take_id())
        return self._newest, descriptor

    def __contains__(self, stripe: int) -> bool:
        """Whether a file of this name may be there, and belongs to no stripe yet."""
        return stripe in self._ids

    def _create(self, stripe: int) -> tuple[int, int]:
        return stripe, open_now(f"{self._directory}/{stripe}", os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def _make(self, stripe: int) -> None:
        with suppress(OSError, NoDescriptors):  # whoever opens a file meets it too, and says so
            self._ready.append(self._create(stripe))
        self._answered += 1

    def close(self) -> None:
        """Call it after the scribe's."""
        for stripe, descriptor in self._ready:
            os.close(descriptor)
            os.unlink(f"{self._directory}/{stripe}")
        self._ready.clear()
