"""The way to partners, as tasks see it: connections, or a simulated network."""

from typing import Protocol

from coopfs.errors import NotAuthentic
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


async def read_inventory(session: BlockStore) -> dict[int, int]:
    """Row -> version of every slot ever written, 0 for a torn or rotten one. PartnerAway; NotAuthentic: the partner's
    pages make no sense."""
    found: dict[int, int] = {}
    row = 0
    while page := await session.inventory(row, INVENTORY_PAGE):
        found.update((slot.row, slot.version) for slot in page)
        if page[-1].row < row:
            raise NotAuthentic("a partner sends an inventory that goes backwards")
        row = page[-1].row + 1
    return found
