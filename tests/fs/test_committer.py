"""Commits: shared, complete, and never followed by an answer when the disk failed."""

import itertools
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from pyfuse3 import FUSEError

from coopfs import limits
from coopfs.errors import StateError
from coopfs.fs.handlers import Handlers
from coopfs.limits import ROOT_INO
from coopfs.local.groups import Group, State
from coopfs.tasks.writing.committer import Committer
from tests.fs.operations import OurSide
from tests.fs.parts import SMALL, new_disk
from tests.fs.shapes import shape_of_ours

ME: Any = SimpleNamespace(uid=0, gid=0, pid=1, umask=0)


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
    assert running.disk.stage.unsynced_bytes == 0
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


async def test_a_group_is_closed_for_who_asks(tmp_path: Path, nursery: trio.Nursery) -> None:
    running = Running(tmp_path, nursery)
    running.write(b"a", 10)
    assert await running.committer.close_group() == 1
    assert [group.id for group in running.closed] == [1]
    assert await running.committer.close_group() == 1, "nothing changed: the newest closed group holds everything"
    running.write(b"b", 10)
    assert await running.committer.close_group() == 2
    assert [group.id for group in running.closed] == [1, 2]
    assert committed_names(tmp_path) == {b"a", b"b"}


async def test_a_full_group_is_closed_at_once_and_durable_with_the_next_commit(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.local.stage.GROUP_BYTES", 20_000)
    running = Running(tmp_path, nursery)
    for number in range(5):
        running.write(b"%d" % number, 15_000)
        running.committer.hurry()
    assert [(group.id, group.bytes) for group in running.closed] == [(1, 30_000), (2, 30_000)]
    assert committed_names(tmp_path) == set()
    await running.committer.commit()
    assert committed_names(tmp_path) == {b"%d" % number for number in range(5)}
    assert [group.id for group in running.disk.metadata.groups.of_state(State.CLOSED)] == [1, 2]


async def test_what_died_in_a_group_closed_early_goes_after_the_commit(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.local.stage.GROUP_BYTES", 20_000)
    running = Running(tmp_path, nursery)
    running.write(b"a", 15_000)
    running.side.apply(("unlink", ((b"a",),)))
    running.write(b"b", 15_000)
    running.committer.hurry()
    assert [group.id for group in running.closed] == [1]
    stage = tmp_path / "stage"
    before = {int(path.name) for path in stage.iterdir()}
    await running.committer.commit()
    assert {int(path.name) for path in stage.iterdir()} < before
    assert running.side.content(running.disk.tree.lookup(ROOT_INO, b"b").ino, 0, 20_000) == b"x" * 15_000


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
    monkeypatch.setattr("coopfs.tasks.writing.committer.WAL_CHECKPOINT_BYTES", 60_000)
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


async def test_a_log_is_cut_while_something_is_changed_all_the_time(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deletes by the thousand is never idle, and on a full disk the log has only so much room."""
    monkeypatch.setattr("coopfs.tasks.writing.committer.WAL_CHECKPOINT_BYTES", 60_000)
    monkeypatch.setattr("coopfs.tasks.writing.committer.WAL_HARD_BYTES", 120_000)
    running = Running(tmp_path, nursery)

    async def change() -> None:
        for number in itertools.count():
            running.side.apply(("create", ((b"%d" % number,), 0o644)))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(change)
    sizes = []
    for _ in range(60):
        await running.committer.commit()
        sizes.append(running.disk.database.wal_bytes())
    nursery.cancel_scope.cancel()
    assert max(sizes) >= 60_000
    assert any(after < before for before, after in itertools.pairwise(sizes))


async def test_changes_wait_while_one_commit_would_become_too_large(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.tasks.writing.committer.CHANGES_SOON", 50)
    monkeypatch.setattr("coopfs.tasks.writing.committer.CHANGES_MOST", 100)
    running = Running(tmp_path, nursery)
    handlers, most = Handlers(running.disk, running.committer), 0
    for number in range(100):
        await handlers.mkdir(ROOT_INO, b"%d" % number, 0o755, ME)
        most = max(most, running.disk.metadata.uncommitted)
    for number in range(100):
        await handlers.rmdir(ROOT_INO, b"%d" % number, ME)
        most = max(most, running.disk.metadata.uncommitted)
    assert 100 < most < 120


async def test_who_waits_to_change_something_is_told_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.tasks.writing.committer.CHANGES_MOST", 1)
    with pytest.RaisesGroup(StateError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            running = Running(tmp_path, nursery)
            running.write(b"a", 10)
            running.disk.database.fail("pulled out")
            handlers = Handlers(running.disk, running.committer)
            with trio.CancelScope(shield=True), pytest.raises(FUSEError):
                await handlers.mkdir(ROOT_INO, b"b", 0o755, ME)


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


async def test_nobody_waits_for_who_commits_no_more(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """As a partner's goodbye, which is heard to its end while the daemon stops."""
    refused: list[StateError] = []

    async def commit(running: Running) -> None:
        with trio.CancelScope(shield=True), trio.fail_after(3600), pytest.raises(StateError) as told:
            await running.committer.commit()
        refused.append(told.value)

    async with trio.open_nursery() as nursery:
        running = Running(tmp_path, nursery)
        await trio.testing.wait_all_tasks_blocked()
        running.write(b"a", 10)
        nursery.start_soon(commit, running)
        nursery.cancel_scope.cancel()
    await commit(running)
    with trio.CancelScope() as scope:
        scope.cancel()
        await running.committer.commit()
    assert scope.cancelled_caught, "who ends with the disk has not failed"
    assert [str(error) for error in refused] == ["the disk is closed"] * 2


async def test_who_writes_faster_than_the_disk_waits_in_the_end(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes its time for each sync; what has still to be synced is bounded, and so are groups."""
    monkeypatch.setattr("coopfs.local.stage.GROUP_BYTES", 50_000)
    monkeypatch.setattr("coopfs.tasks.writing.committer.SYNC_EARLY_BYTES", 60_000)
    monkeypatch.setattr("coopfs.tasks.writing.committer.UNSYNCED_MAX", 100_000)
    monkeypatch.setattr("coopfs.tasks.writing.committer.HELD_BACK_BYTES", 1)
    synced: list[float] = []

    async def sync(self: Committer) -> None:
        synced.append(trio.current_time())
        self._stage.take_unsynced()
        await trio.sleep(1)

    monkeypatch.setattr(Committer, "_sync_stage", sync)
    running = Running(tmp_path, nursery)
    most = 0
    for number in range(50):
        await running.committer.until_may_append(20_000)
        running.write(str(number).encode(), 20_000)
        running.committer.hurry()
        most = max(most, running.disk.stage.unsynced_bytes)
        await trio.sleep(0.01)
    assert 60_000 < most < 120_000
    assert synced[0] < limits.COMMIT_INTERVAL
    await running.committer.close_group()
    sizes = [group.bytes for group in running.closed]
    assert sum(sizes) == 50 * 20_000
    assert max(sizes) < 50_000 + 20_000
