"""The maps of messages: small msgpack maps with text keys, read field by field, nothing taken on trust.

Each getter names the key in its ProtocolError. Keys that nobody asks for are ignored, so that later versions may add
some (design R16); a key given twice is an error, since two readers might believe different ones.
"""

from collections.abc import Mapping
from typing import Any

import msgpack

from coopfs.errors import ProtocolError
from coopfs.limits import MAX_TEXT

U16 = (1 << 16) - 1
U32 = (1 << 32) - 1
U63 = (1 << 63) - 1  # the most that SQLite keeps
U64 = (1 << 64) - 1


def pack_map(fields: Mapping[str, Any]) -> bytes:
    """The encoded map; keys in the order given, None left out."""
    packed: bytes = msgpack.packb({key: value for key, value in fields.items() if value is not None})
    return packed


def printable(text: str) -> str:
    """`text` as it may go into a message: at most MAX_TEXT bytes, no control characters."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean.encode()[:MAX_TEXT].decode(errors="ignore")


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is given twice")
    return fields


def _no_extension(code: int, data: bytes) -> None:
    raise ValueError(f"extension {code} of {len(data)} bytes")


class Fields:
    """One decoded map. Every getter raises ProtocolError for a missing key, another type or a value out of range."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[Any, Any]) -> None:
        self._values = values

    @classmethod
    def unpack(cls, data: bytes) -> "Fields":
        """ProtocolError if `data` is anything else than one msgpack map with text keys and without extensions."""
        try:
            values = msgpack.unpackb(
                data, strict_map_key=True, max_ext_len=0, ext_hook=_no_extension, object_pairs_hook=_unique
            )
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise ProtocolError(f"a message map cannot be read: {error}") from None
        if not isinstance(values, dict):
            raise ProtocolError("a message map is not a map")
        return cls(values)

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def _get(self, key: str) -> Any:
        if key not in self._values:
            raise ProtocolError(f"a message lacks {key!r}")
        return self._values[key]

    def whole(self, key: str, high: int, low: int = 0) -> int:
        """An integer low..high."""
        value = self._get(key)
        if type(value) is not int or not low <= value <= high:
            raise ProtocolError(f"{key!r} in a message is not a whole number {low}..{high}")
        return value

    def truth(self, key: str) -> bool:
        value = self._get(key)
        if type(value) is not bool:
            raise ProtocolError(f"{key!r} in a message is not true or false")
        return value

    def octets(self, key: str, *sizes: int) -> bytes:
        """Bytes of one of these sizes."""
        value = self._get(key)
        if type(value) is not bytes or len(value) not in sizes:
            raise ProtocolError(f"{key!r} in a message does not have {' or '.join(map(str, sizes))} bytes")
        return value

    def octets_between(self, key: str, least: int, most: int) -> bytes:
        """So many bytes."""
        value = self._get(key)
        if type(value) is not bytes or not least <= len(value) <= most:
            raise ProtocolError(f"{key!r} in a message does not have {least} to {most} bytes")
        return value

    def text(self, key: str) -> str:
        """Printable text of at most MAX_TEXT bytes."""
        return _text(key, self._get(key), MAX_TEXT)

    def names(self, key: str, count: int, size: int) -> tuple[str, ...]:
        """At most `count` printable texts of at most `size` bytes each."""
        return tuple(_text(key, value, size) for value in self._list(key, count))

    def wholes(self, key: str, count: int, high: int) -> tuple[int, ...]:
        """At most `count` integers 0..high."""
        values = self._list(key, count)
        if any(type(value) is not int or not 0 <= value <= high for value in values):
            raise ProtocolError(f"{key!r} in a message holds something else than whole numbers 0..{high}")
        return tuple(values)

    def fields(self, key: str) -> "Fields":
        """A map inside the map."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise ProtocolError(f"{key!r} in a message is not a map")
        return Fields(value)

    def _list(self, key: str, count: int) -> list[Any]:
        value = self._get(key)
        if type(value) is not list or len(value) > count:
            raise ProtocolError(f"{key!r} in a message is not a list of at most {count}")
        return value


def _text(key: str, value: Any, size: int) -> str:
    if type(value) is not str or not value.isprintable() or len(value.encode()) > size:
        raise ProtocolError(f"{key!r} in a message is not printable text of at most {size} bytes")
    return value
