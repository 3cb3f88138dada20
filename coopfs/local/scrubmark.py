"""How far the scrub is with each store, across restarts: a fact of the disk."""

from collections.abc import Mapping

import msgpack

from coopfs.core.scrub import Pass, Scrub
from coopfs.local.database import Database
from coopfs.types import StoreId

_FACT = "scrub"


class ScrubMark:
    """All stores in one fact, some 100 bytes each; those that are not noted again are forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> dict[StoreId, Scrub]:
        """As it was noted last."""
        packed = self._database.fact(_FACT)
        if packed is None:
            return {}
        return {StoreId(store): Scrub(Pass(*now), Pass(*last)) for store, now, last in msgpack.unpackb(packed)}

    def note(self, scrubs: Mapping[StoreId, Scrub]) -> None:
        """Durable with the next commit."""
        entries = [[store, _values(scrub.now), _values(scrub.last)] for store, scrub in scrubs.items()]
        self._database.set_fact(_FACT, msgpack.packb(entries))


def _values(one: Pass) -> tuple[float, ...]:
    return one.begun, one.ended, one.at, one.until, one.after, one.done, one.looked, one.wrong, one.silent
