"""The granter: tells each partner which readers the owner has let in, and which no more, as soon as it is reached."""

import logging
from collections.abc import Sequence

import trio

from coopfs.core.master import StorePlace
from coopfs.errors import PartnerAway, PeerError
from coopfs.limits import RECONNECT_MAX, RECONNECT_MIN
from coopfs.local.readerlist import Reader, ReaderList
from coopfs.tasks.network import Network
from coopfs.tasks.signal import Signal
from coopfs.types import DiskId, Grant, NodeKey

logger = logging.getLogger(__name__)


class Granter:
    """stores: of the disk's columns, one partner each."""

    def __init__(self, readers: ReaderList, disk: DiskId, stores: Sequence[StorePlace], network: Network) -> None:
        self._readers = readers
        self._disk = disk
        self._stores = stores
        self._network = network
        self._partners = frozenset(store.node for store in stores)
        self.changed = Signal()  # a reader was added or taken back, or a partner was told

    async def run(self) -> None:
        """Tell all partners, for ever. StateError."""
        async with trio.open_nursery() as nursery:
            for store in self._stores:
                nursery.start_soon(self._tell, store)

    async def _tell(self, store: StorePlace) -> None:
        while True:
            await self.changed.wait_until(lambda: bool(self._untold(store.node)))
            try:
                partner = await self._network.reach(store.node)
                for reader in self._untold(store.node):
                    await partner.grant(Grant(self._disk, store.store, reader.key, reader.until))
                    self._readers.tell(reader, store.node, self._partners)
                    self.changed.notify()
            except PeerError as trouble:
                logger.info("partner %s was not told of a reader: %s", store.name, trouble)
                await trio.sleep(RECONNECT_MIN if isinstance(trouble, PartnerAway) else RECONNECT_MAX)

    def _untold(self, node: NodeKey) -> list[Reader]:
        return [reader for reader in self._readers.all() if node not in reader.told]
