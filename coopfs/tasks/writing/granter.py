"""The granter: tells each partner which readers the owner has let in, and which no more, as soon as it is reached."""

import logging

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.errors import PartnerAway, PeerError
from coopfs.limits import RECONNECT_MAX, RECONNECT_MIN
from coopfs.local.readerlist import Reader, ReaderList
from coopfs.tasks.network import Network
from coopfs.tasks.signal import Signal
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.types import DiskId, Grant, StoreId

logger = logging.getLogger(__name__)


class Granter:
    """columns: every store of the disk."""

    def __init__(self, readers: ReaderList, disk: DiskId, columns: Columns, network: Network) -> None:
        self._readers = readers
        self._disk = disk
        self._columns = columns
        self._network = network
        self.changed = Signal()  # a reader was added or taken back, or a partner was told

    async def run(self) -> None:
        """Tell all partners, for ever. StateError."""
        await self._columns.each(self._tell)

    async def _tell(self, column: Column) -> None:
        store = column.place
        while True:
            await self.changed.wait_until(lambda: bool(self._untold(store.store)))
            await column.changed.wait_until(lambda: column.session is not None)
            try:
                partner = await self._network.reach(store.node)
                for reader in self._untold(store.store):
                    await partner.grant(Grant(self._disk, store.store, reader.key, reader.until))
                    self._readers.tell(reader, store.store, self._stores())
                    self.changed.notify()
            except PeerError as trouble:
                logger.info("partner %s was not told of a reader: %s", store.name, trouble)
                await trio.sleep(RECONNECT_MIN if isinstance(trouble, PartnerAway) else RECONNECT_MAX)

    def _stores(self) -> frozenset[StoreId]:
        """All whose partners can be told."""
        stores = self._columns.stores
        return frozenset(column.place.store for column in stores if column.state not in GONE_FOR_GOOD)

    def _untold(self, store: StoreId) -> list[Reader]:
        return [reader for reader in self._readers.all() if store not in reader.told]
