"""A disk that has grown beyond what its owner swaps with those that the node finds."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.levels import Share
from tests.sim import schedule
from tests.sim.world import Geometry
from tests.village.household import Household
from tests.village.outside import Outside
from tests.village.tally import Tally
from tests.village.wishes import SWAPS, Wishes

MINUTE = 60.0
SMALL, LARGE = 2 * SWAPS, 4 * SWAPS  # bytes
WISHES = Wishes(Geometry(1, 1), 0, Share(95), careless=False)


@contextlib.contextmanager
def outside(random: Random, directory: Path) -> Iterator[Outside]:
    made = Outside(random, trio.lowlevel.current_clock(), directory, Tally())
    try:
        with made.around():
            yield made
    finally:
        made.market.close()


def test_who_is_lost_is_followed_by_one_that_gives_enough(tmp_path: Path) -> None:
    """A newcomer that swaps what is configured is no use to a disk that has grown beyond it."""
    random, houses = Random(1), list[Household]()

    async def settle(nursery: trio.Nursery, place: Outside, size: int) -> Household:
        house = Household(len(houses) + 1, WISHES, tmp_path, place.streams, random)
        house.settings = replace(house.settings, match_size=size)
        houses.append(house)
        await nursery.start(house.run)
        return house

    async def grow(one: Household, *others: Household) -> None:
        for other in others:
            await other.ask("partner_resize", partner=one.name, size=LARGE)
        await one.ask("resize", size=LARGE)
        await trio.sleep(MINUTE)
        assert one.own is not None
        assert one.own.growing.is_done

    async def main() -> None:
        with outside(random, tmp_path) as place:
            async with trio.open_nursery() as nursery:
                one, two, three = [await settle(nursery, place, SMALL) for _ in range(3)]
                await trio.sleep(10 * MINUTE)
                await one.format()
                await grow(one, two, three)
                await three.die()
                await trio.sleep(MINUTE)
                assert await one.declare_lost(three.name)
                await settle(nursery, place, SMALL)
                await trio.sleep(30 * MINUTE)
                assert set(one.partners()) == {two.key, three.key}, "what the small one gives is not enough"
                assert (await one.ask("status"))["matching"]["size"] == LARGE
                large = await settle(nursery, place, LARGE)
                await trio.sleep(30 * MINUTE)
                assert one.own is not None
                assert [(c.place.node, c.state) for c in one.own.columns.columns] == [
                    (two.key, ColumnState.COUNTED),
                    (large.key, ColumnState.COUNTED),
                ]
                nursery.cancel_scope.cancel()

    schedule.run(random, main)
