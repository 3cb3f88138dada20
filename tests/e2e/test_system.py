"""What the rest of the system does with a disk: mount(8) by fstab(5), and a service manager."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

import coopfs
from tests.e2e.commands import MOUNT_HELPER, mount_coopfs, tool, well
from tests.e2e.world import World, pid_of

UNITS = sorted((Path(coopfs.__file__).parent.parent / "contrib" / "systemd").iterdir())

# mount(8) looks for helpers in /sbin only: they are laid over it, for this script alone.
IN_A_NAMESPACE = """
set -e
mount -t overlay overlay -o "lowerdir=$1:$(realpath /sbin)" "$(realpath /sbin)"
mount -T "$2" "$4"
echo first > "$4/file"
mount -a -T "$2"
findmnt -n -o FSTYPE,SOURCE "$4"
umount "$4"
test ! -e "$4/file"
mount -t fuse.coopfs -o noatime,nosuid "$3" "$4"
cat "$4/file"
"""


def test_mount_and_fstab_do_it(world: World, tmp_path: Path) -> None:
    fred = world.owner("fred", data=1, redundancy=1, partners=("p1", "p2"))
    world.stop("fred")
    helpers, fstab = tmp_path / "helpers", tmp_path / "fstab"
    helpers.mkdir()
    for name in ("mount.coopfs", "mount.fuse.coopfs"):
        (helpers / name).symlink_to(MOUNT_HELPER.with_name(name))
    home, mountpoint = fred.home, str(fred.mount_point)
    escaped = mountpoint.replace(" ", "\\040")
    fstab.write_text(f"{home} {escaped} coopfs _netdev,nofail,x-systemd.automount 0 0\n")
    script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_A_NAMESPACE, "sh"]
    said = tool(*script, helpers, fstab, home, mountpoint)
    assert said.splitlines() == [f"fuse.coopfs {home}", "first"]
    world.stop("fred")


def test_a_dead_mount_is_taken_away_when_the_daemon_starts_again(world: World) -> None:
    """So that an automount point mounts again, as systemd sees that the old one is gone."""
    hugo = world.owner("hugo", data=1, redundancy=1, partners=("p1", "p2"))
    mnt = hugo.mount()
    world.kill("hugo")
    with pytest.raises(OSError, match="not connected"):
        os.listdir(mnt)
    world.restart("hugo")
    assert os.listdir(mnt) == []
    assert not os.path.ismount(mnt)
    assert "took away the mount" in hugo.log.read_text()
    hugo.mount()
    world.stop("hugo")


def test_a_stop_waits_for_the_local_disk_and_for_nobody_else(world: World) -> None:
    """Partners that are connected and silent are the worst: nothing tells that they are away."""
    gina = world.owner("gina", data=1, redundancy=1, partners=("p1", "p2"))
    mnt = gina.mount()
    partners = [pid_of(world.home(name)) for name in ("p1", "p2")]
    for partner in partners:
        assert partner is not None
        os.kill(partner, signal.SIGSTOP)
    try:
        (mnt / "file").write_bytes(b"never synced" * 100_000)
        daemon = pid_of(gina.home)
        assert daemon is not None
        os.kill(daemon, signal.SIGTERM)
        world.wait_until_gone("gina")
        assert not os.path.ismount(mnt)
        well(mount_coopfs(gina.home, mnt))
        assert (mnt / "file").read_bytes() == b"never synced" * 100_000
    finally:
        for partner in partners:
            os.kill(partner, signal.SIGCONT)  # type: ignore[arg-type]
    gina.sync(complete=True)
    world.stop("gina")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_one(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    (tmp_path / unit.name).write_text(re.sub(r"ExecStart=\S+", f"ExecStart={MOUNT_HELPER}", unit.read_text()))
    tool("systemd-analyze", "verify", "--man=no", tmp_path / unit.name)
