"""The block header: every block tells what it belongs to (design R2).

Identical in all columns of a stripe, fixed when the stripe is sealed, and copied by repair from any authentic block.
48 bytes, big-endian:

     0  kind            u8    1 data, 2 meta, 3 meta END
     1  reserved        u8    0; anything else is of a newer format
     2  layout          u16
     4  payload length  u32   bytes of content (data) or of payload (meta)
     8  shard length    u32
    12  END row         u32   the newest END known written when this stripe was sealed; 0, 0 if none
    16  END version     u64
    24  group           u64
    32  tag             16 bytes, keyed hash of the k data shards; only blocks of equal tag are combined
"""

import struct
from dataclasses import dataclass

from coopfs.core.geometry import HEADER
from coopfs.errors import NotAuthentic
from coopfs.types import Kind, Octets, Place

_FORMAT = struct.Struct(">BBHIIIQQ16s")
assert _FORMAT.size == HEADER

NO_PLACE = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Header:
    kind: Kind
    layout: int
    payload_length: int
    shard_length: int
    end: Place
    group: int
    tag: bytes

    def encode(self) -> bytes:
        """48 bytes."""
        lengths = (self.payload_length, self.shard_length)
        return _FORMAT.pack(self.kind, 0, self.layout, *lengths, self.end.row, self.end.version, self.group, self.tag)


def decode(data: Octets) -> Header:
    """The header at the start of a block's plaintext. NotAuthentic: not a header of this format."""
    if len(data) < HEADER:
        raise NotAuthentic("a block is too short for its header")
    kind, reserved, layout, payload, shard, row, version, group, tag = _FORMAT.unpack_from(data)
    if kind not in (Kind.DATA, Kind.META, Kind.END) or reserved or not 0 < shard <= len(data) - HEADER:
        raise NotAuthentic("a block has a header that this version cannot read")
    return Header(Kind(kind), layout, payload, shard, Place(version, row), group, tag)
