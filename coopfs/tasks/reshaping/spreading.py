"""Whether the newest master block is known widely: a restore would find it, whoever of those that may be lost is lost,
and so would a takeover that did not find who counts (design R14)."""

from collections.abc import Set

from coopfs.core.seats import Span
from coopfs.local.kitrecord import MUST_EXPORT, KitRecord
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import NodeKey


class Spreading:
    """kits: which names the partners that whoever restores can ask."""

    def __init__(self, keeper: MasterKeeper, columns: Columns, ledger: Ledger, kits: KitRecord) -> None:
        self._keeper = keeper
        self._columns = columns
        self._ledger = ledger
        self._kits = kits

    def hindrance(self) -> str | None:
        """Why all that count, f+1 partners of the newest kit, and in each layout so many that no takeover can do
        without, do not have it yet, in words. None: they do."""
        holders, made = self._keeper.holders(), self._kits.newest()
        counted = [column.place for column in self._columns.columns if not column.away]
        untold = [place.name for place in counted if place.node not in holders]
        if untold:
            return f"{', '.join(untold)} must be told and cannot be reached"
        if lacking := max(self._lacking(span, holders) for span in self._ledger.seats):
            return f"{lacking} more partners must be told and cannot be reached"
        if made is not None and len(holders.intersection(made.partners)) <= self._ledger.seats.f:
            return MUST_EXPORT
        return None

    def _lacking(self, span: Span, holders: Set[NodeKey]) -> int:
        """How many columns of this layout must be told besides those that were, be it that most do not count."""
        told = sum(column.place.node in holders for column in self._columns.of(span.layout.id))
        return max(0, span.quorum.told_needed - told)
