"""What a partner says its slots hold: a claim, not a proof (design R11, R16). 8 bytes a row, since a disk may have 10^7
rows, and every partner tells of all."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

from coopfs.core import digest
from coopfs.errors import NotAuthentic
from coopfs.types import Slot

TORN = (1 << 64) - 1  # in the place of a version that no stripe has: it is the 2^48th of the last epoch
_SLAB = 1 << 16  # rows looked at together


class Inventory:
    """Row -> version of every slot ever written, 0 for a torn or rotten one. digest: of all of them (core/digest)."""

    def __init__(self, rows: int) -> None:
        """rows: of the disk; memory grows with the highest one that is told."""
        self.rows = rows
        self._versions = array("Q")
        self._sum = 0

    def add(self, page: Iterable[Slot]) -> None:
        """The next slots, by ascending row; those beyond the disk's rows mean nothing, as those of a store that is to
        be cut. NotAuthentic: they go backwards."""
        versions = self._versions
        for slot in page:
            if slot.row >= self.rows:
                break
            lacking = slot.row - len(versions)
            if lacking < 0:
                raise NotAuthentic("a partner sends an inventory that goes backwards")
            if lacking:
                versions.frombytes(bytes(lacking * versions.itemsize))
            versions.append(slot.version or TORN)
            self._sum += digest.slot_term(slot.row, slot.version)

    @property
    def digest(self) -> int:
        return digest.add(0, self._sum)

    @property
    def next_row(self) -> int:
        """The first row of which nothing was told yet."""
        return len(self._versions)

    def get(self, row: int) -> int | None:
        """The version, 0 if it is torn or rotten; None: never written."""
        version = self._versions[row] if row < len(self._versions) else 0
        if version == TORN:
            return 0
        return version or None

    def items(self) -> Iterator[tuple[int, int]]:
        """(row, version), by ascending row."""
        for row, version in enumerate(self._versions):
            if version:
                yield row, 0 if version == TORN else version

    def newest(self, below: int, count: int) -> int:
        """The count-th greatest version before `below`; 0: there are less."""
        found: list[int] = []
        for first in range(0, len(self._versions), _SLAB):
            slab = [version for version in self._versions[first : first + _SLAB] if 0 < version < below]
            found = sorted(found + slab)[-count:]  # mostly sorted already, which a heap would not like
        return found[0] if len(found) == count else 0

    def between(self, low: int, below: int) -> list[tuple[int, int]]:
        """(version, row) of the versions from `low` on."""
        low = max(low, 1)
        return [(version, row) for row, version in enumerate(self._versions) if low <= version < below]

    def spoiled(self) -> list[int]:
        """The rows that are torn or rotten."""
        return [row for row, version in self.items() if not version] if TORN in self._versions else []

    def differing(
        self, stripes: Iterable[tuple[int, int, int, int]], column: int
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Of stripes (id, row, version, acks) the ids of those that lie here though this column did not ack them, and
        of those that it acked and that do not."""
        gained, lost = array("Q"), array("Q")
        for id_, row, version, acks in stripes:
            has = self.get(row) == version
            if has != bool(acks >> column & 1):
                (gained if has else lost).append(id_)
        return gained, lost
