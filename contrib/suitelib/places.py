"""Where programs are tried: a mounted coopfs disk with real daemons, and a plain directory beside it."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchlib.costs import peak_memory

from coopfs.cli import client, detach
from coopfs.cli.client import ignore_progress
from coopfs.demo import mounts
from coopfs.demo.exporting import export_kit
from coopfs.demo.network import OWNER, Network
from coopfs.errors import CoopfsError

_SERIOUS = re.compile(r"^[-\d]+ [\d:,]+ (WARNING|ERROR|CRITICAL) |^\s*\|?\s*Traceback|Warning: ")


class Place(Protocol):
    """A directory that programs use. Its filesystem can go and come back."""

    name: str
    top: Path

    def remount(self) -> None:
        """Unmounted and mounted again, with nothing lost."""

    def crash(self, stop_users: Callable[[], None]) -> None:
        """Its server dies, then its users are stopped, then it is back."""


@dataclass(slots=True)
class Plain:
    """A directory of the machine's own filesystem, which has no server: only its users die."""

    top: Path
    name: str = "plain"

    def remount(self) -> None:
        """Nothing to do."""

    def crash(self, stop_users: Callable[[], None]) -> None:
        stop_users()


@dataclass(frozen=True, slots=True)
class Coding:
    """What the disk of a test network is like. share: bytes each partner gives; options: of mount."""

    data: int
    redundancy: int
    share: int
    options: tuple[str, ...] = ()

    @property
    def partners(self) -> tuple[str, ...]:
        return tuple(f"p{number}" for number in range(1, self.data + self.redundancy + 1))


class Disk:
    """A mounted disk of a node of a network."""

    name = "coopfs"

    def __init__(self, network: Network, coding: Coding) -> None:
        self.network = network
        self.coding = coding
        self.top = network.mount

    def make(self) -> None:
        """A new node and its formatted disk on the partners, mounted; its kit is exported."""
        self.network.start((OWNER,), ignore_progress)
        self.network.swap(self.coding.partners, self.coding.share, ignore_progress)
        coding: dict[str, object] = {
            "data": self.coding.data,
            "redundancy": self.coding.redundancy,
            "block_size": None,
            "partners": None,
            "no_redundancy": False,
        }
        self._call("format", coding)
        self.network.kit.touch(mode=0o600)
        export_kit(self.network.home(OWNER), self.network.kit)
        self._mount()

    def sync(self, *, complete: bool = False) -> None:
        """Return when all that was written is held, or complete."""
        self._call("sync", {"path": None, "complete": complete})

    def memory(self) -> float:
        """The most MB (10^6 bytes) that the daemon which runs now has had resident."""
        return peak_memory(self.network.pid(OWNER))

    def remount(self) -> None:
        self._call("umount")
        self._mount()

    def crash(self, stop_users: Callable[[], None]) -> None:
        self.network.kill(OWNER)
        stop_users()
        mounts.unmount(self.top)
        restart(self.network, OWNER)
        self._mount()

    def lose(self, stop_users: Callable[[], None]) -> None:
        """The machine burns: daemon and home are gone."""
        self.network.kill(OWNER)
        stop_users()
        mounts.unmount(self.top)
        shutil.rmtree(self.network.home(OWNER))

    def _mount(self) -> None:
        self._call("mount", {"mountpoint": str(self.top), "options": list(self.coding.options)})

    def _call(self, call: str, arguments: dict[str, object] | None = None) -> dict[str, object]:
        answer = client.call(self.network.home(OWNER), call, arguments or {})
        return answer if isinstance(answer, dict) else {}


@contextmanager
def disk(work: Path, coding: Coding) -> Iterator[Disk]:
    """A network of real daemons on this machine, and a mounted disk in it. Nothing of it runs at the end."""
    network = Network.create(work)
    try:
        network.start(coding.partners, ignore_progress)
        made = Disk(network, coding)
        made.make()
        yield made
    finally:
        with suppress(CoopfsError):  # all that can be ended is ended; the first error is the one to tell
            network.end()


def restart(network: Network, *names: str) -> None:
    """Start the daemons of homes that exist."""
    for name, child in [(n, network.adopt(n, detach.spawn(network.home(n), network.log(n)))) for n in names]:
        detach.wait_until_it_answers(network.home(name), child, network.log(name))


def complaints(network: Network, expected: Sequence[str] = ()) -> list[str]:
    """Warnings, errors and tracebacks in the daemons' logs, but those that match an expected pattern."""
    return [
        f"{log.name}: {line}"
        for log in sorted((network.work / "logs").iterdir())
        for line in log.read_text(errors="replace").splitlines()
        if _SERIOUS.search(line) and not any(re.search(pattern, line) for pattern in expected)
    ]
