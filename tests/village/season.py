"""A season of a village: so many households find each other from nothing, and live for so many days under one seed.

1. every household starts, finds its partners through the market, makes its disk and writes;
2. whatever befalls them (events.py) stays within what their disks promise to survive (budget.py);
3. a calm at the end: every lost partner has been followed by another, everything is complete, all of it comes back.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import trio

from coopfs.core.stepping import Step
from coopfs.levels import Share
from coopfs.local.steps import MemberStep
from coopfs.types import NodeKey
from tests.sim import schedule
from tests.sim.life import cause_of
from tests.sim.patience import not_stuck
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.village.budget import Budget
from tests.village.census import Census, Replaced
from tests.village.events import DAY, EVENTS, HOUR, Event
from tests.village.household import Household
from tests.village.outside import Outside
from tests.village.pace import unhurried
from tests.village.quiet import check_end
from tests.village.restores import check_restore
from tests.village.tally import Tally
from tests.village.wishes import Wishes

GEOMETRIES = (Geometry(2, 1), Geometry(2, 2), Geometry(3, 2))
STEP = 3 * HOUR
CALM = 4 * DAY
WRITES = 0.06  # of a household in a step: every other day
CARELESS = 12  # households of which one is


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a season went. trace: the digest of all that happened and was sent; counts: how often what happened;
    replaced: columns that others got; warned: households that broke their promise to be up; broken: the promise that
    was broken, or the error that ended it; None: all went well."""

    trace: str
    counts: Counter[str]
    replaced: Sequence[Replaced]
    warned: int
    broken: BaseException | None

    def __str__(self) -> str:
        return "fine" if self.broken is None else f"{type(self.broken).__name__}: {self.broken}"


class Season:
    """random: of what happens; directory: for all homes."""

    def __init__(self, random: Random, directory: Path, tally: Tally, outside: Outside) -> None:
        self.random = random
        self.tally = tally
        self.houses: dict[NodeKey, Household] = {}
        self.budget = Budget(self.houses)
        self.census = Census(self.houses, outside.streams.sent, outside.letters)
        self.note = tally.note
        self._count = 0  # of households that there are to be
        self._due = list(EVENTS)  # what has not happened yet
        self._directory = directory
        self._streams = outside.streams
        self._steps: dict[NodeKey, MemberStep | None] = {}  # of those between whom somebody steps
        self._broken: Violation | None = None  # what was seen at a step between two
        self._outside = outside
        self._nursery: trio.Nursery

    async def run(self, story: "Story") -> None:
        """Violation."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await story(self)
            nursery.cancel_scope.cancel()

    async def live(self, count: int, days: float) -> None:
        """With so many households."""
        self._count = count
        for _ in range(count):
            await self.join()
        end = days * DAY
        while trio.current_time() < end:
            await self.step(end - trio.current_time() > CALM)
        await check_end(self)

    async def join(self) -> None:
        """A new household."""
        random = self.random
        careless = len(self.houses) % CARELESS == 0
        await self.settle(Wishes(random.choice(GEOMETRIES), random.choice([0, 1]), Share(95), careless))

    async def settle(self, wishes: Wishes) -> Household:
        """One that wants this."""
        random = self.random
        house = Household(len(self.houses) + 1, wishes, self._directory, self._outside.streams, random)
        house.on_step = self.see_step
        self.houses[house.key] = house
        self.note(f"join {house} {wishes.geometry}")
        await self.start(house)
        return house

    async def start(self, house: Household) -> None:
        await self._nursery.start(house.run)

    async def step(self, stormy: bool) -> None:
        """Three hours."""
        await trio.sleep(STEP)
        if self._broken is not None:
            raise self._broken
        here = [house for house in self.houses.values() if not house.gone]
        for house in here:
            if house.is_up and not house.busy:
                with not_stuck(f"what the owner of {house} does"):
                    await self._keep(house)
        self.census.look()
        if stormy:
            self._befall(here)
            if len(here) < self._count:
                await self.join()

    async def _keep(self, house: Household) -> None:
        """What an owner does."""
        if house.own is None:
            await self._settle(house)
        elif self.random.random() < WRITES:
            await house.diary.write()
            self.note(f"write {house}")
        if house.own is not None and house.is_up and self._wants_kit(house):
            await house.export_kit()
            self.note(f"kit {house}")

    async def _settle(self, house: Household) -> None:
        """Make the disk when there are partners enough, and all answer."""
        known = house.candidates()
        if len(known) >= house.wishes.geometry.quorum.n and all(house.reaches(entry.key) for entry in known):
            await house.format()
            self.note(f"format {house}")

    def _wants_kit(self, house: Household) -> bool:
        """As status asks for it."""
        own = house.own
        assert own is not None
        made = own.kits.newest()
        named = frozenset() if made is None else frozenset(made.partners)
        is_spent = made is None or len(own.keeper.holders() & named) <= house.wishes.geometry.quorum.f
        waits_for = () if own.columns.incoming is None else (own.replacing.hindrance() or "",)
        return is_spent or own.rekeying.pending is not None or any("a new kit must" in each for each in waits_for)

    def _befall(self, here: Sequence[Household]) -> None:
        """What has never been happens as soon as it may, and all of it again and again."""
        random = self.random
        for house in here:
            for event in EVENTS:
                if random.random() < STEP / (event.days * DAY):
                    self._begin(event, house)
        if self._due:
            self._begin(self._due[0], random.choice(here))

    def _begin(self, event: Event, house: Household) -> None:
        if house.is_up and not house.busy and event.who(house):
            house.busy = True
            self._nursery.start_soon(self._suffer, house, event)

    async def _suffer(self, house: Household, event: Event) -> None:
        if event in self._due:
            self._due.remove(event)
            if not await event.befall(self, house):
                self._due.append(event)
        else:
            await event.befall(self, house)
        house.busy = False

    # --- what events ask ------------------------------------------------------------------------------------------

    def partners_of(self, house: Household) -> list[Household]:
        """Whose columns it holds."""
        return [each for each in self.houses.values() if house.key in each.holders and not each.gone]

    async def look_at_bereaved(self) -> None:
        """Somebody who has just lost a partner looks whether all could be restored."""
        bereaved = [each for each in self.houses.values() if each.lacking and not each.gone]
        restorable = [each for each in bereaved if self.budget.is_restorable(each)]
        if restorable:
            await self.check_restore(self.random.choice(restorable))

    async def check_restore(self, house: Household) -> None:
        """What it holds comes back, whoever may be lost besides those that are down. Violation."""
        unwell, f = self.budget.unwell(house), house.wishes.geometry.quorum.f
        if len(unwell) > f:
            return  # somebody's program crashes just now, besides
        well = [self.houses[key] for key in house.holders if key not in unwell]
        without = self.random.sample(well, f - len(unwell))
        before = [other.disturbed for other in well]
        try:
            await check_restore(house, without, self._streams, self.tally)
        except Violation:
            if before == [other.disturbed for other in well]:
                raise  # else more were down meanwhile than it promises to survive

    async def see_step(self, house: Household, row: MemberStep | None) -> None:
        """At each step of those between whom somebody steps nothing may be lost."""
        before = self._steps.get(house.key)
        if before == row:
            return
        self._steps[house.key] = row
        self.note(f"step {house} {Step.NONE.name if row is None else row.step.name}")
        if row is None and before is not None and before.fellow not in house.partners():
            self.note(f"parted {house}")
        try:
            self.census.check_losses(house)
            if self.budget.is_restorable(house):
                await self.check_restore(house)
        except Violation as violation:  # told when nobody is in the middle of something
            self._broken = self._broken or violation


Story = Callable[[Season], Awaitable[None]]


def live(seed: int, count: int, days: float, directory: Path) -> Verdict:
    """A whole season of so many households. directory: empty."""

    async def story(season: Season) -> None:
        await season.live(count, days)

    return play(seed, directory, story)


def play(seed: int, directory: Path, story: Story) -> Verdict:
    """What happens where nobody lives yet. directory: empty."""
    random = Random(seed)
    tally = Tally()
    seasons: list[Season] = []
    broken = None

    async def main() -> None:
        outside = Outside(random, trio.lowlevel.current_clock(), directory, tally)
        try:
            with outside.around(), unhurried():
                season = Season(random, directory, tally, outside)
                seasons.append(season)
                await season.run(story)
        finally:
            outside.market.close()

    try:
        schedule.run(random, main)
    except* Exception as group:  # noqa: BLE001  whatever ends a season is told with its seed
        broken = cause_of(group)
    return Verdict(tally.digest, tally.counts, seasons[0].census.replaced, len(seasons[0].census.broken), broken)
