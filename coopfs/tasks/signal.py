"""A signal that comes again and again: tasks wait until something of interest may have changed."""

from collections.abc import Callable

import trio


class Signal:
    """Many waiters, woken all at once; none misses a change that comes after it looked."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def notify(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        """Until the next notify."""
        await self._event.wait()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until a look after some notify finds the condition true; at once if it is."""
        while not condition():
            await self._event.wait()
