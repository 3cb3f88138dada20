"""This node leaves its partners: its own disk, whatever state it is in, is to be removed.

Marked with the file `leaving` in each disk's directory before the first agreement ends, and removed when nobody uses it
any more: at the end of the daemon, or at its next start. By a rename first: half a disk would look like a damaged one.
"""

import os
import shutil

from coopfs.local.diskerrors import disk_errors
from coopfs.local.home import Home, sync_directory

NAME = "leaving"
LEFT = "left"  # how the name of a directory begins that is being removed


def mark(home: Home) -> None:
    """Durable on return. HomeError."""
    with disk_errors("write in", home.disks):
        for directory in home.disks.iterdir():
            if not directory.name.startswith(LEFT):
                os.close(os.open(directory / NAME, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                sync_directory(directory)


def is_marked(home: Home) -> bool:
    """Whether this node is leaving, and its disk is still there."""
    return any(home.disks.glob(f"*/{NAME}"))


def remove(home: Home) -> None:
    """What is marked goes, and what an earlier call has left. HomeError."""
    with disk_errors("remove", home.disks):
        for sign in home.disks.glob(f"*/{NAME}"):
            if not sign.parent.name.startswith(LEFT):
                sign.parent.rename(home.disks / f"{LEFT}-{sign.parent.name}")
        sync_directory(home.disks)
        for directory in home.disks.glob(f"{LEFT}*"):
            shutil.rmtree(directory)
