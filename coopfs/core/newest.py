"""Choosing T, the newest state that was certainly whole (design R11). Pure: inventories in, judgements out.

Inventories are claims: a column says which version lies in which row. A candidate becomes T only after its blocks were
authenticated (the caller) and every stripe that it names has k claims of exactly its version (here).

While a disk is being resized several layouts are in force. Each stripe lies in the stores of one, and is judged by the
k, m and stores of that one alone.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from coopfs.core.inventory import TORN, Inventory
from coopfs.core.meta import MetaHead
from coopfs.core.quorum import Quorum
from coopfs.limits import CANDIDATES
from coopfs.types import Place, epoch_of


class Answers:
    """What the primary stores of one layout that answered hold, by column.

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

    def can_have(self, place: Place) -> bool:
        """Whether k columns claim this stripe."""
        return self.holders(place) >= self.quorum.k

    def are_too_few(self) -> bool:
        """Whether something held can have been overlooked because too few answer."""
        return len(self.slots) < self.quorum.answers_needed

    def may_have_been_held(self, end: Place | None) -> bool:
        """Whether an END, or (None) one of which nothing was seen, can have been held (R7)."""
        return self.quorum.may_have_been_held(self.denials(end))

    def denials(self, end: Place | None) -> int:
        """How many answer that they have not stored this END, or (None) one of which nothing was seen."""
        if end is None:
            return len(self.slots) - max(self._spoiled.values(), default=0)
        claims = sum(slots.get(end.row) == end.version for slots in self.slots.values())
        return len(self.slots) - claims - self._spoiled[end.row]


class AllAnswers:
    """What the stores of all layouts in force hold that answered. Versions are unique over all layouts; rows are not,
    so that a place is looked up in the inventories of one layout after the other."""

    def __init__(self, layouts: Mapping[int, Answers]) -> None:
        """layouts: by id, the oldest first."""
        self.layouts = layouts

    def places(self) -> Iterator[tuple[int, Place, list[int]]]:
        """(layout, place, holders) of all that stores claim, newest version first; holders as in `Answers.places`."""
        claims = (_told(layout, answers) for layout, answers in self.layouts.items())
        for version, row, layout, holders in heapq.merge(*claims, reverse=True):
            yield layout, Place(version, row), holders

    def layouts_of(self, place: Place) -> list[int]:
        """The layouts that a stripe at this place can be of, the one with the most claims first: whoever does not know
        it tries them. One that nobody claims is not there."""
        claims = {layout: answers.holders(place) for layout, answers in self.layouts.items()}
        return sorted(filter(claims.__getitem__, claims), key=claims.__getitem__, reverse=True)

    def lacks(self, stripes: Iterable[tuple[int, Place]]) -> Place | None:
        """The first of these stripes (layout, place) that fewer than k columns of its layout claim, or whose layout is
        in force no more; None: T is valid."""
        return next((place for layout, place in stripes if not self._can_have(layout, place)), None)

    def can_read(self, place: Place) -> bool:
        """Whether k columns of some layout claim this stripe."""
        return any(answers.can_have(place) for answers in self.layouts.values())

    def _can_have(self, layout: int, place: Place) -> bool:
        return layout in self.layouts and self.layouts[layout].can_have(place)


def _told(layout: int, answers: Answers) -> Iterator[tuple[int, int, int, list[int]]]:
    return ((place.version, place.row, layout, holders) for place, holders in answers.places())


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
