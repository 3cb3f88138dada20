"""Mountpoints that cannot be used: exit code 7, one line, and what is there stays as it is."""

from pathlib import Path

import pytest

from coopfs.demo import mounts
from tests.e2e.commands import coopfs, mount_coopfs, tool, well
from tests.e2e.world import Owner, World, pid_of


@pytest.fixture
def owner(world: World) -> Owner:
    return world.owner("mallory", data=1, redundancy=1, partners=("p1", "p2"))


def test_mountpoints(owner: Owner, tmp_path: Path) -> None:
    home = owner.home
    (tmp_path / "file").touch()
    taken = tmp_path / "taken"
    taken.mkdir()
    tool("mount", "-t", "tmpfs", "tmpfs", taken)
    (taken / "theirs").touch()
    try:
        for mountpoint, words in (
            (tmp_path / "missing", "does not exist: create it"),
            (tmp_path / "file", "is not a directory"),
            (taken, "mounted on"),
            (tmp_path / "file" / "below", "cannot be used: Not a directory"),
        ):
            for said in (mount_coopfs(home, mountpoint), coopfs("mount", mountpoint, home=home)):
                assert said.code == 7
                assert words in said.line
                assert str(mountpoint) in said.line
        assert [path.name for path in taken.iterdir()] == ["theirs"]
    finally:
        mounts.unmount(taken)
    assert mount_coopfs(home, tmp_path, "-o", "frobnicate").code == 2
    well(mount_coopfs(home, owner.mount_point))


def test_mounted_already(owner: Owner, tmp_path: Path) -> None:
    (owner.mount() / "a").write_text("a")
    (tmp_path / "second").mkdir()
    for mountpoint in (owner.mount_point, tmp_path / "second"):
        said = mount_coopfs(owner.home, mountpoint)
        assert said.code == 7
        assert str(owner.mount_point) in said.line
    assert (owner.mount_point / "a").read_text() == "a"


def test_in_use(owner: Owner) -> None:
    mnt = owner.mount()
    with (mnt / "open").open("w") as file:
        said = coopfs("umount", home=owner.home)
        assert said.code == 7
        assert "busy" in said.line
        file.write("still works")
    well(coopfs("umount", home=owner.home))
    owner.mount()
    assert (mnt / "open").read_text() == "still works"


def test_a_daemon_that_was_started_for_a_mount_that_fails_is_ended(owner: Owner, tmp_path: Path) -> None:
    owner.world.stop(owner.name)
    said = mount_coopfs(owner.home, tmp_path / "missing")
    assert said.code == 7
    assert "does not exist" in said.line
    owner.world.wait_until_gone(owner.name)
    assert pid_of(owner.home) is None


def test_a_home_without_a_disk(world: World, tmp_path: Path) -> None:
    for said in (
        mount_coopfs(world.home("p1"), tmp_path),
        coopfs("sync", home=world.home("p1")),
        coopfs("kit", "export", tmp_path / "kit", home=world.home("p1")),
        coopfs("umount", home=world.home("p1")),
    ):
        assert said.code == 2
        assert "no disk yet" in said.line
    assert not (tmp_path / "kit").exists()


def test_paths_that_sync_does_not_know(owner: Owner, tmp_path: Path) -> None:
    mnt = owner.mount()
    for path in (tmp_path, mnt / "missing", mnt / "missing" / "below"):
        said = coopfs("sync", path, home=owner.home)
        assert said.code == 2
        assert str(path) in said.line


def test_a_view_on_a_mountpoint_that_cannot_be_used(owner: Owner, tmp_path: Path) -> None:
    owner.mount()
    owner.export_kit()
    for mountpoint in (tmp_path / "missing", owner.mount_point):
        said = coopfs("restore", "mount", owner.kit, mountpoint)
        assert said.code == 7
        assert str(mountpoint) in said.line
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    said = coopfs("restore", "copy", owner.kit, tmp_path / "full")
    assert said.code == 2
    assert "is not empty" in said.line
