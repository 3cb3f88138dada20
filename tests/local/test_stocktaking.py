"""What a start makes of files that its database does not name: it may be the database that is wrong."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from coopfs.core.cache import charge_of
from coopfs.core.geometry import shard_capacity
from coopfs.core.stripe import Fragment
from coopfs.core.units import plain
from coopfs.errors import OutOfSpace, StateError
from coopfs.limits import GROUPS_AHEAD
from coopfs.local.disk import DATABASE, STAGE, LocalDisk, create_disk
from coopfs.local.stageindex import encode_slots
from coopfs.local.unsent import indexes, set_aside
from tests.fs.parts import ticking

FACTS = {"k": 3, "shard_length": shard_capacity(8192)}
CAPACITY = 3 * shard_capacity(8192)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of a disk whose database is older than its stage: stripe 1 is in both, of the others nothing tells."""
    create_disk(tmp_path, ticking(), 0, 0, FACTS)
    local = LocalDisk(tmp_path, ticking())
    _write(local, 2, b"old")
    local.database.close()
    old = (tmp_path / DATABASE).read_bytes()
    local = LocalDisk(tmp_path, ticking())
    for ino in range(3, 7):
        _write(local, ino, b"%d" % ino * CAPACITY)
    local.close()
    (tmp_path / DATABASE).write_bytes(old)
    return tmp_path


def _write(local: LocalDisk, ino: int, content: bytes) -> None:
    """What fsync promises."""
    local.stage.append(ino, 0, plain(content), 1, b"name")
    local.stage.sync(local.stage.take_unsynced())
    local.metadata.prepare(local.stage)
    local.database.commit()


def _strays(local: LocalDisk) -> list[int]:
    return [
        stripe for stripe in _files(local.stage.contents.directory) if local.metadata.stripes.length(stripe) is None
    ]


def _files(stage: Path) -> list[int]:
    return sorted(int(path.name) for path in stage.iterdir())


def test_what_an_old_database_does_not_name_stays_and_a_takeover_finds_it(home: Path) -> None:
    before = _files(home / STAGE)
    for _ in range(2):
        local = LocalDisk(home, ticking())
        assert _files(home / STAGE) == before
        strays = _strays(local)
        assert len(strays) >= 4
        assert local.stage.cache.stray == sum(charge_of((home / STAGE / str(i)).stat().st_size) for i in strays)
        assert local.stage.cache.used == local.stage.cache.stray + local.stage.cache.dirty
        local.close()
    set_aside(home, 0, {1: 1}.get, [CAPACITY])
    kept = {piece.ino: 0 for _, index in indexes(home) for piece in index.pieces}
    assert set(kept) >= {3, 4, 5, 6}


def _killed(tmp_path: Path) -> tuple[Path, bytes]:
    """A home whose process was killed while it filled a stripe with two files, and its database as it was after the
    first one."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    create_disk(home, ticking(), 0, 0, FACTS)
    local = LocalDisk(home, ticking())
    _write(local, 2, b"a" * 3000)
    local.database.checkpoint()
    old = (home / DATABASE).read_bytes()
    _write(local, 3, b"b" * 3000)
    assert list(_files(home / STAGE))[:1] == [1]
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    local.close()
    return copy, old


def test_what_an_old_database_knows_shorter_is_not_cut(tmp_path: Path) -> None:
    home, old = _killed(tmp_path)
    (home / DATABASE).write_bytes(old)
    for _ in range(2):
        local = LocalDisk(home, ticking())
        assert local.metadata.stripes.length(1) == 3000
        assert local.stage.content(1, 3000) == b"a" * 3000
        assert local.stage.cache.used >= (home / STAGE / "1").stat().st_blocks * 512
        local.close()
    set_aside(home, 0, {}.get, [CAPACITY])
    kept = {piece.ino: piece.length for _, index in indexes(home) for piece in index.pieces}
    assert kept == {2: 3000, 3: 3000}


def test_a_bad_sector_behind_the_content_ends_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system reads a page that is written in part."""
    home, old = _killed(tmp_path)
    (home / DATABASE).write_bytes(old)
    with (home / STAGE / "1").open("r+b") as file:  # the second file was not synced
        file.seek(0)
        file.truncate(3000)
        file.truncate(CAPACITY)

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fails)
        patched.setattr("coopfs.local.filling.write_all", fails)
        local = LocalDisk(home, ticking())
        assert local.stage.content(1, 3000) == b"a" * 3000
        local.close()
    LocalDisk(home, ticking()).close()
    assert (home / STAGE / "1").stat().st_size < CAPACITY


def test_new_stripes_do_not_take_their_places(home: Path) -> None:
    local = LocalDisk(home, ticking())
    strays = {stripe: (home / STAGE / str(stripe)).read_bytes() for stripe in _strays(local)}
    for ino in range(10, 20):
        _write(local, ino, os.urandom(CAPACITY))
    local.close()
    assert strays
    assert {stripe: (home / STAGE / str(stripe)).read_bytes() for stripe in strays} == strays


def test_the_oldest_give_way_before_a_writer_is_refused(home: Path) -> None:
    local = LocalDisk(home, ticking())
    stage, strays = local.stage, _strays(local)
    stage.cache.limit(stage.cache.used + 2 * charge_of(CAPACITY), None)
    stage.append(30, 0, plain(os.urandom(3 * CAPACITY)), 1, b"name")
    left = _strays(local)[: len(strays)]
    assert 0 < len([stripe for stripe in strays if stripe in left]) < len(strays)
    assert strays[-1] in left
    with pytest.raises(OutOfSpace, match="cache is full"):
        stage.append(31, 0, plain(os.urandom(40 * CAPACITY)), 1, b"name")
    assert not set(strays) & set(_files(home / STAGE))
    assert stage.cache.stray == 0
    local.close()


def test_the_oldest_give_way_to_others_who_fill_the_local_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = LocalDisk(home, ticking())
    strays = _strays(local)
    stage = local.stage
    monkeypatch.setattr("coopfs.local.stage.free_bytes", lambda directory: local.stage.capacity - 1)
    monkeypatch.setattr("coopfs.local.stage.LOCAL_HEADROOM", 0)
    stage.append(30, 0, plain(b"x"), 1, b"name")
    assert not (home / STAGE / str(strays[0])).exists()
    assert (home / STAGE / str(strays[-1])).exists()
    local.close()


def test_what_was_never_synced_goes(home: Path) -> None:
    (home / STAGE / "80").touch()
    (home / STAGE / "81").write_bytes(os.urandom(1000))
    shutil.copy(home / STAGE / "1", home / STAGE / "82.fetched")
    LocalDisk(home, ticking()).close()
    assert not {"80", "81", "82.fetched"} & {path.name for path in (home / STAGE).iterdir()}


def test_what_no_crash_explains_ends_the_start(tmp_path: Path) -> None:
    create_disk(tmp_path, ticking(), 0, 0, FACTS)
    for stripe, group in ((70, 1 + GROUPS_AHEAD), (71, 2 + GROUPS_AHEAD)):
        path = tmp_path / STAGE / str(stripe)
        path.write_bytes(b"x" * 100 + encode_slots(stripe, group, [Fragment(2, 0, 100, 1, b"a")]))
        if stripe == 70:
            LocalDisk(tmp_path, ticking()).close()
    with pytest.raises(StateError, match=r"71 is newer than the database.* recovery kit"):
        LocalDisk(tmp_path, ticking())
    assert path.exists()
