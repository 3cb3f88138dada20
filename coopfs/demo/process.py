"""Processes by pid: recognised again in a later run of the command, and ended without ever hitting another one."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from coopfs.errors import DaemonError

GRACE = 20.0  # seconds a daemon gets to end by itself


@dataclass(frozen=True, slots=True)
class Process:
    """name: what it is in the demo; started: clock ticks since boot (proc(5), starttime), which no successor of the
    pid shares."""

    name: str
    pid: int
    started: int


def identify(name: str, pid: int) -> Process:
    """The running process with this pid. DaemonError: there is none."""
    started = _start_time(pid)
    if started is None:
        raise DaemonError(f"{name} (pid {pid}) ended at once")
    return Process(name, pid, started)


def kill(process: Process) -> None:
    """SIGKILL, and wait until it is gone; one that is gone already is fine."""
    _signal(process, signal.SIGKILL)


def end(process: Process) -> None:
    """SIGTERM, GRACE seconds later SIGKILL, and wait until it is gone."""
    if not _signal(process, signal.SIGTERM):
        _signal(process, signal.SIGKILL)


def ask_to_end(process: Process) -> None:
    """SIGTERM without waiting: several can then end at the same time."""
    if _start_time(process.pid) == process.started:
        os.kill(process.pid, signal.SIGTERM)


def _signal(process: Process, number: signal.Signals) -> bool:
    """Whether it has ended within GRACE seconds. The descriptor pins the pid, so the signal cannot reach a
    successor."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if _start_time(process.pid) != process.started:
            return True
        signal.pidfd_send_signal(descriptor, number)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(GRACE * 1000))
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)


def _start_time(pid: int) -> int | None:
    """Field 22 of proc(5) stat; counted from behind the command name, which may hold spaces and parentheses."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
