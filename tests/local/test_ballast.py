"""Databases on file systems that others have filled to the last byte."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from coopfs.core.findings import Finding
from coopfs.errors import NotAsked
from coopfs.fs.handlers import Handlers
from coopfs.limits import DATABASE_GROWTH, ROOT_INO, WAL_ROOM
from coopfs.local.ballast import ballast_of
from coopfs.local.database import Database
from coopfs.local.questions import Question, Questioner
from coopfs.tasks.checking.asking import in_thread
from coopfs.tasks.writing.committer import Committer
from tests.fs.parts import Disk, commit, new_disk, open_disk

SIZE = WAL_ROOM + DATABASE_GROWTH + (60 << 20)
ME: Any = SimpleNamespace(uid=0, gid=0, pid=1, umask=0)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")


@pytest.fixture(params=["tmpfs", "ext4"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place, image = tmp_path / "small", tmp_path / "image"
    place.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs"]
    else:
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        command = ["mount", "-o", "loop", str(image)]
    if subprocess.run([*command, place], capture_output=True).returncode:
        pytest.skip(f"no {request.param} can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> Path:
    """Take every byte that is left."""
    path = place / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert os.statvfs(place).f_bavail == 0
    return path


def test_who_was_killed_finds_the_room_of_the_log_again(tmp_path: Path) -> None:
    """What it has written goes into the database, and the log with it."""
    path = tmp_path / "disk.sqlite"
    killed = Database.create(path)
    killed.hold_room()
    killed.set_fact("before", 1)
    killed.commit()
    log = Path(f"{path}-wal")
    if log.stat().st_blocks * 512 < WAL_ROOM:
        pytest.skip("this file system cannot allocate")
    database = Database(path)
    assert log.stat().st_size == 0
    assert log.stat().st_blocks * 512 >= WAL_ROOM
    killed.close()
    database.close()


def churn(disk: Disk, rounds: int) -> None:
    """Commits that change many pages, as deleting does; checkpoints now and then."""
    for number in range(rounds):
        disk.database.write("UPDATE names SET changed = ?", (number,))
        commit(disk)
        if disk.database.wal_bytes() > WAL_ROOM // 4:
            disk.database.checkpoint()


def prepared(place: Path) -> Disk:
    disk = new_disk(place)
    disk.database.hold_room()
    for ino in range(10, 2000):
        disk.metadata.names.add(1, b"%d" % ino + bytes(200), ino)
    commit(disk)
    return disk


def test_commits_and_checkpoints_go_on(small: Path) -> None:
    disk = prepared(small)
    filler = fill(small)
    churn(disk, 300)
    assert not disk.database.failed
    disk.close()
    filler.unlink()


@pytest.mark.slow
def test_whole_trees_are_deleted_at_full_speed(small: Path) -> None:
    """In an order that touches other pages each time, without a pause in which the log could begin anew."""
    disk = new_disk(small)
    disk.database.hold_room()

    async def delete() -> None:
        async with trio.open_nursery() as nursery:
            committer = Committer(disk.metadata, disk.stage, lambda group: None)
            nursery.start_soon(committer.run)
            handlers = Handlers(disk, committer)
            names = [b"%d" % number + b"x" * 60 for number in range(80_000)]
            for name in names:
                await handlers.mknod(ROOT_INO, name, 0o100644, 0, ME)
            await committer.close_group()
            fill(small)
            Random(1).shuffle(names)
            for name in names:
                await handlers.unlink(ROOT_INO, name, ME)
                await trio.lowlevel.checkpoint()
            await committer.close_group()
            nursery.cancel_scope.cancel()

    trio.run(delete)
    assert disk.metadata.names.empty(ROOT_INO)
    disk.close()


def test_a_long_question_ends_when_the_log_finds_no_more_room(small: Path) -> None:
    """While it reads, the log cannot begin anew."""
    disk = prepared(small)
    fill(small)
    endless = "WITH RECURSIVE count(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM count) SELECT max(i) FROM count, names"
    question, asker = Question("?", endless, _never), Questioner(disk.database.path)

    async def change(committer: Committer, rounds: int) -> None:
        for number in range(rounds):
            disk.database.write("UPDATE names SET changed = ?", (number,))
            await committer.commit()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            committer = Committer(disk.metadata, disk.stage, lambda group: None)
            nursery.start_soon(committer.run)
            async with trio.open_nursery() as busy:
                busy.start_soon(change, committer, 400)
                with pytest.raises(NotAsked, match="changed too much"):
                    await in_thread(asker, lambda: asker.ask(question, {}), disk.database)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert not disk.database.failed
    asker.close()
    disk.close()


def _never(row: tuple[Any, ...]) -> Finding:
    raise AssertionError("nobody answers")


def test_the_room_is_what_is_allocated_and_what_is_free(small: Path) -> None:
    disk = prepared(small)
    free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
    assert disk.database.room() == pytest.approx(free + WAL_ROOM, abs=1 << 20)
    fill(small)
    assert disk.database.room() == pytest.approx(WAL_ROOM, abs=1 << 20)
    churn(disk, 20)
    assert disk.database.room() == pytest.approx(WAL_ROOM - disk.database.wal_bytes(), abs=1 << 20)
    disk.close()


def test_a_disk_that_was_closed_is_opened_and_goes_on(small: Path) -> None:
    disk = prepared(small)
    fill(small)
    for _ in range(3):
        disk.close()
        assert ballast_of(disk.database.path).exists()
        with (small / "filler 2").open("ab", buffering=0) as file, suppress(OSError):
            file.write(bytes(1 << 30))
        disk = open_disk(small)
        assert not ballast_of(disk.database.path).exists()
        disk.database.hold_room()
        churn(disk, 60)
    disk.close()


def test_without_that_room_the_first_large_change_fails(small: Path) -> None:
    disk = prepared(small)
    disk.close()
    ballast_of(disk.database.path).unlink()
    disk = open_disk(small)
    fill(small)
    with pytest.raises(Exception, match="full"):
        churn(disk, 300)
    disk.close()


def test_who_cannot_be_opened_for_want_of_space_is_not_called_damaged(small: Path) -> None:
    disk = new_disk(small)
    disk.close()
    fill(small)
    with pytest.raises(Exception, match="is there space left"):
        Database(disk.database.path)
