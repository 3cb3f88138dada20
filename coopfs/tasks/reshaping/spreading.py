"""Whether a restore would find the newest master block, whoever of those that may be lost is lost (design R14)."""

from coopfs.local.kitrecord import MUST_EXPORT, KitRecord
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger


class Spreading:
    """kits: which names the partners that whoever restores can ask."""

    def __init__(self, keeper: MasterKeeper, columns: Columns, ledger: Ledger, kits: KitRecord) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._kits = kits

    def hindrance(self) -> str | None:
        """Why all that count, and f+1 partners of the newest kit, do not have it yet, in words. None: they do."""
        holders, made = self._keeper.holders(), self._kits.newest()
        counted = [column.place for column in self._columns.columns if not column.away]
        untold = [place.name for place in counted if place.node not in holders]
        if untold:
            return f"{', '.join(untold)} must be told and cannot be reached"
        if made is not None and len(holders.intersection(made.partners)) <= self._ledger.seats.f:
            return MUST_EXPORT
        return None
