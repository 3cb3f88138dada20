"""A network of real daemons on loopback, in one work directory: starts them, remembers them, ends them.

D/nodes/owner, D/nodes/p1 ...   homes
D/mnt, D/restored               mountpoints
D/kit.txt                       the owner's recovery kit
D/logs/NAME.log                 what each process said
D/match.sqlite                  what the matching server knows
D/demo.json                     the processes that run, for `coopfs demo --stop`
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from coopfs.cli import client, detach
from coopfs.cli.client import Watch
from coopfs.cli.node import create_home
from coopfs.config import Config
from coopfs.demo import mounts, process
from coopfs.demo.process import Process
from coopfs.errors import CoopfsError, DaemonError, MountError, UsageError

OWNER = "owner"
RESTORE = "restore"
MATCH = "match"
RESTORE_TIMEOUT = 120.0  # seconds until the restore view answers: metadata of 20,000 files takes a few
MEETING_TIMEOUT = 120.0  # seconds until all partners are found: who misses another one tries again after 15
LOOK_AGAIN = 1.0  # seconds between two looks for partners: as often as a matching server lets one subnet ask


def _named(name: str) -> Config:
    return Config(name=name)


class Network:
    """The demo's processes, mounts and files below one work directory."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.mount = work / "mnt"
        self.restored = work / "restored"
        self.kit = work / "kit.txt"
        self._state = work / "demo.json"
        self._running: dict[str, Process] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    @classmethod
    def create(cls, work: Path) -> Self:
        """Make the work directory's parts. UsageError: it cannot be made, or something is in it."""
        network = cls(work)
        try:
            work.mkdir(parents=True, exist_ok=True)
            if any(work.iterdir()):
                raise UsageError(f"{work} is not empty; the demo needs a directory of its own")
            for directory in (network.mount, network.restored, work / "nodes", work / "logs"):
                directory.mkdir()
        except OSError as error:
            raise UsageError(f"{work} cannot be the work directory: {error.strerror}") from error
        network._save()
        return network

    @classmethod
    def load(cls, work: Path) -> "Network":
        """The network that an earlier run left. UsageError: there is none, or its demo.json is damaged."""
        network = cls(work)
        try:
            state = json.loads(network._state.read_text(encoding="utf-8"))
            for name, fields in state["processes"].items():
                network._running[name] = Process(name, int(fields["pid"]), int(fields["started"]))
        except FileNotFoundError:
            raise UsageError(f"{work} is no demo's work directory: it has no demo.json") from None
        except OSError as error:
            raise UsageError(f"{network._state} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{network._state} is damaged; end the daemons by hand: coopfs --home HOME stop"
            ) from error
        return network

    def home(self, name: str) -> Path:
        """The home of one node."""
        return self.work / "nodes" / name

    def log(self, name: str) -> Path:
        """What a process has said."""
        return self.work / "logs" / f"{name}.log"

    def pid(self, name: str) -> int:
        """The process of one node that runs, or of the restore view."""
        return self._running[name].pid

    def start(self, names: Sequence[str], watch: Watch, settings: Callable[[str], Config] = _named) -> None:
        """Make the homes, start all daemons at once, return when all answer. settings: of each, but for addresses."""
        step = f"start {len(names)} daemons"
        started = []
        for done, (name, port) in enumerate(zip(names, free_ports(len(names)), strict=True)):
            watch(step, done, 2 * len(names))
            address = f"127.0.0.1:{port}"
            chosen = replace(settings(name), listen=address, advertise=(self._way_to(name, address),))
            create_home(self.home(name), chosen)
            started.append((name, self.adopt(name, detach.spawn(self.home(name), self.log(name)))))
        for done, (name, child) in enumerate(started, len(names) + 1):
            detach.wait_until_it_answers(self.home(name), child, self.log(name))
            watch(step, done, 2 * len(names))

    def _way_to(self, name: str, address: str) -> str:
        """Where others find the daemon that listens there."""
        return address

    def swap(self, partners: Sequence[str], size: int, watch: Watch) -> None:
        """The owner invites every partner; both sides give size bytes."""
        for done, name in enumerate(partners):
            watch("agree with partners", done, len(partners))
            code = client.call(self.home(OWNER), "partner_invite", {"size": size})["code"]
            client.call(self.home(name), "partner_accept", {"code": code})
        watch("agree with partners", len(partners), len(partners))

    def start_matching(self, watch: Watch) -> str:
        """Start a matching server, which proposes neighbours to each other; its address. DaemonError: it does not
        start."""
        watch("start a matching server", 0, 1)
        (port,) = free_ports(1)
        address, log = f"127.0.0.1:{port}", self.log(MATCH)
        command = [*detach.COOPFS, "match", "serve", "--together", "--listen", address]
        with log.open("ab") as said:
            child = subprocess.Popen(
                [*command, "--database", str(self.work / "match.sqlite")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.adopt(MATCH, child)
        deadline = time.monotonic() + detach.START_TIMEOUT
        while b"serves at" not in log.read_bytes():
            if child.poll() is not None or time.monotonic() > deadline:
                raise DaemonError(f"the matching server did not start: {detach.last_words(log)}")
            time.sleep(detach.POLL)
        watch("start a matching server", 1, 1)
        return f"http://{address}"

    def meet(self, watch: Watch) -> None:
        """Until the owner has found all the partners that it wants. DaemonError: it does not."""
        deadline = time.monotonic() + MEETING_TIMEOUT
        while (state := client.call(self.home(OWNER), "partner_find", watch=watch))["lacking"]:
            if time.monotonic() > deadline:
                found = state["wanted"] - state["lacking"]
                why = "; ".join(state["hindrances"]) or "nobody else is known to the matching server"
                raise DaemonError(f"only {found} of {state['wanted']} partners were found: {why}")
            time.sleep(LOOK_AGAIN)

    def mount_restored(self, watch: Watch) -> None:
        """Mount the restore view from the kit alone; its messages are in the log `restore`."""
        watch("mount the restore view", 0, 1)
        command = [*detach.COOPFS, "restore", "mount", "--foreground", str(self.kit), str(self.restored)]
        with self.log(RESTORE).open("ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.adopt(RESTORE, child)
        deadline = time.monotonic() + RESTORE_TIMEOUT
        while not mounts.is_mounted(self.restored):
            if child.poll() is not None:
                raise MountError(f"the restore view did not start: {detach.last_words(self.log(RESTORE))}")
            if time.monotonic() > deadline:
                raise MountError(f"the restore view did not answer within {RESTORE_TIMEOUT:g} seconds")
            time.sleep(detach.POLL)
        watch("mount the restore view", 1, 1)

    def adopt(self, name: str, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Remember a process that this network must end, here and in the work directory."""
        self._children.append(child)
        with contextlib.suppress(CoopfsError):  # one that ended at once is reported by who waits for it
            self._running[name] = process.identify(name, child.pid)
        self._save()
        return child

    def kill(self, name: str) -> None:
        """SIGKILL one daemon."""
        process.kill(self._running.pop(name))
        self._reap()
        self._save()

    def end(self) -> None:
        """Unmount, and end every process; homes and logs stay. MountError: something cannot be unmounted; all else is
        ended."""
        failures = []
        for mountpoint in (self.restored, self.mount):
            try:
                mounts.unmount(mountpoint)
            except MountError as error:
                failures.append(error)
        for running in self._running.values():
            process.ask_to_end(running)
        for running in self._running.values():
            process.end(running)
        self._running.clear()
        self._reap()
        self._save()
        if failures:
            raise failures[0]

    def remove(self) -> None:
        """Remove the work directory. UsageError: something in it cannot be removed."""
        try:
            shutil.rmtree(self.work)
        except OSError as error:
            raise UsageError(f"{self.work} cannot be removed: {error.strerror}") from error

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _save(self) -> None:
        processes = {name: asdict(running) for name, running in self._running.items()}
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps({"processes": processes}, indent=2) + "\n", encoding="utf-8")
        temporary.replace(self._state)


def free_ports(count: int) -> list[int]:
    """Ports nobody uses now. Fixed ones, so that a daemon which is started again is found where the kit says; below
    the range that Linux takes for outgoing connections (32768 on), so that none of those sits on one meanwhile; two
    demos start apart."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() * 16 % 12_000, 32_768):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise UsageError(f"there are no {count} free ports on loopback")
