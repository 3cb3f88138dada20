"""Which partners do not count any more, so that others are looked for (tests/match has the whole of it)."""

import trio

from coopfs.app.partners.succession import Succession
from coopfs.limits import AWAY_AFTER, GRACE_PERIOD
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey

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
