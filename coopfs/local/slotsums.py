"""The digests of columns against what they are sums of: acks and remains (design R16, local/slots)."""

import sqlite3
from collections import Counter
from pathlib import Path

from coopfs.core.digest import slot_term
from coopfs.errors import NotAsked
from coopfs.local.slots import MODULUS, NONE

_SLOTS = (
    "SELECT row, version, acks FROM stripes WHERE row IS NOT NULL AND acks"
    " UNION ALL SELECT row, version, acks FROM remains"
)
_MASKS_MAX = 4096  # sets of columns of which a sum is kept at once: nearly always there are two or three


class SlotSums:
    """A connection that only reads. Its methods wait: they are for a thread, one at a time."""

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def wrong(self) -> dict[int, int]:
        """Seat -> by how much its digest is to be higher, modulo MODULUS, of those that are not right as of the last
        commit; none of which no digest is expected. Takes 9 s for 10^6 stripes on a busy machine. NotAsked: the
        database cannot be read."""
        try:
            self._connection.execute("BEGIN")
            try:
                digests = self._connection.execute("SELECT number, digest FROM digests").fetchall()
                sums = self._sums()
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as bad:
            raise NotAsked(str(bad)) from bad
        known = {seat: int.from_bytes(value, "big") for seat, value in digests}
        off = {seat: (sums[seat] - known.get(seat, 0)) % MODULUS for seat in sums.keys() | known.keys()}
        return {seat: by for seat, by in off.items() if by and known.get(seat) != NONE}

    def _sums(self) -> Counter[int]:
        """Seat -> what its digest should be."""
        of_masks, of_seats = Counter[int](), Counter[int]()
        for row, version, acks in self._connection.execute(_SLOTS):
            of_masks[acks] += slot_term(row, version)
            if len(of_masks) > _MASKS_MAX:
                _share(of_masks, of_seats)
        _share(of_masks, of_seats)
        return of_seats

    def interrupt(self) -> None:
        """What is being asked ends: from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


def _share(of_masks: Counter[int], of_seats: Counter[int]) -> None:
    """What sets of columns have in common is part of the sum of each."""
    for mask, terms in of_masks.items():
        for seat in range(mask.bit_length()):
            if mask >> seat & 1:
                of_seats[seat] = (of_seats[seat] + terms) % MODULUS
    of_masks.clear()
