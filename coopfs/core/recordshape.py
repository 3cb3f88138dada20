"""What a well-formed record is: the table of its fields, and what must hold between them (format: core/records.py).

A restore writes what records say, as root, so a name that is a path or an extent that contradicts itself ends here.
Types are the numbers of records.Type. Every function raises ValueError for what is not of this format.
"""

from typing import Any

from coopfs.core.fields import COUNT, ID, INO, NAME, OFFSET, ROW, TIME, U8, U16, U32, VERSION, Field, check
from coopfs.core.units import PLAIN, ZSTD
from coopfs.limits import FILE_SIZE_MAX, MAX_COLUMNS, SYMLINK_MAX, UNIT_MAX, XATTR_VALUE_MAX

INODE, LINK, EXTENT, XATTR, TRUNCATE, STRIPE = range(1, 7)

_RUN = (U32, COUNT, U32, U32, U32, U32, U8)  # length, stripe, at, stored, raw, skip, codec
_KEYS: dict[int, tuple[Field, ...]] = {
    INODE: (INO,),
    LINK: (INO, NAME),
    EXTENT: (INO, OFFSET._replace(low=1)),
    XATTR: (INO, NAME),
    TRUNCATE: (INO,),
    STRIPE: (COUNT,),
}
_VALUES: dict[int, tuple[Field, ...]] = {
    INODE: (
        *(U32, U32, U32, U32, COUNT, OFFSET),  # mode, uid, gid, nlink, rdev, size
        *(TIME, TIME, TIME, INO._replace(absent=True), NAME._replace(absent=True)),  # ..., parent, name
        Field(bytes, 1, SYMLINK_MAX, absent=True),
        Field(tuple, len(_RUN), len(_RUN), absent=True),
    ),
    LINK: (INO,),
    EXTENT: _RUN,
    XATTR: (Field(bytes, 0, XATTR_VALUE_MAX),),
    TRUNCATE: (OFFSET,),
    STRIPE: (ROW, VERSION, U16, U32, Field(tuple, 1, MAX_COLUMNS), ID, COUNT),
}
_TYPE = Field(int, INODE, STRIPE)
_TOMBSTONES = {kind: (_TYPE, *key) for kind, key in _KEYS.items() if kind != TRUNCATE}  # which is never taken back
_IMAGES = {kind: (_TYPE, *_KEYS[kind], *_VALUES[kind]) for kind in _KEYS}


def is_tombstone(f: Any) -> bool:
    """Whether f, which must be one or an image, is a type and a key alone."""
    if type(f) is not tuple or not f or type(f[0]) is not int or f[0] not in _KEYS:
        raise ValueError("not a list that starts with a known type")
    fields = _TOMBSTONES.get(f[0])
    if fields is None or len(f) != len(fields):
        return False
    check(f, fields)  # the names in a key need no further check: nothing is made of them
    return True


def check_image(f: tuple[Any, ...]) -> None:
    """f, which is no tombstone, is an image of one of the six types, and consistent in itself."""
    kind = f[0]
    check(f, _IMAGES[kind])
    if kind == INODE:
        _check_inode(*f[-4:])
    elif kind == LINK:
        _check_name(f[2])
    elif kind == EXTENT:
        _check_run(f[2], f[3:])
    elif kind == STRIPE and sum(check(f[6], (U32,) * len(f[6]))) != f[5]:
        raise ValueError("a stripe whose slices are not its length")


def _check_inode(parent: int | None, name: bytes | None, _target: bytes | None, run: Any) -> None:
    if (parent is None) != (name is None):
        raise ValueError("a name without a directory")
    if name is not None:
        _check_name(name)
    if run is not None:
        _check_run(0, check(run, _RUN))


def _check_name(name: bytes) -> None:
    if name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise ValueError("not the name of a directory entry")


def _check_run(offset: int, run: tuple[int, ...]) -> None:
    length, _, _, stored, raw, skip, codec = run
    if not length or offset + length > FILE_SIZE_MAX or skip + length > raw or not 0 < stored <= raw:
        raise ValueError("an extent whose lengths contradict each other")
    if codec == PLAIN and not skip == 0 < length == raw == stored:
        raise ValueError("an extent of plain content with a unit around it")
    if codec not in (PLAIN, ZSTD) or (codec == ZSTD and raw > UNIT_MAX):
        raise ValueError("an extent in a unit that cannot be decoded")
