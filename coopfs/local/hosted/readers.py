"""Who may read what of the disks hosted here, besides their owners: grants (design R16).

An owner grants a store to a reader's node key until a time; a later grant of the same takes the place of the earlier,
and one that has ended already takes it back. Ended grants are forgotten.
"""

from collections.abc import Callable
from threading import Lock

from coopfs import limits
from coopfs.errors import Refused
from coopfs.local.hosted import hostrecords
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import DiskId, Grant, NodeKey, StoreId

_NOT_ADMITTED = "this disk's owner has not let this node in to read it, or no longer"


class Readers:
    """Safe from any thread. clock: seconds since 1970."""

    def __init__(self, database: NodeDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._grants = {(grant.reader, grant.store): (peer, grant) for peer, grant in hostrecords.grants(database)}

    def grant(self, peer: NodeKey, grant: Grant) -> None:
        """Save what `peer` grants for its store, durably. Refused: it has granted too much."""
        with self._lock:
            key = (grant.reader, grant.store)
            kept = {
                k: (owner, other)
                for k, (owner, other) in self._grants.items()
                if other.until > self._clock() and k != key
            }
            if grant.until > self._clock():
                if sum(store == grant.store for _, store in kept) >= limits.MAX_READERS:
                    raise Refused(f"{limits.MAX_READERS} nodes may read this store already, the most that are allowed")
                kept[key] = (peer, grant)
            hostrecords.save_grant(self._database, peer, grant, int(self._clock()))
            self._grants = kept

    def forget(self, peer: NodeKey) -> None:
        """All that this owner granted is over: its stores are gone."""
        with self._lock:
            self._grants = {key: granted for key, granted in self._grants.items() if granted[0] != peer}

    def admits(self, reader: NodeKey) -> bool:
        """Whether this node may read anything here now."""
        return any(key[0] == reader and grant.until > self._clock() for key, (_, grant) in self._grants.items())

    def owner_of_disk(self, reader: NodeKey, disk: DiskId) -> NodeKey:
        """Whose disk it is, of which this node may read some store. Refused."""
        for (other, _), (peer, grant) in self._grants.items():
            if other == reader and grant.disk == disk and grant.until > self._clock():
                return peer
        raise Refused(_NOT_ADMITTED)

    def check(self, reader: NodeKey, disk: DiskId, store: StoreId) -> NodeKey:
        """Whose store it is. Refused: this node may not read it now."""
        peer, grant = self._grants.get((reader, store), (None, None))
        if peer is None or grant is None or grant.disk != disk or grant.until <= self._clock():
            raise Refused(_NOT_ADMITTED)
        return peer
