"""Questions to a database on a connection of their own, in a thread."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from coopfs.errors import NotAsked
from coopfs.limits import CROWDED_CHECK
from coopfs.local.database import Database

Answer = TypeVar("Answer")


class Asker(Protocol):
    """A connection that only reads."""

    def interrupt(self) -> None:
        """What is being asked ends: from any thread."""


async def in_thread(asker: Asker, ask: Callable[[], Answer], database: Database) -> Answer:
    """Whoever gives up waiting ends the question: a thread cannot be left behind with an open connection. So does a log
    of the database that finds no more room while somebody reads. NotAsked."""
    crowded = False
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            nonlocal crowded
            try:
                while not database.crowded:
                    await trio.sleep(CROWDED_CHECK)
                crowded = True
            finally:
                asker.interrupt()

        nursery.start_soon(end)
        try:
            found: Answer | NotAsked = await trio.to_thread.run_sync(ask)
        except NotAsked as why:  # which the nursery would wrap
            found = why
        nursery.cancel_scope.cancel()
    if crowded:
        found = NotAsked("the local disk is full, and the database was changed too much meanwhile")
    if isinstance(found, NotAsked):
        raise found
    return found
