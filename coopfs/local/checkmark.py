"""How far a check of all blocks has got with each store, so that it goes on when interrupted: a fact of the disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgpack

from coopfs.limits import CHECK_LASTS, FINDINGS_MAX
from coopfs.local.database import Database
from coopfs.types import StoreId

_FACT = "check"


@dataclass(frozen=True, slots=True)
class Walk:
    """after: stripes up to this id are done; done: how many that were; looked: blocks of theirs; bad: stripes whose
    block was wrong, and no more than FINDINGS_MAX and one."""

    after: int = 0
    done: int = 0
    looked: int = 0
    bad: tuple[int, ...] = ()

    def over(self, ids: Sequence[int], looked: int, bad: Sequence[int]) -> "Walk":
        """After these stripes, too."""
        return Walk(ids[-1], self.done + len(ids), self.looked + looked, (*self.bad, *bad)[: FINDINGS_MAX + 1])


class CheckMark:
    """wall: seconds since 1970. begun: when the check began, 0: none is under way."""

    def __init__(self, database: Database, wall: Callable[[], float]) -> None:
        self._database = database
        self._wall = wall
        self.begun = 0
        self.walks: dict[StoreId, Walk] = {}
        packed = database.fact(_FACT)
        if packed is not None:
            self.begun, walks = msgpack.unpackb(packed)
            self.walks = {
                StoreId(store): Walk(after, done, looked, tuple(bad)) for store, after, done, looked, bad in walks
            }

    @property
    def looked(self) -> int:
        """Blocks, of all stores."""
        return sum(walk.looked for walk in self.walks.values())

    def begin(self, *, anew: bool) -> bool:
        """Whether this goes on with a check that was interrupted; not with one of CHECK_LASTS ago."""
        now = int(self._wall())
        if self.begun and not anew and 0 <= now - self.begun < CHECK_LASTS:
            return True
        self.begun, self.walks = now, {}
        self._save()
        return False

    def note(self, store: StoreId, walk: Walk) -> None:
        """So far; durable with the next commit. Where more was found than can be kept, that part is made again."""
        if len(walk.bad) <= FINDINGS_MAX:
            self.walks[store] = walk
            self._save()

    def end(self) -> None:
        """All of it is done."""
        self.begun, self.walks = 0, {}
        self._database.set_fact(_FACT, None)

    def _save(self) -> None:
        walks = [[store, w.after, w.done, w.looked, w.bad] for store, w in self.walks.items()]
        self._database.set_fact(_FACT, msgpack.packb([self.begun, walks]))
