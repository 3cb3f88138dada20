"""The commands in the order of coopfs(1): from nothing to a restored tree, all by hand."""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from coopfs.cli import detach
from coopfs.demo import mounts
from coopfs.demo.network import free_ports
from tests.e2e.commands import MOUNT_HELPER, coopfs, mount_coopfs, tool, well
from tests.e2e.waiting import until
from tests.e2e.world import World, pid_of

NODES = ("alice", "bob", "carol")


def set_up(world: World) -> None:
    """init, serve, invite, accept, format 1+1, export."""
    for name, port in zip(NODES, free_ports(len(NODES)), strict=True):
        home, address = world.home(name), f"127.0.0.1:{port}"
        made = well(coopfs("init", "--name", name, "--listen", address, "--advertise", address, home=home))
        assert re.search("node key [0-9a-f]{64}", made.out)
        world.restart(name)
    for name in NODES[1:]:
        code = well(coopfs("partner", "invite", "--size", "48M", "--uptime", "95%", home=world.home("alice"))).out
        accepted = well(coopfs("partner", "accept", *code.split(), home=world.home(name)))
        assert accepted.out == "alice is now a partner\nboth have promised to be reachable 95 % of the time\n"
    formatted = well(coopfs("format", "--block-size", "128K", home=world.home("alice"))).out
    assert "formatted 1+1" in formatted
    assert "this split comes nearest: a restore works at a random moment with 90.2 %" in formatted, (
        "both of two, for sure"
    )


def test_from_init_to_restore(world: World, tmp_path: Path) -> None:
    set_up(world)
    alice = world.home("alice")
    mnt, view, kit, copy = tmp_path / "mnt", tmp_path / "view", tmp_path / "kit", tmp_path / "copy"
    mnt.mkdir()
    view.mkdir()
    well(mount_coopfs(alice, mnt, "-o", "noatime,nosuid,nodev"))
    try:
        options = next(line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {mnt} " in line)
        assert "fuse.coopfs" in options
        assert {"nosuid", "nodev"} <= set(options.split()[3].split(","))

        (mnt / "directory").mkdir()
        (mnt / "directory" / "file").write_text("kept")
        well(coopfs("sync", mnt / "directory", home=alice))
        assert os.getxattr(mnt / "directory" / "file", "user.coopfs.state").startswith((b"held", b"complete"))
        (mnt / "later").write_text("later")
        well(coopfs("sync", "--complete", home=alice))
        assert os.getxattr(mnt / "later", "user.coopfs.state") == b"complete 100%"

        told = json.loads(well(coopfs("status", "--json", home=alice)).out)
        assert told["disk"]["mounted"] == str(mnt)
        assert (told["disk"]["k"], told["disk"]["m"], told["disk"]["margin"]) == (1, 1, 1)
        assert told["disk"]["not_held_bytes"] == 0
        assert told["disk"]["outlook"]["now"] == pytest.approx(1 - 0.95**2)
        assert [(partner["promised"], partner["expected"]) for partner in told["partners"]] == [("95%", 0.95)] * 2
        assert {column["state"] for column in told["disk"]["columns"]} == {"caught up"}
        shown = well(coopfs("status", home=alice)).out
        assert "nothing written since waits; 2 of 2 partners are reached" in shown
        assert "you would get back everything up to" in shown
        assert "survive the loss of any 1 more partner" in shown
        assert "kit: none was exported" in shown

        partners = json.loads(well(coopfs("partner", "list", "--json", home=alice)).out)
        assert [(p["name"], p["up"], p["given"]) for p in partners] == [
            ("bob", True, 48 << 20),
            ("carol", True, 48 << 20),
        ]
        assert "bob" in well(coopfs("partner", "list", home=alice)).out
        hosted = json.loads(well(coopfs("status", "--json", home=world.home("bob"))).out)["hosted"]
        assert [store["partner"] for store in hosted] == ["alice"]

        well(coopfs("kit", "export", kit, home=alice))
        assert kit.stat().st_mode & 0o777 == 0o600
        until(lambda: "good while no further partner that it names is lost" in well(coopfs("status", home=alice)).out)
        assert "carol" in well(coopfs("kit", "show", kit)).out

        well(coopfs("umount", home=alice))
        assert not mounts.is_mounted(mnt)
        assert coopfs("umount", home=alice).code == 7
        well(coopfs("mount", mnt, home=alice))
        assert (mnt / "directory" / "file").read_text() == "kept"
        world.stop("alice")
        assert not mounts.is_mounted(mnt)
        assert coopfs("status", home=alice).code == 6

        well(coopfs("restore", "mount", kit, view))
        assert (view / "directory" / "file").read_text() == "kept"
        well(coopfs("restore", "copy", kit, copy))
        assert (copy / "later").read_text() == "later"
    finally:
        mounts.unmount(mnt)
        mounts.unmount(view)


def test_the_helper_starts_a_daemon_and_it_keeps_everything(world: World) -> None:
    bob = world.owner("bob", data=1, redundancy=1, partners=("p1", "p2"))
    mnt = bob.mount()
    (mnt / "a").write_text("first")
    (mnt / "a").rename(mnt / "b")
    inode = (mnt / "b").stat()
    world.stop("bob")
    assert pid_of(bob.home) is None

    well(mount_coopfs(bob.home, mnt))
    assert pid_of(bob.home) is not None
    assert (bob.home / detach.LOG_NAME).is_file()
    assert (mnt / "b").read_text() == "first"
    after = (mnt / "b").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (inode.st_ino, inode.st_mtime_ns, inode.st_ctime_ns)
    bob.sync(complete=True)
    world.stop("bob")
    until(lambda: pid_of(bob.home) is None)


def test_a_service_manager_is_told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        world.start("nina")
        assert manager.recv(100) == b"READY=1"
        world.stop("nina")
        assert manager.recv(100) == b"STOPPING=1"


def test_the_helper_goes_by_the_name_that_mount_looks_for(world: World) -> None:
    """mount(8) calls mount.fuse.coopfs for a line of fstab(5) with the type fuse.coopfs."""
    olga = world.owner("olga", data=1, redundancy=1, partners=("p1", "p2"))
    helper = MOUNT_HELPER.with_name("mount.fuse.coopfs")
    tool(helper, olga.home, olga.mount_point, "-o", "rw,_netdev,nofail,x-systemd.automount")
    (olga.mount_point / "a").write_text("a")
    world.stop("olga")
