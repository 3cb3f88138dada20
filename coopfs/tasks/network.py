"""The way to partners, as tasks see it: connections, or a simulated network."""

from typing import Protocol

from coopfs.core.inventory import Inventory
from coopfs.limits import INVENTORY_PAGE
from coopfs.types import BlockStore, NodeKey, Partner


class Network(Protocol):
    """Who is up."""

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is up."""

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is up, or (None) a first call to it has failed."""

    async def gone(self, partner: Partner) -> None:
        """Wait until a partner that was reached is not up any more."""


async def read_inventory(session: BlockStore, rows: int) -> Inventory:
    """The inventory of a store of a disk with so many rows. PartnerAway; NotAuthentic: its pages make no sense."""
    found = Inventory(rows)
    while page := await session.inventory(found.next_row, INVENTORY_PAGE):
        found.add(page)
    return found
