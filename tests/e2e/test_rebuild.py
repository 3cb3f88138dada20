"""A home whose database or stage is lost: takeover in place rebuilds it, and what was never sent is in lost+found."""

import os
import re
import shutil
from pathlib import Path
from random import Random

import pytest

from coopfs.local.unsent import DAMAGED
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import Owner, World

SENT = Random(1).randbytes(500_000)
NEW = Random(2).randbytes(3_000_000)
PATCH = Random(3).randbytes(70_000)
AT = 100_000  # where the patch lies in the file that was sent

DAMAGES = ["pages overwritten", "stage truncated", "both"]


def _damage(disk: Path, how: str) -> None:
    database = disk / "disk.sqlite"
    if how == "both":
        database.unlink()
        database.with_name("disk.sqlite-wal").unlink(missing_ok=True)
    if how == "pages overwritten":
        with database.open("r+b") as file:
            for page in range(2, database.stat().st_size // 4096, 2):
                file.seek(page * 4096)
                file.write(os.urandom(4096))
        database.with_name("disk.sqlite-wal").unlink(missing_ok=True)
    if how in ("stage truncated", "both"):
        newest = max((disk / "stage").iterdir(), key=lambda path: int(path.name))
        os.truncate(newest, 4096)


def _unsent(owner: Owner) -> dict[str, int]:
    """Write what no partner gets; inode of each file."""
    world, mnt = owner.world, owner.mount()
    (mnt / "a").write_bytes(SENT)
    owner.sync(complete=True)
    owner.export_kit()
    world.kill("p1", "p2", "p3")
    (mnt / "new").write_bytes(NEW)
    with (mnt / "a").open("r+b") as file:
        file.seek(AT)
        file.write(PATCH)
        file.flush()
        os.fsync(file.fileno())
    inodes = {name: (mnt / name).stat().st_ino for name in ("a", "new")}
    owner.kill()
    world.restart("p1", "p2", "p3")
    return inodes


@pytest.mark.parametrize("how", DAMAGES)
def test_what_was_not_sent_is_found(world: World, how: str) -> None:
    owner = world.owner(f"lara-{DAMAGES.index(how)}", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    inodes = _unsent(owner)
    _damage(owner.disk, how)
    world.expected.append("ERROR coopfs")
    refused = mount_coopfs(owner.home, owner.mount_point)
    assert refused.code == 8
    assert "coopfs takeover KIT" in refused.line
    world.wait_until_gone(owner.name)

    said = well(coopfs("takeover", owner.kit, home=owner.home)).err
    assert "the disk of this home is lost, and is rebuilt from the partners" in said
    assert "in epoch 2" in said
    told = re.search(r"(\d+) bytes of (\d) files had not been sent", said)
    assert told is not None
    whole = len(NEW) + len(PATCH)
    assert (int(told[1]) == whole) == ("stage" not in how and how != "both")
    if how == "stage truncated":
        assert f"{whole - int(told[1])} bytes more had not been sent, and are not in the stage any more" in said

    mnt = owner.mount()
    assert (mnt / "a").read_bytes() == SENT
    assert not (mnt / "new").exists()
    owner.wait_for_partners("p1", "p2", "p3")
    until(lambda: not list((owner.home / "disks").glob(f"{DAMAGED}*")))
    found = mnt / "lost+found" / "epoch-2"
    assert os.stat(mnt / "lost+found").st_mode & 0o777 == 0o700
    new = (found / f"inode-{inodes['new']}").read_bytes()
    if "stage" in how or how == "both":
        assert NEW.startswith(new[:1_000_000])
        assert sum(path.stat().st_blocks * 512 for path in found.iterdir()) >= int(told[1])
        assert ("stripe-" in str(list(found.iterdir()))) == (how == "both")
    else:
        assert new == NEW
        patched = found / f"inode-{inodes['a']}"
        assert patched.read_bytes() == bytes(AT) + PATCH
        assert patched.stat().st_blocks * 512 < AT, "a hole costs nothing"
    owner.sync(complete=True)
    assert well(coopfs("check", "--deep", home=owner.home)).code == 0
    owner.lose()
    well(owner.restore())
    assert (owner.view / "lost+found" / "epoch-2" / f"inode-{inodes['new']}").read_bytes() == new


def test_a_rebuilding_that_is_cut_short_is_run_again(world: World) -> None:
    owner = world.owner("lars", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    inodes = _unsent(owner)
    disk = owner.disk
    (disk / "disk.sqlite").unlink()
    (disk / "unsent").mkdir()
    newest = max((disk / "stage").iterdir(), key=lambda path: int(path.name))
    newest.rename(disk / "unsent" / newest.name)
    world.expected.append("ERROR coopfs")
    well(coopfs("takeover", owner.kit, home=owner.home))
    aside = owner.home / "disks" / f"{DAMAGED}2"
    assert len(list((aside / "unsent").iterdir())) > 1
    disk.rename(owner.home / "rebuilt")  # as if it had been killed between the two renames
    refused = mount_coopfs(owner.home, owner.mount_point)
    assert (refused.code, "a takeover of this home was cut short: run it again" in refused.line) == (8, True)
    world.wait_until_gone(owner.name)
    shutil.rmtree(owner.home / "rebuilt")
    well(coopfs("takeover", owner.kit, home=owner.home))
    for _ in range(3):
        world.restart(owner.name)
        owner.kill()
    mnt = owner.mount()
    until(lambda: not aside.exists())
    assert (mnt / "lost+found" / "epoch-2" / f"inode-{inodes['new']}").read_bytes() == NEW


def test_a_disk_that_is_well_is_left_alone(world: World) -> None:
    owner = world.owner("lena", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    (owner.mount() / "a").write_text("a")
    owner.sync(complete=True)
    owner.export_kit()
    world.stop(owner.name)
    said = coopfs("takeover", owner.kit, home=owner.home)
    assert (said.code, "has this disk already, and it is well" in said.line) == (2, True)


def test_an_older_home_is_rebuilt_too(world: World, tmp_path: Path) -> None:
    """It looks whole; the daemon has met that the partners are newer, and has noted it."""
    owner = world.owner("lutz", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    (mnt / "a").write_text("old")
    owner.sync(complete=True)
    world.stop(owner.name)
    disk = owner.disk
    shutil.copytree(disk, tmp_path / "old")
    world.restart(owner.name)
    mnt = owner.mount()
    (mnt / "a").write_text("new")
    owner.sync(complete=True)
    owner.export_kit()
    world.stop(owner.name)
    shutil.rmtree(disk)
    shutil.copytree(tmp_path / "old", disk)
    world.expected.append("ERROR coopfs")
    world.restart(owner.name)
    until(lambda: world.call(owner.name, "status")["disk"]["trouble"] is not None)
    assert "coopfs takeover KIT" in coopfs("sync", home=owner.home).line
    world.stop(owner.name)
    said = well(coopfs("takeover", owner.kit, home=owner.home)).err
    assert "older than the partners" in said
    assert (owner.mount() / "a").read_text() == "new"
    assert not (owner.mount_point / "lost+found").exists()


def test_what_only_a_lost_log_knew_is_found(world: World) -> None:
    """The database is an older one without it, and does not name what was written since; partners know of some."""
    owner = world.owner("lola", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    owner.mount()
    world.stop(owner.name)
    world.restart(owner.name)
    inodes = _unsent(owner)
    log = owner.disk / "disk.sqlite-wal"
    assert log.stat().st_size > 0
    log.unlink()
    world.expected.append("ERROR coopfs")
    world.restart(owner.name)
    until(lambda: world.call(owner.name, "status")["disk"]["trouble"] is not None)
    world.stop(owner.name)
    said = well(coopfs("takeover", owner.kit, home=owner.home)).err
    assert f"{len(NEW) + len(PATCH)} bytes of 2 files had not been sent" in said
    mnt = owner.mount()
    assert (mnt / "a").read_bytes() == SENT
    owner.wait_for_partners("p1", "p2", "p3")
    until(lambda: not list((owner.home / "disks").glob(f"{DAMAGED}*")))
    found = mnt / "lost+found" / "epoch-2"
    assert (found / f"inode-{inodes['new']}").read_bytes() == NEW
    assert (found / f"inode-{inodes['a']}").read_bytes() == bytes(AT) + PATCH
