"""The limits of the filesystem: where ext4 has the same they are answered alike, and where ours are wider they hold."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coopfs.fs.posix import PosixError
from coopfs.limits import LINK_MAX, ROOT_INO
from tests.fs.limits import LAST
from tests.fs.operations import ROOT
from tests.fs.parts import new_disk
from tests.fs.server import PROJECT, REAL_MOUNTS, Server

NOBODY = 65534


def answers(directory: Path, other: Path, user: int | None) -> list[str]:
    """What tests.fs.limits prints there, as this user."""
    relative = os.path.join("..", other.name) if other.parent == directory.parent else str(other)
    command = [sys.executable, "-m", "tests.fs.limits", relative]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, **who)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout).splitlines()


def is_open_to_all(path: Path) -> bool:
    return all(directory.stat().st_mode & 0o001 for directory in (path, *path.parents))


@pytest.mark.slow
@REAL_MOUNTS[1]
@pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "nobody"])
def test_limits_are_answered_as_elsewhere(user: int | None, server: Server, tmp_path: Path) -> None:
    if user is not None and not (ROOT and is_open_to_all(PROJECT)):
        pytest.skip("no other user can run this")
    tmp_path.chmod(0o755)
    ours, real = server.mountpoint, tmp_path / "real"
    real.mkdir()
    for directory in (ours, real):
        os.chown(directory, user or os.geteuid(), -1)
    wanted = answers(real, ours, user)
    found = answers(ours, real, user)
    assert len(wanted) > 80
    assert found == wanted
    server.stop()


@pytest.mark.slow
@REAL_MOUNTS[1]
def test_files_may_be_as_large_as_offsets(mnt: Path, server: Server) -> None:
    file = os.open(mnt / "huge", os.O_CREAT | os.O_RDWR)
    for size in (1 << 44, 1 << 62, LAST):
        os.ftruncate(file, size)
        assert os.fstat(file).st_size == size
    assert os.pwrite(file, b"123", LAST - 3) == 3
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        os.pwrite(file, b"x", LAST)  # there is no offset behind it
    os.pwrite(file, b"middle", 1 << 50)
    os.close(file)
    server.stop()
    server.start()
    file = os.open(mnt / "huge", os.O_RDONLY)
    assert os.pread(file, 5, LAST - 5) == b"\0\x00123"
    assert os.pread(file, 10, (1 << 50) - 2) == b"\0\0middle\0\0"
    assert os.lseek(file, 0, os.SEEK_DATA) == 0, "holes are not told"
    assert os.lseek(file, 0, os.SEEK_HOLE) == LAST
    status = os.fstat(file)
    assert (status.st_size, status.st_blocks) == (LAST, 1)
    os.close(file)
    server.stop()


def test_an_inode_has_so_many_names_and_no_more(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    node = disk.tree.create(ROOT_INO, b"one", 0o100644, 0, 0)
    disk.metadata.put(node._replace(nlink=LINK_MAX - 1))
    disk.tree.link(node.ino, ROOT_INO, b"the last")
    with pytest.raises(PosixError) as refused:
        disk.tree.link(node.ino, ROOT_INO, b"one too many")
    assert refused.value.errno == errno.EMLINK
    disk.close()
