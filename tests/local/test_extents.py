"""Extents over compressed units: every byte comes from where the last write put it, and the books are right."""

from collections import Counter
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from coopfs.core.records import Extent
from coopfs.core.units import PLAIN, ZSTD, Run
from coopfs.local.stripes import Stripes
from tests.fs.parts import new_disk

INO = 1  # of the root: the extents table asks nobody what kind of inode it is
END = 60
Byte = tuple[int, int, int, int]  # stripe, at, byte of the unit, codec


def piece(random: Random, stripes: list[int], offset: int, at: int) -> Extent:
    length = random.randint(1, 20)
    if random.random() < 0.4:
        return Extent(INO, offset, length, random.choice(stripes), at, length, length)
    stored = random.randint(1, 1 + length // 4)
    return Extent(INO, offset, length, random.choice(stripes), at, stored, length, 0, ZSTD)


def bytes_of(run: Run) -> dict[int, Byte]:
    if run.codec == PLAIN:
        return {run.offset + i: (run.stripe, 0, run.at + i, PLAIN) for i in range(run.length)}
    return {run.offset + i: (run.stripe, run.at, run.skip + i, ZSTD) for i in range(run.length)}


def new_stripe(stripes: Stripes) -> int:
    id_ = stripes.take_id()
    stripes.begin(id_)
    return id_


@pytest.mark.parametrize("seed", range(20))
def test_overwritten_units_keep_alive_what_is_named_of_them(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    disk = new_disk(tmp_path)
    extents, stripes = disk.metadata.extents, disk.metadata.stripes
    ids = [new_stripe(stripes) for _ in range(3)]
    expected: dict[int, Byte] = {}
    stored = 0
    extents.at_once = 1 if seed % 2 else 1000
    for step in range(150):
        if random.random() < 0.2:
            size = random.randint(0, END)
            stored += extents.cut(INO, size, disk.metadata.group)
            expected = {at: byte for at, byte in expected.items() if at < size}
        else:
            new = piece(random, ids, random.randrange(END), step * 100)
            stored += extents.write(INO, [new])
            expected |= bytes_of(Run._make(astuple(new)[1:]))
        runs = extents.runs(INO, 0, END * 2)
        assert {at: byte for run in runs for at, byte in bytes_of(run).items()} == expected
        assert all(before.end <= after.offset for before, after in pairwise(runs))
        if random.random() < 0.3:
            stored += extents.drop_some(INO)
        if INO in extents.graves:
            continue  # what lies there counts still
        live: Counter[int] = Counter()
        for run in runs:
            live[run.stripe] += run.charge
        assert stored == sum(live.values())
        assert (stored == 0) == (not expected)
        if random.random() < 0.1:
            stripes.flush(None)
            kept = dict(disk.database.read("SELECT id, live FROM stripes"))
            assert Counter(kept) == live
            ids = [*kept, *(new_stripe(stripes) for _ in range(3 - len(kept)))]
    disk.close()
