"""Running other people's programs: each in a session of its own, so that all of it can be ended."""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TIMEOUT = 900.0  # seconds after which a program hangs
LAST_LINES = 12  # of what a failed program said
Words = str | Path


class Failed(Exception):
    """A program ended badly, or what it left is wrong."""


def require(condition: bool, why: str) -> None:
    """Failed with that reason, unless the condition holds."""
    if not condition:
        raise Failed(why)


def run(
    *command: Words,
    cwd: Path | None = None,
    add: dict[str, str] | None = None,
    user: str | None = None,
    timeout: float = TIMEOUT,
    good: Sequence[int] = (0,),
) -> str:
    """What it printed, errors among it. add: to the environment; user: to become, by root only.

    Failed: another exit code than a good one, or it hangs.
    """
    child = start(*command, cwd=cwd, add=add, user=user)
    try:
        said, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        end(child)
        raise Failed(f"{_short(command)}: not done after {timeout:g} seconds") from None
    except BaseException:
        end(child)
        raise
    text = said.decode(errors="replace")
    if child.returncode not in good:
        last = "\n".join(text.splitlines()[-LAST_LINES:])
        raise Failed(f"{_short(command)}: exit status {child.returncode}\n{last}")
    return text


def start(
    *command: Words, cwd: Path | None = None, add: dict[str, str] | None = None, user: str | None = None
) -> subprocess.Popen[bytes]:
    """The same, without waiting; whoever starts it must end it."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | (add or {}),
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextmanager
def running(*commands: Sequence[Words], user: str | None = None) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Several programs at once, all ended at the end of the block."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            children.append(start(*command, user=user))
        yield children
    finally:
        for child in children:
            end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all of its session that is left."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _short(command: Sequence[Words]) -> str:
    words = " ".join(map(str, command))
    return words if len(words) <= 160 else f"{words[:160]} ..."
