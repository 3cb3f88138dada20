"""How many bytes go where: block, box, header, shard (design section 3).

A stored block is `box overhead + header + shard + pad`, its length a multiple of BLOCK_ROUNDING:

    | clear 48 | sealed: header 48 | shard | zero pad | authenticator 32 |
"""

from coopfs.errors import UsageError
from coopfs.limits import (
    BLOCK_ROUNDING,
    MAX_BLOCK_SIZE,
    MAX_COLUMNS,
    MAX_RECORD,
    META_PREV,
    MIN_BLOCK_SIZE,
)
from coopfs.types import Layout

CLEAR = 48  # bytes in front of the ciphertext: suite, key id, length, version, nonce
AUTHENTICATOR = 32  # bytes behind it: the AEGIS-256 tag
HEADER = 48  # bytes of block header inside the ciphertext
OVERHEAD = CLEAR + AUTHENTICATOR + HEADER  # 128 bytes of every block
META_PLACE = 15  # bytes of [version, row] in msgpack, at most
META_FIXED = 8 + 256 + META_PLACE * (2 + META_PREV) + 64  # bytes of a meta stripe: lengths, map, places, signature
MIN_STRIPE = -(-(META_FIXED + MAX_RECORD) * 4 // 3)  # bytes: any record fits beside a chain list of a quarter


def shard_capacity(block_size: int) -> int:
    """Bytes of the largest shard in a block of block_size bytes."""
    return block_size - OVERHEAD


def block_length(shard_length: int) -> int:
    """Bytes of the stored block that carries a shard: rounded up, so that sizes tell little (P5)."""
    return -(-(shard_length + OVERHEAD) // BLOCK_ROUNDING) * BLOCK_ROUNDING


def shard_lengths(block_size: int) -> range:
    """The shard lengths that waste nothing: one for each possible block length, ascending."""
    return range(BLOCK_ROUNDING - OVERHEAD, block_size, BLOCK_ROUNDING)


def check_layout(layout: Layout) -> None:
    """UsageError: k, m or block size out of bounds."""
    if layout.k < 1 or layout.m < 0:
        raise UsageError("a disk needs at least 1 data partner and no negative number of redundancy partners")
    if layout.n > MAX_COLUMNS:
        raise UsageError(f"{layout.k} + {layout.m} partners are more than the {MAX_COLUMNS} that one disk can have")
    size = layout.block_size
    if not MIN_BLOCK_SIZE <= size <= MAX_BLOCK_SIZE or size % BLOCK_ROUNDING:
        raise UsageError(
            f"a block size of {size} bytes is not a multiple of {BLOCK_ROUNDING >> 10}K "
            f"from {MIN_BLOCK_SIZE >> 10}K to {MAX_BLOCK_SIZE >> 10}K"
        )
    if layout.k * shard_capacity(size) < MIN_STRIPE:
        least = -(-MIN_STRIPE // layout.k) + OVERHEAD
        raise UsageError(
            f"a block size of {size} bytes is too small when k is {layout.k}: "
            f"use at least {-(-least // BLOCK_ROUNDING) * BLOCK_ROUNDING >> 10}K"
        )
