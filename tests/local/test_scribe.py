"""Large pieces are written by a thread, and nobody can tell."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopfs.core.geometry import shard_capacity
from coopfs.core.units import plain
from coopfs.errors import StateError
from coopfs.limits import KIB, MIB, SCRIBE_BYTES, SCRIBE_PIECE, SPARE_FILES, STAGE_DESCRIPTORS
from coopfs.local.contents import Local
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.local.scribe import Scribe
from tests.fs.parts import ticking

FACTS = {"k": 6, "shard_length": shard_capacity(256 * KIB)}


class Disk:
    """Stands in for pwrite(2) of the thread: it waits until a test opens it."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.failure: OSError | None = None

    def pwrite(self, descriptor: int, content: memoryview, at: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            assert self.opened.wait(60)
            if self.failure is not None:
                raise self.failure
        return REAL(descriptor, content, at)


REAL = os.pwrite


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "pwrite", disk.pwrite)
    yield disk
    disk.opened.set()


@pytest.fixture
def local(tmp_path: Path) -> LocalDisk:
    create_disk(tmp_path, ticking(), 0, 0, FACTS)
    return LocalDisk(tmp_path, ticking())


def test_whoever_reads_sees_what_is_still_on_its_way(local: LocalDisk, disk: Disk) -> None:
    data = os.urandom(3 * MIB)
    pieces = local.stage.append(2, 0, plain(data), 1, b"a")
    assert any(piece.length >= SCRIBE_PIECE for piece in pieces)
    threading.Timer(0.05, disk.opened.set).start()
    for piece in reversed(pieces):
        buffer = bytearray(piece.length)
        assert local.stage.wait_into(piece.stripe, piece.at, memoryview(buffer)) is Local.READ
        assert buffer == data[piece.offset : piece.end]
    local.close()


def test_what_is_synced_is_in_its_files(local: LocalDisk, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: dict[str, bytes] = {}
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_file():
            synced[path.name] = path.read_bytes()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    data = os.urandom(3 * MIB)
    pieces = local.stage.append(2, 0, plain(data), 1, b"a")
    threading.Timer(0.05, disk.opened.set).start()
    local.stage.sync(local.stage.take_unsynced())
    for piece in pieces:
        assert synced[str(piece.stripe)][piece.at : piece.at + piece.length] == data[piece.offset : piece.end]
    local.close()


def test_a_failed_disk_is_told_to_all_that_come_later(local: LocalDisk, disk: Disk) -> None:
    disk.failure = OSError(5, "Input/output error")
    disk.opened.set()
    local.stage.append(2, 0, plain(bytes(MIB)), 1, b"a")
    for _ in range(2):
        with pytest.raises(StateError, match="Input/output error"):
            local.stage.sync(local.stage.take_unsynced())
    local.close()


def test_what_is_on_its_way_is_bounded(tmp_path: Path, disk: Disk) -> None:
    """Once so much waits, the caller copies itself: here it does, while the thread stands still."""
    scribe = Scribe()
    piece = memoryview(bytes(MIB))
    number = SCRIBE_BYTES // MIB + 5
    with open(tmp_path / "file", "wb") as file:
        for at in range(number):
            scribe.write(file.fileno(), piece, at * MIB)
        assert scribe._given_bytes - scribe._begun_bytes <= SCRIBE_BYTES + MIB
        assert file.seek(0, os.SEEK_END) == number * MIB
        disk.opened.set()
        scribe.settle()
    scribe.close()


def test_files_are_made_ahead_and_leave_no_trace(local: LocalDisk, tmp_path: Path) -> None:
    stripes = [piece.stripe for _ in range(20) for piece in local.stage.append(2, 0, plain(bytes(2 * MIB)), 1, b"a")]
    local.stage.sync(local.stage.take_unsynced())
    used = {str(stripe) for stripe in stripes}
    ahead = {path for path in (tmp_path / "stage").iterdir() if path.name not in used}
    assert 0 < len(ahead) <= SPARE_FILES
    assert not any(path.stat().st_size for path in ahead)
    local.close()
    assert {path.name for path in (tmp_path / "stage").iterdir()} == used


def test_a_crash_leaves_files_ahead_that_the_next_start_takes_away(local: LocalDisk, tmp_path: Path) -> None:
    local.stage.append(2, 0, plain(bytes(5 * MIB)), 1, b"a")
    local.stage.sync(local.stage.take_unsynced())
    local.metadata.close_group(local.stage)
    local.database.commit()
    before = {int(path.name) for path in (tmp_path / "stage").iterdir()}
    again = LocalDisk(tmp_path, ticking())
    assert {int(path.name) for path in (tmp_path / "stage").iterdir()} < before
    assert again.metadata.stripes.take_id() > max(before), "an id is not used twice"
    again.close()


def test_descriptors_of_a_stream_are_bounded_and_none_is_closed_too_early(local: LocalDisk) -> None:
    data = os.urandom(MIB)
    before = len(os.listdir("/proc/self/fd"))
    pieces = [
        (piece, number)
        for number in range(2 * STAGE_DESCRIPTORS)
        for piece in local.stage.append(2, number * MIB, plain(data), 1, b"a")
    ]
    local.stage.sync(local.stage.take_unsynced())
    assert len(os.listdir("/proc/self/fd")) - before <= STAGE_DESCRIPTORS + SPARE_FILES + 1
    for piece, number in pieces:
        buffer = bytearray(piece.length)
        assert local.stage.wait_into(piece.stripe, piece.at, memoryview(buffer)) is Local.READ
        assert buffer == data[piece.offset - number * MIB : piece.end - number * MIB]
    local.close()
