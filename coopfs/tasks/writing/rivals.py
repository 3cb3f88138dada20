"""Rivals: a slot holds something that this home did not put there. Whose is it? (design R12, R15)

- A block of this disk: this home is a copy of another one, or older than its partners. It stops. But one of an earlier
  epoch is of a home that was fenced off by the takeover, as a copy that ran beside the lost machine: it stays in the
  way, as the partner keeps what is newer, and this block cannot be had there.
- Something else, of the very version that is to be put there: the partner has damaged the block and does not know, or
  lies. It never gives that up, so this block cannot be had there; all others can.
- Anything else: the partner is wrong, and is left alone for a while.
"""

from collections.abc import Callable
from enum import Enum, auto

from coopfs.core.inventory import Inventory
from coopfs.core.master import StorePlace
from coopfs.errors import BlockRefused, NotAuthentic, StaleHome
from coopfs.local.database import REMEDY
from coopfs.local.log import Log
from coopfs.tasks.writing.seat import Parcel
from coopfs.types import BlockStore, Octets, Place, StoredBlock, Write, epoch_of


class Settled(Enum):
    """What is in the place of a block that was refused. THERE: it, or it is not needed any more; DAMAGED: something
    that nobody gave; FOREIGN: what another machine with this disk put there."""

    THERE = auto()
    DAMAGED = auto()
    FOREIGN = auto()


IsMine = Callable[[StorePlace, int, Place, Octets], bool]


class Rivals:
    """Of one store of a column. number: its seat; is_mine: whether a block in this store authenticates as this disk's,
    for the column of this seat at this place."""

    def __init__(self, number: int, place: StorePlace, log: Log, is_mine: IsMine) -> None:
        self._number = number
        self._place = place
        self._log = log
        self._is_mine = is_mine

    async def settle(self, session: BlockStore, parcel: Parcel, refusal: BlockRefused) -> Settled:
        """A block was refused; if something else is in its place, the store will not take it. StaleHome: this home
        must not write. PeerError: the partner is wrong."""
        if self._log.get(parcel.stripe) is None and not self._log.versions.foreign()(refusal.stored_version):
            return Settled.THERE  # given up while it was on the way, and this home used the row again: no harm done
        stored = await session.get(parcel.place.row)
        if stored is None:  # it is rotten, which was noticed only now
            (refused,) = await session.put_many([Write(parcel.place.row, parcel.place.version, parcel.box)])
            if refused is None:
                return Settled.THERE
            raise refused
        same = stored.version == parcel.place.version
        if same and stored.data == parcel.box:
            raise refusal
        if self._is_ours(stored, parcel.place.row):
            if epoch_of(stored.version) < self._log.epoch:
                return Settled.FOREIGN
            raise StaleHome(
                f"{self._place.name} holds a newer block of this disk in row {parcel.place.row}: this home is a copy "
                f"of another, or older than its partners; nothing more is sent from here: {REMEDY}"
            )
        if not same:
            raise refusal
        return Settled.DAMAGED

    async def compare(self, session: BlockStore, found: Inventory) -> None:
        """What a store lists must have been given here. StaleHome: this home must not write. NotAuthentic: the partner
        is wrong."""
        is_foreign = self._log.versions.foreign()
        for row in (row for row, version in found.items() if is_foreign(version)):
            stored = await session.get(row)
            if stored is not None and self._is_ours(stored, row):
                raise StaleHome(
                    f"{self._place.name} holds blocks newer than this home knows: its database is older than the "
                    f"partners; nothing is sent from here: {REMEDY}"
                )
            raise NotAuthentic(f"{self._place.name} claims to hold versions that were never sent")

    def _is_ours(self, stored: StoredBlock, row: int) -> bool:
        return self._is_mine(self._place, self._number, Place(stored.version, row), stored.data)
