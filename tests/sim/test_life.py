"""Lives under fixed seeds. COOPFS_SIM_SEEDS=N runs N of them for each geometry, COOPFS_SIM_FROM=S begins at seed S;
the line that a failing one prints, put in front of `pytest tests/sim`, runs it again."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.sim.life import Verdict, live
from tests.sim.restores import Restores
from tests.sim.world import Changes, Geometry

GEOMETRIES = [Geometry(*km) for km in [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (1, 3)]]
FAST = 4  # lives of each geometry in the fast suite: 28 x 0.5 s of one core
SLOW = 36  # and in the whole one
RESIZED = 2  # of each geometry whose disk is resized
REKEYING = 1  # of each geometry whose disk gets new keys
MOVING = 1  # of each geometry whose disk moves to other layouts
COPIED = 1  # of each geometry whose home is copied
MEMORY = Path("/dev/shm")  # a file system in memory: a life is thousands of small writes


def parse(geometry: str) -> Geometry:
    k, _, m = geometry.partition("+")
    return Geometry(int(k), int(m))


def chosen() -> list[tuple[int, Geometry]]:
    """The lives that the environment asks for, or none."""
    geometries = [parse(os.environ["COOPFS_SIM_GEOMETRY"])] if "COOPFS_SIM_GEOMETRY" in os.environ else GEOMETRIES
    if "COOPFS_SIM_SEED" in os.environ:
        return [(int(os.environ["COOPFS_SIM_SEED"]), geometry) for geometry in geometries]
    first, count = int(os.environ.get("COOPFS_SIM_FROM", "0")), int(os.environ.get("COOPFS_SIM_SEEDS", "0"))
    return [(seed, geometry) for geometry in geometries for seed in range(first, first + count)]


def fixed(seeds: range) -> list[tuple[int, Geometry]]:
    return [] if chosen() else [(seed, geometry) for geometry in GEOMETRIES for seed in seeds]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place, gone afterwards."""
    with TemporaryDirectory(prefix="coopfs-sim-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as made:
        yield Path(made)


def check(seed: int, geometry: Geometry, verdict: Verdict) -> None:
    if verdict.broken is not None:
        line = f"COOPFS_SIM_SEED={seed} COOPFS_SIM_GEOMETRY={geometry}: {verdict}"
        raise AssertionError(line) from verdict.broken


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(FAST)), ids=str)
def test_a_life(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "geometry"), fixed(range(FAST, SLOW)) + chosen(), ids=str)
def test_further_lives(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise))


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(1000, 1000 + FAST)) + chosen(), ids=str)
def test_a_life_that_loses_more_than_was_promised(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_salvage))


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(2000, 2000 + RESIZED)), ids=str)
def test_a_life_of_a_disk_that_is_resized(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise, changes=Changes(resizes=True)))


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(3000, 3000 + REKEYING)), ids=str)
def test_a_life_of_a_disk_that_gets_new_keys(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise, changes=Changes(rekeys=True)))


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(5000, 5000 + MOVING)), ids=str)
def test_a_life_of_a_disk_that_moves(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise, changes=Changes(moves=True)))


@pytest.mark.parametrize(("seed", "geometry"), fixed(range(6000, 6000 + COPIED)), ids=str)
def test_a_life_of_a_home_that_is_copied(seed: int, geometry: Geometry, directory: Path) -> None:
    check(seed, geometry, live(seed, geometry, directory, Restores.check_promise, changes=Changes(copies=True)))


@pytest.mark.parametrize("geometry", [Geometry(1, 2), Geometry(3, 2)], ids=str)
def test_a_seed_is_a_life(geometry: Geometry, directory: Path) -> None:
    """The same seed brings the same events at the same times, another seed others."""
    digests = []
    for number, seed in enumerate([77, 77, 78]):
        home = directory / str(number)
        home.mkdir()
        digests.append(live(seed, geometry, home, Restores.check_promise).trace)
    assert digests[0] == digests[1] != digests[2]


def test_what_a_life_logs_keeps_nothing_of_it(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error among the arguments of a record has a traceback, and so all that its frames knew."""
    live(0, Geometry(3, 2), directory, Restores.check_promise)
    assert caplog.records
    assert not any(record.args for record in caplog.records)
