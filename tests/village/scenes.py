"""Short stories of a few households, each about one thing that befalls them."""

from dataclasses import replace

from coopfs.core.stepping import Step
from coopfs.levels import Share
from coopfs.local.kitrecord import MadeKit
from coopfs.local.steps import MemberStep
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.village.household import Household
from tests.village.season import Season
from tests.village.wishes import Wishes

WISHES = Wishes(Geometry(2, 1), spare=0, uptime=Share(95), careless=False)
LONG = 20  # steps of three hours, in which whatever is looked for must have happened


async def step_between(season: Season) -> None:
    """Four households are partners of each other and have disks; one that wants two partners finds nobody free. Of the
    two between whom it steps one has an old kit: its column moves hours after that of the other one. Violation."""
    for _ in range(4):
        await season.settle(WISHES)
    await until(season, "kit", 4)
    slow: list[Household] = []

    async def see(house: Household, row: MemberStep | None) -> None:
        if row is not None and row.step is Step.ASKED and not slow:
            slow.append(house)
            assert house.own is not None
            other = next(place.node for place in house.own.places.primaries if place.node != row.fellow)
            house.own.kits.note(MadeKit(0, (row.fellow, other)))
        await season.see_step(house, row)

    for house in season.houses.values():
        await house.diary.write()
        house.on_step = see
    await season.settle(replace(WISHES, spare=-1))
    await until(season, "parted", 2)
    assert slow


async def until(season: Season, what: str, times: int) -> None:
    """It has happened so often. Violation."""
    for _ in range(LONG):
        if season.tally.counts[what] >= times:
            return
        await season.step(stormy=False)
    raise Violation(f"{what} should have happened {times} times, and did {season.tally.counts[what]} times")
