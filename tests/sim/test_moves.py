"""Disks that move to another layout, under fixed seeds."""

from pathlib import Path

import pytest

from tests.sim.moves import move
from tests.sim.test_life import directory
from tests.sim.world import Geometry

__all__ = ["directory"]  # a fixture

GEOMETRIES = [Geometry(*km) for km in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3)]]
FAST = 2  # of each geometry: 10 x 0.6 s of one core
SLOW = 20


def fixed(seeds: range) -> list[tuple[int, Geometry]]:
    return [(seed, geometry) for geometry in GEOMETRIES for seed in seeds]


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(FAST)), ids=str)
def test_a_move(seed: int, geometry: Geometry, directory: Path) -> None:
    assert move(seed, geometry, directory) is None


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "geometry"), fixed(range(FAST, SLOW)), ids=str)
def test_further_moves(seed: int, geometry: Geometry, directory: Path) -> None:
    assert move(seed, geometry, directory) is None
