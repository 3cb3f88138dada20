"""The stage: what it took can be read, is named by fragments, and stays within its stripe."""

from pathlib import Path
from random import Random

import pytest

from coopfs.core.geometry import shard_capacity
from coopfs.core.stripe import plan
from coopfs.errors import OutOfSpace
from coopfs.limits import STAGE_DESCRIPTORS
from coopfs.local.contents import Local
from coopfs.local.disk import LocalDisk, create_disk
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
        pieces = local.stage.append(ino, 1000, data, 1, b"name %d" % ino)
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
        for piece in local.stage.append(ino, 0, data, 1, b"n" * random.randrange(1, 256)):
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
        local.stage.append(2, number * 10, b"0123456789", 1, b"a")
    local.stage.append(3, 0, b"x", 1, b"b")
    local.stage.append(2, 100, b"y", 1, b"a")
    local.stage.close_stripe()
    assert [(f.ino, f.offset, f.length) for f in local.metadata.stripes.fragments(1)] == [
        (2, 0, 100),
        (3, 0, 1),
        (2, 100, 1),
    ]
    local.close()


def test_a_closed_stripe_takes_no_more_room_than_its_content(local: LocalDisk, tmp_path: Path) -> None:
    local.stage.append(2, 0, b"x" * 100, 1, b"a")
    assert (tmp_path / "stage" / "1").stat().st_size == local.stage.capacity
    local.stage.close_stripe()
    assert (tmp_path / "stage" / "1").stat().st_size == 100
    local.close()


def test_a_full_local_disk_refuses_and_leaves_no_trace(
    local: LocalDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.local.stage.LOCAL_HEADROOM", 1 << 60)
    with pytest.raises(OutOfSpace, match="local disk"):
        local.stage.append(2, 0, b"x", 1, b"a")
    assert local.stage.filling is None
    assert not list((tmp_path / "stage").iterdir())
    local.close()


def test_descriptors_are_bounded(local: LocalDisk) -> None:
    pieces = local.stage.append(2, 0, bytes(24_000 * (STAGE_DESCRIPTORS + 20)), 1, b"a")
    assert len(pieces) > STAGE_DESCRIPTORS
    for piece in pieces:
        assert local.stage.read_into(piece.stripe, piece.at, memoryview(bytearray(10))) is Local.READ
    assert len(local.stage.contents._open) == STAGE_DESCRIPTORS
    local.close()
