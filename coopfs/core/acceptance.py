"""Which blocks and master blocks a host takes (design R14, R15): the same rule on disk, in memory and in a
simulation.
"""

from collections.abc import Sequence

from coopfs import limits
from coopfs.errors import BlockRefused, Refused
from coopfs.types import Master, Octets, StoredBlock


def accepts(stored: StoredBlock | None, row: int, version: int, data: Octets) -> bool:
    """Whether the block is to be written; False: exactly this is stored, acknowledge it again.

    stored: the intact block in the slot, None if it is empty or torn. BlockRefused: the slot holds something that
    is not older.
    """
    if stored is None or version > stored.version:
        return True
    if version == stored.version and data == stored.data:
        return False
    raise BlockRefused(f"row {row} holds version {stored.version:#x}, not older than {version:#x}", stored.version)


def check_put(rows: int, block_size: int, row: int, version: int, length: int) -> None:
    """Refused: no store of this shape (rows of block_size bytes) can take a block of `length` bytes there."""
    check_row(rows, row)
    if not 1 <= version < 1 << 64:
        raise Refused(f"version {version} is out of range")
    if not 1 <= length <= block_size:
        raise Refused(f"a block of {length} bytes does not fit into a store with blocks of {block_size} bytes")


def check_row(rows: int, row: int) -> None:
    """Refused: the store has no such row."""
    if not 0 <= row < rows:
        raise Refused(f"row {row} does not exist: the store has {rows} rows")


def check_turn(last: object, session: object) -> None:
    """Refused: a store was opened for writing again since. A copy of the same home may have, with the same claim."""
    if last is not session:
        raise Refused("this store was opened for writing once more, later")


def accepts_master(stored: Sequence[Master], master: Master) -> bool:
    """Whether the master block is to be written over the lower of two slots; False: it is the newest one already.

    Refused: too long, or its counter is not greater than all that are stored.
    """
    if not 1 <= len(master.data) <= limits.MAX_MASTER:
        raise Refused(f"a master block of {len(master.data)} bytes cannot be: at most {limits.MAX_MASTER}")
    if not 1 <= master.counter < 1 << 64:
        raise Refused(f"master counter {master.counter} is out of range")
    newest = max(stored, key=lambda other: other.counter, default=None)
    if newest is None or master.counter > newest.counter:
        return True
    if master == newest:
        return False
    raise Refused(f"master counter {master.counter:#x} is not greater than {newest.counter:#x}, which is stored")
