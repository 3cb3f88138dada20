"""Which inode a path of this machine means, in the mounted disk."""

import os
from pathlib import Path

from coopfs.errors import UsageError
from coopfs.limits import ROOT_INO
from coopfs.local.names import Names


def inode_at(names: Names, mountpoint: Path | None, path: Path) -> int:
    """The inode at a path below the mountpoint, which is None if the disk is not mounted. UsageError: it is not there,
    or nothing is."""
    if mountpoint is None or not path.is_relative_to(mountpoint):
        raise UsageError(f"{path} is not in the mounted disk")
    ino = ROOT_INO
    for part in path.relative_to(mountpoint).parts:
        found = names.find(ino, os.fsencode(part))
        if found is None:
            raise UsageError(f"{path} does not exist")
        ino = found
    return ino
