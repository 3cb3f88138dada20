"""What is mounted where, from the kernel's table: a dead mount, or one's own, cannot be asked itself."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TABLE = Path("/proc/self/mountinfo")
ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mounted(NamedTuple):
    """One line of the table. source: what its filesystem calls itself."""

    device: int
    mountpoint: bytes
    kind: bytes
    source: bytes


def device_at(path: Path) -> int | None:
    """The device number of what is mounted exactly there, on top; None: nothing is."""
    wanted = os.fsencode(os.path.join(os.path.realpath(path.parent), path.name))
    device = None
    for line in _table():
        if line.mountpoint == wanted:
            device = line.device
    return device


def mountpoints_of(kind: str, source: str) -> list[Path]:
    """Where this filesystem is mounted, the newest first."""
    wanted = kind.encode(), os.fsencode(source)
    found = [line.mountpoint for line in _table() if (line.kind, line.source) == wanted]
    return [Path(os.fsdecode(mountpoint)) for mountpoint in reversed(found)]


def _table() -> Iterator[Mounted]:
    for line in TABLE.read_bytes().splitlines():
        here, _, there = line.partition(b" - ")  # before it stand fields of any number
        _, _, number, _, mountpoint, *_ = here.split(b" ")
        kind, source, *_ = there.split(b" ")
        major, minor = number.split(b":")
        yield Mounted(os.makedev(int(major), int(minor)), _unescaped(mountpoint), kind, _unescaped(source))


def _unescaped(field: bytes) -> bytes:
    return ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
