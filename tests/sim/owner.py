"""The process that owns the disk: started, killed, and started again."""

from collections.abc import Callable
from typing import Any

import trio

from coopfs.app.own_disk import OwnDisk
from coopfs.errors import OutOfSpace
from coopfs.tasks.signal import Signal
from tests.fs.operations import Operation, OurSide
from tests.sim.history import History
from tests.sim.picture import Camera
from tests.sim.platter import Platter
from tests.sim.trace import Violation
from tests.sim.world import World

LIVE = "SELECT row, version FROM stripes WHERE length > 0 AND born <= :barrier AND (died IS NULL OR died > :barrier)"


class _Watched(Signal):
    """A signal that tells one observer first."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def notify(self) -> None:
        self._look()
        super().notify()


class Owner:
    """One process at a time. history: goes on over restarts."""

    def __init__(self, world: World, platter: Platter) -> None:
        self.world = world
        self.history = History()
        self.platter = platter
        self.own: OwnDisk
        self.side: OurSide
        self._camera: Camera
        self._scope: trio.CancelScope
        self._ended = trio.Event()
        self._starts = 0
        self._told = False

    # --- the process ----------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Be a process until it is killed."""
        self._ended = trio.Event()
        own = None
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                self._nursery = nursery
                directory = self.platter.directory
                own = OwnDisk(directory, self.world.node, self.world.network, nursery, self.world.wall)
                self._take_over(own)
                task_status.started()
                await own.run()
        finally:
            if own is not None:
                own.close()
            self._ended.set()

    def _take_over(self, own: OwnDisk) -> None:
        self.own = own
        own.ledger.changed = _Watched(self._look)
        self._look()
        self.side = OurSide(own.disk)
        self._camera = Camera(own.disk, self.side.content)
        picture = self._camera.take()
        if self._starts:
            self.history.restart(own.local.metadata.group, picture)
        else:
            self.history.add(own.local.metadata.group, picture)
        self._starts += 1

    def _look(self) -> None:
        """See whether a further group became held, at the moment it does, and whether the disk gave up."""
        if self.own.trouble is not None and not self._told:
            self._told = True
            raise Violation(f"the disk gave up: {self.own.trouble}")
        progress = self.own.ledger.progress
        if progress.barrier > self.history.newest_held:
            self.history.held[progress.barrier] = progress.away
            named = self.own.local.database.read(LIVE, {"barrier": progress.barrier}).fetchall()
            self.world.trace.protected = frozenset(version for _, version in named)
            self._check_held(progress.barrier, progress.away, named)

    def _check_held(self, group: int, away: int, named: list[tuple[int, int]]) -> None:
        """R7, counted at the partners: all that the state names lies on enough columns outside A."""
        quorum = self.world.geometry.quorum
        outside = [site.number for site in self.world.sites if not away >> site.number & 1]
        for row, version in named:
            blocks = sum(self.world.holds(column, row, version) for column in outside)
            if blocks < quorum.to_be_safe(away):
                raise Violation(f"R7: group {group} became held with A = {away:#b}; row {row} is on {blocks} columns")

    async def die(self, power: bool) -> None:
        """Leave a copy of the disk for the next process."""
        copy = self.world.directory / f"home {self._starts}"
        if power:
            self.platter.lose_power(copy, self.world.random)
        else:
            self.platter.kill(copy)
        await self.burn()

    async def burn(self) -> None:
        """The process is gone at once; nothing of its directory is used again."""
        self._scope.cancel()
        await self._ended.wait()

    # --- its mount ------------------------------------------------------------------------------------------------

    async def apply(self, operation: Operation) -> Any:
        """One operation, as the handlers do it."""
        committer, metadata = self.own.committer, self.own.local.metadata
        if operation[0] == "write" and not committer.appending:
            await committer.may_append()
        try:
            answer = self.side.apply(operation)
        except OutOfSpace:
            self.world.trace.note(trio.current_time(), "enospc")
            answer = "errno", "ENOSPC"
        self.history.add(metadata.group, self._camera.take())
        committer.hurry()
        return answer

    async def sync(self) -> None:
        """fsync(2): what was done before the call is durable when it returns."""
        moment = len(self.history.moments) - 1
        await self.own.committer.commit()
        self.history.synced(moment)

    async def close_group(self) -> None:
        moment = len(self.history.moments) - 1
        await self.own.committer.close_group()
        self.history.synced(moment)

    def in_background(self, work: Callable[[], Any]) -> None:
        """Somebody else asks at the same time; who asks dies with the process."""
        self._nursery.start_soon(work)
