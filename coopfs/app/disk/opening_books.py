"""The ledger of a disk as its database and its master block have it: layouts, their seats, and the rows of each."""

from collections.abc import Callable, Sequence

from coopfs.core.master import MasterBlock
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Log
from coopfs.local.rowmark import RowMark
from coopfs.local.seating import Seating
from coopfs.local.slots import Slots
from coopfs.tasks.writing.ledger import Ledger


def open_ledger(
    local: LocalDisk, log: Log, master: MasterBlock, forget_content: Callable[[Sequence[int]], None]
) -> Ledger:
    """Of the layout in use as many rows may be taken as were noted; of older ones all that the master block names."""
    layouts = [places.layout for places in master.layouts]
    seating = Seating(local.database)
    in_use = seating.in_use(layouts)
    rows = {places.layout.id: places.rows for places in master.layouts}
    rows[in_use] = RowMark(local.database).used(rows[in_use])
    return Ledger(log, Slots(local.database), seating.seats(layouts), in_use, rows, forget_content, local.cache)
