"""Who was up, as a node notes it: restarts, sleep, and being offline oneself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from coopfs.core.uptime import DAY, HOUR
from coopfs.limits import LAST_SEEN_INTERVAL, UPTIME_SAVE
from coopfs.local import partners
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.attendant import Attendant
from coopfs.types import NodeKey

ME, *OTHERS = (NodeKey(bytes([i]) * 32) for i in range(4))
BEGAN = 20_000 * DAY


class Days:
    """A node that notes who is up, and can be restarted; up: whom it reaches; asleep: seconds by which the wall clock
    is ahead of the other one."""

    def __init__(self, path: Path, others: int) -> None:
        self._path = path
        self.keys = OTHERS[:others]
        self.up = set(self.keys)
        self.asleep = 0.0
        self._begin()

    def _begin(self) -> None:
        self.database = NodeDatabase(self._path)
        self.attendant = Attendant(self.database, ME, lambda: self.keys, self.up.__contains__, self._wall)

    def _wall(self) -> float:
        return BEGAN + self.asleep + trio.current_time()

    async def last(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.attendant.run()

    async def be_off(self, seconds: float) -> None:
        """As after a power loss: nothing is said at the end."""
        self.database.close()
        await trio.sleep(seconds)
        self._begin()

    def share(self, key: NodeKey | None = None) -> float:
        share = self.attendant.share(key)
        assert share is not None
        return share[0]


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Days]:
    days = Days(tmp_path / "node.sqlite", 3)
    yield days
    days.database.close()


async def test_shares_survive_restarts_without_the_hours_this_node_was_off(
    three: Days, autojump_clock: MockClock
) -> None:
    await three.last(6 * HOUR)
    three.up.discard(OTHERS[1])
    await three.be_off(6 * HOUR)
    await three.last(6 * HOUR)
    assert three.share(OTHERS[0]) == 1.0, "it is not blamed for the hours in which this node was off"
    assert three.share(OTHERS[1]) == pytest.approx(0.5, abs=0.01)
    assert three.share() == pytest.approx(12 / 18, abs=0.01)


async def test_who_reaches_nobody_is_offline_itself(three: Days, autojump_clock: MockClock) -> None:
    await three.last(HOUR)
    three.up.clear()
    await three.last(HOUR)
    assert three.share(OTHERS[0]) == 1.0
    assert three.share() == pytest.approx(0.5, abs=0.02)
    three.up.add(OTHERS[0])
    await three.last(2 * HOUR)
    assert three.share() == pytest.approx(0.75, abs=0.02), "one reaches it"
    assert three.share(OTHERS[1]) == 1.0, "most are missing: that says little about each"


async def test_a_machine_that_sleeps_is_down(three: Days, autojump_clock: MockClock) -> None:
    await three.last(HOUR)
    three.asleep = 3.0 * HOUR
    await three.last(HOUR)
    assert three.share() == pytest.approx(2 / 5, abs=0.02)
    assert three.share(OTHERS[2]) == 1.0


async def test_of_two_nodes_each_sees_the_other(tmp_path: Path, autojump_clock: MockClock) -> None:
    days = Days(tmp_path / "node.sqlite", 1)
    await days.last(HOUR)
    days.up.clear()
    await days.last(HOUR)
    assert days.share(OTHERS[0]) == pytest.approx(0.5, abs=0.02)
    assert days.share() == 1.0
    days.database.close()


async def test_who_stops_and_starts_was_not_down_meanwhile(three: Days, autojump_clock: MockClock) -> None:
    for _ in range(3):
        await three.last(UPTIME_SAVE - 1)
        await three.be_off(0)
    await three.last(1)
    assert three.share() == pytest.approx(1.0, abs=3 * LAST_SEEN_INTERVAL / (3 * UPTIME_SAVE))


async def test_partners_are_noted_as_last_seen(three: Days, autojump_clock: MockClock) -> None:
    with three.database.transaction() as connection:
        for key in OTHERS[:2]:
            partners.insert(connection, PartnerEntry("p", key, (), 1, 1))
    three.up.discard(OTHERS[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(three.attendant.run)
        await trio.sleep(UPTIME_SAVE * 1.5)
        seen = {entry.key: entry.last_seen for entry in partners.all_partners(three.database)}
        assert seen == {OTHERS[0]: int(BEGAN + trio.current_time() - UPTIME_SAVE / 2), OTHERS[1]: None}
        with three.database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM uptime").fetchone() == (4,), "a row a day for each"
        nursery.cancel_scope.cancel()


async def test_an_idle_disk_may_sleep_until_somebody_comes_or_goes(three: Days, autojump_clock: MockClock) -> None:
    with three.database.transaction() as connection:
        partners.insert(connection, PartnerEntry("p", OTHERS[0], (), 1, 1))

    def last_seen() -> float | None:
        (entry,) = partners.all_partners(three.database)
        return None if entry.last_seen is None else entry.last_seen - BEGAN

    async with trio.open_nursery() as nursery:
        nursery.start_soon(three.attendant.run)
        await trio.sleep(UPTIME_SAVE - LAST_SEEN_INTERVAL / 2)
        assert last_seen() == 0, "the first look"
        three.up.discard(OTHERS[0])
        await trio.sleep(LAST_SEEN_INTERVAL)
        assert last_seen() == UPTIME_SAVE - LAST_SEEN_INTERVAL, "the last one that saw it"
        nursery.cancel_scope.cancel()
