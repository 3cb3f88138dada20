"""What is measured: the local disk, the null filesystem, and a network of coopfs daemons. What is started here is ended
by whoever holds the `with`."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchlib import nullfs
from coopfs.cli import client, detach
from coopfs.cli.client import Watch
from coopfs.demo import mounts
from coopfs.demo.network import OWNER, Network
from coopfs.errors import CoopfsError, MountError, UsageError

DATA = 6
REDUNDANCY = 2
PARTNERS = tuple(f"p{number}" for number in range(1, DATA + REDUNDANCY + 1))
GROWTH = 1.5  # stripes that are cut short, metadata
SLACK = 128 << 20  # bytes on each partner: index, rows kept for deletes, groups in flight


@contextlib.contextmanager
def null_filesystem(work: Path) -> Iterator[Path]:
    """A mounted filesystem that does nothing. MountError: it does not start."""
    mountpoint = work / "null"
    mountpoint.mkdir()
    command = [sys.executable, str(Path(nullfs.__file__)), str(mountpoint)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdout is not None
        try:
            if server.stdout.readline() != b"ready\n":
                raise MountError("the null filesystem does not start")
            yield mountpoint
        finally:
            mounts.unmount(mountpoint)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(detach.START_TIMEOUT)
            server.kill()


@contextlib.contextmanager
def network(work: Path, content: int, watch: Watch) -> Iterator[Network]:
    """An owner with a mounted 6+2 disk that can take `content` bytes, and its partners."""
    size = int(content * GROWTH / DATA) + SLACK
    # both sides of each agreement reserve; the owner stages the content; the local disk is measured with as much
    needed = 2 * size * len(PARTNERS) + 2 * content
    if needed > shutil.disk_usage(work).free:
        raise UsageError(f"{work} needs {needed / 1e9:.0f} GB free: choose another --dir, or smaller sizes")
    made = Network.create(work / "network")
    try:
        made.start((OWNER, *PARTNERS), watch)
        made.swap(PARTNERS, size, watch)
        coding = {"data": DATA, "redundancy": REDUNDANCY, "block_size": None, "partners": None, "no_redundancy": False}
        client.call(made.home(OWNER), "format", coding, watch=watch)
        made.kit.touch(mode=0o600)
        made.kit.write_text(client.call(made.home(OWNER), "kit_export")["text"], encoding="utf-8")
        client.call(made.home(OWNER), "mount", {"mountpoint": str(made.mount), "options": []}, watch=watch)
        yield made
    finally:
        with contextlib.suppress(CoopfsError):  # all that can be ended is ended; the first error is the one to tell
            made.end()


def send_away(made: Network) -> None:
    """End all partners."""
    for name in PARTNERS:
        made.kill(name)


def call_back(made: Network) -> None:
    """Start all partners again."""
    for name, child in [(n, made.adopt(n, detach.spawn(made.home(n), made.log(n)))) for n in PARTNERS]:
        detach.wait_until_it_answers(made.home(name), child, made.log(name))


def forget(mountpoint: Path) -> bool:
    """Let the kernel forget what it knows of a mounted filesystem; only root can: False."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "--internal-only", "-o", "remount,rw", str(mountpoint)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
