"""Large files go at once for everybody, and from the tables slice by slice."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from coopfs.core.records import Type, key_of
from coopfs.core.units import plain
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.fs.files import Changes
from coopfs.fs.handles import Handle
from coopfs.limits import EXTENTS_AT_ONCE, ROOT_INO
from coopfs.tasks.cleaning.reclaimer import Reclaimer
from tests.fs.operations import OurSide
from tests.fs.parts import close_group, commit, new_disk, open_disk
from tests.local.test_images import check_counters, groups_of, newest_images, tables_of

EXTENTS = 3 * EXTENTS_AT_ONCE + 10
APART = 100  # bytes from one extent to the next


def large_file(disk: Disk) -> Handle:
    node = disk.tree.create(ROOT_INO, b"large", 0o100644, 0, 0)
    handle = Handle(node.ino, 0, ROOT)
    for number in range(EXTENTS):
        disk.files.write(handle, number * APART, [plain(b"x" * 20)])
    close_group(disk)
    return handle


def extents_left(disk: Disk) -> int:
    return int(disk.database.read("SELECT count(*) FROM extents").fetchone()[0])


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return new_disk(tmp_path)


def test_a_deleted_file_goes_in_bounded_slices_also_after_a_crash(disk: Disk, tmp_path: Path) -> None:
    large_file(disk)
    disk.tree.unlink(ROOT_INO, b"large")
    assert extents_left(disk) == EXTENTS - EXTENTS_AT_ONCE
    assert disk.tree.find(ROOT_INO, b"large") is None
    commit(disk)
    assert disk.metadata.reclaim()
    disk.close()  # that slice was not committed
    disk = open_disk(tmp_path)
    disk.bury_orphans()
    slices = 0
    while disk.metadata.reclaim():
        commit(disk)
        check_counters(disk)
        slices += 1
    assert (slices, extents_left(disk)) == (3, 0)
    close_group(disk)
    assert disk.database.read("SELECT count(*) FROM stripes WHERE died IS NULL").fetchone() == (0,)
    disk.close()


def test_a_group_may_end_between_a_delete_and_its_slices(disk: Disk) -> None:
    """The log says at once that the file is gone; that its stripes are, it says in the group in which they die."""
    handle = large_file(disk)
    disk.tree.unlink(ROOT_INO, b"large")
    close_group(disk)
    while disk.metadata.reclaim():
        pass
    close_group(disk)
    _, second, third = groups_of(disk)
    assert (Type.INODE, handle.ino) in [key_of(record) for record in second]
    dead = [key_of(record)[1] for record in second + third if key_of(record)[0] is Type.STRIPE]
    assert dead == [stripe for (stripe,) in disk.database.read("SELECT id FROM stripes ORDER BY id")]
    assert {key_of(record)[0] for record in third} == {Type.STRIPE}
    assert newest_images(groups_of(disk)) == tables_of(disk)
    disk.close()


def test_what_was_cut_off_is_neither_read_nor_in_the_way(disk: Disk) -> None:
    handle = large_file(disk)
    half = EXTENTS // 2 * APART
    disk.files.set_attributes(handle.ino, Changes(size=APART), ROOT)
    disk.files.set_attributes(handle.ino, Changes(size=EXTENTS * APART), ROOT)
    side = OurSide(disk)
    assert side.content(handle.ino, 0, EXTENTS * APART) == b"x" * 20 + bytes(EXTENTS * APART - 20)
    assert disk.files.make_way(handle.ino, half + 3)
    disk.files.write(handle, half, [plain(b"new")])
    assert extents_left(disk) == EXTENTS // 2 + 1, "one kept, one new, and those behind it"
    assert not disk.files.make_way(handle.ino, EXTENTS * APART), "too many are in the way"
    assert extents_left(disk) == EXTENTS // 2 + 1 - EXTENTS_AT_ONCE
    assert side.content(handle.ino, half - 5, 10) == bytes(5) + b"new" + bytes(2)
    while disk.metadata.reclaim():
        pass
    commit(disk)
    check_counters(disk)
    assert extents_left(disk) == 2
    assert newest_images(groups_of(disk)) == tables_of(disk)
    disk.close()


def test_stripes_without_extents_die_at_the_next_start(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a takeover at a group between a delete and its slices."""
    monkeypatch.setattr("coopfs.local.stripes.BURIED_AT_ONCE", 1)
    large_file(disk)
    disk.tree.unlink(ROOT_INO, b"large")
    commit(disk)
    disk.database.write("DELETE FROM extents")
    disk.database.write("DELETE FROM graves")
    disk.database.write("UPDATE stripes SET live = 0, layout = 1, row = id, version = id")
    disk.database.commit()
    disk.close()
    disk = open_disk(tmp_path)
    alive = "SELECT count(*) FROM stripes WHERE died IS NULL"
    (before,) = disk.database.read(alive).fetchone()
    assert before > 2
    left, commits = reclaimed(disk, lambda: disk.database.read(alive).fetchone()[0])
    assert left == [*range(before - 1, -1, -1)], "so many in each transaction"
    assert commits == before
    disk.close()


def reclaimed(disk: Disk, left: Callable[[], int]) -> tuple[list[int], int]:
    """What is left after each commit of the reclaimer, and how many there were."""
    found: list[int] = []

    async def commit_now() -> None:
        commit(disk)
        found.append(left())
        await trio.lowlevel.checkpoint()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Reclaimer(disk.metadata, commit_now).run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(run)
    return found, len(found)


def test_the_slices_of_one_file_are_many_transactions(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each extent may be the last of a stripe: 10^6 of them are more than the log of the database has room for."""
    monkeypatch.setattr("coopfs.local.extents.EXTENTS_AT_ONCE", 100)
    disk.metadata.extents.at_once = 100
    large_file(disk)
    disk.tree.unlink(ROOT_INO, b"large")
    commit(disk)
    before = extents_left(disk)
    left, _ = reclaimed(disk, lambda: extents_left(disk))
    assert left[:-1] == [before - 400 * (number + 1) for number in range(len(left) - 1)]
    assert len(left) >= before // 400
    disk.close()
