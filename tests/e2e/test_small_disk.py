"""A disk of few rows that lives long: its log stays short, rows come back, and when it is full it can be emptied."""

from contextlib import suppress
from pathlib import Path
from random import Random

from coopfs.demo import mounts
from tests.e2e.world import PARTNERS, World

MIB = 1 << 20
SMALL = 8 * MIB  # bytes each partner gives: 63 rows of 128 KiB
SEED = 20261121
CHANGES = 90  # each synced by itself: one data and one meta stripe, 180 rows if none came back


def fill(directory: Path, random: Random) -> int:
    """Files of a mebibyte until there is no space left; returns how many came in whole."""
    count = 0
    with suppress(OSError):
        while True:
            (directory / f"big{count}").write_bytes(random.randbytes(MIB))
            count += 1
    return count


def test_many_small_groups_fit_and_come_back(world: World) -> None:
    print("seed", SEED)
    random = Random(SEED)
    owner = world.owner("ivan", data=2, redundancy=1, partners=PARTNERS[:3], size=SMALL)
    mounted = owner.mount()
    kept: dict[str, bytes] = {}
    for _ in range(CHANGES):
        name = f"file{random.randrange(20)}"
        kept[name] = random.randbytes(random.randrange(1, 60_000))
        (mounted / name).write_bytes(kept[name])
        owner.sync(complete=False)
    rows, used = (owner.status()[key] for key in ("rows", "rows_used"))
    assert used < rows < CHANGES, "without cleaning it would have been full long ago"
    owner.sync(complete=True)
    owner.export_kit()
    assert owner.restore().code == 0
    assert {name: (owner.view / name).read_bytes() for name in kept} == kept
    mounts.unmount(owner.view)


def test_a_full_disk_can_be_emptied_and_filled_again(world: World) -> None:
    print("seed", SEED)
    random = Random(SEED)
    owner = world.owner("judy", data=2, redundancy=1, partners=PARTNERS[:3], size=SMALL)
    mounted = owner.mount()
    counts = []
    for _ in range(4):
        counts.append(fill(mounted, random))
        for path in mounted.iterdir():
            path.unlink()
        owner.sync(complete=True)
    assert min(counts) >= 0.7 * max(counts) > 2, counts
    assert list(mounted.iterdir()) == []
