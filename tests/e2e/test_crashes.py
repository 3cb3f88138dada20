"""kill -9 of real daemons under load: what was fsynced is kept, and all goes on by itself."""

import time
from pathlib import Path
from random import Random

from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.load import Writer
from tests.e2e.world import PARTNERS, Owner, World

CRASHES = 10  # contrib/campaign crashes goes on for a thousand
WRITERS = 3
PARTNER_CRASHES = 4


def start_writers(directories: list[Path], seed: int) -> list[Writer]:
    writers = [Writer(directory, seed * 100 + number) for number, directory in enumerate(directories)]
    for directory, writer in zip(directories, writers, strict=True):
        directory.mkdir()
        writer.start()
    return writers


def remount(owner: Owner) -> None:
    """By the helper alone: a dead mountpoint is in the way, and no daemon runs."""
    well(mount_coopfs(owner.home, owner.mount_point))


def test_the_owner_is_killed_again_and_again(world: World, tmp_path: Path) -> None:
    """Seeded moments; the load is what the threads make of it."""
    random = Random(7)
    owner = world.owner("ivan", data=3, redundancy=2, partners=PARTNERS[:5])
    mnt = owner.mount()
    directories = [mnt / f"writer {number}" for number in range(WRITERS)]
    writers = start_writers(directories, seed=1)
    changes = 0
    for crash in range(CRASHES):
        time.sleep(random.uniform(0.02, 0.8))  # the moment of the crash: nothing waits for it
        owner.kill()
        for writer in writers:
            writer.join()
            assert writer.broken is not None
            changes += writer.changes
        remount(owner)
        for writer, directory in zip(writers, directories, strict=True):
            writer.check(directory)
        writers = [writer.continued() for writer in writers]
        for writer in writers:
            writer.start()
        print(f"crash {crash}: {changes} changes so far")
    for writer in writers:
        writer.stop()
        assert writer.broken is None
    assert changes > 10 * WRITERS
    well(coopfs("sync", "--complete", home=owner.home))
    status = owner.status()
    assert status["trouble"] is None
    assert status["margin"] == 2
    assert status["below_target"] == 0

    owner.export_kit()
    owner.lose()
    world.kill("p1", "p4")
    well(owner.restore())
    for writer, directory in zip(writers, directories, strict=True):
        writer.check(owner.view / directory.name)


def test_partners_are_killed_again_and_again(world: World) -> None:
    random = Random(8)
    owner = world.owner("judy", data=3, redundancy=2, partners=PARTNERS[:5])
    mnt = owner.mount()
    directories = [mnt / f"writer {number}" for number in range(WRITERS)]
    writers = start_writers(directories, seed=2)
    for _ in range(PARTNER_CRASHES):
        victims = random.sample(PARTNERS[:5], random.choice((1, 1, 2, 3)))
        time.sleep(random.uniform(0.05, 0.7))  # the moment of the crash: nothing waits for it
        world.kill(*victims)
        time.sleep(random.uniform(0.05, 0.7))
        world.restart(*victims)
    for writer in writers:
        writer.stop()
        assert writer.broken is None, "the mount does not feel it"
    well(coopfs("sync", "--complete", home=owner.home))
    status = owner.status()
    assert status["margin"] == 2
    assert {column["state"] for column in status["columns"]} == {"caught up"}
    for writer, directory in zip(writers, directories, strict=True):
        writer.check(directory)

    owner.export_kit()
    owner.lose()
    world.kill("p2", "p5")
    well(owner.restore())
    for writer, directory in zip(writers, directories, strict=True):
        writer.check(owner.view / directory.name)
