"""Retiring the head of the log: its still newest images are told again, in the open group (design section 4, R3).

A key that a meta stripe of group g tells is still newest there iff its row's `changed` is g: a group tells a key once.
It is marked as if it had changed just now, and the open group tells what it is at that group's end: never a past or a
future state (what a closed group consists of is frozen). Tombstones and truncates are not told again: what they kill
is older, and retired already (R4).

The head is retired in the group in which its last key was marked: whoever reads the log from a later END needs it no
more, and its row is free when that group is held.
"""

from coopfs.core.records import Type
from coopfs.limits import ROOT_INO
from coopfs.local.chain import Key
from coopfs.local.log import Log
from coopfs.local.metadata import Metadata
from coopfs.local.retelling import Retelling
from coopfs.types import Kind


class Retirement:
    """Copies one meta stripe at a time, in slices between which operations may run."""

    def __init__(self, metadata: Metadata, log: Log) -> None:
        self._metadata = metadata
        self._retelling = Retelling(metadata, log)
        self._log = log
        self._head: tuple[int, int] | None = None  # (stripe id, group) under way
        self._keys: list[Key] = []
        self._done = 0

    def heads_up_to(self, version: int) -> int:
        """Meta stripes that are not retired, and whose version is not above this."""
        query = f"SELECT count(*) FROM stripes WHERE kind != {Kind.DATA:d} AND died IS NULL AND version <= ?"
        return int(self._metadata.database.read(query, (version,)).fetchone()[0])

    def step(self, limit: int) -> bool:
        """Mark up to `limit` keys of the head. True: it is retired with that."""
        if self._head is None:
            self._head = self._log.chain.head()
            assert self._head is not None, "a log without meta stripes is not too long"
            self._keys, self._done = self._log.chain.keys(self._head[0]), 0
        id_, group = self._head
        for type_, a, b in self._keys[self._done : self._done + limit]:
            self._retelling.tell(Type(type_), a, b, group)
        self._done += limit
        if self._done < len(self._keys):
            return False
        self._log.chain.retire(id_, self._metadata.group)
        self._metadata.images.mark_inode(ROOT_INO)  # or the group may be empty, and then never be sent
        self._head, self._keys = None, []
        return True
