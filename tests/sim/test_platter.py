"""A power loss takes what was not synced, a kill takes nothing; and a start never trusts what a kill left unsynced."""

import os
from pathlib import Path
from random import Random

import pytest

from coopfs.fs.disk import Disk
from tests.fs.parts import commit, new_disk, open_disk
from tests.sim.platter import Platter, torn


def has_file(disk: Disk) -> bool:
    return disk.tree.find(1, b"f") is not None


def committed(platter: Platter) -> Disk:
    """A disk with a file, in a commit whose log was not synced."""
    disk = new_disk(platter.directory)
    disk.database.sync_wal()
    disk.tree.create(1, b"f", 0o100644, 0, 0)
    commit(disk)
    return disk


@pytest.fixture
def platter(tmp_path: Path) -> Platter:
    (tmp_path / "home").mkdir()
    return Platter(tmp_path / "home")


def test_of_what_was_not_synced_any_sectors_are_left() -> None:
    before, after = b"a" * 1000, b"b" * 3000
    outcomes = {torn(before, after, Random(seed)) for seed in range(60)}
    assert {before, after} <= outcomes
    assert {len(left) for left in outcomes} == {1000, 3000}
    sectors = [(left[:512], left[1024:1536], left[1536:2048]) for left in outcomes if len(left) == 3000]
    assert any(b"b" in one and b"b" in three and not any(two) for one, two, three in sectors), "in any order"
    assert all(torn(after, after, Random(seed)) == after for seed in range(9)), "what was synced is there"


def test_a_kill_takes_nothing(platter: Platter, tmp_path: Path) -> None:
    with platter.watching():
        disk = committed(platter)
        platter.kill(tmp_path / "killed")
        disk.close()
        disk = open_disk(platter.directory)
        assert has_file(disk)
        disk.close()


def test_a_power_loss_takes_some_of_what_was_not_synced(tmp_path: Path) -> None:
    found = set()
    for seed in range(8):
        home = tmp_path / f"home {seed}"
        home.mkdir()
        platter = Platter(home)
        with platter.watching():
            disk = committed(platter)
            platter.lose_power(tmp_path / f"lost {seed}", Random(seed))
            disk.close()
            disk = open_disk(platter.directory)
            found.add(has_file(disk))
            disk.close()
    assert found == {False, True}


@pytest.mark.parametrize("seed", range(8))
def test_a_start_makes_durable_what_it_found_committed(platter: Platter, tmp_path: Path, seed: int) -> None:
    """Else it would sweep up and send by what the next power loss undoes."""
    with platter.watching():
        disk = committed(platter)
        platter.kill(tmp_path / "killed")
        disk.close()
        disk = open_disk(platter.directory)
        platter.lose_power(tmp_path / "lost", Random(seed))
        disk.close()
        disk = open_disk(platter.directory)
        assert has_file(disk)
        disk.close()


def test_a_stage_file_that_was_never_synced_may_lose_its_name_or_its_bytes(tmp_path: Path) -> None:
    outcomes = set()
    for seed in range(30):
        home = tmp_path / f"home {seed}"
        (home / "stage").mkdir(parents=True)
        fresh = Platter(home)
        with fresh.watching():
            (home / "stage" / "1").write_bytes(b"synced")
            for path in (home / "stage" / "1", home / "stage"):
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            (home / "stage" / "2").write_bytes(b"not synced")
            fresh.lose_power(tmp_path / f"lost {seed}", Random(seed))
        assert (fresh.directory / "stage" / "1").read_bytes() == b"synced"
        left = fresh.directory / "stage" / "2"
        outcomes.add(left.exists())
        assert not left.exists() or not any(left.read_bytes())
    assert outcomes == {False, True}
