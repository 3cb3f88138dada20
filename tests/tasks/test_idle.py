"""Nobody is woken while nothing happens: an idle disk, and one whose partners are away for weeks, cost no power."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from coopfs.limits import AWAY_AFTER, FLOOR_CHECK, GRACE_PERIOD, LOST_CHECK
from tests.sim.owner import Owner
from tests.sim.quiet import Quiet
from tests.sim.restores import Restores
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, write

DAY = 86_400.0  # seconds


class Steps(trio.abc.Instrument):
    """Counts how often any task went on."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@contextmanager
def counted() -> Iterator[Steps]:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        yield steps
    finally:
        trio.lowlevel.remove_instrument(steps)


async def be_idle(owner: Owner) -> None:
    """All is complete, and what was told again is too."""
    await group_of(owner, b"a", 50_000)
    await trio.sleep(SETTLED)
    while owner.own.local.metadata.group_changed:
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)


def test_an_idle_disk_looks_at_its_floor_and_at_nothing_else(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await be_idle(owner)
        with counted() as steps:
            await trio.sleep(DAY)
        assert steps.count < 1.1 * DAY / FLOOR_CHECK

    play(tmp_path, Geometry(2, 2), main)


@pytest.mark.parametrize("absent", [1, 2, 4])
def test_while_partners_are_away_only_the_clock_is_looked_at(tmp_path: Path, absent: int) -> None:
    """Until they are in A, and then much more seldom until they are lost."""

    async def main(owner: Owner) -> None:
        await be_idle(owner)
        for site in owner.world.sites[:absent]:
            site.go(up=False)
        await trio.sleep(SETTLED)
        with counted() as steps:
            await trio.sleep(AWAY_AFTER - 2 * SETTLED)
        assert steps.count < 1.1 * AWAY_AFTER / FLOOR_CHECK + 3 * AWAY_AFTER / LOST_CHECK
        await trio.sleep(4 * SETTLED)
        with counted() as steps:
            await trio.sleep(DAY)
        assert steps.count < 1.1 * DAY / FLOOR_CHECK + 2 * DAY / LOST_CHECK

    play(tmp_path, Geometry(2, 2), main)


def test_two_weeks_without_half_of_the_partners(tmp_path: Path) -> None:
    """Nothing becomes held, and writing goes on in ever fewer groups; when they are back all is, and all comes back."""

    async def main(owner: Owner) -> None:
        await be_idle(owner)
        progress, first = owner.own.ledger.progress, owner.own.local.metadata.group
        for site in owner.world.sites[:2]:
            site.go(up=False)
        with counted() as steps:
            for hour in range(int((GRACE_PERIOD - DAY) / 3600)):
                await write(owner, b"%d" % (hour % 24), 5000)
                await trio.sleep(3600)
        assert progress.barrier < first, "three columns outside A are too many to ask for"
        assert owner.own.local.metadata.group - first < 20
        assert [column.away for column in owner.own.columns.columns] == [True, True, False, False]
        assert steps.count < 100_000
        for site in owner.world.sites:
            site.go(up=True)
        await Quiet(owner.world, owner, Restores(owner.world)).check()
        assert progress.barrier >= first

    play(tmp_path, Geometry(2, 2), main)
