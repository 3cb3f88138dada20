"""Checks of what msgpack has decoded: a table of fields for each format, and one function that applies it.

Bytes from outside become numbers, byte strings, texts and lists of the right type, range and size here, or a
ValueError, which every decoder turns into an error of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack

from coopfs.limits import FILE_SIZE_MAX, MAX_ROWS, MAX_TEXT, NAME_MAX
from coopfs.types import SEQUENCE_BITS


class Field(NamedTuple):
    """What one value must be: an int from low to high, or bytes, printable text or a list of low to high items.
    absent: may be nil. (A tuple, as a restore takes millions of them apart.)"""

    kind: Any
    low: int
    high: int
    absent: bool = False


U8 = Field(int, 0, (1 << 8) - 1)
U16 = Field(int, 0, (1 << 16) - 1)
U32 = Field(int, 0, (1 << 32) - 1)
U64 = Field(int, 0, (1 << 64) - 1)
COUNT = Field(int, 0, (1 << 63) - 1)  # what SQLite can count: groups, ids, seconds
TIME = Field(int, -(1 << 63), (1 << 63) - 1)  # ns since 1970
INO = Field(int, 1, (1 << 63) - 1)
OFFSET = Field(int, 0, FILE_SIZE_MAX)
VERSION = Field(int, 1 << SEQUENCE_BITS, (1 << 64) - 1)  # of a stripe: epoch 0 is for fill blocks
ROW = Field(int, 0, MAX_ROWS - 1)
ID = Field(bytes, 16, 16)  # of a disk, store, claimer; and a tag
KEY = Field(bytes, 32, 32)
TEXT = Field(str, 1, MAX_TEXT)
NAME = Field(bytes, 1, NAME_MAX)


def unpack(data: bytes, longest: int) -> Any:
    """The one msgpack object that data is. ValueError: it is none, or a list or map in it has more than `longest`
    items: a list is allocated before its items are read, and lists nest."""
    try:
        return msgpack.unpackb(data, use_list=False, max_array_len=longest, max_map_len=longest)
    except (TypeError, msgpack.UnpackException) as bad:
        raise ValueError(str(bad)) from None


def check(values: Any, fields: Sequence[Field]) -> tuple[Any, ...]:
    """The values as they came, all of them as `fields` say. ValueError: they are not, or not as many."""
    if type(values) is not tuple or len(values) != len(fields):
        raise ValueError(f"not a list of {len(fields)}")
    for value, (kind, low, high, absent) in zip(values, fields, strict=True):
        if type(value) is not kind:  # not isinstance: True is not a number, an extension type not a list
            if value is None and absent:
                continue
            raise ValueError(f"{kind.__name__} expected")
        if not low <= (value if kind is int else len(value)) <= high:
            raise ValueError(f"{kind.__name__} out of range")
        if kind is str and not value.isprintable():
            raise ValueError("text with control characters")
    return values


def pick(mapping: Any, fields: Mapping[str, Field]) -> tuple[Any, ...]:
    """The values of the named keys, in the order of `fields`; further keys are a newer writer's and are ignored.
    ValueError: not a map, or a value is missing or not as its field says."""
    if type(mapping) is not dict:
        raise ValueError("not a map")
    return check(tuple(mapping.get(name) for name in fields), tuple(fields.values()))
