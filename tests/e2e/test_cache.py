"""A disk with a small cache on the local disk: more is written than fits, everything stays readable, writers wait."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread

from coopfs.demo import mounts
from tests.e2e.commands import mount_coopfs, tool, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, PARTNERS, Owner, World

CACHE = 12 * MIB
FILE = 3 * MIB
SEED = 20261121


def stage_bytes(owner: Owner) -> int:
    """What the files of the stage take on the disk, as du counts."""
    total = 0
    for entry in os.scandir(owner.disk / "stage"):
        try:
            total += entry.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


@contextmanager
def never_above_the_cap(owner: Owner) -> Iterator[list[int]]:
    """Look at the stage all the while."""
    seen: list[int] = []
    end = Event()

    def look() -> None:
        while not end.wait(0.005):
            seen.append(stage_bytes(owner))

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()
    assert max(seen) <= CACHE, f"{max(seen)} bytes of {CACHE}"


def mounted(owner: Owner) -> Path:
    well(mount_coopfs(owner.home, owner.mount_point, "-o", f"cache={CACHE}"))
    return owner.mount_point


def drop_caches() -> None:
    """Let reads come to the daemon."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1")


def test_three_times_the_cache_is_readable_whoever_is_away(world: World, tmp_path: Path) -> None:
    print("seed", SEED)
    random = Random(SEED)
    owner = world.owner("kurt", data=4, redundancy=2, partners=PARTNERS[:6])
    top = mounted(owner)
    twins = []
    with never_above_the_cap(owner) as seen:
        for number in range(3 * CACHE // FILE):
            twin = tmp_path / f"file{number}"
            twin.write_bytes(random.randbytes(FILE))
            tool("cp", twin, top / twin.name)
            twins.append(twin)
        owner.sync(complete=True)
        assert max(seen) > CACHE // 2
        cache = owner.status()["cache"]
        assert cache["size"] == CACHE
        assert cache["used"] <= CACHE
        assert cache["dirty"] == 0
        for killed in ((), PARTNERS[1:3], (PARTNERS[5],)):
            world.kill(*killed)
            drop_caches()
            for twin in twins:
                tool("cmp", twin, top / twin.name)
            if killed:
                world.restart(*killed)
                owner.wait_for_partners(*killed)
        owner.kill()  # and what was fetched is used again, or not, but never wrong
        mounts.unmount(owner.mount_point)
        mounted(owner)
        owner.wait_for_partners(*PARTNERS[:6])
        for twin in twins:
            tool("cmp", twin, top / twin.name)


def test_a_writer_waits_for_partners_and_nothing_else_does(world: World) -> None:
    owner = world.owner("lena", data=2, redundancy=1, partners=PARTNERS[:3])
    top = mounted(owner)
    (top / "old").write_bytes(bytes(FILE))
    owner.sync(complete=True)
    world.kill(*PARTNERS[:3])
    writer = subprocess.Popen(
        ["dd", "if=/dev/urandom", f"of={top / 'new'}", f"bs={FILE}", f"count={2 * CACHE // FILE}"],
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: owner.status()["cache"]["writers_waiting"] == 1)
        assert writer.poll() is None
        size = (top / "new").stat().st_size
        assert 0 < size < CACHE
        (top / "directory").mkdir()
        (top / "directory").rmdir()
        os.truncate(top / "old", 10)
        (top / "old").rename(top / "older")
        (top / "older").chmod(0o600)
        (top / "older").unlink()
        assert owner.status()["cache"]["writers_waiting"] == 1
        world.restart(*PARTNERS[:3])
        assert writer.wait(120) == 0
    finally:
        writer.kill()
    assert (top / "new").stat().st_size == 2 * CACHE
    owner.sync(complete=True)


def test_a_daemon_ends_while_a_writer_waits(world: World) -> None:
    owner = world.owner("mona", data=2, redundancy=1, partners=PARTNERS[:3])
    top = mounted(owner)
    world.expected.append("it is taken away all the same")
    world.kill(*PARTNERS[:3])
    writer = subprocess.Popen(
        ["dd", "if=/dev/zero", f"of={top / 'new'}", f"bs={FILE}", f"count={2 * CACHE // FILE}"],
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: owner.status()["cache"]["writers_waiting"] == 1)
        world.stop(owner.name)
        world.wait_until_gone(owner.name)
        assert writer.wait(60) != 0
    finally:
        writer.kill()
        world.restart(*PARTNERS[:3])


def test_a_cache_that_is_too_small_is_refused(world: World) -> None:
    owner = world.owner("nora", data=2, redundancy=1, partners=PARTNERS[:3])
    said = mount_coopfs(owner.home, owner.mount_point, "-o", "cache=1M")
    assert said.code == 2
    assert said.line.startswith("a cache of 1.0 MiB is too small for this disk: set ")
    well(mount_coopfs(owner.home, owner.mount_point))
