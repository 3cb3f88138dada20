"""A compressed disk with real daemons: it takes less, and whoever reads it reads what was written."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

from coopfs.demo import mounts
from tests.e2e.commands import coopfs, mount_coopfs, tool, well
from tests.e2e.world import MIB, PARTNERS, Owner, World

REFERENCE = Path(__file__).parents[2] / "contrib" / "restore-reference"
SEED = 20261122


def content(random: Random) -> dict[str, bytes]:
    words = [random.randbytes(random.randrange(2, 9)).hex() for _ in range(500)]
    text = " ".join(random.choices(words, k=400_000)).encode()[: 4 * MIB]
    return {"text": text, "noise": random.randbytes(2 * MIB), "both": text[:MIB] + random.randbytes(MIB) + text[:MIB]}


def overwrite(path: Path, seed: int) -> None:
    """Pieces of any length at any place, a cut into a unit, a hole, and a mapping."""
    random = Random(seed)
    with path.open("r+b") as file:
        for _ in range(30):
            file.seek(random.randrange(2 * MIB))
            file.write(random.randbytes(random.choice([1, 100, 5000, 200_000])))
        file.truncate(MIB + 12_345)
        file.seek(3 * MIB)
        file.write(b"end")
    tool(sys.executable, "-c", MAPPING, path)


MAPPING = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
    mapped[123_456:323_456] = b"m" * 200_000
    mapped.flush()
"""


def mount(owner: Owner, how: str) -> None:
    well(mount_coopfs(owner.home, owner.mount_point, "-o", f"compress={how}"))


def same(twins: Path, top: Path) -> None:
    for twin in twins.iterdir():
        tool("cmp", twin, top / twin.name)


def test_a_compressed_disk_takes_less_and_reads_the_same_everywhere(world: World, tmp_path: Path) -> None:
    print("seed", SEED)
    owner = world.owner("zoe", data=4, redundancy=2, partners=PARTNERS[:6])
    mount(owner, "zstd")
    twins, top = tmp_path / "twins", owner.mount_point
    twins.mkdir()
    for name, data in content(Random(SEED)).items():
        (twins / name).write_bytes(data)
        tool("cp", twins / name, top / name)
    taken = {path.name: path.stat().st_blocks * 512 / path.stat().st_size for path in top.iterdir()}
    assert taken["text"] < 0.5
    assert taken["noise"] == 1
    for path in (twins, top):
        tool("cp", path / "text", path / "changed")
        overwrite(path / "changed", SEED)
    owner.sync(complete=True)
    owner.kill()  # what was complete is here, and its unit is read from what the database names
    mounts.unmount(owner.mount_point)

    mount(owner, "off")
    same(twins, top)
    assert "of content take" in well(coopfs("status", home=owner.home)).out
    for path in (twins, top):
        overwrite(path / "both", SEED + 1)  # plain bytes over units
    owner.export_kit()
    owner.sync(complete=True)
    owner.lose()

    well(owner.restore())
    same(twins, owner.view)
    mounts.unmount(owner.view)
    homes = [world.home(name) for name in PARTNERS[1:5]]
    command = [sys.executable, REFERENCE, owner.kit, tmp_path / "restored", *homes]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    same(twins, tmp_path / "restored")
    assert set(os.listdir(tmp_path / "restored")) == set(os.listdir(twins))
