"""Meta stripes: the log's own stripes, a chain on ordinary rows with a moving head (design section 4, R2, R3).

Payload of one meta stripe:

    | map length u32 | records length u32 | msgpack map | records ... | signature 64 bytes, in an END |

It tells its own length, as the block header's is not under the tag: zero pad may follow it.

The map (keys are one or two letters, unknown keys are ignored):

    w   where this stripe lies: [version, row]; in what is signed, so that nobody can seal an old END as a newer one
    g   group number                       i   index of this stripe in its group, from 0
    h   head: [version, row] of the oldest meta stripe still needed, itself in the first one
    p   the previous META_PREV meta stripes, newest first: [[version, row], ...]
    l   every META_CHAIN_EVERY-th stripe: the chain from the head, oldest first, of it the newest META_CHAIN_MAX
    c   32 bytes, the chain of tags before this stripe: c' = BLAKE3(c + tag of the stripe before), 32 zeros at first
    t   wall time of the group's end, ns since 1970
    u   newest group known held when this was sealed
    a   columns away (A of R7) when this was sealed, a bit each
    n   next inode number                  s   next stripe id

An END is signed with the disk signing key over "coopfs 0 end", the disk id, and the BLAKE3 of what precedes the
signature, chain included: who can only read cannot forge a state, alone or with a partner.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgpack
from blake3 import blake3

from coopfs.core.fields import COUNT, INO, KEY, ROW, TIME, U64, VERSION, Field, check, pick, unpack
from coopfs.core.geometry import META_FIXED, META_PLACE
from coopfs.core.keys import SIGNATURE, DiskKeys
from coopfs.errors import NotAuthentic
from coopfs.limits import META_CHAIN_MAX, META_PREV
from coopfs.types import Kind, Place

_LENGTHS = struct.Struct(">II")
FIRST_CHAIN = bytes(32)
_END_CONTEXT = b"coopfs 0 end"
_PLACE = (VERSION, ROW)
_FIELDS = {
    "w": Field(tuple, 2, 2),
    "g": COUNT,
    "i": COUNT,
    "h": Field(tuple, 2, 2, absent=True),
    "p": Field(tuple, 0, META_PREV),
    "l": Field(tuple, 0, META_CHAIN_MAX, absent=True),
    "c": KEY,
    "t": TIME,
    "u": COUNT,
    "a": U64,
    "n": INO,
    "s": COUNT,
}


@dataclass(frozen=True, slots=True)
class MetaHead:
    """The map of one meta stripe; see the module's table. time in ns; head None: this stripe is the head."""

    place: Place
    group: int
    index: int
    head: Place | None
    previous: tuple[Place, ...]
    whole_chain: tuple[Place, ...]
    chain: bytes
    time: int
    held: int
    away: int
    next_ino: int
    next_stripe: int


def extend_chain(chain: bytes, tag: bytes) -> bytes:
    """The chain of tags after a stripe of this tag. 32 bytes."""
    return blake3(chain + tag).digest()


def encode(keys: DiskKeys, kind: Kind, head: MetaHead, records: bytes) -> bytes:
    """The payload of a meta stripe; of kind END it is signed."""
    assert kind in (Kind.META, Kind.END)
    assert len(head.previous) <= META_PREV
    fields: bytes = msgpack.packb(_map_of(head), use_bin_type=True)
    body = _LENGTHS.pack(len(fields), len(records)) + fields + records
    return body + keys.sign(_end_text(keys, body)) if kind == Kind.END else body


def decode(keys: DiskKeys, kind: Kind, place: Place, payload: bytes) -> tuple[MetaHead, bytes]:
    """The map and the records' bytes of the stripe that lies at `place`, from its payload or its padded data shards.
    NotAuthentic: bad signature, of another place, or not of this format."""
    try:
        map_length, records_length = _LENGTHS.unpack_from(payload)
    except struct.error:
        raise NotAuthentic("a meta stripe is too short to be one") from None
    start = _LENGTHS.size + map_length
    body, rest = payload[: start + records_length], payload[start + records_length :]
    signature, pad = (rest[:SIGNATURE], rest[SIGNATURE:]) if kind == Kind.END else (b"", rest)
    if len(body) != start + records_length or any(pad):
        raise NotAuthentic("a meta stripe has lengths that contradict each other")
    if kind == Kind.END:
        keys.verify(_end_text(keys, body), signature)
    try:
        head = _head_of(unpack(body[_LENGTHS.size : start], META_CHAIN_MAX))
    except ValueError as bad:
        raise NotAuthentic(f"a meta stripe has a head that this version cannot read: {bad}") from None
    if head.place != place:
        raise NotAuthentic("a meta stripe was made for another place")
    return head, body[start:]


def records_capacity(capacity: int) -> int:
    """Bytes of records that surely fit into one meta stripe of `capacity` payload bytes."""
    return capacity - META_FIXED - META_PLACE * chain_room(capacity)


def chain_room(capacity: int) -> int:
    """Places in the longest whole-chain list: at most a quarter of the payload."""
    return min(META_CHAIN_MAX, capacity // 4 // META_PLACE)


def split(records: Iterable[bytes], capacity: int) -> list[list[bytes]]:
    """Encoded records, in order, into runs of at most `capacity` bytes: one run for each meta stripe, at least one."""
    runs: list[list[bytes]] = [[]]
    size = 0
    for record in records:
        assert len(record) <= capacity, "limits.py bounds records far below a meta stripe"
        if size + len(record) > capacity:
            runs.append([])
            size = 0
        runs[-1].append(record)
        size += len(record)
    return runs


def shards_of(payload: bytes, k: int, shard_length: int) -> list[bytes]:
    """A meta payload cut into k data shards, zero padded at its end."""
    assert len(payload) <= k * shard_length
    padded = payload + bytes(k * shard_length - len(payload))
    return [padded[j * shard_length : (j + 1) * shard_length] for j in range(k)]


def _end_text(keys: DiskKeys, body: bytes) -> bytes:
    return _END_CONTEXT + keys.disk + blake3(body).digest()


def _map_of(head: MetaHead) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "w": _pair(head.place),
        "g": head.group,
        "i": head.index,
        "h": None if head.head is None else _pair(head.head),
        "p": [_pair(p) for p in head.previous],
        "c": head.chain,
        "t": head.time,
        "u": head.held,
        "a": head.away,
        "n": head.next_ino,
        "s": head.next_stripe,
    }
    if head.whole_chain:
        fields["l"] = [_pair(p) for p in head.whole_chain[-META_CHAIN_MAX:]]
    return fields


def _head_of(decoded: Any) -> MetaHead:
    place, group, index, head, previous, whole, *rest = pick(decoded, _FIELDS)
    places = (tuple(_place(p) for p in previous), tuple(_place(p) for p in whole or ()))
    return MetaHead(_place(place), group, index, None if head is None else _place(head), *places, *rest)


def _pair(place: Place) -> list[int]:
    return [place.version, place.row]


def _place(pair: Any) -> Place:
    return Place(*check(pair, _PLACE))
