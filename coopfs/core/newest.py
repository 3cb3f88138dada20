"""Choosing T, the newest state that was certainly whole (design R11). Pure: inventories in, judgements out.

Inventories are claims: a column says which version lies in which row. A candidate becomes T only after its blocks were
authenticated (the caller) and every stripe that it names has k claims of exactly its version (here).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from coopfs.core.inventory import TORN, Inventory
from coopfs.core.meta import MetaHead
from coopfs.core.quorum import Quorum
from coopfs.limits import CANDIDATES
from coopfs.types import Place, epoch_of


class Answers:
    """What the primary stores that answered hold, by column.

    spares: the same of a column's other store, which can give blocks, and deny nothing.
    """

    def __init__(
        self, quorum: Quorum, slots: Mapping[int, Inventory], spares: Mapping[int, Inventory] | None = None
    ) -> None:
        self.quorum = quorum
        self.slots = slots
        self.spares = spares or {}
        self._stores = {**slots, **{quorum.n + column: each for column, each in self.spares.items()}}
        self._spoiled = Counter(row for each in slots.values() for row in each.spoiled())  # it cannot deny

    def places(self) -> Iterator[tuple[Place, list[int]]]:
        """Every (row, version) that some store claims, with those stores, newest version first. A store is the number
        of its column, and n more if it is a spare one. Few places are wanted: so they are not sorted all at once."""
        below = TORN
        while below:
            low = max((slots.newest(below, CANDIDATES) for slots in self._stores.values()), default=0)
            found = {place for slots in self._stores.values() for place in slots.between(low, below)}
            for version, row in sorted(found, reverse=True):
                holders = [store for store, slots in self._stores.items() if slots.get(row) == version]
                yield Place(version, row), holders
            below = low

    def holders(self, place: Place) -> int:
        """How many columns claim exactly this version in this row."""
        row, version = place.row, place.version
        others = (column for column, slots in self.slots.items() if slots.get(row) == version)
        return len({*others, *(column for column, slots in self.spares.items() if slots.get(row) == version)})

    def is_doubtful(self, place: Place) -> bool:
        """Whether so few claim this stripe that f false claims would leave less than k blocks of it."""
        return self.holders(place) < self.quorum.k + self.quorum.f

    def lacks(self, places: Iterable[Place]) -> Place | None:
        """The first of these stripes that fewer than k columns claim; None: T is valid."""
        return next((place for place in places if self.holders(place) < self.quorum.k), None)

    def may_have_been_held(self, end: Place | None) -> bool:
        """Whether an END, or (None) one of which nothing was seen, can have been held (R7)."""
        if end is None:
            denials = len(self.slots) - max(self._spoiled.values(), default=0)
        else:
            claims = sum(slots.get(end.row) == end.version for slots in self.slots.values())
            denials = len(self.slots) - claims - self._spoiled[end.row]
        return self.quorum.may_have_been_held(denials)


class Voids:
    """The ENDs that takeovers have made void (R11): a group of a new epoch that follows on T says that everything of
    lower epochs that is newer than T counts for nothing, whether or not that group itself is whole."""

    def __init__(self) -> None:
        self._takeovers: list[tuple[int, int]] = []  # epoch, version of the END that it goes on from

    def learn(self, head: MetaHead) -> None:
        """The map of an authentic END."""
        epoch = epoch_of(head.place.version)
        older = [place.version for place in head.previous if epoch_of(place.version) < epoch]
        if older:
            self._takeovers.append((epoch, max(older)))

    def cover(self, version: int) -> bool:
        """Whether an END of this version is void."""
        return any(epoch_of(version) < epoch and version > taken for epoch, taken in self._takeovers)
