"""Commits: shared, complete, and never followed by an answer when the disk failed."""

import sqlite3
from pathlib import Path

import pytest
import trio
import trio.testing

from coopfs import limits
from coopfs.errors import StateError
from coopfs.local.groups import Group
from coopfs.tasks.committer import Committer
from tests.fs.operations import OurSide
from tests.fs.parts import SMALL, new_disk
from tests.fs.shapes import shape_of_ours


class Running:
    """A disk with its committer."""

    def __init__(self, directory: Path, nursery: trio.Nursery) -> None:
        self.side = OurSide(new_disk(directory, SMALL))
        self.disk = self.side.disk
        self.closed: list[Group] = []
        self.committer = Committer(self.disk.metadata, self.disk.stage, self.closed.append)
        nursery.start_soon(self.committer.run)

    def write(self, name: bytes, size: int) -> None:
        self.side.apply(("create", ((name,), 0o644)))
        self.side.apply(("open", (0, (name,), False)))
        assert self.side.apply(("write", (0, 0, b"x" * size))) == size
        self.side.close_all()


def committed_names(directory: Path) -> set[bytes]:
    """What another process would see."""
    with sqlite3.connect(directory / "disk.sqlite") as other:
        names = {name for (name,) in other.execute("SELECT name FROM names")}
    other.close()
    return names


async def test_everything_before_the_call_is_committed_when_it_returns(tmp_path: Path, nursery: trio.Nursery) -> None:
    running = Running(tmp_path, nursery)
    running.write(b"a", 50_000)
    await running.committer.commit()
    assert committed_names(tmp_path) == {b"a"}
    assert running.disk.stage.unsynced_bytes() == 0
    assert running.committer.may_append(1)


async def test_many_callers_share_commits(tmp_path: Path, nursery: trio.Nursery) -> None:
    running = Running(tmp_path, nursery)
    transactions: list[str] = []
    running.disk.database._connection.set_trace_callback(
        lambda sql: transactions.append(sql) if sql == "COMMIT" else None
    )

    async def change_and_commit(number: int) -> None:
        name = b"%d" % number
        running.write(name, 10)
        await running.committer.commit()
        assert name in committed_names(tmp_path)

    async with trio.open_nursery() as callers:
        for number in range(50):
            callers.start_soon(change_and_commit, number)
    assert 1 <= len(transactions) <= 5


async def test_a_closed_group_is_told_once_it_is_durable(tmp_path: Path, nursery: trio.Nursery) -> None:
    running = Running(tmp_path, nursery)
    running.write(b"a", 10)
    assert await running.committer.close_group() == 1
    assert [group.id for group in running.closed] == [1]
    assert await running.committer.close_group() == 1, "nothing changed: the newest closed group holds everything"
    running.write(b"b", 10)
    assert await running.committer.close_group() == 2
    assert [group.id for group in running.closed] == [1, 2]


async def test_a_full_group_is_closed_without_being_asked(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.local.stage.GROUP_BYTES", 20_000)
    running = Running(tmp_path, nursery)
    running.write(b"a", 25_000)
    running.committer.hurry()
    await running.committer.commit()
    assert [group.id for group in running.closed] == [1]


async def test_an_idle_group_is_closed_when_it_is_old(
    tmp_path: Path, nursery: trio.Nursery, mock_clock: trio.testing.MockClock
) -> None:
    running = Running(tmp_path, nursery)
    running.write(b"a", 10)
    await running.committer.commit()
    mock_clock.jump(limits.GROUP_AGE - 0.1)
    await running.committer.commit()
    assert not running.closed
    mock_clock.jump(0.2)
    await running.committer.commit()
    assert [group.id for group in running.closed] == [1]
    mock_clock.jump(10 * limits.GROUP_AGE)
    await running.committer.commit()
    assert len(running.closed) == 1


async def test_a_long_log_is_cut(tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coopfs.tasks.committer.WAL_CHECKPOINT_BYTES", 60_000)
    running = Running(tmp_path, nursery)
    for number in range(300):
        running.side.apply(("create", ((b"%d" % number,), 0o644)))
    await running.committer.commit()
    assert running.disk.database.wal_bytes() >= 60_000
    before = shape_of_ours(running.side)
    running.write(b"more", 10)
    await running.committer.commit()
    assert 0 < running.disk.database.wal_bytes() < 60_000
    assert shape_of_ours(running.side).keys() == before.keys() | {(b"more",)}


async def test_after_a_failure_nobody_is_told_that_it_is_durable(tmp_path: Path) -> None:
    with pytest.RaisesGroup(StateError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            running = Running(tmp_path, nursery)
            running.write(b"a", 10)
            running.disk.database.fail("pulled out")
            with pytest.raises(StateError, match="pulled out"):
                await running.committer.commit()
    with pytest.raises(StateError, match="pulled out"):
        await running.committer.commit()
    assert committed_names(tmp_path) == set()


async def test_a_group_written_faster_than_it_can_be_closed_does_not_grow_for_ever(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes its time for each sync; who writes meanwhile waits in the end."""
    monkeypatch.setattr("coopfs.local.stage.GROUP_BYTES", 100_000)
    monkeypatch.setattr("coopfs.tasks.committer.HELD_BACK_BYTES", 1)

    async def sync(self: Committer) -> None:
        self._stage.take_unsynced()
        await trio.sleep(1)

    monkeypatch.setattr(Committer, "_sync_stage", sync)
    running = Running(tmp_path, nursery)
    for number in range(50):
        await running.committer.until_may_append(20_000)
        running.write(str(number).encode(), 20_000)
        running.committer.hurry()
        await trio.sleep(0.01)
    await running.committer.close_group()
    sizes = [group.bytes for group in running.closed]
    assert sum(sizes) == 50 * 20_000
    assert 100_000 < max(sizes) <= 2 * 100_000
