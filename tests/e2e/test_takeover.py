"""Another machine becomes the node: it goes on writing, and the old one cannot."""

import re
import subprocess

import pytest

from coopfs.app.recovery.takeover import TAKING_OVER
from coopfs.cli.detach import COOPFS
from coopfs.config import load
from coopfs.local import claimfile
from coopfs.local.disk import DATABASE
from coopfs.tasks.recovery.takeover import WORK
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import SHARE, World

pytestmark = pytest.mark.slow

LOOPBACK = "--listen=127.0.0.1:0"


def test_a_new_machine_goes_on_where_the_lost_one_stopped(world: World) -> None:
    owner = world.owner("ruth", data=2, redundancy=2, partners=("p1", "p2", "p3", "p4"))
    mnt = owner.mount()
    big = bytes(range(256)) * 8000
    (mnt / "big").write_bytes(big)
    (mnt / "gone").write_bytes(big)
    owner.sync(complete=True)
    (mnt / "gone").unlink()
    (mnt / "kept").write_text("of the old machine")
    owner.sync(complete=False)
    inode = (mnt / "big").stat().st_ino
    owner.export_kit()
    owner.lose()
    world.kill("p3")

    said = well(coopfs("takeover", LOOPBACK, owner.kit, home=owner.home))
    assert "the newest whole state is of " in said.err
    assert "in epoch 2" in said.err
    assert "coopfs.toml is new: what the old machine's said, matching servers too, is in no kit" in said.err
    mnt = owner.mount()
    assert (mnt / "big").read_bytes() == big
    assert (mnt / "big").stat().st_ino == inode
    assert (mnt / "kept").read_text() == "of the old machine"
    assert not (mnt / "gone").exists()
    with (mnt / "big").open("r+b") as file:
        file.seek(1000)
        file.write(b"changed")
    (mnt / "new").write_text("of the new machine")
    world.restart("p3")
    owner.sync(complete=True)

    owner.export_kit()
    owner.lose()
    world.kill("p1", "p2")
    well(owner.restore())
    assert (owner.view / "big").read_bytes() == big[:1000] + b"changed" + big[1007:]
    assert (owner.view / "new").read_text() == "of the new machine"


def test_partners_fill_again_what_the_lost_machine_stored_for_them(world: World) -> None:
    """The new machine has the old one's place and nothing else; what partners had there survives other losses."""
    lost = world.owner("ugo", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    other = world.owner("zoe", data=1, redundancy=2, partners=("ugo", "p4", "p5"))
    (other.mount() / "a").write_text("of zoe")
    other.sync(complete=True)
    other.export_kit()
    (lost.mount() / "b").write_text("of ugo")
    lost.sync(complete=True)
    lost.export_kit()
    address = load(lost.home).listen
    lost.lose()
    world.expected.append("lost the store of this disk")
    well(coopfs("takeover", f"--listen={address}", lost.kit, home=lost.home))
    assert (lost.mount() / "b").read_text() == "of ugo"

    def is_filled() -> bool:
        disk = world.call("zoe", "status")["disk"]
        there = next(column for column in disk["columns"] if column["partner"] == "ugo")
        hosted = world.call("ugo", "status")["hosted"]
        return bool(hosted) and there["state"] == "caught up" and disk["replacement"] is None

    until(is_filled)
    given = {entry["name"]: entry["given"] for entry in world.call("ugo", "partner_list")["partners"]}
    assert given["zoe"] == SHARE
    other.lose()
    world.kill("p4", "p5")
    well(other.restore("--accept-older"))
    assert (other.view / "a").read_text() == "of zoe"


def test_the_old_machine_is_fenced_off_and_told(world: World) -> None:
    owner = world.owner("saul", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    (mnt / "a").write_text("before")
    owner.sync(complete=True)
    owner.export_kit()
    other = world.home("saul again")
    world.expected.append("another machine has taken this disk over")
    well(coopfs("takeover", LOOPBACK, owner.kit, home=other))

    (mnt / "b").write_text("of a machine that is not the node any more")
    said = coopfs("sync", home=owner.home)
    assert said.code == 8
    assert "another machine has taken this disk over" in said.line
    assert "copy what the other one lacks from the mount, and remove this home" in said.line
    assert "another machine has taken this disk over" in well(coopfs("status", home=owner.home)).out
    checked = coopfs("check", home=owner.home)
    assert "not checked: whether what partners lack is their fault" in checked.out
    with pytest.raises(OSError, match=r"Read-only file system"):
        (mnt / "b").write_text("never to be sent")
    with pytest.raises(OSError, match=r"Read-only file system"):
        (mnt / "a").unlink()
    assert (mnt / "b").read_text() == "of a machine that is not the node any more"
    owner.lose()
    point = world.work / "saul again"
    point.mkdir()
    well(mount_coopfs(other, point))
    assert (point / "a").read_text() == "before"
    assert not (point / "b").exists()


def test_a_takeover_that_is_killed_anywhere_is_run_again(world: World) -> None:
    owner = world.owner("wim", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    (owner.mount() / "a").write_text("before")
    owner.sync(complete=True)
    owner.export_kit()
    owner.lose()
    work = owner.home / "disks" / TAKING_OVER
    command = [*COOPFS, "--home", owner.home, "takeover", LOOPBACK, owner.kit]
    for sign in ("", claimfile.NAME, WORK, f"{WORK}/*/{DATABASE}"):
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda child=child, sign=sign: child.poll() is not None or any(work.parent.glob(f"{work.name}/{sign}")))
        child.kill()
        child.wait()
    if child.returncode:  # the last one may have been faster, or killed when all was done
        again = coopfs("takeover", LOOPBACK, owner.kit, home=owner.home)
        assert again.code == 0 or "has this disk already, and it is well" in again.line
    said = coopfs("takeover", LOOPBACK, owner.kit, home=owner.home)
    assert said.code == 2
    assert "has this disk already, and it is well" in said.line
    work.mkdir()  # as if it had been killed as the last thing
    assert "has become wim already" in well(coopfs("takeover", LOOPBACK, owner.kit, home=owner.home)).err
    assert not work.exists()
    for _ in range(2):
        world.restart("wim")
        owner.kill()
    assert (owner.mount() / "a").read_text() == "before"
    (owner.mount_point / "b").write_text("after")
    owner.sync(complete=True)
    owner.lose()
    well(owner.restore())
    assert {path.name: path.read_text() for path in owner.view.iterdir()} == {"a": "before", "b": "after"}


def test_who_accepts_an_older_state_is_told_what_may_be_missing(world: World) -> None:
    """All that the newest state needs is with partners who are gone: the one that is left was away then."""
    owner = world.owner("yara", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    (mnt / "a").write_text("old")
    owner.sync(complete=True)
    world.kill("p1")
    (mnt / "b").write_text("new")
    owner.sync(complete=False)
    owner.export_kit()
    known = owner.status()["held_at"]
    owner.lose()
    world.kill("p2", "p3")
    world.restart("p1")
    said = well(coopfs("takeover", "--accept-older", LOOPBACK, owner.kit, home=owner.home)).err
    (date,) = re.findall("the newest whole state is of (.*)", said)
    assert f"the state of {known} is known to have been held, and is not whole at those who answer" in said
    assert f"What was written after {date} may be missing" in said
    assert "p2 (not reached), p3 (not reached)" in said
    assert "if the old machine still runs, switch it off" in said
    world.restart("p2", "p3")
    assert (owner.mount() / "a").read_text() == "old"
    assert not (owner.mount_point / "b").exists()


def test_what_cannot_be_made_safe_again_is_given_up_for_what_can(world: World) -> None:
    """A takeover finds the newest state, and whoever has it is lost before that is held again."""
    world.expected.append("cannot be repaired now")
    owner = world.owner("zoe", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    (mnt / "a").write_text("old")
    owner.sync(complete=True)
    world.kill("p1")
    (mnt / "b").write_text("new")
    owner.sync(complete=False)
    owner.export_kit()
    owner.lose()
    well(coopfs("takeover", LOOPBACK, owner.kit, home=owner.home))
    world.kill("p2", "p3")
    world.restart("p1")
    world.restart("zoe")
    until(lambda: owner.status()["found"]["unavailable"])
    assert "coopfs takeover --anew KIT" in " ".join(well(coopfs("status", home=owner.home)).out.split())
    world.stop("zoe")
    assert "it is well" in coopfs("takeover", LOOPBACK, owner.kit, home=owner.home).line
    again = well(coopfs("takeover", LOOPBACK, "--anew", "--accept-older", owner.kit, home=owner.home)).err
    assert "(what it found before is not safe again)" in again
    world.restart("p2")
    assert (owner.mount() / "a").read_text() == "old"
    assert not (owner.mount_point / "b").exists()
    world.stop("zoe")
    refused = coopfs("takeover", LOOPBACK, "--anew", owner.kit, home=owner.home)
    assert (refused.code, "it is well" in refused.line) == (2, True)
    world.restart("p3")


def test_what_cannot_be_taken_over_is_refused_in_one_line(world: World) -> None:
    owner = world.owner("tina", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    (owner.mount() / "a").write_text("held")
    owner.sync(complete=True)
    owner.export_kit()
    running = coopfs("takeover", LOOPBACK, owner.kit, home=owner.home)
    assert (running.code, "locked by another daemon" in running.line) == (5, True)
    strange = coopfs("takeover", LOOPBACK, owner.kit, home=world.home("p1"))
    assert (strange.code, "another node" in strange.line) == (2, True)
    world.stop("tina")
    present = coopfs("takeover", LOOPBACK, owner.kit, home=owner.home)
    assert (present.code, "has this disk already" in present.line) == (2, True)
    world.kill("p1", "p2")
    lonely = coopfs("takeover", LOOPBACK, owner.kit, home=world.home("tina again"))
    assert lonely.code == 9
    assert "p1" in lonely.line
    assert "(switch the old machine off: it may still be able to write; then --accept-older takes it)" in lonely.line
    (question,) = (line for line in lonely.err.splitlines() if line.endswith(" all the same?"))
    assert "may be missing. Before you say yes, switch the old machine off: it may still be able to write." in question
    told = well(coopfs("takeover", "--help")).out
    assert "switch the old machine off before you say yes" in " ".join(told.split())
    world.restart("p1", "p2")
    well(coopfs("takeover", LOOPBACK, owner.kit, home=world.home("tina again")))
