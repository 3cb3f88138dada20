"""Opening files where descriptors may run out: whoever may wait does, whoever may not says so (errors.NoDescriptors).

The limit is the process's own or the machine's, and what takes them goes away again. Nothing that was accepted may be
lost meanwhile; least of all may a sync fail for it, since after a failed sync nobody is told any more that anything is
durable.
"""

import errno
import os
import time
from pathlib import Path

from coopfs.errors import NoDescriptors
from coopfs.limits import DESCRIPTOR_PATIENCE

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)
_PAUSE = 0.05  # seconds between two tries


def open_now(path: str | Path, flags: int, mode: int = 0o600) -> int:
    """As os.open. NoDescriptors: none is left."""
    try:
        return os.open(path, flags, mode)
    except OSError as failed:
        if failed.errno not in _NONE_LEFT:
            raise
        raise NoDescriptors(f"no file descriptor is left ({failed.strerror}): {path} cannot be opened now") from None


def open_patiently(path: str | Path, flags: int) -> int:
    """As os.open; waits for a descriptor, DESCRIPTOR_PATIENCE at the most: for threads. NoDescriptors."""
    end = time.monotonic() + DESCRIPTOR_PATIENCE
    while True:
        try:
            return open_now(path, flags)
        except NoDescriptors:
            if time.monotonic() > end:
                raise
        time.sleep(_PAUSE)
