"""Processes are ended by identity, never by a pid that somebody else has now."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from coopfs.demo import process
from coopfs.errors import DaemonError

WAIT = "import signal, sys; {}print(flush=True); signal.pause()"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def start(code: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
    return child


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    started = start(WAIT.format(""))
    yield started
    started.kill()
    started.wait()


def test_a_running_process_is_ended_and_then_gone(child: subprocess.Popen[bytes]) -> None:
    process.end(process.identify("it", child.pid))
    assert child.wait() == -signal.SIGTERM


def test_kill_waits_until_it_is_gone(child: subprocess.Popen[bytes]) -> None:
    found = process.identify("it", child.pid)
    process.kill(found)
    assert child.wait() == -signal.SIGKILL
    process.kill(found)
    process.end(found)
    process.ask_to_end(found)


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.01)
    stubborn = start(WAIT.format(STUBBORN))
    found = process.identify("it", stubborn.pid)
    process.end(found)
    assert stubborn.wait() == -signal.SIGKILL


def test_a_successor_of_the_pid_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    former = replace(process.identify("it", child.pid), started=1)
    process.ask_to_end(former)
    process.end(former)
    process.kill(former)
    assert child.poll() is None


def test_what_does_not_run_cannot_be_identified(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(DaemonError, match="ended at once"):
        process.identify("it", child.pid)
