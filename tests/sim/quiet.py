"""When all is quiet: everybody is back, everything becomes complete, and all of it comes back in a restore."""

from collections.abc import Awaitable, Callable

import trio

from tests.sim.invariants import check_cache, check_checker, check_ledger, check_replay, have_masters
from tests.sim.owner import Owner
from tests.sim.patience import not_stuck
from tests.sim.restore import Refused
from tests.sim.restores import Restores, brief
from tests.sim.trace import Violation
from tests.sim.world import World


class Quiet:
    """All partners are up, and whoever vanished has somebody in its place. follow: gives somebody else the column of
    who keeps altered blocks, as status advises while the cache is full of what is not safe."""

    def __init__(
        self, world: World, owner: Owner, restores: Restores, follow: Callable[[], Awaitable[None]] = trio.sleep_forever
    ) -> None:
        self.world = world
        self.owner = owner
        self._restores = restores
        self._follow = follow

    async def check(self) -> None:
        """Wait until all is complete; all invariants hold, and all is the same in a restore. Violation."""
        await self._until_complete()
        check_ledger(self.owner)
        await check_cache(self.owner)
        await check_checker(self.owner)
        self.world.damaged.clear()
        self.world.note("quiet")
        while not await self._comes_back():
            await self._until_complete()

    async def _until_complete(self) -> None:
        with not_stuck("the wait until all is complete"):
            metadata, ledger = self.owner.own.local.metadata, self.owner.own.ledger
            closed = None
            while closed != metadata.group or metadata.group_changed:  # retiring and compacting change the open group
                await self.owner.close_group()
                closed = metadata.group
                await trio.sleep(15)  # AWAY_CHECK, CLEANER_INTERVAL, reconnects
                while not self._is_complete():
                    with trio.move_on_after(60):
                        await ledger.changed.wait_until(self._is_complete)
                    if self.owner.own.columns.disputed():
                        await self.owner.close_group()  # what they are moved to waits in it
                        if self.owner.own.committer.waiting:
                            await self._follow()
                while self.is_moving() or not have_masters(self.owner):
                    await trio.sleep(15)
                await self.owner.own.committer.commit()
                await trio.sleep(0)  # after a commit the content of what has just died goes

    async def _comes_back(self) -> bool:
        """A restore finds the newest group, with all that the database says. False: that has changed meanwhile."""
        metadata = self.owner.own.local.metadata
        newest = metadata.group - 1
        found = await self._restores.restore(self.owner, range(len(self.world.sites)))
        if isinstance(found, Refused) or (found.doubt is not None and not self._restores.spoiled()):
            raise Violation(f"everything is complete, and a restore says: {brief(found)}")
        if found.group < newest:
            raise Violation(f"everything is complete, and a restore finds group {found.group}")
        if metadata.group_changed or found.group != metadata.group - 1:
            return False
        check_replay(self.owner, found.state.directory)
        return True

    def is_moving(self) -> bool:
        """Whether there is another layout, or a store of one can be given back."""
        reshaping = self.owner.own.reshaping
        owed = reshaping.returning.owed.values()
        return reshaping.is_under_way or any(not self.world.known[node].vanished for node in owed)

    def _is_complete(self) -> bool:
        ledger = self.owner.own.ledger
        newest = self.owner.own.local.metadata.group - 1
        settled = not (self.world.vanished() or self.owner.own.places.spares or ledger.progress.away)
        return settled and not ledger.progress.pending and ledger.progress.barrier == newest
