"""Processes that outlive the command which started them: a home's daemon, and a restore view."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from coopfs.cli import client
from coopfs.errors import DaemonError, HomeError

START_TIMEOUT = 60.0  # seconds: a daemon on a loaded machine with a large journal to replay
POLL = 0.05  # seconds between two looks
# This very installation, whatever PATH says; -P: nothing in the current directory is imported.
COOPFS = (sys.executable, "-P", "-m", "coopfs")
LOG_NAME = "daemon.log"


def spawn(home: Path, log: Path) -> subprocess.Popen[bytes]:
    """`coopfs serve` in a session of its own, its messages appended to log."""
    with open(open_log(log), "ab") as output:
        return subprocess.Popen(
            [*COOPFS, "--home", str(home), "serve"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def wait_until_it_answers(home: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """DaemonError with the daemon's last words if it ended, or if it does not answer in START_TIMEOUT."""
    deadline = time.monotonic() + START_TIMEOUT
    while not client.answers(home):
        if process.poll() is not None:
            raise DaemonError(f"the daemon of {home} did not start: {last_words(log)}")
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise DaemonError(f"the daemon of {home} did not answer within {START_TIMEOUT:g} seconds; see {log}")
        time.sleep(POLL)


def last_words(log: Path) -> str:
    """The last line of a log that says something, without the program's name or the frame of a traceback."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError as error:
        return f"{log} cannot be read ({error.strerror})"
    spoken = [words for line in lines if (words := line.strip(" |+-\r\t"))]
    return spoken[-1].removeprefix("coopfs: ") if spoken else f"it said nothing in {log}"


def restore_view(arguments: Sequence[str]) -> int:
    """Run `coopfs restore mount --foreground` in a session of its own until it answers; its exit code, 0 once it is
    mounted.

    It speaks, and asks, on this terminal until then.
    """
    reader, writer = os.pipe()
    command = [*COOPFS, "restore", "mount", "--foreground", f"--ready-fd={writer}"]
    with open(reader, "rb") as ready:
        process = subprocess.Popen([*command, *arguments], pass_fds=(writer,), start_new_session=True)
        os.close(writer)
        try:
            if ready.read(1):
                return 0
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def open_log(log: Path | None) -> int:
    """A descriptor that appends to log, or swallows. HomeError: the log cannot be written."""
    try:
        return os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise HomeError(f"{log} cannot be written: {error.strerror}") from error


def leave_terminal(ready_fd: int, output: int) -> None:
    """Called in the restore view when it is mounted: messages go to output, and the waiting command may return."""
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # the waiting command may have been killed; the view is wanted all the same
    with contextlib.suppress(BrokenPipeError):
        os.write(ready_fd, b"\n")
    os.close(ready_fd)
