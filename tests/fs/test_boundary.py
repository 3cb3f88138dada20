"""Whatever happens in a request, the kernel gets an errno, and half a change is never committed."""

import errno
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyfuse3 import FUSEError

from coopfs.errors import OutOfSpace, StateError
from coopfs.fs.callers import Caller
from coopfs.fs.disk import Disk
from coopfs.fs.entries import Entries
from coopfs.fs.files import Changes
from coopfs.fs.handlers import Handlers
from coopfs.fs.ports import NothingToCommit, ReadOnlySpace
from coopfs.limits import ROOT_INO
from coopfs.local.disk import LocalDisk, create_disk
from tests.fs.parts import SMALL, AllowAll, NoPartners, commit, new_disk, state_of, ticking

ME: Any = SimpleNamespace(uid=0, gid=0, pid=1, umask=0)


class Full(AllowAll):
    def admit(self, data_bytes: int, images: int) -> None:
        raise OutOfSpace("no row is left")


class Broken(AllowAll):
    """A mistake of ours, in the middle of an operation."""

    def admit(self, data_bytes: int, images: int) -> None:
        raise ZeroDivisionError("a mistake")


def handlers_with(directory: Path, space: Any) -> Handlers:
    create_disk(directory, ticking(), 0, 0, SMALL)
    disk = Disk(LocalDisk(directory, ticking()), space, NoPartners(), state_of)
    return Handlers(disk, NothingToCommit())


async def errno_of(call: Any) -> str:
    with pytest.raises(FUSEError) as refused:
        await call
    return errno.errorcode[refused.value.errno]


async def test_no_space_is_enospc_and_deleting_still_works(tmp_path: Path) -> None:
    handlers = handlers_with(tmp_path, AllowAll())
    await handlers.mkdir(ROOT_INO, b"a", 0o755, ME)
    commit(handlers.disk)
    handlers.disk.close()
    handlers = Handlers(Disk(LocalDisk(tmp_path, ticking()), Full(), NoPartners(), state_of), NothingToCommit())
    assert await errno_of(handlers.mkdir(ROOT_INO, b"b", 0o755, ME)) == "ENOSPC"
    handlers.disk.files.set_attributes(ROOT_INO, Changes(mode=0o700), Caller(0, 0, 1))
    await handlers.rmdir(ROOT_INO, b"a", ME)
    assert not handlers.disk.database.failed
    handlers.disk.close()


async def test_nothing_is_read_of_what_the_database_has_taken_back(tmp_path: Path) -> None:
    """SQLite has undone the transaction, and sizes in memory are of what its tables do not say any more."""
    handlers = handlers_with(tmp_path, AllowAll())
    info, _ = await handlers.create(ROOT_INO, b"a", 0o644, 2, ME)
    commit(handlers.disk)
    await handlers.write(info.fh, 0, b"new content")
    assert bytes(await handlers.read(info.fh, 0, 100)) == b"new content"
    handlers.disk.database._connection.execute("ROLLBACK")
    handlers.disk.database.fail("the disk is full")
    assert await errno_of(handlers.read(info.fh, 0, 100)) == "EIO"
    assert await errno_of(handlers.lookup(ROOT_INO, b"a", ME)) == "EIO"
    handlers.disk.close()


async def test_times_that_the_database_cannot_hold_are_cut(tmp_path: Path) -> None:
    """Any user may set them, and programs that copy do."""
    handlers = handlers_with(tmp_path, AllowAll())
    await handlers.mknod(ROOT_INO, b"a", 0o100644, 0, ME)
    ino = handlers.disk.tree.lookup(ROOT_INO, b"a").ino
    for time, kept in ((1 << 63, (1 << 63) - 1), (-(1 << 70), -(1 << 63)), ((1 << 63) - 1, (1 << 63) - 1)):
        node = handlers.disk.files.set_attributes(ino, Changes(atime=time, mtime=time), Caller(0, 0, 1))
        assert (node.atime, node.mtime) == (kept, kept)
        commit(handlers.disk)
    handlers.disk.close()


async def test_a_restore_view_refuses_every_change(tmp_path: Path) -> None:
    handlers = handlers_with(tmp_path, AllowAll())
    await handlers.mknod(ROOT_INO, b"a", 0o100644, 0, ME)
    commit(handlers.disk)
    handlers.disk.close()
    space = ReadOnlySpace(1 << 30)
    handlers = Handlers(Disk(LocalDisk(tmp_path, ticking()), space, NoPartners(), state_of), NothingToCommit())
    ino = handlers.disk.tree.lookup(ROOT_INO, b"a").ino
    for call in [
        handlers.mkdir(ROOT_INO, b"b", 0o755, ME),
        handlers.unlink(ROOT_INO, b"a", ME),
        handlers.rename(ROOT_INO, b"a", ROOT_INO, b"b", 0, ME),
        handlers.link(ino, ROOT_INO, b"b", ME),
        handlers.setxattr(ino, b"user.x", b"", ME),
        handlers.open(ino, 0o1001, ME),  # O_WRONLY | O_TRUNC
    ]:
        assert await errno_of(call) == "EROFS"
    assert (await handlers.getattr(ino, ME)).st_nlink == 1
    handlers.disk.close()


async def test_a_mistake_of_ours_is_eio_said_and_never_committed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = handlers_with(tmp_path, Broken())
    with caplog.at_level(logging.ERROR):
        assert await errno_of(handlers.mkdir(ROOT_INO, b"a", 0o755, ME)) == "EIO"
    assert "a mistake" in caplog.text
    with pytest.raises(StateError, match="restart"):
        handlers.disk.database.commit()
    assert (await handlers.getattr(ROOT_INO, ME)).st_nlink == 2, "reading goes on"
    handlers.disk.close()


async def test_content_that_is_nowhere_is_eio(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    handlers = Handlers(disk, NothingToCommit())
    info, _ = await handlers.create(ROOT_INO, b"a", 0o644, 2, ME)
    assert await handlers.write(info.fh, 0, b"x" * 100) == 100
    assert await handlers.read(info.fh, 0, 200) == b"x" * 100
    disk.stage.close_stripe()
    disk.stage.remove([1])
    assert await errno_of(handlers.read(info.fh, 0, 200)) == "EIO"
    disk.close()


async def test_an_answer_is_made_once_and_again_after_a_change(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    handlers = Handlers(disk, NothingToCommit())
    info, created = await handlers.create(ROOT_INO, b"a", 0o644, 2, ME)
    assert await handlers.lookup(ROOT_INO, b"a", ME) is created
    await handlers.write(info.fh, 0, b"x" * 100)
    written = await handlers.getattr(created.st_ino, ME)
    assert (created.st_size, written.st_size) == (0, 100)
    assert await handlers.lookup(ROOT_INO, b"a", ME) is written
    disk.close()


async def test_answers_kept_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coopfs.fs.entries.CACHED_ENTRIES", 10)
    disk = new_disk(tmp_path)
    entries = Entries()
    for number in range(100):
        assert entries.of(disk.tree.create(ROOT_INO, b"%d" % number, 0o100600, 0, 0, 0)).st_mode == 0o100600
    assert len(entries._known) <= 10
    disk.close()


async def test_the_kernel_is_told_that_close_needs_no_request(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    handlers = Handlers(disk, NothingToCommit())
    info, _ = await handlers.create(ROOT_INO, b"a", 0o644, 2, ME)
    assert await errno_of(handlers.flush(info.fh)) == "ENOSYS"
    disk.close()
