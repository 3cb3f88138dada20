"""The two that compute the code of codec.py: zfec, which says what it is, and ISA-L, which is fast.

ISA-L multiplies any matrix over the same field (0x11d) with vectors. Its matrices are taken from zfec, which codes the
unit vectors, so that both give the same bytes. Measured on one core at 6+2, of data: ISA-L 12.6 GB/s, zfec 0.46.
It is a library of the system (Debian: libisal2); where that is missing, zfec does the work.

Both write into buffers that the caller gives; both leave the interpreter lock meanwhile.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import zfec

from coopfs.types import Octets

_TABLE = 32  # bytes of ISA-L's tables for each element of a matrix


class Engine(Protocol):
    """All shards have one length, that of each buffer in `into`; n = k + m."""

    def encode(self, k: int, n: int, data: Sequence[Octets], columns: Sequence[int], into: Sequence[Octets]) -> None:
        """The shards of these columns, from the k data shards."""

    def decode(self, k: int, n: int, chosen: Sequence[Octets], places: Sequence[int], into: Sequence[Octets]) -> None:
        """The data shards that are missing in `places`, ascending. chosen: k shards, of the columns in `places`, each
        data column at its own index."""


class Zfec:
    """zfec by itself."""

    def encode(self, k: int, n: int, data: Sequence[Octets], columns: Sequence[int], into: Sequence[Octets]) -> None:
        coded = _encoder(k, n).encode([bytes(shard) for shard in data], tuple(columns))
        for buffer, shard in zip(into, coded, strict=True):
            memoryview(buffer)[:] = shard

    def decode(self, k: int, n: int, chosen: Sequence[Octets], places: Sequence[int], into: Sequence[Octets]) -> None:
        decoded = _decoder(k, n).decode([bytes(shard) for shard in chosen], list(places))
        lost = (shard for place, shard in zip(places, decoded, strict=True) if place >= k)
        for buffer, shard in zip(into, lost, strict=True):
            memoryview(buffer)[:] = shard


class Isal:
    """ISA-L with zfec's matrices."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._tables = lru_cache(maxsize=256)(self._make_tables)  # 62 x 62 elements: 123 KB; a usual one: 400 bytes

    def encode(self, k: int, n: int, data: Sequence[Octets], columns: Sequence[int], into: Sequence[Octets]) -> None:
        matrix = b"".join(_encoder(k, n).encode(_units(k), tuple(columns)))
        self._multiply(matrix, data, into)

    def decode(self, k: int, n: int, chosen: Sequence[Octets], places: Sequence[int], into: Sequence[Octets]) -> None:
        rows = _decoder(k, n).decode(_units(k), list(places))
        self._multiply(b"".join(row for place, row in zip(places, rows, strict=True) if place >= k), chosen, into)

    def _multiply(self, matrix: bytes, vectors: Sequence[Octets], into: Sequence[Octets]) -> None:
        length = len(vectors[0])
        assert {len(each) for each in (*vectors, *into)} == {length}
        k, rows = len(vectors), len(into)
        assert len(matrix) == k * rows
        # what is read only has no address for ctypes, unless it is bytes; kept here until the work is done
        readable = [bytes(each) if isinstance(each, memoryview) and each.readonly else each for each in vectors]
        sources = (ctypes.c_void_p * k)(*map(_address, readable))
        targets = (ctypes.c_void_p * rows)(*map(_address, into))
        self._library.ec_encode_data(length, k, rows, self._tables(k, rows, matrix), sources, targets)

    def _make_tables(self, k: int, rows: int, matrix: bytes) -> "ctypes.Array[ctypes.c_char]":
        tables = ctypes.create_string_buffer(_TABLE * k * rows)
        self._library.ec_init_tables(k, rows, matrix, tables)
        return tables


def load_isal() -> Isal | None:
    """None: the system has no such library."""
    try:
        return Isal(ctypes.CDLL("libisal.so.2"))
    except OSError:
        return None


def _address(data: Octets) -> int | None:
    """Of the first byte; the caller keeps the object alive."""
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


@lru_cache(maxsize=64)
def _units(k: int) -> list[bytes]:
    """The k unit vectors."""
    return [bytes(int(i == j) for i in range(k)) for j in range(k)]


@lru_cache(maxsize=64)  # one per layout in force; a Vandermonde matrix of 62 x 62 takes milliseconds to invert
def _encoder(k: int, n: int) -> zfec.Encoder:
    return zfec.Encoder(k, n)


@lru_cache(maxsize=64)
def _decoder(k: int, n: int) -> zfec.Decoder:
    return zfec.Decoder(k, n)
