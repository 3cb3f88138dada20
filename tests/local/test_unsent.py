"""What of a lost disk was never sent: by the index of its files, by what its database still tells, or by neither."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from coopfs.core.geometry import shard_capacity
from coopfs.core.stripe import Fragment
from coopfs.core.units import plain
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE, STAGE, LocalDisk, create_disk
from coopfs.local.nodes import Node
from coopfs.local.stageindex import encode_slots, index_size, read_index
from coopfs.local.unsent import NAMELESS, Unsent, indexes, set_aside
from tests.fs.parts import ticking

SHARD = shard_capacity(8192)
CAPACITY = 3 * SHARD
CAPACITIES = (CAPACITY, 2 * SHARD)  # of two layouts


def _file(directory: Path, stripe: int, group: int, *inodes: int) -> Path:
    path = directory / STAGE / str(stripe)
    path.parent.mkdir(exist_ok=True)
    fragments = [Fragment(ino, 0, 100, 1, b"a") for ino in inodes]
    path.write_bytes(bytes(100 * len(inodes)) + encode_slots(stripe, group, fragments))
    return path


def _kept(directory: Path) -> list[str]:
    return [path.name for path, _ in indexes(directory)]


def nothing_is(stripe: int) -> int | None:
    return None


def test_without_a_database_the_files_tell_their_groups(tmp_path: Path) -> None:
    for stripe, group in ((3, 5), (10, 6), (9, 7)):
        _file(tmp_path, stripe, group, 2, 3)
    (tmp_path / STAGE / "11").touch()  # made ahead
    (tmp_path / STAGE / "12").write_bytes(bytes(CAPACITY))  # opened, and never synced
    (tmp_path / STAGE / "13").write_bytes(bytes(2 * SHARD))  # the same in the other layout
    _file(tmp_path, 13, 9, 4).rename(tmp_path / STAGE / "13.fetched")
    for _ in range(2):  # it may be done again
        assert set_aside(tmp_path, 5, nothing_is, CAPACITIES) == Unsent(bytes=400, files=2, gone=0)
        assert _kept(tmp_path) == ["9", "10"]


def test_what_nobody_tells_of_is_kept_without_a_name(tmp_path: Path) -> None:
    for stripe in (7, 8):
        _file(tmp_path, stripe, 9, 2)
        with (tmp_path / STAGE / str(stripe)).open("r+b") as file:
            file.truncate(60)
    assert set_aside(tmp_path, 5, {7: 1}.get, CAPACITIES) == Unsent(bytes=60, files=1, gone=0)
    ((_, index),) = indexes(tmp_path)
    assert [(piece.ino, piece.at, piece.stored) for piece in index.pieces] == [(NAMELESS, 0, 60)]


def _disk(directory: Path) -> list[int]:
    """Stripes of a disk whose files are all written and committed, none sent."""
    random = Random(1)
    create_disk(directory, ticking(), 0, 0, {"k": 3, "shard_length": SHARD})
    local = LocalDisk(directory, ticking())
    stripes: set[int] = set()
    for ino in range(2, 12):
        pieces = local.stage.append(ino, 0, plain(random.randbytes(9_000)), 1, b"name")
        local.metadata.add(Node(ino, 0o100644, 0, 0, 1, 0, 9_000, 0, 0, 0, 1, b"%d" % ino, None, 1, 1, 9_000))
        local.metadata.names.add(1, b"%d" % ino, ino)
        local.metadata.extents.write(ino, pieces)
        stripes.update(piece.stripe for piece in pieces)
    local.stage.sync(local.stage.take_unsynced())
    local.metadata.prepare(local.stage)
    local.database.commit()
    local.close()
    return sorted(stripes)


def test_a_database_that_can_be_read_tells_what_is_gone_and_what_was_cut(tmp_path: Path) -> None:
    """The first file is gone, of the second one only half is left, without the index."""
    first, second, *others = _disk(tmp_path)
    (tmp_path / STAGE / str(first)).unlink()
    with (tmp_path / STAGE / str(second)).open("r+b") as file:
        file.truncate(10_000)
    found = set_aside(tmp_path, 0, nothing_is, CAPACITIES)
    assert _kept(tmp_path) == [str(stripe) for stripe in (second, *others)]
    assert found.bytes + found.gone == 90_000
    index = read_index(tmp_path / "unsent" / str(second))
    assert index is not None
    assert sum(piece.length for piece in index.pieces) == 10_000
    assert all(piece.ino for piece in index.pieces)
    assert (tmp_path / "unsent" / str(second)).stat().st_size == 10_000 + index_size(len(index.pieces))


def test_what_the_database_knows_as_not_sent_is_kept_whatever_the_others_have_by_now(tmp_path: Path) -> None:
    """A home that is older than its partners: its groups have the numbers of others."""
    stripes = _disk(tmp_path)
    assert set_aside(tmp_path, 99, dict.fromkeys(stripes, 1).get, CAPACITIES).bytes == 90_000


def test_what_was_sealed_and_is_not_in_the_state_found_is_kept_whatever_its_group(tmp_path: Path) -> None:
    """Another machine has written groups of the same numbers; of these stripes one is in what it went on from, one has
    the id of another, and one died."""
    stripes = _disk(tmp_path)
    with closing(Database(tmp_path / DATABASE)) as database:
        for stripe in stripes:
            database.write("UPDATE stripes SET row = 0, version = ? WHERE id = ?", (100 + stripe, stripe))
        database.write("UPDATE stripes SET died = 1 WHERE id = ?", (stripes[2],))
        database.set_fact("barrier", 0)
        database.commit()
    found = {stripes[0]: 100 + stripes[0], stripes[1]: 500}
    kept = [stripes[1], *stripes[3:]]
    unsent = set_aside(tmp_path, 99, found.get, CAPACITIES)
    assert _kept(tmp_path) == [str(stripe) for stripe in kept]
    assert unsent.gone == 0


def test_a_torn_database_is_no_hindrance(tmp_path: Path) -> None:
    stripes = _disk(tmp_path)
    connection = sqlite3.connect(tmp_path / DATABASE)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'fragments'").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with (tmp_path / DATABASE).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert set_aside(tmp_path, 0, nothing_is, CAPACITIES) == Unsent(bytes=90_000, files=10, gone=0)
    assert _kept(tmp_path) == [str(stripe) for stripe in stripes]
