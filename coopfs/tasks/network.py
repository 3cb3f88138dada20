"""The way to partners, as tasks see it: connections, or a simulated network."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from coopfs.core.inventory import Inventory
from coopfs.errors import PartnerAway
from coopfs.limits import INVENTORY_PAGE
from coopfs.types import BlockStore, NodeKey, Partner

Answer = TypeVar("Answer")


class Network(Protocol):
    """Who is up."""

    async def reach(self, node: NodeKey) -> Partner:
        """Wait until the partner is up."""

    async def try_reach(self, node: NodeKey) -> Partner | None:
        """Wait until the partner is up, or (None) a first call to it has failed."""

    async def gone(self, partner: Partner) -> None:
        """Wait until a partner that was reached is not up any more."""


async def ask_once_more(network: Network, node: NodeKey, question: Callable[[Partner], Awaitable[Answer]]) -> Answer:
    """Ask a partner that is up, and once more if the connection ends under the question: of two that both sides opened
    at the same time one is closed. The question may have been heard twice. PeerError: what it answers, or that it is
    away."""
    for _ in range(2):
        trouble = PartnerAway("not reached")
        partner = await network.try_reach(node)
        if partner is None:
            break
        try:
            return await question(partner)
        except PartnerAway as ended:
            trouble = ended
    raise trouble


async def read_inventory(session: BlockStore, rows: int) -> Inventory:
    """The inventory of a store of a disk with so many rows. PartnerAway; NotAuthentic: its pages make no sense."""
    found = Inventory(rows)
    while found.next_row < rows and (page := await session.inventory(found.next_row, INVENTORY_PAGE)):
        found.add(page)
        if page[-1].row >= rows:
            break
    return found
