"""Questions to a database on a connection of their own, in a thread."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from coopfs.errors import NotAsked

Answer = TypeVar("Answer")


class Asker(Protocol):
    """A connection that only reads."""

    def interrupt(self) -> None:
        """What is being asked ends: from any thread."""


async def in_thread(asker: Asker, ask: Callable[[], Answer]) -> Answer:
    """Whoever gives up waiting ends the question: a thread cannot be left behind with an open connection. NotAsked."""
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            try:
                await trio.sleep_forever()
            finally:
                asker.interrupt()

        nursery.start_soon(end)
        try:
            found: Answer | NotAsked = await trio.to_thread.run_sync(ask)
        except NotAsked as why:  # which the nursery would wrap
            found = why
        nursery.cancel_scope.cancel()
    if isinstance(found, NotAsked):
        raise found
    return found
