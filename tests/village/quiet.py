"""The calm at the end of a season: everybody is back, and everything is as it was promised."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from coopfs.limits import KIB
from tests.sim.trace import Violation
from tests.village.census import Replaced
from tests.village.events import DAY, HOUR
from tests.village.household import Household

if TYPE_CHECKING:
    from tests.village.season import Season

REPLACED = 2 * DAY  # in which somebody follows on a lost partner, while somebody is to be had
TRAFFIC = 1.25  # bytes sent to a new partner for each byte of its column: what is written meanwhile is sent twice
TALK = 64 * KIB  # and besides: handshakes, master blocks, what the two say to each other for hours


async def check_end(season: "Season") -> None:
    """Violation."""
    while any(house.busy and not house.gone for house in season.houses.values()):
        await trio.sleep(HOUR)
    await trio.sleep(DAY)
    season.census.look()
    for house in season.houses.values():
        if house.gone:
            continue
        if house.own is None:
            season.tally.counts["without disk"] += 1
        else:
            await _check_disk(season, house)
        _check_partners(season, house)
    _judge(season.census.replaced)


async def _check_disk(season: "Season", house: Household) -> None:
    own = house.own
    assert own is not None
    await own.committer.close_group()
    await trio.sleep(600)
    house.diary.look()
    newest, well = own.local.metadata.group - 1, not season.budget.unwell(house)
    if house.diary.held < newest and well:
        raise Violation(f"all is quiet, and group {house.diary.held} of {newest} of {house} is held")
    if not own.growing.is_done and well:
        raise Violation(f"all is quiet, and {house} has not the size that it is to have: {own.growing.hindrance()}")
    if season.budget.is_restorable(house):
        await season.check_restore(house)


def _check_partners(season: "Season", house: Household) -> None:
    for other in map(season.houses.__getitem__, house.partners()):
        if not other.gone and house.key not in other.partners():
            raise Violation(f"{house} has an agreement with {other}, which knows of none")


def _judge(replaced: Sequence[Replaced]) -> None:
    waited = max((one.waited for one in replaced), default=0.0)
    if waited > REPLACED:
        raise Violation(f"a partner was replaced after {waited / DAY:.1f} days in which somebody was free")
    sent, columns = sum(one.sent for one in replaced), sum(one.column for one in replaced)
    if sent > TRAFFIC * columns + TALK * len(replaced):
        raise Violation(f"{sent} bytes were sent for {len(replaced)} columns of {columns} bytes in all")
