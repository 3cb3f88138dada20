"""Short seasons of small villages; `contrib/campaign villages` has the long ones."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.sim.trace import Violation
from tests.village.mutants import MUTANTS, Mutant
from tests.village.scenes import step_between
from tests.village.season import Verdict, live, play

SEED = 6
TRIES = 5  # courses in which a broken rule must be noticed: a few show nothing of one
HAPPENS = (
    *("crash", "cut", "off", "sleep", "burn", "takeover", "rekey", "vanish", "leave"),
    *("restore", "shrink", "step", "parted"),
)
MEMORY = Path("/dev/shm")  # a file system in memory: a season is many thousands of small writes


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix="coopfs-village-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as made:
        yield Path(made)


def check(seed: int, verdict: Verdict) -> None:
    if verdict.broken is not None:
        raise AssertionError(f"season {seed}: {verdict}") from verdict.broken


@pytest.mark.slow
def test_a_season_of_a_village(directory: Path) -> None:
    """From nothing on; machines are lost and taken over, partners leave and vanish, others follow on them or step
    between two, and disks get other sizes."""
    verdict = live(SEED, 8, 14, directory)
    check(SEED, verdict)
    assert verdict.counts["format"] >= 7
    for what in (
        "crash",
        "cut",
        "off",
        "sleep",
        "burn",
        "takeover",
        "rekey",
        "vanish",
        "leave",
        "restore",
        "shrink",
        "parted",
    ):
        assert verdict.counts[what] > 0, what
    assert verdict.replaced, "somebody was followed by another"


@pytest.mark.slow
def test_a_seed_is_a_season(directory: Path) -> None:
    """The same seed brings the same events and the same bytes at the same times, another seed others."""
    traces = []
    for number, seed in enumerate([7, 7, 8]):
        homes = directory / str(number)
        homes.mkdir()
        verdict = live(seed, 4, 4.5, homes)
        check(seed, verdict)
        traces.append(verdict.trace)
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.slow
def test_one_steps_between_two_and_nobody_loses_anything(directory: Path) -> None:
    check(SEED, play(SEED, directory, step_between))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_of_stepping_between_is_noticed(mutant: Mutant, directory: Path) -> None:
    for seed in range(SEED, SEED + TRIES):
        homes = directory / str(seed)
        homes.mkdir()
        with mutant():
            broken = play(seed, homes, step_between).broken
        if broken is not None:
            assert isinstance(broken, Violation), broken
            return
    pytest.fail(f"nothing was noticed in {TRIES} courses")
