"""A process that serves a mount, and what tests do with mounts from outside."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
START_TIMEOUT = 30  # seconds
REAL_MOUNTS = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


class Server:
    """A process that serves one disk at one mountpoint. arguments: further ones of serve_local."""

    def __init__(self, home: Path) -> None:
        self.disk = home / "disk"
        self.mountpoint = home / "mnt"
        self.mountpoint.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.fs.serve_local", str(self.disk), str(self.mountpoint), *arguments]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, bufsize=0)
        self.wait_for("ready")

    def wait_for(self, said: str) -> None:
        """Until it says this line."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = None
        while line != f"{said}\n".encode():
            ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT)
            assert ready, f"the server does not say {said!r}, the last was {line!r}"
            line = self._process.stdout.readline()
            assert line, f"the server ended before it said {said!r}"

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self.end()

    def stop(self) -> None:
        """Unmount; the server ends by itself."""
        unmount(self.mountpoint)
        self.end()

    def end(self) -> None:
        """Wait until it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(timeout=START_TIMEOUT)
        self._process.stdout.close()
        self._process = None

    def clean_up(self) -> None:
        if self._process is not None:
            self.kill()
        if is_mounted(self.mountpoint):
            subprocess.run(["fusermount3", "-u", "-z", self.mountpoint], check=True)


def unmount(mountpoint: Path) -> None:
    subprocess.run(["fusermount3", "-u", mountpoint], check=True)


def is_mounted(mountpoint: Path) -> bool:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return any(line.split()[1] == str(mountpoint) for line in lines)
