"""Reservations: files that really take the space promised to partners, until their stores need it (design section
2, P4).

A store is carved out of its reservation step by step: what one loses the other gets, so that the sum on the disk
never falls by more than a step, and a full disk is no obstacle.
"""

import os
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from coopfs import limits
from coopfs.errors import HomeError
from coopfs.local.diskerrors import disk_errors
from coopfs.sizes import format_size
from coopfs.types import NodeKey

PEER_PREFIX = "reservation-"
TOKEN_PREFIX = "invitation-"
_BLOCK = 512  # bytes of a block in st_blocks
_NAME_DIGITS = 32  # hexadecimal, 128 bits


def peer_file(directory: Path, peer: NodeKey) -> Path:
    """Where the reservation for a partner lies."""
    return directory / f"{PEER_PREFIX}{peer.hex()[:_NAME_DIGITS]}"


def token_file(directory: Path, token: bytes) -> Path:
    """Where the reservation for an open invitation lies. The token is a secret: its hash names the file."""
    return directory / f"{TOKEN_PREFIX}{blake3(token).hexdigest()[:_NAME_DIGITS]}"


def reserve(path: Path, size: int) -> None:
    """Make `path` a reservation of exactly `size` bytes, or none at all if 0; one that is so already stays untouched.
    HomeError: no room (nothing is changed then).
    """
    if size == 0:
        with disk_errors("remove", path):
            path.unlink(missing_ok=True)
        return
    before = reserved(path)
    if before == size and _is_allocated(path):
        return
    try:
        _resize(path, size)
    except OSError as error:
        with suppress(OSError):
            _cut(path, before)
        raise _no_room(path, size - before, error) from error


def reserved(path: Path) -> int:
    """Bytes that the reservation takes now; 0: there is none. HomeError."""
    with disk_errors("look at", path):
        return _size(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_allocated(path: Path) -> bool:
    """Whether all of it takes space already. Where a file system cannot allocate, doing it again writes every page."""
    with disk_errors("look at", path):
        status = path.stat()
    return status.st_blocks * _BLOCK >= status.st_size


def carve(source: Path, keep: int, target: Path, size: int) -> None:
    """Make the file `target` of `size` bytes, all zero and allocated, and take them from the reservation `source`.

    keep: bytes that must be left in the reservation. HomeError: no room; the reservation is as before, the target
    is gone.
    """
    before = reserved(source)
    step = max(limits.CARVE_STEP, size // 64)
    left = before
    try:
        target.unlink(missing_ok=True)
        for done in range(0, size, step):
            part = min(step, size - done)
            left = max(min(keep, left), left - part)
            _shrink(source, left)
            _resize(target, done + part)
    except OSError as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
            _resize(source, before)
        raise _no_room(target, size, error) from error


def extend(source: Path, keep: int, target: Path, size: int) -> None:
    """Make the file `target`, which is there, `size` bytes long, zero and allocated beyond what it had, and take what
    that needs from the reservation `source`.

    keep: bytes that must be left in the reservation. HomeError: no room; both are as before.
    """
    before, length = reserved(source), reserved(target)
    step = max(limits.CARVE_STEP, size // 64)
    left = before
    try:
        for done in range(length, size, step):
            part = min(step, size - done)
            left = max(min(keep, left), left - part)
            _shrink(source, left)
            _resize(target, done + part)
    except OSError as error:
        with suppress(OSError):
            os.truncate(target, length)
            _resize(source, before)
        raise _no_room(target, size - length, error) from error


def _resize(path: Path, size: int) -> None:
    """Allocate or cut, durably."""
    if size == 0:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, min(size, os.fstat(descriptor).st_size))
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shrink(path: Path, size: int) -> None:
    """Cut to `size` bytes and wait: file systems with a journal give blocks back only when that is on the disk."""
    if _size(path) > size:
        _cut(path, size)
        _resize(path, size)


def _cut(path: Path, size: int) -> None:
    if size == 0:
        path.unlink(missing_ok=True)
    else:
        os.truncate(path, size)


def _no_room(path: Path, needed: int, error: OSError) -> HomeError:
    try:
        status = os.statvfs(path.parent)
    except OSError:
        return HomeError(f"cannot write in {path.parent}: {error.strerror}")
    free = format_size(status.f_bavail * status.f_frsize)
    return HomeError(f"cannot reserve {format_size(needed)} in {path.parent}: {error.strerror}, {free} free")
