"""A disk that gets more rows, and less again: at each step what is held comes back without any f partners (R14)."""

import itertools
from pathlib import Path

import trio

from coopfs.core.space import stripe_payload
from tests.sim.life import cause_of
from tests.sim.owner import Owner
from tests.sim.restore import Refused
from tests.sim.restores import Restores, brief
from tests.sim.trace import Violation
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, group_of, play

HIGH = ROWS + ROWS // 2
PATIENCE = 600  # seconds


class Resizes:
    """One owner, whose partners are all up."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._restores = Restores(owner.world)
        columns = range(owner.world.geometry.quorum.n)
        self._losses = itertools.cycle(itertools.combinations(columns, owner.world.geometry.quorum.f))

    async def resize(self, rows: int) -> None:
        """Violation: something does not come back at one of its steps, or it does not end."""
        own, seen = self._owner.own, None
        before = own.ledger.rows.total
        own.growing.want(rows)
        await own.committer.commit()
        for _ in range(PATIENCE):
            stores = [site.host.only_store.rows for site in self._owner.world.sites]
            if seen != (seen := (own.places.rows, own.ledger.rows.total, stores)):
                await self.check()
            if own.ledger.rows.total == rows >= before or own.growing.is_done:
                return
            await trio.sleep(1.0)
        raise Violation(f"R14: the disk has not {rows} rows yet: {own.growing.hindrance()}")

    async def fill(self, rows: int) -> None:
        """Until something lies beyond so many rows, and is held. Violation: it cannot be, or does not come back."""
        size = 12 * stripe_payload(self._owner.own.ledger.layout)
        for number in range(rows):
            await group_of(self._owner, b"%d" % number, size)
            if max(self._owner.own.log.rows_taken(self._owner.own.ledger.layout.id), default=0) >= rows:
                await trio.sleep(SETTLED)
                return await self.check()
        raise Violation(f"R14: no row beyond the first {rows} is ever used")

    async def check(self) -> None:
        """Violation."""
        newest, lost = self._owner.history.newest_held, next(self._losses)
        found = await self._restores.restore(self._owner, set(range(len(self._owner.world.sites))) - set(lost))
        for site in self._owner.world.sites:
            site.go(up=True)
        if isinstance(found, Refused) or found.group < newest:
            raise Violation(f"R14: group {newest} was held, without {lost} there is {brief(found)}")


def raise_and_lower(geometry: Geometry, directory: Path) -> BaseException | None:
    """The promise that was broken."""

    async def main(owner: Owner) -> None:
        resizes = Resizes(owner)
        await group_of(owner, b"first")
        await trio.sleep(SETTLED)
        await resizes.resize(HIGH)
        await resizes.fill(ROWS)
        for number in range(4):
            await owner.apply(("unlink", ((b"%d" % number,),)))
        await group_of(owner, b"last")
        await resizes.resize(ROWS)

    broken = None
    try:
        play(directory, geometry, main)
    except* Exception as group:  # noqa: BLE001  whoever asks judges what it is
        broken = cause_of(group)
    return broken
