"""What is measured: the local disk, the null filesystem, and a network of coopfs daemons. What is started here is ended
by whoever holds the `with`."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from benchlib import nullfs, slowlink
from coopfs.cli import client, detach
from coopfs.cli.client import Watch
from coopfs.demo import mounts
from coopfs.demo.exporting import export_kit
from coopfs.demo.network import OWNER, Network, free_ports
from coopfs.errors import CoopfsError, MountError, UsageError

DATA = 6
REDUNDANCY = 2
PARTNERS = tuple(f"p{number}" for number in range(1, DATA + REDUNDANCY + 1))
NODES = 1 + len(PARTNERS)
SMALL_CACHE = "32M"  # of a mount whose files are to be fetched
LINK_RATE = 12_500_000  # bytes per second of the slow line, each way: 100 Mbit/s
LINK_DELAY = 0.05  # seconds that it adds to each round trip
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


class Distant(Network):
    """A network whose owner is reached, and reaches others, through a slow line only. spares: nodes that are there, and
    no partners yet."""

    spares: tuple[str, ...] = ()

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        nodes = NODES + len(self.spares)
        self._outer = free_ports(2 * nodes)[nodes:]  # the daemons get the same ones, without these
        self._ways: dict[str, tuple[int, int]] = {}  # node -> port of the line, and of the daemon
        self._line: subprocess.Popen[str] | None = None

    def _way_to(self, name: str, address: str) -> str:
        outer = self._outer[len(self._ways)]
        self._ways[name] = outer, int(address.rpartition(":")[2])
        return f"127.0.0.1:{outer}"

    def start(self, names: Sequence[str], watch: Watch) -> None:
        super().start((*names, *self.spares), watch)

    def swap(self, partners: Sequence[str], size: int, watch: Watch) -> None:
        ways = [self._ways[OWNER], *(self._ways[name] for name in (*partners, *self.spares))]
        command = [sys.executable, str(Path(slowlink.__file__)), str(LINK_RATE), str(LINK_DELAY / 2)]
        command += [f"{outer}={inner}" for outer, inner in ways]
        self._line = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._line.stdout is not None
        if self._line.stdout.readline() != "ready\n":
            raise MountError("the slow line does not start")
        super().swap(partners, size, watch)

    def carried(self, rate: str = "") -> tuple[int, int]:
        """Bytes that the owner has sent so far, and got. rate: of the line from now on, if it is another one."""
        assert self._line is not None
        assert self._line.stdin is not None
        assert self._line.stdout is not None
        self._line.stdin.write(f"{rate}\n")
        self._line.stdin.flush()
        sent, got = self._line.stdout.readline().split()
        return int(sent), int(got)

    def end(self) -> None:
        try:
            super().end()
        finally:
            if self._line is not None:
                self._line.communicate(timeout=detach.START_TIMEOUT)
                self._line = None


T = TypeVar("T", bound=Network)


@contextlib.contextmanager
def network(kind: type[T], work: Path, content: int, watch: Watch) -> Iterator[T]:
    """An owner with a mounted 6+2 disk that can take `content` bytes, and its partners."""
    size = int(content * GROWTH / DATA) + SLACK
    # both sides of each agreement reserve; the owner stages the content; the local disk is measured with as much
    needed = 2 * size * len(PARTNERS) + 2 * content
    if needed > shutil.disk_usage(work).free:
        raise UsageError(f"{work} needs {needed / 1e9:.0f} GB free: choose another --dir, or smaller sizes")
    made = kind.create(work / kind.__name__.lower())
    try:
        made.start((OWNER, *PARTNERS), watch)
        made.swap(PARTNERS, size, watch)
        coding = {"data": DATA, "redundancy": REDUNDANCY, "block_size": None, "partners": None, "no_redundancy": False}
        client.call(made.home(OWNER), "format", coding, watch=watch)
        made.kit.touch(mode=0o600)
        export_kit(made.home(OWNER), made.kit)
        client.call(made.home(OWNER), "mount", {"mountpoint": str(made.mount), "options": []}, watch=watch)
        yield made
    finally:
        with contextlib.suppress(CoopfsError):  # all that can be ended is ended; the first error is the one to tell
            made.end()


def send_away(made: Network) -> None:
    """End all partners."""
    for name in PARTNERS:
        made.kill(name)


def call_back(made: Network, names: Sequence[str] = PARTNERS) -> None:
    """Start these partners again."""
    for name, child in [(n, made.adopt(n, detach.spawn(made.home(n), made.log(n)))) for n in names]:
        detach.wait_until_it_answers(made.home(name), child, made.log(name))


def forget(mountpoint: Path) -> bool:
    """Let the kernel forget what it knows of a mounted filesystem; only root can: False."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "--internal-only", "-o", "remount,rw", str(mountpoint)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def shrink_cache(made: Network) -> None:
    """Mount the owner's disk again with the smallest cache that its daemon takes, and nothing in the kernel's."""
    client.call(made.home(OWNER), "umount")
    options = {"mountpoint": str(made.mount), "options": [f"cache={SMALL_CACHE}"]}
    client.call(made.home(OWNER), "mount", options)
