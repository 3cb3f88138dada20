"""Real nodes below one work directory: homes, daemons, mounts. Built on the demo's network, which ends all by pid.

Partners p1..p8 serve every owner of a test session; each test that needs a disk makes an owner of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from coopfs.cli import client, detach
from coopfs.cli.client import ignore_progress
from coopfs.demo import mounts, process
from coopfs.demo.network import Network
from coopfs.errors import CoopfsError, MountError
from tests.e2e.commands import Said, coopfs, mount_coopfs, well
from tests.e2e.waiting import until

MIB = 1 << 20
PARTNERS = tuple(f"p{number}" for number in range(1, 9))
SHARE = 48 * MIB  # bytes each partner gives an owner: 380 rows
BLOCK = 128 * 1024  # bytes; k = 1 needs 88 KiB or more

_SERIOUS = re.compile(r"^[-\d]+ [\d:,]+ (WARNING|ERROR|CRITICAL) |^\s*\|?\s*Traceback|Warning: ")


class World:
    """All that runs. expected: patterns of warnings that a test causes on purpose."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.network = Network.create(work)
        self.expected: list[str] = []
        self._read: dict[Path, int] = {}  # log -> bytes judged already

    # --- daemons --------------------------------------------------------------------------------------------------

    def home(self, name: str) -> Path:
        return self.network.home(name)

    def start(self, *names: str) -> None:
        """New homes with their daemons."""
        self.network.start(names, ignore_progress)

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        for name in names:
            self.network.kill(name)

    def restart(self, *names: str) -> None:
        """Daemons of homes that exist."""
        children = [
            (name, self.network.adopt(name, detach.spawn(self.home(name), self.network.log(name)))) for name in names
        ]
        for name, child in children:
            detach.wait_until_it_answers(self.home(name), child, self.network.log(name))

    def launch(self, name: str, *command: str | Path) -> None:
        """The daemon of a home that exists, by another command than usual."""
        log = self.network.log(name)
        with log.open("ab") as output:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self.network.adopt(name, child)
        detach.wait_until_it_answers(self.home(name), child, log)

    def launch_with_clock(self, name: str, offset: Path) -> None:
        """The same, with a wall clock that is off by the seconds in a file."""
        self.launch(
            name, sys.executable, "-m", "tests.e2e.daemon_with_clock", offset, "--home", self.home(name), "serve"
        )

    def stop(self, name: str) -> None:
        """`coopfs stop`."""
        well(coopfs("stop", home=self.home(name)))
        with suppress(KeyError):
            self.network.kill(name)

    def wait_until_gone(self, name: str) -> None:
        """Until no daemon runs for this home."""
        until(lambda: pid_of(self.home(name)) is None)

    def call(self, node: str, call: str, **arguments: object) -> dict[str, Any]:
        """A control call, without the cost of a command."""
        return client.call(self.home(node), call, arguments, timeout=120.0)

    def swap(self, owner: str, partners: Sequence[str], size: int = SHARE) -> None:
        """The owner and each partner give each other so many bytes."""
        for partner in partners:
            code = self.call(owner, "partner_invite", size=size)["code"]
            self.call(partner, "partner_accept", code=code)

    def owner(
        self,
        name: str,
        *,
        data: int = 6,
        redundancy: int = 2,
        partners: Sequence[str] = PARTNERS,
        size: int = SHARE,
        start: Callable[["World", str], None] | None = None,
    ) -> "Owner":
        """A new node with a disk on these partners. start: makes and starts the node in another way than usual."""
        if start is None:
            self.start(name)
        else:
            start(self, name)
        self.swap(name, partners, size)
        coding = {"data": data, "redundancy": redundancy, "block_size": BLOCK, "partners": None, "no_redundancy": False}
        self.call(name, "format", **coding)
        return Owner(self, name)

    # --- the end --------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Whatever a test did: no mounts, no owners, all partners."""
        for mountpoint in self.mountpoints():
            mounts.unmount(mountpoint)
        for home in (self.work / "nodes").iterdir():
            if home.name not in PARTNERS:
                self._end_daemon_of(home)
                shutil.rmtree(home)
        self.restart(*(name for name in PARTNERS if pid_of(self.home(name)) is None))

    def complaints(self, *others: Path) -> list[str]:
        """Warnings, errors and tracebacks in the logs since the last look that nobody expected. others: logs that do
        not lie with the rest, as of a daemon that a mount helper has started."""
        found = []
        for log in (*sorted((self.work / "logs").iterdir()), *filter(Path.exists, others)):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                text = file.read().decode(errors="replace")
                self._read[log] = file.tell()
            found += [
                f"{log.name}: {line}"
                for line in text.splitlines()
                if _SERIOUS.search(line) and not any(re.search(pattern, line) for pattern in self.expected)
            ]
        self.expected.clear()
        return found

    def end(self) -> None:
        """Unmount and end everything, also what a command started by itself."""
        for mountpoint in self.mountpoints():
            mounts.unmount(mountpoint)
        with suppress(MountError):
            self.network.end()
        for home in (self.work / "nodes").iterdir():
            self._end_daemon_of(home)

    def mountpoints(self) -> list[Path]:
        """Below the work directory, the newest first."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
        return [point for point in reversed(points) if point.is_relative_to(self.work)]

    def _end_daemon_of(self, home: Path) -> None:
        pid = pid_of(home)
        if pid is not None:
            with suppress(CoopfsError):
                process.kill(process.identify(home.name, pid))


class Owner:
    """A node with a disk, its mountpoint and its kit."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.home = world.home(name)
        self.mount_point = world.work / f"{name} mounted"
        self.view = world.work / f"{name} restored"
        self.kit = world.work / f"{name}.kit"
        self.mount_point.mkdir(exist_ok=True)
        self.view.mkdir(exist_ok=True)

    @property
    def log(self) -> Path:
        return self.world.network.log(self.name)

    @property
    def disk(self) -> Path:
        """HOME/disks/<disk id>."""
        (directory,) = (self.home / "disks").iterdir()
        return directory

    def export_kit(self) -> None:
        made = self.world.call(self.name, "kit_export")
        self.kit.write_text(made["text"])
        self.world.call(self.name, "kit_written", key=made["key"], date=made["date"])

    def mount(self) -> Path:
        """By the real helper."""
        well(mount_coopfs(self.home, self.mount_point))
        return self.mount_point

    def sync(self, *, complete: bool) -> None:
        self.world.call(self.name, "sync", path=None, complete=complete)

    def status(self) -> dict[str, Any]:
        """What `coopfs status --json` prints of the disk."""
        answer: dict[str, Any] = json.loads(well(coopfs("status", "--json", home=self.home)).out)["disk"]
        return answer

    def columns(self) -> dict[str, dict[str, Any]]:
        """Partner name -> its column, from a quick control call."""
        disk = self.world.call(self.name, "status")["disk"]
        return {column["partner"]: column for column in disk["columns"]}

    def wait_for_partners(self, *names: str) -> None:
        """Until the columns of these partners are open."""
        until(lambda: all(self.columns()[name]["state"] in ("caught up", "catching up") for name in names))

    def kill(self) -> None:
        """SIGKILL the daemon, whoever started it."""
        pid = pid_of(self.home)
        assert pid is not None
        process.kill(process.identify(self.name, pid))

    def lose(self) -> None:
        """The machine burns: its daemon is killed, its home is gone."""
        if pid_of(self.home) is not None:
            self.kill()
        mounts.unmount(self.mount_point)
        shutil.rmtree(self.home)

    def restore(self, *options: str) -> Said:
        """`coopfs restore mount`, its messages in the log `NAME-view`."""
        log = self.world.network.log(f"{self.name}-view")
        return coopfs("restore", "mount", f"--log={log}", *options, self.kit, self.view)

    @property
    def view_log(self) -> str:
        return self.world.network.log(f"{self.name}-view").read_text()


def pid_of(home: Path) -> int | None:
    """The daemon that runs for a home: the pid in its lock file, if that process names the home."""
    try:
        pid = int((home / "lock").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(home) in command.split(b"\0") else None


def wait_for_end(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that is about to end."""
    return child.wait(60.0)


def files_below(top: Path) -> Iterator[Path]:
    """All regular files."""
    for directory, _, names in os.walk(os.fsencode(top)):
        for name in names:
            path = Path(os.fsdecode(os.path.join(directory, name)))
            if path.is_file() and not path.is_symlink():
                yield path
