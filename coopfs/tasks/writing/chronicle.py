"""The chronicle: notes when groups became held, for who asks since when a file is safe."""

from collections.abc import Callable

from coopfs.core.milestones import Milestones
from coopfs.local.database import Database
from coopfs.tasks.writing.ledger import Ledger

_FACT = "milestones"


class Chronicle:
    """wall: seconds since 1970."""

    def __init__(self, ledger: Ledger, database: Database, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._database = database
        self._wall = wall
        self._milestones = Milestones.decode(bytes(database.fact(_FACT, b"")))

    async def run(self) -> None:
        """Note every move of the barrier, for ever; it is durable with the next commit. StateError."""
        while True:
            await self._ledger.moved.wait_until(lambda: self._ledger.progress.barrier > self._milestones.newest)
            self._milestones.note(self._ledger.progress.barrier, int(self._wall()))
            self._database.set_fact(_FACT, self._milestones.encode())

    def held_since(self, group: int) -> int | None:
        """Wall seconds at which the group was held at the latest; None: not held, or not known since when."""
        return self._milestones.since(group)
