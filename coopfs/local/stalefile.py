"""The file `stale` in a disk's directory: partners hold what this home never sent, so it must not go on (design R12).

It is written when that is met, so that a takeover knows that this disk, whole as it looks, is to be rebuilt.
"""

import os
from contextlib import suppress
from pathlib import Path

from coopfs.local.home import sync_directory

NAME = "stale"


def write(directory: Path, why: str) -> None:
    """Durable on return, unless the local disk has no room for it: the daemon meets the same again."""
    with suppress(OSError):
        with open(directory / NAME, "w", encoding="utf-8") as file:
            file.write(why)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(directory)


def read(directory: Path) -> str | None:
    """Why the disk is stale; None: it is not known to be."""
    try:
        return (directory / NAME).read_text("utf-8", "replace")
    except OSError:
        return None
