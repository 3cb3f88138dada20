"""Which partners do not count any more, so that others are looked for (tests/match has the whole of it)."""

from pathlib import Path

import trio

from coopfs.app.partners.succession import Succession
from coopfs.core.columnstate import Event
from coopfs.limits import AWAY_AFTER, GRACE_PERIOD, ONLINE_AFTER, SUCCESSION_CHECK
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, sleep_through

NOW = 1_800_000_000


def entry(name: str, last_seen: int | None) -> PartnerEntry:
    return PartnerEntry(name, NodeKey(name.encode() * 8), ("a:1",), 1, 1, last_seen)


async def test_who_was_absent_for_weeks_counts_no_more_once_this_node_can_know(autojump_clock: object) -> None:
    """After a holiday of this machine nobody has been seen for weeks, and nobody is to be replaced for it."""
    known = [entry("long", NOW - GRACE_PERIOD), entry("back", NOW - GRACE_PERIOD), entry("here", NOW - 60)]
    known.append(entry("late", None))

    async def tell(title: str, text: str) -> None:
        raise AssertionError("nobody was replaced")

    back = known[1].key
    succession = Succession(lambda: None, lambda: known, lambda key: key == back, tell, lambda: NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(succession.run)
        await trio.sleep(AWAY_AFTER / 2)
        assert succession.gone() == set()
        await trio.sleep(AWAY_AFTER / 2 + 1)
        assert succession.gone() == {known[0].key}
        nursery.cancel_scope.cancel()


def test_nobody_is_absent_before_this_node_has_been_awake_again_for_a_while(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        known = [entry("trustee", int(owner.world.wall()))]

        async def tell(title: str, text: str) -> None:
            raise AssertionError("nobody was replaced")

        succession = Succession(lambda: owner.own, lambda: known, lambda key: False, tell, owner.world.wall)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(succession.run)
            await trio.sleep(AWAY_AFTER + SETTLED)
            sleep_through(owner, GRACE_PERIOD)
            assert (succession.gone(), succession.is_lost(known[0].key)) == (set(), False)
            await trio.sleep(ONLINE_AFTER + 1)
            assert (succession.gone(), succession.is_lost(known[0].key)) == ({known[0].key}, True)
            nursery.cancel_scope.cancel()

    play(tmp_path, Geometry(1, 1), main)


def test_nobody_who_was_missed_for_weeks_follows_one_that_is_lost(tmp_path: Path) -> None:
    """Even where nobody can say whose fault that is: while it fills no column nobody else would."""

    async def main(owner: Owner) -> None:
        world = owner.world
        site = world.join(2)
        site.go(up=False)
        seen = int(world.wall()) - 2 * GRACE_PERIOD
        known = [PartnerEntry("spare", site.host.key, (), 1 << 40, 1 << 40, seen)]

        async def tell(title: str, text: str) -> None:
            raise AssertionError(text)

        succession = Succession(lambda: owner.own, lambda: known, lambda key: False, tell, world.wall)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(succession.run)
            await trio.sleep(AWAY_AFTER + SETTLED)
            owner.own.columns.happen(owner.own.columns.columns[2], Event.LOST)
            sleep_through(owner, AWAY_AFTER)
            await trio.sleep(2 * SUCCESSION_CHECK)
            assert owner.own.columns.incoming is None
            nursery.cancel_scope.cancel()

    play(tmp_path, Geometry(1, 2), main)
