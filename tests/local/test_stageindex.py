"""Stage files tell by themselves whose bytes they hold: at every sync, after closing, after a restart, however torn."""

import errno
import os
from dataclasses import astuple
from pathlib import Path
from random import Random

import pytest

from coopfs.core.geometry import shard_capacity
from coopfs.core.stripe import Fragment
from coopfs.core.units import FASTEST, compress, plain
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.local.stageindex import SLOT, encode_slots, index_size, read_index
from tests.fs.parts import ticking

FACTS = {"k": 3, "shard_length": shard_capacity(8192)}

GOLDEN = (
    "00000000000000020000000000001000000000640000006400a3ea36ba"
    "636f6f706673000000000000000007000000000000000300000cde3bfa"
)


def opened(directory: Path) -> LocalDisk:
    if not (directory / "disk.sqlite").exists():
        create_disk(directory, ticking(), 0, 0, FACTS)
    return LocalDisk(directory, ticking())


def sync(local: LocalDisk) -> None:
    local.stage.sync(local.stage.take_unsynced())


def told(path: Path) -> dict[int, bytes]:
    """Inode -> its bytes, of plain content that was appended from 0 on."""
    index = read_index(path)
    assert index is not None
    content = path.read_bytes()
    files: dict[int, bytes] = {}
    for piece in index.pieces:
        assert piece.offset == len(files.get(piece.ino, b""))
        files[piece.ino] = files.get(piece.ino, b"") + content[piece.at : piece.at + piece.stored]
    return files


def test_what_was_synced_is_told_at_every_moment(tmp_path: Path) -> None:
    random = Random(6)
    local = opened(tmp_path)
    synced: dict[int, bytes] = {}
    for _ in range(300):
        ino = random.choice([2, 3, random.randrange(4, 50)])
        data = random.randbytes(random.choice([1, 10, 300, 2000]))
        local.stage.append(ino, len(synced.get(ino, b"")), plain(data), 1, b"name")
        synced[ino] = synced.get(ino, b"") + data
        if random.random() < 0.5:
            sync(local)
            found: dict[int, bytes] = {}
            for path in sorted((tmp_path / "stage").iterdir(), key=lambda path: int(path.name)):
                index = read_index(path)
                assert index is not None
                assert (index.stripe, index.group) == (int(path.name), 1)
                content = path.read_bytes()
                for piece in index.pieces:
                    known = found.get(piece.ino, b"")
                    assert piece.offset == len(known)
                    found[piece.ino] = known + content[piece.at : piece.at + piece.stored]
            assert found == synced
    local.close()


def test_units_are_told_with_their_codec(tmp_path: Path) -> None:
    local = opened(tmp_path)
    (unit,) = compress(bytes(local.stage.unit), local.stage.unit, FASTEST)
    local.stage.append(2, 0, plain(b"x" * 10), 1, b"a")
    local.stage.append(3, 4096, unit, 1, b"b")
    local.stage.close_stripe()
    index = read_index(tmp_path / "stage" / "1")
    assert index is not None
    stored = len(unit.stored)
    assert [astuple(p) for p in index.pieces] == [(2, 0, 10, 0, 10, 0), (3, 4096, local.stage.unit, 10, stored, 1)]
    local.close()


def test_the_index_never_meets_the_content(tmp_path: Path) -> None:
    """A sync after each byte takes a slot for each; the stripe ends before they meet."""
    local = opened(tmp_path)
    for offset in range(2000):
        local.stage.append(2, offset, plain(b"x"), 1, b"a")
        local.stage.take_unsynced()
    paths = sorted((tmp_path / "stage").iterdir(), key=lambda path: int(path.name))
    assert len(paths) > 1
    assert sum(len(told_once(path)) for path in paths) == 2000
    for path in paths:
        assert set(told_once(path)) == {ord("x")}
        assert path.stat().st_size <= local.stage.capacity
    local.close()


def told_once(path: Path) -> bytes:
    index = read_index(path)
    assert index is not None
    content = path.read_bytes()
    return b"".join(content[piece.at : piece.at + piece.stored] for piece in index.pieces)


def test_a_file_that_was_being_filled_ends_with_its_index_after_a_restart(tmp_path: Path) -> None:
    local = opened(tmp_path)
    for ino in (2, 3):
        local.stage.append(ino, 0, plain(b"%d" % ino * 500), 1, b"a")
        sync(local)
    local.metadata.prepare(local.stage)
    local.database.commit()
    local.stage.append(4, 0, plain(b"not committed"), 1, b"c")
    local.close()
    path = tmp_path / "stage" / "1"
    assert path.stat().st_size > 1000 + index_size(2)
    opened(tmp_path).close()
    assert path.stat().st_size == 1000 + index_size(2)
    assert told(path) == {2: b"2" * 500, 3: b"3" * 500}


@pytest.mark.parametrize("torn", range(1, SLOT + 1))
def test_a_torn_end_tells_as_much_as_is_whole(tmp_path: Path, torn: int) -> None:
    """The slot written last stands in front: bytes of it that did not arrive take nothing but itself."""
    fragments = [Fragment(ino, 0, 100, 1, b"a") for ino in (2, 3, 4)]
    slots = encode_slots(7, 3, fragments)
    path = tmp_path / "7"
    path.write_bytes(bytes(300) + b"\xff" * torn + slots[torn:])
    index = read_index(path)
    assert index is not None
    assert [piece.ino for piece in index.pieces] == [2, 3]


def test_other_files_have_no_index(tmp_path: Path) -> None:
    path = tmp_path / "7"
    whole = bytes(300) + encode_slots(7, 3, [Fragment(2, 0, 100, 1, b"a")])
    for content in (b"", b"x", bytes(5000), os.urandom(5000), whole[:-1], whole + b"\0", encode_slots(7, 3, [])[1:]):
        path.write_bytes(content)
        assert read_index(path) is None
    path.write_bytes(encode_slots(7, 3, []))
    assert read_index(path) is not None


def test_the_format_stays(tmp_path: Path) -> None:
    slots = encode_slots(7, 3, [Fragment(2, 4096, 100, 1, b"name")])
    assert slots.hex() == GOLDEN


def test_what_cannot_be_read_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start, and a takeover, must get past a bad sector."""
    path = tmp_path / "7"
    path.write_bytes(bytes(100))

    def pread(descriptor: int, size: int, at: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("coopfs.local.stageindex.os.pread", pread)
    assert read_index(path) is None
