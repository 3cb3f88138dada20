"""What is put into a store, and who keeps the books of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coopfs.core.ids import Ids
from coopfs.core.inventory import Inventory
from coopfs.core.rows import Rows
from coopfs.local.log import Log
from coopfs.tasks.writing.comparing import Compared
from coopfs.types import Octets, Place


@dataclass(frozen=True, slots=True)
class Parcel:
    """A block on its way to a store."""

    stripe: int
    place: Place
    box: Octets


class Seat(Protocol):
    """What is known of a store: of the one that counts for its column, or of one that is being filled."""

    log: Log

    def rows_at(self, column: int) -> Rows:
        """Of the layout it belongs to."""

    def ack(self, ids: Sequence[int], column: int) -> None:
        """These stripes are on stable storage there."""

    def digest(self, column: int) -> bytes:
        """What it answers if it lost nothing and got nothing else: 16 bytes."""

    async def reconcile(self, found: Inventory, column: int, store: Compared) -> int:
        """How many acks had to be taken back."""

    def disprove(self, ids: Sequence[int], column: int) -> None:
        """It has not got these stripes, whatever it acked or claims."""

    def lacking(self, column: int, under_way: Callable[[int], bool], aside: Ids) -> list[int]:
        """Stripes to send to it next, most urgent first, but for those that are under way, of which there are few, or
        aside; CLEANER_BATCH at most."""
