"""The digest of a store: what an owner and a host compare in 16 bytes before they compare inventories (design R15,
R16).

digest = sum mod 2^128 over all intact slots of BLAKE3-128(row u32 | version u64, big-endian). A sum can be changed
slot by slot, in any order, by whoever knows what a slot held and what it holds. It finds accidents; blocks are
authenticated by their owner's keys.
"""

import struct

from blake3 import blake3

DIGEST = 16  # bytes

_SLOT = struct.Struct(">IQ")
_MODULUS = 1 << 128


def slot_term(row: int, version: int) -> int:
    """What an intact slot adds to the digest: 0..2^128-1. A slot with version 0 is empty and adds nothing."""
    if version == 0:
        return 0
    return int.from_bytes(blake3(_SLOT.pack(row, version)).digest(DIGEST), "big")


def replace(digest: int, row: int, old: int, new: int) -> int:
    """The digest after the slot of `row` went from version `old` to version `new`; 0 stands for empty."""
    return (digest - slot_term(row, old) + slot_term(row, new)) % _MODULUS


def add(digest: int, terms: int) -> int:
    """The digest with a sum of `slot_term`s of slots that were empty."""
    return (digest + terms) % _MODULUS


def to_bytes(digest: int) -> bytes:
    """As `Opened.digest` carries it: 16 bytes, big-endian."""
    return digest.to_bytes(DIGEST, "big")
