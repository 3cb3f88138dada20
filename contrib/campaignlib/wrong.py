"""What breaks a round with real daemons, in words that are still of use when the logs are gone."""

import sqlite3
import subprocess
from pathlib import Path

from suitelib.shell import Failed

from coopfs.errors import CoopfsError

# A command that hangs is an AssertionError. What does not come back as it was may also be no database, or not readable.
BREAKS = (Failed, AssertionError, CoopfsError, OSError, sqlite3.Error, subprocess.SubprocessError)
LAST_LINES = 5  # of a log


def in_words(wrong: Exception, log: Path) -> str:
    """One line: what broke, and how the log of the daemon ends."""
    try:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    except OSError as error:
        last = [f"it cannot be read: {error.strerror}"]
    what = " | ".join(str(wrong).splitlines()) or repr(wrong)
    return f"{what}; the log of the owner ends: {' | '.join(last) or 'it is empty'}"
