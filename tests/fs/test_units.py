"""Reading files whose content lies in compressed units."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from random import Random

import zstandard

from coopfs.core.units import ZSTD, plain
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.handles import Handle
from coopfs.local.contents import Local
from tests.fs.parts import new_disk

UNIT = bytes(Random(7).choices(b"ab", k=20_000))
STORED = zstandard.ZstdCompressor().compress(UNIT)


def file_in_unit(disk: Disk, stored: bytes) -> int:
    """A file of three parts: 100 plain bytes, a unit without its first 1000 bytes, 100 plain bytes."""
    node = disk.tree.create(1, b"file", 0o100644, 0, 0)
    disk.files.write(Handle(node.ino, 0, ROOT), 0, [plain(b"x" * (200 + len(UNIT)))])
    (extent,) = disk.stage.append(node.ino, 100, plain(stored), 1, b"file")
    piece = replace(extent, length=len(UNIT) - 1000, raw=len(UNIT), skip=1000, codec=ZSTD)
    disk.metadata.extents.write(node.ino, [piece])
    disk.stage.close_stripe()
    return node.ino


def read(disk: Disk, ino: int, offset: int, size: int) -> bytes | None:
    """None: it cannot be had from here."""
    whole, missing = disk.files.read(ino, offset, size)
    for part in missing:
        if disk.stage.wait_into(part.stripe, part.at, part.room.view()) is not Local.READ or not part.finish():
            return None
    return bytes(whole.view())


def test_every_run_of_bytes_is_read_from_units_and_beside_them(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    ino = file_in_unit(disk, STORED)
    expected = b"x" * 100 + UNIT[1000:] + b"x" * 1100
    random = Random(8)
    for _ in range(50):
        start = random.randrange(len(expected))
        size = random.choice([1, 100, 4096, len(expected)])
        assert read(disk, ino, start, size) == expected[start : start + size]
    disk.files.write(Handle(ino, 0, ROOT), 5000, [plain(b"y" * 10)])
    expected = expected[:5000] + b"y" * 10 + expected[5010:]
    assert read(disk, ino, 0, len(expected)) == expected
    disk.close()


def test_a_damaged_unit_is_missing_and_the_rest_is_not(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    ino = file_in_unit(disk, STORED[:-9])
    assert read(disk, ino, 0, 100) == b"x" * 100
    assert read(disk, ino, 50, 4096) is None
    disk.close()


def test_a_read_takes_no_memory_for_what_it_waits_for(tmp_path: Path) -> None:
    """A thousand reads of half a megabyte each may wait for partners at once."""
    disk = new_disk(tmp_path)
    ino = file_in_unit(disk, STORED)
    for file in (tmp_path / "stage").iterdir():
        file.unlink()
    disk.stage.contents.close()
    disk.files.read(ino, 0, 1)  # what is made once is made
    tracemalloc.start()
    try:
        waiting = [disk.files.read(ino, 0, len(UNIT)) for _ in range(100)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(missing for _, missing in waiting)
    assert taken < 100 * len(UNIT) // 8
    disk.close()
