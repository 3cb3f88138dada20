"""The file `keys` of a disk's directory: the disk read key and the seed of the disk signing key, one hex line each."""

import os
from pathlib import Path

from coopfs.core.keys import DiskKeys, make_keys
from coopfs.errors import StateError
from coopfs.local.database import REMEDY
from coopfs.local.diskerrors import disk_errors

NAME = "keys"
_KEY = 32  # bytes


def write(directory: Path, keys: DiskKeys) -> None:
    """Durable on return, readable by the owner only. HomeError: no room, no permission."""
    assert keys.signing_seed is not None
    text = f"{keys.read_key.hex()}\n{keys.signing_seed.hex()}\n"
    with disk_errors("write the disk's keys", directory):
        descriptor = os.open(directory / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)


def read(directory: Path) -> DiskKeys:
    """StateError: missing or damaged."""
    path = directory / NAME
    try:
        lines = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    except (OSError, ValueError):
        lines = []
    if [len(line) for line in lines] != [_KEY, _KEY]:
        raise StateError(f"the disk's keys {path} are missing or damaged: {REMEDY}")
    return make_keys(*lines)
