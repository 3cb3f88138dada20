"""Telling the owner of this node something that cannot wait until the next look at status."""

import logging
import os
import shutil
from collections.abc import Sequence

import trio

from coopfs.limits import OWNER_PATIENCE

logger = logging.getLogger(__name__)

DESKTOP = "notify-send"  # of libnotify: the desktop's notification service, org.freedesktop.Notifications


def check_command(command: Sequence[str]) -> None:
    """Say now, while somebody looks at the log, what would be found out when there is something to tell."""
    if command and shutil.which(command[0]) is None:
        logger.warning("notify: there is no program %s that could be run: its owner is told nothing", command[0])


async def tell_owner(command: Sequence[str], title: str, text: str) -> None:
    """Through the owner's command, which gets the text on standard input, and the desktop, where there is one. What
    fails is logged."""
    if command:
        await _run([*command], f"{title}\n\n{text}\n".encode())
    program = shutil.which(DESKTOP)
    if program is not None and os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        await _run([program, "--app-name=coopfs", "--", title, text], b"")


async def _run(command: list[str], given: bytes) -> None:
    failed = f"does not end within {OWNER_PATIENCE:.0f} s"
    with trio.move_on_after(OWNER_PATIENCE):
        try:
            done = await trio.run_process(command, stdin=given, capture_stdout=True, capture_stderr=True, check=False)
        except OSError as error:
            failed = error.strerror or str(error)
        else:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            failed = "" if done.returncode == 0 else f"exit code {done.returncode}: {said[-1] if said else ''}"
    if failed:
        logger.warning("the owner could not be told with %s: %s", command[0], failed)
