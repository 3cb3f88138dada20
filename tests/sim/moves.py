"""A disk moves to another layout while it is written: other partners, another k or m (R14).

At some moment of that its machine burns, and partners with it, as many of each layout as may be lost; or another one
takes it over then, or it is killed, and the move goes on to its end.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import trio

from coopfs.core.master import StorePlace
from coopfs.core.slicing import rows_beside
from coopfs.core.storeformat import store_size
from coopfs.local.kitrecord import MadeKit
from coopfs.types import StoreId
from tests.sim import schedule
from tests.sim.budget import Budget
from tests.sim.history import History
from tests.sim.life import cause_of
from tests.sim.network import CALM, Site, Weather
from tests.sim.owner import Owner
from tests.sim.platter import Platter
from tests.sim.quiet import Quiet
from tests.sim.restore import Refused
from tests.sim.restores import Restores, brief
from tests.sim.takeover import take_over
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import ROWS, Geometry, World
from tests.tasks.homes import group_of, running, sleep_through

TARGETS = [Geometry(1, 1), Geometry(1, 2), Geometry(2, 1), Geometry(2, 2), Geometry(2, 2)]
PATIENCE = 300  # seconds in which a moment comes, or who is late comes back
LONG = 3600  # seconds in which a disk has moved
CONTENT = 150_000  # bytes of a file: a stripe or more
AWAY = 13 * 3600.0  # seconds: more than limits.AWAY_AFTER

Moment = Callable[[Owner], bool]
MOMENTS: dict[str, Moment] = {
    "named": lambda owner: owner.own.reshaping.is_under_way,
    "used": lambda owner: owner.own.ledger.layout.id == 2,
    "emptied": lambda owner: owner.own.ledger.layout.id == 2 and owner.own.reshaping.rows_left < 8,
    "cut": lambda owner: owner.own.keeper.block.layouts[0].rows < ROWS or MOMENTS["dropped"](owner),
    "dropped": lambda owner: owner.own.keeper.block.layouts[0].layout.id == 2,
    "returned": lambda owner: MOMENTS["dropped"](owner) and not owner.own.reshaping.returning.owed,
}


class Move:
    """One, of one owner; another machine may take it over."""

    def __init__(self, owner: Owner, random: Random, machines: AsyncExitStack) -> None:
        self._owner = owner
        self._world = owner.world
        self._random = random
        self._machines = machines
        self._restores = Restores(owner.world)
        self._work = Work(Random(random.random()))
        self._old = list(owner.world.sites)
        self._new: list[Site] = []
        self._writes = True  # before the new layout is used too
        self._writer = trio.CancelScope()
        self._told: Site | None = None  # the only one that knows that the old layout is gone
        self._before = self._after = owner.world.geometry

    async def run(self) -> None:
        """Violation."""
        for number in range(self._random.randint(2, 6)):
            await group_of(self._owner, b"%d" % number, CONTENT)
        for _ in range(self._random.choice([0, 20])):  # a log that is not told again in one group
            await group_of(self._owner, b"again")
        await trio.sleep(5)
        await self._begin()
        moment = self._random.choice(list(MOMENTS))
        async with trio.open_nursery() as programs:
            programs.start_soon(self._write)
            for program in self._disturb, self._export_when_used:
                if self._random.random() < 0.5:
                    programs.start_soon(program)
            if moment == "dropped" and self._random.random() < 0.7:
                programs.start_soon(self._go_when_dropped)
            await self._until(MOMENTS[moment], moment)
            await trio.sleep(self._random.choice([0, 0, 1, 10]) * self._random.random())
            programs.cancel_scope.cancel()
        self._world.note(f"moment {moment}")
        await self._random.choice([self._burn, self._burn, self._burn, self._be_killed, self._be_taken_over])()

    # --- the move -------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        target, world = self._random.choice(TARGETS), self._world
        self._after = target
        self._hold_up()
        there = [site for site in self._old if site.up or self._random.random() < 0.2]
        staying = self._random.sample(there, self._random.randint(0, min(len(there), target.quorum.n)))
        self._new = [*staying, *(world.join(len(world.known)) for _ in range(target.quorum.n - len(staying)))]
        self._random.shuffle(self._new)
        rows = ROWS
        if self._random.random() < 0.3:
            block_size = self._owner.own.ledger.layout.block_size
            world.given = store_size(ROWS + 75, block_size)
            for site in world.known.values():
                site.host.given = dict.fromkeys(site.host.given, world.given)
            rows = rows_beside(world.given, block_size, ROWS)
        self._have_kit(self._old)
        draw = world.random.randbytes
        stores = [StorePlace(StoreId(draw(16)), s.host.key, s.host.key, f"p{s.life}", ()) for s in self._new]
        await self._owner.own.reshaping.begin(target.k, target.m, rows, stores)

    def _hold_up(self) -> None:
        """Some do not hear of it: perhaps all but one, who can hold what is written once the new layout is used."""
        late = self._random.choice([0, 0, 1, len(self._old) - 1])
        for site in self._random.sample(self._old, late):
            site.go(up=False)
        self._writes = late < 2 or self._random.random() < 0.2
        if self._random.random() < 0.2:
            sleep_through(self._owner, AWAY)

    async def _write(self) -> None:
        """Now and then, so that all may become held in between."""
        with self._writer:
            while True:
                await trio.sleep(self._random.choice([1, 5, 20]) * self._random.random())
                if self._writes or MOMENTS["used"](self._owner):
                    await self._operate()

    async def _operate(self) -> None:
        for operation in self._work.next():
            await self._owner.apply(operation)
        if self._random.random() < 0.7:
            await self._owner.own.committer.close_group()

    async def _disturb(self) -> None:
        """One or two after the other are away for a while."""
        while True:
            some = self._random.sample(self._world.sites, self._random.randint(1, 2))
            for up in (False, True):
                await trio.sleep(10 * self._random.random())
                for site in some:
                    site.go(up)

    async def _export_when_used(self) -> None:
        await self._owner.own.keeper.changed.wait_until(lambda: MOMENTS["used"](self._owner))
        self._have_kit(self._world.sites)

    async def _go_when_dropped(self) -> None:
        """All but one, before they know of it; nothing is written any more."""
        await self._owner.own.keeper.changed.wait_until(lambda: MOMENTS["dropped"](self._owner))
        self._writer.cancel()
        self._told = self._random.choice(self._new)
        for site in self._new:
            site.go(up=site is self._told)

    async def _until(self, condition: Moment, name: str) -> None:
        """Who is late comes back if nothing else helps, and a kit is made where that is waited for."""
        for second in range(LONG):
            if condition(self._owner):
                return
            await trio.sleep(1)
            if second % PATIENCE == PATIENCE - 1:
                self._all_come()
            if second % 60 == 59 and self._needs_kit():
                self._have_kit(self._world.sites)
        raise Violation(f"R14: the moment when it is {name} does not come: {self._trouble()}")

    def _needs_kit(self) -> bool:
        own = self._owner.own
        return len(own.keeper.holders().intersection(self._world.kit)) <= own.ledger.seats.f

    def _trouble(self) -> str:
        reshaping = self._owner.own.reshaping
        return str(reshaping.hindrance() if reshaping.coming else self._owner.own.growing.hindrance())

    def _have_kit(self, sites: list[Site]) -> None:
        self._world.kit = tuple(site.host.key for site in sites)
        self._owner.own.hand_out(MadeKit(0, self._world.kit))

    def _all_come(self) -> None:
        for site in self._world.known.values():
            site.go(up=True)

    # --- its end --------------------------------------------------------------------------------------------------

    async def _burn(self) -> None:
        progress = self._owner.own.ledger.progress
        is_still = progress.barrier == progress.sealed
        await self._owner.burn()
        for _ in range(2):
            if is_still:
                await self._check_silence()
            await self._restores.check_promise(self._owner)

    async def _check_silence(self) -> None:
        """Nothing newer than what is held is anywhere: where enough of each layout answer that there has been, nobody
        is asked."""
        sites, lost = self._world.sites, self._restores.promised(self._owner)
        if self._told is not None and Budget(self._world, self._owner.away).may_spend(self._told.number):
            lost = {self._told.number}
        if lost is None or self._restores.spoiled():
            return
        gone = {sites[number] for number in lost}
        for layout, holders in ((self._before, self._old), (self._after, self._new)):
            if len(set(holders) - gone) < layout.quorum.answers_needed:
                return
        self._all_come()
        found = await self._restores.look(self._owner, set(range(len(sites))) - lost)
        if isinstance(found, Refused) or found.doubt is not None:
            raise Violation(f"R14: without {sorted(lost)} there is {brief(found)}")

    async def _be_killed(self) -> None:
        """It goes on where it was."""
        await self._owner.die(power=self._random.random() < 0.5)
        await self._machines.enter_async_context(running(self._owner))
        await self._go_on()

    async def _be_taken_over(self) -> None:
        """The other machine goes on where that one was."""
        owner, world = self._owner, self._world
        await owner.burn()
        lost, newest = self._restores.promised(owner), owner.history.newest_held
        if lost is None:
            return
        for site in world.known.values():
            site.go(up=site not in world.sites or site.number not in lost)
        found = await take_over(world, world.directory / "taken")
        if isinstance(found, Refused) or found.taken.state.group < newest:
            why = found.why if isinstance(found, Refused) else f"group {found.taken.state.group}"
            raise Violation(f"P2: group {newest} was held, without {sorted(lost)} a takeover finds {why}")
        history = owner.history.up_to(found.taken.state.group)
        self._owner = Owner(world, Platter(found.taken.directory), history, owner.content())
        self._all_come()
        with_it = self._machines
        with_it.enter_context(self._owner.platter.watching())
        await with_it.enter_async_context(running(self._owner))
        await self._owner.own.ready.wait()
        await self._go_on()

    async def _go_on(self) -> None:
        """To the end, and all is there."""
        self._world.network.weather = CALM
        self._have_kit(self._world.sites)
        if self._owner.own.keeper.block.layouts[-1].layout.id == 2:
            await self._until(MOMENTS["returned"], "over")
        self._all_come()
        await Quiet(self._world, self._owner, self._restores).check()
        await self._burn()


def move(seed: int, geometry: Geometry, directory: Path) -> BaseException | None:
    """The promise that was broken."""
    name = f"{seed} {geometry}"

    async def begin() -> None:
        async with trio.open_nursery() as late, AsyncExitStack() as machines:
            world = World(geometry, Random(name), directory, late)
            world.network.weather = Weather(delay=0.02)
            world.least_k = 1
            owner = Owner(world, Platter(await world.format()), History(), {})
            machines.enter_context(owner.platter.watching())
            if world.files is not None:
                machines.enter_context(world.files.watching())
            await machines.enter_async_context(running(owner))
            await Move(owner, Random(f"move {name}"), machines).run()
            await machines.aclose()
            late.cancel_scope.cancel()

    broken = None
    try:
        schedule.run(Random(name), begin)
    except* Exception as group:  # noqa: BLE001  whoever asks judges what it is
        broken = cause_of(group)
    return broken
