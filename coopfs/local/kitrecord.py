"""Which recovery kit was exported last, and whom it names: for status, which counts down to when it is good no more."""

from dataclasses import dataclass

import msgpack

from coopfs.local.database import Database
from coopfs.types import NodeKey

_FACT = "kit"

MUST_EXPORT = "a new kit must be exported"  # what is waited for, in words, begins so


@dataclass(frozen=True, slots=True)
class MadeKit:
    """time: wall seconds."""

    time: int
    partners: tuple[NodeKey, ...]


class KitRecord:
    """A fact of the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, kit: MadeKit) -> None:
        """A kit is handed out: durable with the next commit."""
        self._database.set_fact(_FACT, msgpack.packb([kit.time, list(kit.partners)]))

    def newest(self) -> MadeKit | None:
        """None: none was exported from this home."""
        packed = self._database.fact(_FACT)
        if packed is None:
            return None
        time, partners = msgpack.unpackb(packed)
        return MadeKit(time, tuple(map(NodeKey, partners)))
