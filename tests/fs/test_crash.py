"""A disk directory copied at any moment, as a crash leaves it, opens in the state of the last commit."""

import shutil
from pathlib import Path
from random import Random

import pytest

from coopfs.errors import StateError
from tests.fs.operations import Chooser, OurSide
from tests.fs.parts import close_group, commit, drop_slowly, new_disk, open_disk, ticking
from tests.fs.shapes import shape_of_ours
from tests.local.test_images import check_counters

STEPS = 150


@pytest.mark.parametrize("seed", range(10))
def test_a_copy_taken_at_any_moment_opens_as_of_the_last_commit(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    chooser = Chooser(random)
    directory = tmp_path / "disk"
    directory.mkdir()
    clock = ticking()
    ours = OurSide(new_disk(directory, clock=clock))
    committed = shape_of_ours(ours)
    for step in range(STEPS):
        drop_slowly(ours.disk, seed)
        ours.apply(chooser.next())
        chance = random.random()
        if chance < 0.1:
            commit(ours.disk)
            committed = shape_of_ours(ours)
        elif chance < 0.15:
            close_group(ours.disk)
            committed = shape_of_ours(ours)
        elif chance < 0.25:
            copy = tmp_path / f"copy {step}"
            shutil.copytree(directory, copy)
            after = OurSide(open_disk(copy, clock))
            after.disk.bury_orphans()
            assert shape_of_ours(after) == committed, f"seed {seed} step {step}"
            assert not after.disk.metadata.nodes.orphans()
            _goes_on(after)
            while after.disk.metadata.reclaim():
                pass
            commit(after.disk)
            check_counters(after.disk)
            ownerless = "SELECT * FROM extents WHERE ino NOT IN (SELECT ino FROM inodes)"
            assert not after.disk.database.read(ownerless).fetchall()
            after.disk.close()
    ours.disk.close()


def _goes_on(side: OurSide) -> None:
    """It can be written to, and nothing old is in the way."""
    name = (b"new",)
    assert side.apply(("create", (name, 0o644))) is None
    side.apply(("open", (9, name, False)))
    assert side.apply(("write", (9, 0, b"z" * 20_000))) == 20_000
    assert side.apply(("read", (9, 0, 30_000))) == b"z" * 20_000
    side.close_all()
    commit(side.disk)


def _committed_disk(directory: Path) -> None:
    directory.mkdir()
    side = OurSide(new_disk(directory))
    side.apply(("create", ((b"a",), 0o644)))
    side.apply(("open", (0, (b"a",), False)))
    side.apply(("write", (0, 0, b"x" * 20_000)))
    side.close_all()
    commit(side.disk)
    side.disk.close()


def test_what_no_commit_names_is_swept_away(tmp_path: Path) -> None:
    _committed_disk(tmp_path / "disk")
    (tmp_path / "disk" / "stage" / "77").write_bytes(b"opened after the last commit")
    disk = open_disk(tmp_path / "disk")
    assert sorted(path.name for path in (tmp_path / "disk" / "stage").iterdir()) == ["1", "2"]
    disk.close()


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_content_that_is_not_sent_and_not_there_is_said(tmp_path: Path, damage: str) -> None:
    _committed_disk(tmp_path / "disk")
    file = tmp_path / "disk" / "stage" / "1"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"x")
    with pytest.raises(StateError, match="recovery kit"):
        open_disk(tmp_path / "disk")


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "truncated", "other"])
def test_a_lost_or_damaged_database_is_said_in_one_line(tmp_path: Path, damage: str) -> None:
    _committed_disk(tmp_path / "disk")
    file = tmp_path / "disk" / "disk.sqlite"
    assert not file.with_name("disk.sqlite-wal").exists(), "a clean end leaves no write-ahead log"
    match damage:
        case "missing":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "garbage":
            file.write_bytes(b"\x55" * 65536)
        case "truncated":
            file.write_bytes(file.read_bytes()[: 3 * 4096])
        case "other":
            data = bytearray(file.read_bytes())
            data[63] = 99  # user_version
            file.write_bytes(data)
    with pytest.raises(StateError) as told:
        open_disk(tmp_path / "disk")
    assert "\n" not in str(told.value)


def test_a_second_disk_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    _committed_disk(tmp_path / "disk")
    with pytest.raises(StateError, match="already"):
        new_disk(tmp_path / "disk")
