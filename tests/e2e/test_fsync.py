"""fsync=partners on a real mount: what returned is there after the machine burned; what waits harms nobody."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import Owner, World

SEED = 20261122
TWO = ("p1", "p2")  # partners of a small disk


def mounted(owner: Owner) -> Path:
    well(mount_coopfs(owner.home, owner.mount_point, "-o", "fsync=partners"))
    return owner.mount_point


def write_and_sync(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def syncing(path: Path) -> Iterator[Future[None]]:
    """Somebody waits in fsync."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(write_and_sync, path, b"x" * 5000)


def test_what_was_synced_survives_the_machine(world: World) -> None:
    """Without `coopfs sync`, and with one partner gone too, as 6+2 promises."""
    random = Random(SEED)
    owner = world.owner("sybil")
    mnt = mounted(owner)
    owner.export_kit()
    contents = {f"file {number}": random.randbytes(random.choice([1, 5000, 2_000_000])) for number in range(4)}
    for name, data in contents.items():
        write_and_sync(mnt / name, data)
    directory = os.open(mnt, os.O_RDONLY)
    os.rename(mnt / "file 0", mnt / "renamed")
    contents["renamed"] = contents.pop("file 0")
    os.fsync(directory)
    os.close(directory)
    descriptor = os.open(mnt / "at once", os.O_WRONLY | os.O_CREAT | os.O_SYNC)
    os.write(descriptor, b"O_SYNC")
    contents["at once"] = b"O_SYNC"
    owner.kill()
    os.close(descriptor)
    owner.lose()
    world.kill("p5")

    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == contents


def test_it_waits_for_partners_and_nobody_else_does(world: World) -> None:
    owner = world.owner("tess", data=1, redundancy=1, partners=TWO)
    mnt = mounted(owner)
    (mnt / "dir").mkdir()
    world.kill(*TWO)
    with syncing(mnt / "dir" / "patient") as waits:
        until(lambda: owner.status()["fsyncs_waiting"] == 1)
        assert "1 call of fsync waits" in well(coopfs("status", home=owner.home)).out
        (mnt / "other").write_bytes(b"not synced")
        assert (mnt / "other").read_bytes() == b"not synced"
        (mnt / "other").rename(mnt / "dir" / "moved")
        assert not waits.done()
        world.restart(*TWO)
        waits.result()
    assert owner.status()["held_group"] > 0


@pytest.mark.parametrize("end", ["stop", "force"])
def test_the_wait_ends_with_the_mount(world: World, end: str) -> None:
    owner = world.owner(f"uma-{end}", data=1, redundancy=1, partners=TWO)
    mnt = mounted(owner)
    world.kill(*TWO)
    world.expected += ["the daemon stops", "taken away all the same"]
    with syncing(mnt / "patient") as waits:
        until(lambda: owner.status()["fsyncs_waiting"] == 1)
        if end == "stop":
            world.stop(owner.name)
        else:
            subprocess.run(["umount", "-f", mnt], check=False, capture_output=True)
            subprocess.run(["umount", mnt], check=False, capture_output=True)
        with pytest.raises(OSError, match=r"Input/output|abort|not connected"):
            waits.result()
    if end == "force":
        until(lambda: owner.status()["mounted"] is None)
        assert owner.status()["fsyncs_waiting"] == 0
        assert (mounted(owner) / "patient").read_bytes() == b"x" * 5000
    world.restart(*TWO)


def test_a_setting_of_the_home_does_it_too(world: World) -> None:
    owner = world.owner("vera", data=1, redundancy=1, partners=TWO)
    toml = owner.home / "coopfs.toml"
    toml.write_text(toml.read_text().replace('fsync = "local"', 'fsync = "partners"'))
    world.stop(owner.name)
    world.restart(owner.name)
    mnt = owner.mount()
    owner.wait_for_partners(*TWO)
    write_and_sync(mnt / "file", b"y" * 5000)
    assert os.getxattr(mnt / "file", "user.coopfs.state").startswith((b"held", b"complete"))
