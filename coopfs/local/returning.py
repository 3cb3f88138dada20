"""Stores that the disk needs no more, and whose partners have not heard of that yet: a fact of the disk."""

from collections.abc import Iterable

import msgpack

from coopfs.local.database import Database
from coopfs.types import NodeKey, StoreId

_FACT = "returning"


class Returning:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        packed = database.fact(_FACT)
        entries = [] if packed is None else msgpack.unpackb(packed)
        self._owed = {StoreId(store): NodeKey(node) for store, node in entries}

    @property
    def owed(self) -> dict[StoreId, NodeKey]:
        """Who keeps each of them."""
        return dict(self._owed)

    def add(self, stores: Iterable[tuple[StoreId, NodeKey]]) -> None:
        """No layout has these any more."""
        self._owed |= dict(stores)
        self._save()

    def done(self, store: StoreId) -> None:
        """It is gone there."""
        self._owed.pop(store, None)
        self._save()

    def _save(self) -> None:
        self._database.set_fact(_FACT, msgpack.packb(list(self._owed.items())))
