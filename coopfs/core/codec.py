"""Reed-Solomon coding of a stripe: any k of its n shards give the k data shards back (section 2.2).

The code is zfec's systematic Vandermonde code over GF(2^8): columns 0..k-1 are the data shards as they are.
"""

from collections.abc import Mapping, Sequence

from blake3 import blake3

from coopfs.core.galois import Engine, Zfec, load_isal
from coopfs.types import Octets

TAG = 16  # bytes
UNREADABLE = bytes(TAG)  # in the place of the tag of content that could not be read when it was to be sent

_ENGINE: Engine = load_isal() or Zfec()


def encode(k: int, m: int, shards: Sequence[Octets], engine: Engine = _ENGINE) -> list[bytearray]:
    """The m redundancy shards of k data shards of equal length."""
    return _encode(k, m, shards, range(k, k + m), engine)


def encode_into(k: int, m: int, shards: Sequence[Octets], into: Sequence[Octets]) -> None:
    """The same, into m buffers of that length."""
    if m:
        _ENGINE.encode(k, k + m, shards, range(k, k + m), into)


def column(k: int, m: int, shards: Sequence[Octets], j: int) -> Octets:
    """The shard of column j, 0 <= j < k+m, of k data shards."""
    return shards[j] if j < k else _encode(k, m, shards, (j,), _ENGINE)[0]


def decode(k: int, m: int, shards: Mapping[int, Octets], engine: Engine = _ENGINE) -> list[Octets]:
    """The k data shards, from k shards by column. Exactly k are used, data columns first, as they cost nothing."""
    assert len(shards) >= k
    chosen = sorted(shards)[:k]
    lost = [j for j in range(k) if j not in shards]
    # an engine wants each data shard that is present at its own place, and redundancy shards in the gaps
    spare = [j for j in chosen if j >= k]
    places = [j if j in shards else spare.pop() for j in range(k)]
    decoded = {j: bytearray(len(shards[chosen[0]])) for j in lost}
    if lost:
        engine.decode(k, k + m, [shards[j] for j in places], places, list(decoded.values()))
    return [decoded[j] if j in decoded else shards[j] for j in range(k)]


def tag(tag_key: bytes, shards: Sequence[Octets]) -> bytes:
    """16 bytes: keyed hash of the k data shards, directories and pad included (R2)."""
    hasher = blake3(key=tag_key)
    for shard in shards:
        hasher.update(shard)
    return hasher.digest(TAG)


def _encode(k: int, m: int, shards: Sequence[Octets], columns: Sequence[int], engine: Engine) -> list[bytearray]:
    coded = [bytearray(len(shards[0])) for _ in columns]
    if coded:
        engine.encode(k, k + m, shards, columns, coded)
    return coded
