"""The control socket, seen by a command: one request, progress lines, one answer.

HOME/control.sock is a Unix socket; each side writes one JSON object per line. The request is `{"call": NAME, "args":
{...}}`. The daemon answers any number of `{"progress": {"step": TEXT, "done": N, "total": N}}` and then one
`{"result": {...}, "version": TEXT}` or `{"error": LINE, "exit": CODE, "version": TEXT}`, and closes. Only the home's
owner can connect, so an answer is trusted, though bounded.

A daemon goes on running when its program is replaced. Nothing in an answer changes its meaning, so one of another
version serves as long as it tells all that the command needs to know.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coopfs import __version__, limits
from coopfs.errors import CoopfsError, DaemonError, HomeError

SOCKET_NAME = "control.sock"

Answer = dict[str, Any]
Watch = Callable[[str, int, int], None]  # step, done, total; total 0: not known


class DaemonSaid(CoopfsError):
    """The daemon's own error, with the exit code that it has there."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Told(Answer):
    """What a daemon of some version has told. DaemonError: it has not told what is asked for."""

    def __init__(self, fields: Mapping[str, Any], version: str) -> None:
        super().__init__({key: _told(value, version) for key, value in fields.items()})
        self._version = version

    def __missing__(self, key: str) -> Any:
        raise DaemonError(
            f"this command is of coopfs {__version__}, and needs to know {key!r}, which the daemon, of "
            f"{self._version}, does not tell: restart the daemon"
        )


def _told(value: object, version: str) -> object:
    if isinstance(value, dict):
        return Told(value, version)
    return [_told(each, version) for each in value] if isinstance(value, list) else value


def ignore_progress(_step: str, _done: int, _total: int) -> None:
    """The Watch of a caller who does not care."""


def call(
    home: Path,
    name: str,
    arguments: Mapping[str, object] | None = None,
    *,
    watch: Watch = ignore_progress,
    timeout: float | None = None,
) -> Answer:
    """The result of one call. timeout in seconds between two lines of the daemon, None: as long as it takes.

    HomeError: no such home. DaemonError: no daemon, or it died, or it is not one of ours. DaemonSaid: it refused.
    """
    request = json.dumps({"call": name, "args": dict(arguments or {})}).encode() + b"\n"
    with _connect(home, timeout) as connection:
        try:
            connection.sendall(request)
            with connection.makefile("rb") as lines:
                while line := lines.readline(limits.CONTROL_LINE):
                    answer = _read_line(line, watch)
                    if answer is not None:
                        return answer
        except TimeoutError as error:
            raise DaemonError(f"the daemon of {home} did not answer within {timeout:g} seconds") from error
        except OSError as error:
            raise DaemonError(f"the daemon of {home} ended before it answered ({error.strerror})") from error
    raise DaemonError(f"the daemon of {home} ended before it answered")


def answers(home: Path) -> bool:
    """Whether a daemon accepts connections for this home now."""
    try:
        with _connect(home, 1.0):
            return True
    except CoopfsError:
        return False


@contextlib.contextmanager
def _connect(home: Path, timeout: float | None) -> Iterator[socket.socket]:
    """Through /proc/self/fd: a socket's address holds 107 bytes, and homes may lie deeper."""
    try:
        directory = os.open(home, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        hint = f" (make one with: coopfs --home {home} init)" if isinstance(error, FileNotFoundError) else ""
        raise HomeError(f"{home} is not a home: {error.strerror}{hint}") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise DaemonError(f"no daemon runs for {home}; start one with: coopfs --home {home} serve") from error
        except OSError as error:
            raise DaemonError(f"the daemon of {home} cannot be asked: {error.strerror or error}") from error
        yield connection
    finally:
        connection.close()
        os.close(directory)


def _read_line(line: bytes, watch: Watch) -> Answer | None:
    """The result, or None after a progress line."""
    try:
        message = json.loads(line)
        if "progress" in message:
            progress = message["progress"]
            watch(str(progress["step"]), int(progress["done"]), int(progress["total"]))
            return None
        if "error" in message:
            raise DaemonSaid(str(message["error"]), int(message["exit"]))
        return Told(message["result"] or {}, f"coopfs {message.get('version', 'before 0.1.0')}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DaemonError("the daemon's answer is not understood; is it of the same version? restart it") from error
