"""The stage: what it took can be read, is named by fragments, and stays within its stripe."""

import errno
import itertools
import os
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from random import Random

import pytest

from coopfs.core.geometry import shard_capacity
from coopfs.core.records import Extent
from coopfs.core.stripe import plan
from coopfs.core.units import FASTEST, PLAIN, ZSTD, Portion, Run, compress, plain
from coopfs.errors import OutOfSpace
from coopfs.limits import STAGE_DESCRIPTORS
from coopfs.local.contents import Local
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.local.spares import Spares
from coopfs.local.stageindex import index_size
from tests.fs.parts import ticking

BLOCK_SIZE = 8192
FACTS = {"k": 3, "shard_length": shard_capacity(BLOCK_SIZE)}


@pytest.fixture
def local(tmp_path: Path) -> LocalDisk:
    create_disk(tmp_path, ticking(), 0, 0, FACTS)
    return LocalDisk(tmp_path, ticking())


def read(local: LocalDisk, stripe: int, at: int, length: int) -> bytes:
    buffer = bytearray(length)
    assert local.stage.wait_into(stripe, at, memoryview(buffer)) is Local.READ
    return bytes(buffer)


def test_pieces_are_adjacent_and_hold_what_was_given(local: LocalDisk) -> None:
    random = Random(4)
    for ino in range(2, 30):
        data = random.randbytes(random.choice([1, 100, 5_000, 40_000]))
        pieces = local.stage.append(ino, 1000, plain(data), 1, b"name %d" % ino)
        assert pieces[0].offset == 1000
        assert [piece.end for piece in pieces[:-1]] == [piece.offset for piece in pieces[1:]]
        assert b"".join(read(local, piece.stripe, piece.at, piece.length) for piece in pieces) == data
        assert len({piece.stripe for piece in pieces}) == len(pieces)
    local.close()


def test_fragments_tell_what_a_closed_stripe_holds_and_fit_into_its_shards(local: LocalDisk) -> None:
    random = Random(5)
    kept: dict[int, bytes] = {}
    for ino in range(2, 60):
        data = random.randbytes(random.choice([1, 10, 3_000, 15_000]))
        for piece in local.stage.append(ino, 0, plain(data), 1, b"n" * random.randrange(1, 256)):
            part = data[piece.offset : piece.end]
            kept[piece.stripe] = kept.get(piece.stripe, b"") + part
    local.stage.close_stripe()
    for stripe, content in kept.items():
        fragments = local.metadata.stripes.fragments(stripe)
        assert sum(fragment.length for fragment in fragments) == len(content)
        assert local.stage.content(stripe, len(content)) == content
        assert sum(plan(fragments, 3, BLOCK_SIZE).slices) == len(content)
    assert local.stage.content(99, 1) is None
    local.close()


def test_consecutive_writes_of_a_file_are_one_fragment(local: LocalDisk) -> None:
    for number in range(10):
        local.stage.append(2, number * 10, plain(b"0123456789"), 1, b"a")
    local.stage.append(3, 0, plain(b"x"), 1, b"b")
    local.stage.append(2, 100, plain(b"y"), 1, b"a")
    local.stage.close_stripe()
    assert [(f.ino, f.offset, f.length) for f in local.metadata.stripes.fragments(1)] == [
        (2, 0, 100),
        (3, 0, 1),
        (2, 100, 1),
    ]
    local.close()


@pytest.mark.parametrize("files", [0, 1, 15, 16, 300])
def test_a_start_reads_of_each_list_of_fragments_only_how_long_it_is(
    local: LocalDisk, tmp_path: Path, files: int
) -> None:
    for ino in range(2, 2 + files):
        local.stage.append(ino, 0, plain(b"x"), 1, b"")
    local.stage.close_stripe()
    held = [local.metadata.stripes.count_fragments(stripe) for stripe, _ in local.metadata.stripes.unsealed()]
    assert sum(held) == files
    before = {path.name: path.stat().st_size for path in (tmp_path / "stage").iterdir()}
    local.database.write("UPDATE fragments SET list = substr(list, 1, 5)")
    local.database.commit()
    local.close()
    LocalDisk(tmp_path, ticking()).close()
    assert {path.name: path.stat().st_size for path in (tmp_path / "stage").iterdir()} == before


def test_a_closed_stripe_takes_no_more_room_than_its_content(local: LocalDisk, tmp_path: Path) -> None:
    local.stage.append(2, 0, plain(b"x" * 100), 1, b"a")
    assert (tmp_path / "stage" / "1").stat().st_size == local.stage.capacity
    local.stage.close_stripe()
    assert (tmp_path / "stage" / "1").stat().st_size == 100 + index_size(1)
    local.close()


def test_a_full_local_disk_refuses_and_leaves_no_trace(
    local: LocalDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.local.stage.LOCAL_HEADROOM", 1 << 60)
    with pytest.raises(OutOfSpace, match="local disk"):
        local.stage.append(2, 0, plain(b"x"), 1, b"a")
    assert local.stage.filling is None
    assert not list((tmp_path / "stage").iterdir())
    local.close()


def test_descriptors_are_bounded(local: LocalDisk) -> None:
    pieces = local.stage.append(2, 0, plain(bytes(24_000 * (STAGE_DESCRIPTORS + 20))), 1, b"a")
    assert len(pieces) > STAGE_DESCRIPTORS
    for piece in pieces:
        assert local.stage.read_into(piece.stripe, piece.at, lambda: memoryview(bytearray(10))) is Local.READ
    assert len(local.stage.contents._open) == STAGE_DESCRIPTORS
    local.close()


def units(data: bytes, unit: int) -> list[Portion]:
    return compress(data, unit, FASTEST)


def mixed(random: Random, length: int) -> bytes:
    """Stretches that shrink to a third, and some that hardly do."""
    data = b""
    while len(data) < length:
        letters = random.choice([b"ab", b"abcd", bytes(range(200))])
        data += bytes(random.choices(letters, k=random.choice([100, 1000, 4000])))
    return data[:length]


def stripes_for(local: LocalDisk, seed: int, compresses: bool) -> int:
    """How many stripes some files take. Each reads as it should, and the directories tell all."""
    random, stage = Random(seed), local.stage
    for ino in range(2, 30):
        data, name = mixed(random, random.choice([1000, 9000, 30_000])), b"n" * random.choice([1, 200])
        extents: list[Extent] = []
        for portion in units(data, stage.unit) if compresses else [plain(data)]:
            extents += stage.append(ino, extents[-1].end if extents else 0, portion, 1, name)
        runs = [Run._make(astuple(extent)[1:]) for extent in extents]
        stored = [(run, read(local, run.stripe, run.at, run.stored)) for run in runs]
        assert b"".join(part if run.codec == PLAIN else run.decode(part) for run, part in stored) == data
    stage.close_stripe()
    found = local.metadata.stripes.unsealed()
    for stripe, length in found:
        fragments = local.metadata.stripes.fragments(stripe)
        assert sum(f.stored for f in fragments) == length == sum(plan(fragments, 3, BLOCK_SIZE).slices)
    return len(found)


@pytest.mark.parametrize("seed", range(3))
def test_units_lie_whole_in_one_stripe_and_take_fewer_stripes_than_plain_bytes(tmp_path: Path, seed: int) -> None:
    taken = []
    for compresses in (False, True):
        directory = tmp_path / str(compresses)
        directory.mkdir()
        create_disk(directory, ticking(), 0, 0, FACTS)
        local = LocalDisk(directory, ticking())
        taken.append(stripes_for(local, seed, compresses))
        local.close()
    assert taken[1] < taken[0] * 0.8


def test_a_unit_gives_way_to_its_plain_bytes_where_it_would_waste_more_than_it_wins(local: LocalDisk) -> None:
    stage = local.stage
    (poor,) = units(Random(3).randbytes(stage.unit - 800) + bytes(800), stage.unit)
    (good,) = units(bytes(stage.unit), stage.unit)
    assert (poor.codec, good.codec) == (ZSTD, ZSTD)
    (first,) = stage.append(2, 0, plain(bytes(stage.capacity - 2000)), 1, b"a")
    pieces = stage.append(3, 0, poor, 1, b"b")
    assert [(piece.codec, piece.stripe - first.stripe) for piece in pieces] == [(PLAIN, 0), (PLAIN, 1)]
    assert stage._filling is not None
    room = stage._filling.room(3, stage.unit, b"b", PLAIN)
    (almost,) = stage.append(3, stage.unit, plain(bytes(room - 5)), 1, b"b")
    (piece,) = stage.append(3, almost.end, good, 1, b"b")
    assert (piece.codec, piece.stripe - first.stripe, piece.at) == (ZSTD, 2, 0)
    local.close()


class Slow:
    """A thread that makes what it is told to when it is asked."""

    running = True

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def do(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def test_ids_of_files_tell_their_order_also_where_spares_come_late(tmp_path: Path) -> None:
    slow, ids = Slow(), itertools.count(1)
    spares = Spares(tmp_path, slow, lambda: next(ids))  # type: ignore[arg-type]
    opened = [spares.open() for _ in range(3)]
    slow.work()
    opened += [spares.open() for _ in range(3)]
    slow.work()
    opened += [spares.open() for _ in range(6)]
    order = [stripe for stripe, _ in opened]
    assert order == sorted(order)
    assert 1 in order
    for _, descriptor in opened:
        os.close(descriptor)
    spares.close()
    assert {int(path.name) for path in tmp_path.iterdir()} == set(order)


@pytest.mark.parametrize("call", ["posix_fallocate", "open"])
def test_clean_content_gives_way_to_a_quota(local: LocalDisk, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Of bytes, or of files: statfs(2) tells of neither."""
    stage = local.stage
    stage.append(2, 0, plain(bytes(3 * stage.capacity)), 1, b"a")
    stage.close_stripe()
    stripes = [int(path.name) for path in stage.contents.directory.iterdir()]
    really, quota = getattr(os, call), len(stripes) - 1

    def limited(path: object, flags: int, *rest: int) -> object:
        files = [each for each in stage.contents.directory.iterdir() if each.stat().st_size]
        if len(files) > quota and (call != "open" or flags & os.O_CREAT):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return really(path, flags, *rest)

    monkeypatch.setattr(os, call, limited)
    with pytest.raises(OutOfSpace):
        stage.append(3, 0, plain(b"x"), 1, b"b")
    stage.cache.may_go = lambda stripe: stripe in stripes
    stage.cache.judge_all()
    assert stage.append(3, 0, plain(b"x"), 1, b"b")
    assert sum(not stage.contents.path(stripe).exists() for stripe in stripes) == 1
    local.close()


def test_where_no_file_can_be_made_there_is_no_space(local: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Spares) -> tuple[int, int]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Spares, "open", full)
        with pytest.raises(OutOfSpace, match="takes no more files"):
            local.stage.append(7, 0, plain(b"content"), 1, b"name")
    assert local.stage.append(7, 0, plain(b"content"), 1, b"name")
    local.close()
