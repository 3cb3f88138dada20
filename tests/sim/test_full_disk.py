"""A round of filling and emptying on every road, and days of a workstation: `contrib/campaign full`, cut short."""

import os
from pathlib import Path

import pytest

from tests.sim.month import month
from tests.sim.roads import ROADS, Road, travel
from tests.sim.test_life import directory

ROWS = 60  # of which a third is for content: the roads of names are three times as long with 100

__all__ = ["directory"]


@pytest.mark.slow
@pytest.mark.parametrize("road", ROADS.values(), ids=list(ROADS))
def test_a_round_of_filling_and_emptying(road: Road, directory: Path) -> None:
    if road.needs_root and os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    course = travel(road, 1, 1, directory, ROWS)
    assert not course.broken
    assert course.counts["rounds"] == 1
    assert course.counts["operations"] > 10


@pytest.mark.slow
def test_a_week_of_a_workstation_costs_little(directory: Path) -> None:
    """The slack of so small a disk is a tenth of it; without cleaning it costs 1.7 times its content."""
    found = month(6, 1, directory, 500)
    assert found.space[-1] < 1.45
    assert 1 < found.written < 1.2
