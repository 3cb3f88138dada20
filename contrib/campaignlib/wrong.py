"""What breaks a round with real daemons, in words that are still of use when the logs are gone."""

import sqlite3
import subprocess
from pathlib import Path

from suitelib.shell import Failed

from coopfs.cli.detach import LOG_NAME
from coopfs.errors import CoopfsError
from tests.e2e.world import Owner, pid_of

# A command that hangs is an AssertionError. What does not come back as it was may also be no database, or not readable.
BREAKS = (Failed, AssertionError, CoopfsError, OSError, sqlite3.Error, subprocess.SubprocessError)
LAST_LINES = 5  # of a log


def in_words(wrong: Exception, owner: Owner) -> str:
    """One line: what broke, how the owner's disk is, and how its log ends."""
    what = " | ".join(str(wrong).splitlines()) or repr(wrong)
    return f"{what}; {_disk(owner)}; the log of the owner ends: {' | '.join(_last_lines(owner)) or 'it is empty'}"


def _disk(owner: Owner) -> str:
    if pid_of(owner.home) is None:
        return "the owner does not run"
    try:
        disk = owner.world.call(owner.name, "status")["disk"]
        columns = [f"{each['partner']} {each['state']} ({each['trouble'] or 'reached'})" for each in disk["columns"]]
        room = f"{disk['bytes_free']} of {disk['bytes']} bytes free"
    except (CoopfsError, KeyError, TypeError) as mute:
        return f"the owner does not tell of its disk ({mute})"
    return ", ".join([*columns, room])


def _last_lines(owner: Owner) -> list[str]:
    """Of its daemon's log, which lies in its home if the mount helper has started it."""
    log: Path = owner.home / LOG_NAME
    try:
        text = (log if log.exists() else owner.log).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return [f"it cannot be read: {error.strerror}"]
    return text.splitlines()[-LAST_LINES:]
