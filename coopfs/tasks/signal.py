"""A signal that comes again and again: tasks wait until something of interest may have changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio


class Signal:
    """Many waiters, woken all at once; none misses a change that comes after it looked."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self.watchers: set[trio.Event] = set()  # to be set by every notify

    def notify(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = trio.Event()
        for watcher in self.watchers:
            watcher.set()

    async def wait(self) -> None:
        """Until the next notify."""
        await self._event.wait()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until a look after some notify finds the condition true; at once if it is."""
        while not condition():
            await self._event.wait()


@contextmanager
def changes(*signals: Signal) -> Iterator[trio.Event]:
    """An event that is set by the first notify of any of them from now on: look, do something, and then wait for what
    came since the look."""
    event = trio.Event()
    for signal in signals:
        signal.watchers.add(event)
    try:
        yield event
    finally:
        for signal in signals:
            signal.watchers.discard(event)
