"""Reads that wait for partners do not hold up anything else, and can be ended."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fs.server import PROJECT, REAL_MOUNTS, START_TIMEOUT, Server, is_mounted, unmount

pytestmark = REAL_MOUNTS

READERS = 400  # more than the kernel sends in the background unasked, or pyfuse3 serves
SIZE = 200_000  # bytes of each file that is far away: enough to be read ahead


def evict_all(disk: Path) -> None:
    """Let the content of a disk that nobody has open be with partners only."""
    with sqlite3.connect(disk / "disk.sqlite") as database:
        database.execute("UPDATE stripes SET layout = 1, row = id, version = id WHERE row IS NULL")
    database.close()
    for file in (disk / "stage").iterdir():
        file.unlink()


@pytest.fixture
def far(server: Server) -> Path:
    """A directory of as many files as there are readers, whose content is not here."""
    far = server.mountpoint / "far"
    far.mkdir()
    for number in range(READERS):
        (far / str(number)).write_bytes(b"x" * SIZE)
    server.stop()
    evict_all(server.disk)
    os.mkfifo(server.disk / "gate")
    server.start(str(server.disk / "gate"))
    return far


def readers(far: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fs.readers", str(far), str(READERS)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def use(mnt: Path) -> None:
    """What goes on."""
    near = mnt / "near"
    with near.open("wb") as file:
        file.write(b"near" * 300_000)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert near.read_bytes() == b"near" * 300_000
    assert near.stat().st_size == 1_200_000
    assert os.statvfs(mnt).f_namemax == 255
    near.rename(mnt / "nearer")
    (mnt / "nearer").unlink()
    assert os.listdir(mnt) == ["far"]
    (mnt / "far" / "0").chmod(0o600)


def test_the_mount_goes_on_while_hundreds_of_reads_wait(server: Server, far: Path) -> None:
    crowd = readers(far)
    server.wait_for(f"waiting {READERS}")
    use(server.mountpoint)
    (server.disk / "gate").write_bytes(b"open")
    said, _ = crowd.communicate(timeout=START_TIMEOUT)
    assert said == f"{READERS}\n"
    server.stop()


def test_readers_that_wait_can_be_killed_and_the_mount_taken_away(server: Server, far: Path) -> None:
    crowd = readers(far)
    server.wait_for(f"waiting {READERS}")
    crowd.kill()
    crowd.communicate(timeout=START_TIMEOUT)
    use(server.mountpoint)
    server.stop()  # though nobody has answered their reads


def test_readers_that_wait_end_with_the_mount(server: Server, far: Path) -> None:
    crowd = readers(far)
    server.wait_for(f"waiting {READERS}")
    with pytest.raises(subprocess.CalledProcessError):
        unmount(server.mountpoint)  # it is in use
    subprocess.run(["fusermount3", "-u", "-z", server.mountpoint], check=True)
    assert not is_mounted(server.mountpoint)
    assert crowd.poll() is None, "who has a file open keeps it"
    server.kill()
    said, _ = crowd.communicate(timeout=START_TIMEOUT)
    assert said == "0\n"
