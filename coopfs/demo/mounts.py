"""Which mounts there are, and unmounting one. Asks the kernel's table: a dead mount cannot be asked itself."""

import os
import subprocess
from pathlib import Path

from coopfs.errors import MountError
from coopfs.fs.mounttable import device_at


def is_mounted(path: Path) -> bool:
    """Whether something is mounted exactly there. Does not touch the path itself, which might hang."""
    return device_at(path) is not None


def unmount(path: Path) -> None:
    """Unmount now, or lazily if it is in use or dead; nothing mounted is fine. MountError: neither works."""
    for command in _commands(path):
        if not is_mounted(path):
            return
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise MountError(f"{command[0]} is missing; install fuse3") from error
    if is_mounted(path):
        raise MountError(f"{path} cannot be unmounted: {result.stderr.strip()}")


def _commands(path: Path) -> list[list[str]]:
    if os.geteuid() == 0:
        return [["umount", str(path)], ["umount", "--lazy", str(path)]]
    return [["fusermount3", "-u", str(path)], ["fusermount3", "-u", "-z", str(path)]]
