"""Somebody has the disk looked over while programs write to it: nothing may be found where nothing is wrong."""

from contextlib import suppress
from functools import partial

import trio

from coopfs.errors import UsageError
from tests.sim.owner import Owner
from tests.sim.patience import not_stuck
from tests.sim.trace import Violation
from tests.sim.world import World

# what happens to partners and is there to be found; where a machine was taken over, or copied, they hold what is the
# other one's
DAMAGES = ("damage", "altered", "empty", "setback", "liars", "takeover", "beside")


class Checks:
    """Of one machine, one at a time."""

    def __init__(self, world: World, owner: Owner) -> None:
        self._world = world
        self._owner = owner
        self._over = trio.Event()
        self._over.set()

    async def begin(self) -> None:
        """It goes on in the background until it is done, or its process ends."""
        if self._over.is_set():
            self._over = trio.Event()
            deep, repair = (self._world.random.random() < 0.5 for _ in range(2))
            self._world.note(f"check {deep} {repair}")
            # What the other home of two left in the way may stay, while the cache has no room to write anything anew.
            # It may also come as soon as this has begun, or while the check is under way.
            was_well = not (self._world.damaged or self._owner.own.columns.disputed())
            self._owner.in_background(partial(self._run, deep, repair, self._damages(), was_well, self._over))

    async def finish(self) -> None:
        """All partners are up: it comes to an end."""
        with not_stuck("a check"):
            await self._over.wait()

    async def _run(self, deep: bool, repair: bool, damages: int, was_well: bool, over: trio.Event) -> None:
        try:
            with suppress(UsageError):  # the simulator looks closely just now
                report = await self._owner.own.checker.run(lambda step, done, total: None, deep=deep, repair=repair)
                self._world.note(f"checked {report.count}")
                is_well = was_well and not self._owner.own.columns.disputed()
                if report.count and is_well and damages == self._damages():
                    raise Violation(f"a check finds damage in a disk that is well: {report.found[:3]}")
        finally:
            over.set()

    def _damages(self) -> int:
        return sum(self._world.trace.counts[what] for what in DAMAGES)
