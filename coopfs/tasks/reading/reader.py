"""One column of a disk that is only read: its session to the partner's store, opened again whenever it can be."""

import logging
from collections.abc import Iterable, Mapping

import trio

from coopfs.core.inventory import Inventory
from coopfs.core.master import PRIMARY, LayoutPlaces, StorePlace
from coopfs.core.newest import AllAnswers, Answers
from coopfs.core.quorum import Quorum
from coopfs.errors import PeerError
from coopfs.limits import RECONNECT_MIN
from coopfs.tasks.network import Network, read_inventory
from coopfs.tasks.signal import Signal
from coopfs.types import BlockStore, Claim, DiskId, Layout, Opening

logger = logging.getLogger(__name__)


class Reader:
    """The reader's side of one column (fetcher.Source).

    rows: of the layout's stores; claim: that of a takeover. Its sessions are a writer's, so that no store is looked at
    before it is claimed (R13).
    """

    def __init__(
        self,
        layout: Layout,
        column: int,
        place: StorePlace,
        rows: int,
        disk: DiskId,
        network: Network,
        claim: Claim | None = None,
    ) -> None:
        self._rows = rows
        self.layout = layout
        self.column = column
        self.place = place
        self.session: BlockStore | None = None
        self.changed = Signal()
        self.trouble: str | None = None  # why the last try to open it failed
        self._opening = Opening(disk, place.store, claim)
        self._network = network

    async def run(self) -> None:
        """Keep it open for ever, while partners come and go."""
        while True:
            partner = await self._network.reach(self.place.node)
            try:
                self.session = await partner.open(self._opening)
                self.changed.notify()
                await self._network.gone(partner)
                self.trouble = "the connection ended"
            except PeerError as bad:
                logger.info("partner %s: %s", self.place.name, bad)
                self.trouble = str(bad)
            self.session = None
            self.changed.notify()
            await trio.sleep(RECONNECT_MIN)

    async def opened(self) -> None:
        """Wait until it is open, or a first try has failed."""
        if await self._network.try_reach(self.place.node) is not None:
            while self.session is None and self.trouble is None:
                await self.changed.wait()

    async def inventory(self) -> Inventory | None:
        """What the partner says its slots hold; None: it did not answer."""
        if self.session is None:
            return None
        try:
            return await read_inventory(self.session, self._rows)
        except PeerError as bad:
            self.trouble = str(bad)
            return None


def readers_of(
    layouts: Iterable[LayoutPlaces], disk: DiskId, network: Network, claim: Claim | None = None
) -> list[Reader]:
    """One for every store; of each layout by column, then those of spare stores. claim: as Reader has it."""
    return [
        Reader(places.layout, column, store, places.rows, disk, network, claim)
        for places in layouts
        for column, store in (*enumerate(places.primaries), *places.spares)
    ]


def answers_of(layouts: Iterable[Layout], told: Mapping[Reader, Inventory]) -> AllAnswers:
    """What those who answered hold, by layout, the oldest first."""
    return AllAnswers({layout.id: _answers(layout, told) for layout in layouts})


def _answers(layout: Layout, told: Mapping[Reader, Inventory]) -> Answers:
    its = {reader: slots for reader, slots in told.items() if reader.layout.id == layout.id}
    primaries = {reader.column: slots for reader, slots in its.items() if reader.place.role == PRIMARY}
    spares = {reader.column: slots for reader, slots in its.items() if reader.place.role != PRIMARY}
    return Answers(Quorum(layout.k, layout.m), primaries, spares)
