"""Choosing T, the newest state that was certainly whole (design R11). Pure: inventories in, judgements out.

Inventories are claims: a column says which version lies in which row. A candidate becomes T only after its blocks were
authenticated (the caller) and every stripe that it names has k claims of exactly its version (here).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coopfs.core.meta import MetaHead
from coopfs.core.quorum import Quorum
from coopfs.types import Place, epoch_of


@dataclass(frozen=True, slots=True)
class Answers:
    """What the primary stores that answered hold: column -> row -> version (0: torn or rotten, it cannot deny)."""

    quorum: Quorum
    slots: Mapping[int, Mapping[int, int]]

    def places(self) -> list[tuple[Place, list[int]]]:
        """Every (row, version) that some column claims, with those columns, newest version first."""
        holders: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for column, slots in self.slots.items():
            for row, version in slots.items():
                if version:
                    holders[version, row].append(column)
        return [(Place(version, row), holders[version, row]) for version, row in sorted(holders, reverse=True)]

    def holders(self, place: Place) -> int:
        """How many columns claim exactly this version in this row."""
        return sum(slots.get(place.row) == place.version for slots in self.slots.values())

    def is_doubtful(self, place: Place) -> bool:
        """Whether so few claim this stripe that f false claims would leave less than k blocks of it."""
        return self.holders(place) < self.quorum.k + self.quorum.f

    def lacks(self, places: Iterable[Place]) -> Place | None:
        """The first of these stripes that fewer than k columns claim; None: T is valid."""
        return next((place for place in places if self.holders(place) < self.quorum.k), None)

    def may_have_been_held(self, end: Place | None) -> bool:
        """Whether an END, or (None) one of which nothing was seen, can have been held (R7)."""
        spoiled = Counter(row for slots in self.slots.values() for row, version in slots.items() if not version)
        if end is None:
            denials = len(self.slots) - max(spoiled.values(), default=0)
        else:
            denials = len(self.slots) - self.holders(end) - spoiled[end.row]
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
