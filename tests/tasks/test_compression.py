"""Disks whose content is compressed: they hold more, are cleaned, and lose nothing by it."""

from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.core import cleaning
from coopfs.core.units import PLAIN, ZSTD
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play

SIZE = 500_000  # bytes of a file


async def settle(owner: Owner) -> None:
    await owner.own.committer.close_group()
    await trio.sleep(SETTLED)


def text(seed: int, size: int = SIZE) -> bytes:
    """Content that shrinks to a third."""
    return Random(seed).randbytes(size).translate(bytes(b"abcd"[byte % 4] for byte in range(256)))


async def put(owner: Owner, name: bytes, data: bytes, offset: int = 0) -> object:
    """What the write answers."""
    await owner.apply(("create", ((name,), 0o644)))
    await owner.apply(("open", (0, (name,), False)))
    answer = await owner.apply(("write", (0, offset, data)))
    await owner.apply(("close", (0,)))
    return answer


def content(owner: Owner, name: bytes) -> bytes:
    return owner.side.content(owner.side.resolve((name,)).ino, 0, 1 << 20)


def units(owner: Owner) -> list[tuple[int, int, int, int]]:
    """(stripe, length, raw, stored) of all extents in units."""
    query = "SELECT stripe, length, raw, stored FROM extents WHERE codec = ? ORDER BY ino, offset"
    return owner.own.local.database.read(query, (ZSTD,)).fetchall()


def test_a_full_disk_has_taken_more_of_what_shrinks_and_deleting_works(tmp_path: Path) -> None:
    async def fill(owner: Owner) -> int:
        count = 0
        while await put(owner, b"%d" % count, text(count)) == SIZE:
            count += 1
            if count % 4 == 0:
                await settle(owner)
        assert owner.own.space.figures()[1] < 2 * SIZE
        for number in range(count):
            assert content(owner, b"%d" % number) == text(number)
        for number in range(count + 1):
            await owner.apply(("unlink", ((b"%d" % number,),)))
        for _ in range(3):
            await settle(owner)
        return count

    async def main(owner: Owner) -> None:
        free = owner.own.space.figures()[1]
        plain = await fill(owner)
        owner.side.compress(1)
        assert await fill(owner) > 2 * plain
        assert owner.own.local.metadata.totals.content == owner.own.local.metadata.totals.length == 0
        assert owner.own.space.figures()[1] > 0.9 * free

    play(tmp_path, Geometry(1, 2), main)


def test_compaction_moves_whole_units_as_they_are_and_lets_go_of_the_dead_parts_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "LOG_SLACK", 3)

    async def main(owner: Owner) -> None:
        owner.side.compress(1)
        expected = {b"%d" % number: text(number, 30_000) for number in range(160)}
        for name, data in expected.items():
            await put(owner, name, data)
        await settle(owner)
        before = units(owner)
        for number, name in enumerate(list(expected)):
            if number % 4:
                await owner.apply(("unlink", ((name,),)))
                del expected[name]
        whole, cut = list(expected)[::2], list(expected)[1::2]
        for name in cut:
            patch = bytes(Random(9).randbytes(4000))
            await put(owner, name, patch, 10_001)
            expected[name] = expected[name][:10_001] + patch + expected[name][14_001:]
        sparse, _ = owner.own.ledger.log.live_data()
        for _ in range(8):
            await put(owner, b"tick", b"tock")
            await settle(owner)
        assert owner.own.ledger.log.live_data()[0] < 0.6 * sparse
        assert {name: content(owner, name) for name in expected} == expected

        moved = {unit[0] for unit in units(owner)} - {unit[0] for unit in before}
        assert moved
        assert all(length == raw for stripe, length, raw, _ in units(owner) if stripe in moved)
        assert {unit[1:] for unit in units(owner)} & {unit[1:] for unit in before}
        for name in whole:
            ino = owner.side.resolve((name,)).ino
            codecs = owner.own.local.database.read("SELECT codec FROM extents WHERE ino = ?", (ino,)).fetchall()
            assert (PLAIN,) not in codecs

    play(tmp_path, Geometry(1, 2), main)
