"""What is mounted where, from the kernel's table: a dead mount, or one's own, cannot be asked itself."""

import os
import re
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
ESCAPE = re.compile(rb"\\([0-7]{3})")


def device_at(path: Path) -> int | None:
    """The device number of what is mounted exactly there, on top; None: nothing is."""
    wanted = os.fsencode(os.path.join(os.path.realpath(path.parent), path.name))
    device = None
    for line in TABLE.read_bytes().splitlines():
        _, _, number, _, mountpoint, *_ = line.split(b" ")
        if ESCAPE.sub(_unescape, mountpoint) == wanted:
            major, minor = number.split(b":")
            device = os.makedev(int(major), int(minor))
    return device


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])
