"""The file `keys` of a disk's directory: a line `read ID SECRET` for each read key, oldest first, and a line
`signing SEED`; secrets in hex.
"""

import os
from itertools import pairwise
from pathlib import Path

from coopfs.core.keys import DiskKeys, ReadKey, keys_of
from coopfs.errors import StateError
from coopfs.limits import MAX_KEY_ID, MAX_KEY_IDS
from coopfs.local.database import REMEDY
from coopfs.local.diskerrors import disk_errors
from coopfs.local.home import sync_directory

NAME = "keys"
_KEY = 32  # bytes


def write(directory: Path, keys: DiskKeys) -> None:
    """In the place of those that are there. Durable on return, readable by the owner only. HomeError: no room, no
    permission."""
    assert keys.signing_seed is not None
    lines = [f"read {key.id} {key.secret.hex()}" for key in keys.secrets] + [f"signing {keys.signing_seed.hex()}"]
    new = directory / (NAME + ".new")
    with disk_errors("write the disk's keys", directory):
        new.unlink(missing_ok=True)  # of a try that was cut short
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(descriptor)
        new.rename(directory / NAME)
        sync_directory(directory)


def read(directory: Path) -> DiskKeys:
    """StateError: missing or damaged, or the local disk fails."""
    path = directory / NAME
    try:
        return _parse(path.read_text("ascii"))
    except (FileNotFoundError, ValueError):
        raise StateError(f"the disk's keys {path} are missing or damaged: {REMEDY}") from None
    except OSError as failed:
        raise StateError(f"the disk's keys {path} cannot be read: {failed.strerror}") from None


def _parse(text: str) -> DiskKeys:
    *reads, signing = [line.split() for line in text.splitlines()]
    secrets = [ReadKey(int(id_), _secret(secret)) for word, id_, secret in reads if word == "read"]
    ids = [0, *(key.id for key in secrets), MAX_KEY_ID + 1]
    if not 0 < len(secrets) == len(reads) <= MAX_KEY_IDS or any(b <= a for a, b in pairwise(ids)):
        raise ValueError("no read keys, or not in their order")
    word, seed = signing
    if word != "signing":
        raise ValueError("no signing key")
    return keys_of(secrets, _secret(seed))


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text)
    if len(secret) != _KEY:
        raise ValueError("a key of another length")
    return secret
