"""This home's own copy of its disk's master block, sealed for this node like a partner's: facts of the database."""

import msgpack

from coopfs.core.keys import DiskKeys
from coopfs.core.master import MasterBlock, open_master, seal_master
from coopfs.errors import NotAuthentic, StateError
from coopfs.local.database import REMEDY, Database
from coopfs.types import Master, NodeKey


def read_master(database: Database, keys: DiskKeys, node: NodeKey) -> MasterBlock:
    """The master block as this home knows it; the keys learn from it which of them are in use. StateError: missing,
    not of these keys, or one of them is missing."""
    counter, data = database.fact("master_counter"), database.fact("master")
    try:
        if not isinstance(counter, int) or not isinstance(data, bytes):
            raise NotAuthentic("there is none")
        block = open_master(keys, Master(counter, data), node)
    except NotAuthentic as bad:
        raise StateError(f"the disk's own copy of the master block is damaged ({bad}): {REMEDY}") from None
    keys.age(block.keys)
    if lacking := keys.lacking():
        raise StateError(f"the file of the disk's keys lacks key {lacking[-1]}, which is in use: {REMEDY}")
    return block


def save_master(database: Database, keys: DiskKeys, node: NodeKey, block: MasterBlock) -> None:
    """Keep a newer one, with the next commit."""
    sealed = seal_master(keys, block, node)
    database.set_fact("master_counter", sealed.counter)
    database.set_fact("master", sealed.data)


class MasterHolders:
    """Which partners are known to have the newest master block on stable storage: a fact, as of the next commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        packed = database.fact("master_holders")
        self._counter, nodes = msgpack.unpackb(packed) if packed is not None else (0, [])
        self._nodes = frozenset(map(NodeKey, nodes))

    def of(self, counter: int) -> frozenset[NodeKey]:
        """The holders of the block of this counter."""
        return self._nodes if counter == self._counter else frozenset()

    def note(self, counter: int, node: NodeKey) -> None:
        """A partner has taken this block."""
        nodes = self.of(counter) | {node}
        if nodes != self.of(counter):
            self._counter, self._nodes = counter, nodes
            self._database.set_fact("master_holders", msgpack.packb([counter, sorted(nodes)]))
