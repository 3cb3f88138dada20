"""How many requests the kernel sends in the background: reads through its page cache, and writes of mapped memory.

Unless told otherwise it sends 12 of one mount at a time. So 12 reads that wait for partners would hold up all others
of that mount, also of content that is here. pyfuse3 cannot say more when the mount begins; the files of fusectl can,
later. Each belongs to who mounted.
"""

import ctypes
import logging
import os
from pathlib import Path

from coopfs.limits import BACKGROUND_REQUESTS

CONNECTIONS = Path("/sys/fs/fuse/connections")  # where fusectl is, if somebody mounted it
FSCONFIG_CMD_CREATE = 6  # <linux/mount.h>, as
CLOEXEC = 1
CONGESTED_SHARE = 0.75  # of the limit, from which on the kernel reads less ahead: its own share

logger = logging.getLogger(__name__)
libc = ctypes.CDLL(None, use_errno=True)


def allow_background(device: int) -> None:
    """Let the kernel send BACKGROUND_REQUESTS of the mount with this number. If that cannot be said, warn."""
    connection = str(os.minor(device))
    congested = int(BACKGROUND_REQUESTS * CONGESTED_SHARE)
    try:
        directory = _open_connections(connection)
        try:
            _write(directory, f"{connection}/max_background", BACKGROUND_REQUESTS)
            _write(directory, f"{connection}/congestion_threshold", congested)
        finally:
            os.close(directory)
    except OSError as refused:
        logger.warning("only 12 reads can wait for partners at once: fusectl says %s", refused.strerror)


def _open_connections(connection: str) -> int:
    """The directory of fusectl: where it usually is, or else one that only this process sees, which takes root."""
    if (CONNECTIONS / connection).exists():
        return os.open(CONNECTIONS, os.O_RDONLY | os.O_DIRECTORY)
    context = _checked(libc.fsopen(b"fusectl", CLOEXEC))
    try:
        _checked(libc.fsconfig(context, FSCONFIG_CMD_CREATE, None, None, 0))
        return _checked(libc.fsmount(context, CLOEXEC, 0))
    finally:
        os.close(context)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _write(directory: int, name: str, number: int) -> None:
    file = os.open(name, os.O_WRONLY, dir_fd=directory)
    try:
        os.write(file, str(number).encode())
    finally:
        os.close(file)
