"""Whom this node's owner has let in to read the disk, and which partners know it: a fact of the disk."""

from dataclasses import dataclass, replace

import msgpack

from coopfs.errors import UsageError
from coopfs.limits import MAX_READERS
from coopfs.local.database import Database
from coopfs.types import NodeKey, StoreId

_FACT = "readers"


@dataclass(frozen=True, slots=True)
class Reader:
    """until: seconds since 1970, 0 when it was taken back; read_key: id of the newest of the disk's keys that its kit
    has; told: stores whose partners have this on stable storage."""

    key: NodeKey
    until: int
    read_key: int
    told: frozenset[StoreId] = frozenset()


class ReaderList:
    """All changes belong to the next commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        packed = database.fact(_FACT)
        entries = msgpack.unpackb(packed) if packed is not None else []
        self._readers = {
            NodeKey(key): Reader(NodeKey(key), until, read_key, frozenset(map(StoreId, told)))
            for key, until, read_key, told in entries
        }

    def all(self) -> list[Reader]:
        """Those taken back too, while a partner does not know it."""
        return list(self._readers.values())

    def add(self, key: NodeKey, until: int, now: int, read_key: int) -> None:
        """UsageError: too many are let in. Those whose time is over make room."""
        self._readers = {k: r for k, r in self._readers.items() if r.until == 0 or r.until > now}
        if len(self._readers) >= MAX_READERS:
            raise UsageError(f"{MAX_READERS} read-only kits are in force: take one back with coopfs kit revoke")
        self._put(Reader(key, until, read_key))

    def revoke(self, prefix: str) -> Reader:
        """Take back the one reader whose key begins with these hex digits. UsageError: none or several do."""
        found = [r for r in self._readers.values() if r.key.hex().startswith(prefix.lower()) and r.until]
        if len(found) != 1:
            raise UsageError(f"{len(found) or 'no'} readers begin with {prefix!r}: see coopfs kit readers")
        self._put(Reader(found[0].key, 0, found[0].read_key))
        return found[0]

    def tell(self, reader: Reader, store: StoreId, stores: frozenset[StoreId]) -> None:
        """The partner of a store knows it, as it was when it was told. One taken back is forgotten when all know."""
        present = self._readers.get(reader.key)
        if present is None or present.until != reader.until:
            return
        told = present.told | {store}
        if present.until == 0 and told >= stores:
            del self._readers[reader.key]
            self._save()
        else:
            self._put(replace(present, told=told))

    def _put(self, reader: Reader) -> None:
        self._readers[reader.key] = reader
        self._save()

    def _save(self) -> None:
        entries = [[r.key, r.until, r.read_key, sorted(r.told)] for r in self._readers.values()]
        self._database.set_fact(_FACT, msgpack.packb(entries))
