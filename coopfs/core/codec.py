"""Reed-Solomon coding of a stripe: any k of its n shards give the k data shards back (section 2.2).

The code is zfec's systematic Vandermonde code over GF(2^8): columns 0..k-1 are the data shards as they are.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import zfec
from blake3 import blake3

TAG = 16  # bytes


def encode(k: int, m: int, shards: Sequence[bytes]) -> list[bytes]:
    """The m redundancy shards of k data shards of equal length."""
    return _encode(k, m, shards, range(k, k + m)) if m else []


def column(k: int, m: int, shards: Sequence[bytes], j: int) -> bytes:
    """The shard of column j, 0 <= j < k+m, of k data shards."""
    return shards[j] if j < k else _encode(k, m, shards, (j,))[0]


def decode(k: int, m: int, shards: Mapping[int, bytes]) -> list[bytes]:
    """The k data shards, from k shards by column. Exactly k are used, data columns first, as they cost nothing."""
    assert len(shards) >= k
    chosen = sorted(shards)[:k]
    if chosen[-1] < k:
        return [shards[j] for j in chosen]
    # zfec wants each data shard that is present at its own place, and redundancy shards in the gaps
    spare = [j for j in chosen if j >= k]
    places = [j if j in shards else spare.pop() for j in range(k)]
    decoded: list[bytes] = _decoder(k, k + m).decode([shards[j] for j in places], places)
    return decoded


def tag(tag_key: bytes, shards: Sequence[bytes]) -> bytes:
    """16 bytes: keyed hash of the k data shards, directories and pad included (R2)."""
    hasher = blake3(key=tag_key)
    for shard in shards:
        hasher.update(shard)
    return hasher.digest(TAG)


def _encode(k: int, m: int, shards: Sequence[bytes], columns: Sequence[int]) -> list[bytes]:
    coded: list[bytes] = _encoder(k, k + m).encode(list(shards), tuple(columns))
    return coded


@lru_cache(maxsize=64)  # one per layout in force; a Vandermonde matrix of 62 x 62 takes milliseconds to invert
def _encoder(k: int, n: int) -> zfec.Encoder:
    return zfec.Encoder(k, n)


@lru_cache(maxsize=64)
def _decoder(k: int, n: int) -> zfec.Decoder:
    return zfec.Decoder(k, n)
