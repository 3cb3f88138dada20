"""A thread that copies large pieces of content into stage files, while the loop turns to the next request.

Copying 1 MiB into the page cache takes 0.3-0.6 ms without the interpreter lock, as long as all else that a write costs
here. Space was allocated before, so that only a broken disk can refuse what was accepted. Nobody sees that a piece is
still on its way: whoever reads or syncs a stage file calls `settle` first.
"""

import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from coopfs.errors import StateError
from coopfs.limits import SCRIBE_BYTES, SCRIBE_PIECE


class Scribe:
    """`write` and `do` are for the loop, `settle` for any thread. The thread starts with the first large piece."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._given = self._done = 0  # jobs, counted by the loop and by the thread
        self._given_bytes = self._begun_bytes = 0  # of content; each is changed by one of the two only
        self._progress = threading.Condition()
        self._failure: str | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether large pieces have come, so that it pays to think ahead."""
        return self._thread is not None

    def write(self, descriptor: int, content: memoryview, at: int) -> None:
        """Write content, now or soon; its memory must not change. StateError, OSError: the local disk failed."""
        if len(content) < SCRIBE_PIECE or self._given_bytes - self._begun_bytes > SCRIBE_BYTES:
            write_all(descriptor, content, at)
            return
        try:
            own = os.dup(descriptor)  # the stage may close its own before the thread gets there
        except OSError:  # no descriptor is left
            write_all(descriptor, content, at)
            return
        self._given_bytes += len(content)
        self.do(partial(self._copy, own, content, at))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
            self._thread.start()

    def _copy(self, descriptor: int, content: memoryview, at: int) -> None:
        self._begun_bytes += len(content)
        try:
            write_all(descriptor, content, at)
        finally:
            os.close(descriptor)

    def do(self, job: Callable[[], None]) -> None:
        """Something else for the thread, in its turn; it may raise OSError. Only while it runs."""
        self._given += 1
        self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as bad:
                self._failure = f"the local disk failed: {bad}"
            del job  # and the content that it holds, before the next one is waited for
            with self._progress:
                self._done += 1
                self._progress.notify_all()

    def settle(self) -> None:
        """Return when all that was given before the call is done. StateError: the local disk failed."""
        given = self._given
        if self._done < given:
            with self._progress:
                self._progress.wait_for(lambda: self._done >= given)
        if self._failure is not None:
            raise StateError(self._failure)

    def close(self) -> None:
        """End the thread, all its work done."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None


def write_all(descriptor: int, content: memoryview, at: int) -> None:
    """pwrite(2) until all is written."""
    written = 0
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], at + written)
