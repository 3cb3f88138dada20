"""Rounds of filling and emptying. COOPFS_FULL_ROUNDS=N makes them N for each road, COOPFS_FULL_SEED=S from seed S."""

import os
from pathlib import Path

import pytest

from tests.sim.fulldisk import ROADS, rounds
from tests.sim.test_life import directory

ROUNDS = int(os.environ.get("COOPFS_FULL_ROUNDS", "1"))
SEED = int(os.environ.get("COOPFS_FULL_SEED", "1"))

__all__ = ["directory"]


@pytest.mark.slow
@pytest.mark.parametrize("road", ROADS)
def test_rounds_of_filling_and_emptying(road: str, directory: Path) -> None:
    print(f"COOPFS_FULL_SEED={SEED}")
    rounds(directory, [road], ROUNDS, SEED)
