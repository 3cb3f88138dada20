"""The filesystem and a directory of the machine's own go through the same operations, and are the same after each."""

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fs.operations import ROOT, Chooser, OurSide, RealSide, shrinking
from tests.fs.parts import Clock, close_group, commit, drop_slowly, new_disk, open_disk, ticking
from tests.fs.shapes import Shape, shape_of_ours, shape_of_real

STEPS = 250


def times_changed(before: Shape, after: Shape) -> dict[tuple[bytes, ...], tuple[bool, bool]]:
    """Path -> (mtime changed, ctime changed), of those that mean the same inode before and after."""
    changed = {}
    for path in before.keys() & after.keys():
        ino, mtime, ctime = before[path]["times"]
        new_ino, new_mtime, new_ctime = after[path]["times"]
        if ino == new_ino:
            changed[path] = (mtime != new_mtime, ctime != new_ctime)
    return changed


def without_times(shape: Shape) -> Shape:
    return {path: {key: value for key, value in facts.items() if key != "times"} for path, facts in shape.items()}


def has_fine_times(directory: Path) -> bool:
    """Whether two changes in a row get two times, as on Linux >= 6.13."""
    probe = directory / "probe"
    times = set()
    for mode in (0o600, 0o644) * 5:
        probe.touch()
        probe.chmod(mode)
        times.add(probe.stat().st_ctime_ns)
    probe.unlink()
    return len(times) == 10


@pytest.fixture
def no_umask() -> Any:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("seed", range(30))
def test_every_operation_answers_and_leaves_the_same(seed: int, tmp_path: Path, no_umask: None) -> None:
    random = Random(seed)
    chooser = Chooser(random)
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "disk").mkdir()
    fine = has_fine_times(tmp_path)
    real = RealSide(tmp_path / "real")
    clock = ticking()
    ours = OurSide(new_disk(tmp_path / "disk", clock=clock))
    compresses = seed >= 24
    if compresses:
        ours.compress(1)
    if not ROOT:
        os.chown(tmp_path / "real", os.geteuid(), os.getegid())
    ours.chown((), os.geteuid(), os.getegid())
    before = shape_of_real(tmp_path / "real"), shape_of_ours(ours)
    for step in range(STEPS):
        drop_slowly(ours.disk, seed)
        if random.random() < 0.1:
            ours.disk.metadata.reclaim()
        operation = shrinking(chooser.next()) if compresses else chooser.next()
        where = f"seed {seed} step {step}: {operation!r:.200}"
        assert ours.apply(operation) == real.apply(operation), where
        after = shape_of_real(tmp_path / "real"), shape_of_ours(ours)
        assert without_times(after[1]) == without_times(after[0]), where
        if fine:
            wanted, changed = times_changed(before[0], after[0]), times_changed(before[1], after[1])
            # A path that got a new inode may have got, on the real side, the number of the old one again.
            assert {path: changed[path] for path in changed} == {path: wanted[path] for path in changed}, where
        before = after
        ours = _sometimes_go_on_otherwise(random, ours, real, clock)
        if compresses:
            ours.compress(1)
    real.close_all()
    ours.disk.close()


def _sometimes_go_on_otherwise(random: Random, ours: OurSide, real: RealSide, clock: Clock) -> OurSide:
    """Commits, ends of groups and restarts change nothing that can be seen."""
    chance = random.random()
    if chance < 0.03:
        commit(ours.disk)
    elif chance < 0.05:
        close_group(ours.disk)
    elif chance < 0.06:
        ours.close_all()
        real.close_all()
        commit(ours.disk)
        directory = ours.disk.database.path.parent
        ours.disk.close()
        ours = OurSide(open_disk(directory, clock=clock))
    return ours
