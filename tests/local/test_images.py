"""The log's records always say what the tables say: newest image of every key, over all groups, by the rules of R4."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from coopfs.core.records import (
    Extent,
    Inode,
    Name,
    Record,
    Tombstone,
    Truncate,
    Type,
    Xattr,
    decode_all,
    encode,
    key_of,
)
from coopfs.core.units import Run
from coopfs.fs.disk import Disk
from coopfs.limits import EXTENT_BYTES, STRIPE_BYTES
from coopfs.local.groups import State
from tests.fs.operations import Chooser, OurSide
from tests.fs.parts import close_group, commit, drop_slowly, new_disk, open_disk, ticking

STEPS = 300
Key = tuple[Any, ...]


def newest_images(groups: list[list[Record]]) -> dict[Key, Record]:
    """The state after these groups, oldest first: a model of replay in as few words as possible."""
    state: dict[Key, Record] = {}
    gone: set[Key] = set()
    cut: dict[int, int] = {}
    for group in reversed(groups):
        for record in group:
            key = key_of(record)
            killed = key in gone or (key[0] in (Type.EXTENT, Type.XATTR) and (Type.INODE, key[1]) in gone)
            killed = killed or (isinstance(record, Extent) and record.offset >= cut.get(record.ino, 1 << 63))
            if not killed and not isinstance(record, Tombstone | Truncate):
                state.setdefault(key, record)
        gone |= {record.key for record in group if isinstance(record, Tombstone)}
        for record in group:
            if isinstance(record, Truncate):
                cut[record.ino] = min(record.size, cut.get(record.ino, record.size))
    return state


def groups_of(disk: Disk) -> list[list[Record]]:
    groups: dict[int, list[Record]] = {}
    for group, image in disk.database.read("SELECT grp, image FROM open_images ORDER BY grp, type, a, b"):
        groups.setdefault(group, []).extend(decode_all(image))
    return [groups[group] for group in sorted(groups)]


def tables_of(disk: Disk) -> dict[Key, Record]:
    read = disk.database.read
    extents = {
        row[:2]: Extent(*row)
        for row in read("SELECT ino, offset, length, stripe, at, stored, raw, skip, codec FROM extents")
        if row[1] < disk.metadata.extents.graves.start(row[0])
    }
    records: list[Record] = [extent for (_, offset), extent in extents.items() if offset]
    columns = "ino, mode, uid, gid, nlink, rdev, size, atime, mtime, ctime, parent, name, target"
    first_names = set()
    for row in read(f"SELECT {columns} FROM inodes"):
        records.append(Inode(*row, extent=extents.get((row[0], 0))))
        first_names.add((row[10], row[11]))
    records += [Xattr(*row) for row in read("SELECT ino, name, value FROM xattrs")]
    names = [Name(*row) for row in read("SELECT parent, name, ino FROM names")]
    records += [name for name in names if (name.parent, name.name) not in first_names]
    return {key_of(record): record for record in records}


def check_counters(disk: Disk) -> None:
    """What is kept beside the extents, so that nobody must add them up, is their sum."""
    live: Counter[int] = Counter()
    stored: Counter[int] = Counter()
    columns = "offset, length, stripe, at, stored, raw, skip, codec"
    for ino, *run in disk.database.read(f"SELECT ino, {columns} FROM extents"):
        live[run[2]] += Run._make(run).charge
        stored[ino] += Run._make(run).charge
    nodes = disk.database.read("SELECT ino, stored FROM inodes").fetchall()
    assert dict(nodes) == {ino: stored[ino] for ino, _ in nodes}
    assert stored.keys() - dict(nodes) <= dict(disk.database.read("SELECT ino, offset FROM graves")).keys()
    group = disk.metadata.group
    for stripe, born, died, kept in disk.database.read("SELECT id, born, died, live FROM stripes"):
        assert kept == live[stripe]
        assert (died is not None) == (kept == 0 and stripe != disk.stage.filling)
        assert died is None or born < died <= group
        if disk.stage.filling != stripe:
            assert (disk.database.path.parent / "stage" / str(stripe)).exists()
    totals = disk.metadata.totals
    assert (totals.images, totals.content, totals.pieces, totals.length) == totals.count()
    state = tables_of(disk).values()
    images = sum(len(encode(image)) for image in state)
    told = sum(isinstance(image, Extent) or (isinstance(image, Inode) and image.extent is not None) for image in state)
    gone = totals.pieces - told
    (stripes,) = disk.database.read("SELECT count(*) FROM stripes WHERE died IS NULL").fetchone()
    assert 0.8 * images <= totals.images - STRIPE_BYTES * stripes - EXTENT_BYTES * gone <= 2 * images


@pytest.mark.parametrize("seed", range(40))
def test_the_newest_images_of_all_groups_are_the_tables(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    chooser = Chooser(random)
    clock = ticking()
    ours = OurSide(new_disk(tmp_path, clock=clock))
    for step in range(STEPS):
        drop_slowly(ours.disk, seed)
        ours.apply(chooser.next())
        if random.random() < 0.1:
            ours.disk.metadata.reclaim()
        chance = random.random()
        if chance > 0.12:
            continue
        if chance < 0.08:
            commit(ours.disk)
        elif chance < 0.11:
            close_group(ours.disk)
        else:
            commit(ours.disk)
            ours.disk.close()
            ours = OurSide(open_disk(tmp_path, clock))
            ours.disk.bury_orphans()
            commit(ours.disk)
        where = f"seed {seed} step {step}"
        assert newest_images(groups_of(ours.disk)) == tables_of(ours.disk), where
        check_counters(ours.disk)
    while ours.disk.metadata.reclaim():
        pass
    commit(ours.disk)
    check_counters(ours.disk)
    assert ours.disk.database.read("SELECT count(*) FROM graves").fetchone() == (0,)
    ours.disk.close()


def test_a_group_without_changes_is_not_closed(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    assert close_group(disk) == 1  # the root directory
    assert close_group(disk) is None
    assert disk.metadata.group == 2
    disk.close()


def test_what_lives_and_dies_within_a_group_is_never_sent(tmp_path: Path) -> None:
    side = OurSide(new_disk(tmp_path))
    close_group(side.disk)
    before = tables_of(side.disk).keys()
    for path in [(b"a",), (b"b",)]:
        side.apply(("create", (path, 0o644)))
        side.apply(("open", (0, path, False)))
        side.apply(("write", (0, 0, b"x" * 30_000)))
        side.apply(("close", (0,)))
        side.apply(("setxattr", (path, b"user.one", b"1", 0)))
        commit(side.disk)
    for path in [(b"a",), (b"b",)]:
        side.apply(("unlink", (path,)))
    assert close_group(side.disk) == 2
    (_, second) = groups_of(side.disk)
    assert [key_of(record) for record in second] == [(Type.INODE, 1)]
    assert tables_of(side.disk).keys() == before
    assert side.disk.database.read("SELECT count(*) FROM stripes").fetchone() == (0,)
    assert not list((tmp_path / "stage").iterdir())
    side.disk.close()


def test_the_stripe_of_an_older_group_dies_with_a_tombstone_in_this_one(tmp_path: Path) -> None:
    side = OurSide(new_disk(tmp_path))
    side.apply(("create", ((b"a",), 0o644)))
    side.apply(("open", (0, (b"a",), False)))
    side.apply(("write", (0, 0, b"x" * 5_000)))
    side.close_all()
    close_group(side.disk)
    side.apply(("unlink", ((b"a",),)))
    close_group(side.disk)
    first, second = groups_of(side.disk)
    assert [key_of(record) for record in second] == [(Type.INODE, 1), (Type.INODE, 2), (Type.STRIPE, 1)]
    assert isinstance(second[1], Tombstone)
    assert isinstance(second[2], Tombstone)
    assert len(first) == 2
    assert side.disk.database.read("SELECT born, died, live FROM stripes").fetchall() == [(1, 2, 0)]
    assert (tmp_path / "stage" / "1").exists()  # what a closed group names is sent even if it died since
    side.disk.close()


def test_a_truncate_is_one_record_with_the_least_size_of_its_group(tmp_path: Path) -> None:
    side = OurSide(new_disk(tmp_path))
    side.apply(("create", ((b"a",), 0o644)))
    side.apply(("open", (0, (b"a",), False)))
    side.apply(("write", (0, 0, b"x" * 60_000)))
    close_group(side.disk)
    for size in (50_000, 20_000, 70_000, 40_000):
        side.apply(("ftruncate", (0, size)))
        commit(side.disk)
    side.apply(("write", (0, 100_000, b"y" * 10)))
    close_group(side.disk)
    (_, second) = groups_of(side.disk)
    assert [record for record in second if isinstance(record, Truncate)] == [Truncate(2, 20_000)]
    tombstones = [record.key for record in second if isinstance(record, Tombstone)]
    assert {key[0] for key in tombstones} == {Type.STRIPE}, "the truncate kills the extents"
    side.close_all()
    side.disk.close()


def test_closed_groups_tell_their_figures(tmp_path: Path) -> None:
    side = OurSide(new_disk(tmp_path))
    side.apply(("create", ((b"a",), 0o644)))
    side.apply(("open", (0, (b"a",), False)))
    side.apply(("write", (0, 0, b"x" * 6_000)))
    side.close_all()
    close_group(side.disk)
    (group,) = side.disk.metadata.groups.of_state(State.CLOSED)
    assert (group.id, group.images, group.bytes) == (1, 2, 6_000)
    assert group.opened_at is not None
    assert group.closed_at is not None
    side.disk.close()
