"""Choosing T while several layouts are in force: each stripe is judged by its own (design R7, R11)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from random import Random

import pytest

from coopfs.core.inventory import Inventory
from coopfs.core.newest import AllAnswers, Answers
from coopfs.core.quorum import Quorum
from coopfs.types import Place, Slot

QUORUMS = [Quorum(k, m) for k, m in ((1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (1, 3))]
ROWS = 64
OLD, NEW = 1, 2

Slots = dict[int, int]  # row -> version; 0: torn


def answers_of(quorum: Quorum, stores: Mapping[int, Slots]) -> Answers:
    found = {column: Inventory(ROWS) for column in stores}
    for column, slots in stores.items():
        found[column].add(Slot(row, version, 1) for row, version in sorted(slots.items()))
    return Answers(quorum, found)


@dataclass(frozen=True)
class Made:
    """A stripe: where it lies, and the columns of its layout that have it."""

    layout: int
    place: Place
    columns: frozenset[int]


@dataclass
class Life:
    """A disk that is being moved from one layout to the next: what its stores hold, and what its ENDs name."""

    random: Random
    quorums: dict[int, Quorum]
    stores: dict[tuple[int, int], Slots] = field(default_factory=dict)  # layout, column
    states: dict[tuple[int, Place], list[Made]] = field(default_factory=dict)  # END -> all that it names
    held: Place | None = None
    _version: int = 0
    _free: dict[int, list[int]] = field(default_factory=dict)  # layout -> rows

    @classmethod
    def lived(cls, seed: int, layouts: int) -> "Life":
        random = Random(seed)
        life = cls(random, {layout: random.choice(QUORUMS) for layout in (OLD, NEW)[:layouts]})
        for layout, quorum in life.quorums.items():
            life._free[layout] = list(range(ROWS))
            for column in range(quorum.n):
                life.stores[layout, column] = {}
        groups = random.randint(1, 8)
        switch = random.randint(0, groups)
        alive: list[Made] = []
        dying: list[Made] = []
        for group in range(groups):
            layout = NEW if layouts == 2 and group >= switch else OLD
            gone = {each for each in alive if random.random() < 0.3}
            dying += gone
            alive = [each for each in alive if each not in gone]
            late = group >= groups - 2 and random.random() < 0.7  # the last ones may not have got far
            alive += [life._write(layout, late) for _ in range(random.randint(0, 2))]
            end = life._write(layout, late)
            life.states[layout, end.place] = [*alive, end]
            if all(map(life._is_safe, life.states[layout, end.place])) and not (group and life.held is None):
                life.held = end.place
                for each in dying:  # their rows may be used again, as their death is held
                    life._free[each.layout].insert(0, each.place.row)
                dying = []
            elif group == 0:
                break
        return life

    def _write(self, layout: int, late: bool) -> Made:
        quorum = self.quorums[layout]
        self._version += 1
        place = Place(self._version, self._free[layout].pop(0))
        least = 0 if late else quorum.k + quorum.f_min
        columns = frozenset(self.random.sample(range(quorum.n), self.random.randint(least, quorum.n)))
        for column in columns:
            self.stores[layout, column][place.row] = place.version
        return Made(layout, place, columns)

    def _is_safe(self, made: Made) -> bool:
        quorum = self.quorums[made.layout]
        return len(made.columns) >= quorum.k + quorum.f_min

    def answers(self, left: Iterable[tuple[int, int]]) -> AllAnswers:
        stores = {key: self.stores[key] for key in left}
        found = {
            layout: answers_of(quorum, {column: slots for (its, column), slots in stores.items() if its == layout})
            for layout, quorum in self.quorums.items()
        }
        return AllAnswers(found)


def choose(life: Life, answers: AllAnswers) -> tuple[Place | None, bool]:
    """T, and whether something newer may have been held: what tasks/recovery/recovery does with inventories."""
    doubt = any(each.are_too_few() for each in answers.layouts.values())
    for layout, place, _ in answers.places():
        if (layout, place) not in life.states:
            continue
        if answers.lacks((made.layout, made.place) for made in life.states[layout, place]) is None:
            return place, doubt
        doubt = doubt or answers.layouts[layout].may_have_been_held(place)
    return None, doubt


@pytest.mark.parametrize("layouts", [1, 2])
def test_nothing_held_is_overlooked_in_silence(layouts: int) -> None:
    """Whatever is lost: a state older than what was held is never taken without a question."""
    silent = 0
    for seed in range(600):
        life = Life.lived(seed, layouts)
        left = [key for key in life.stores if life.random.random() < life.random.choice((0.5, 0.8, 0.95))]
        found, doubt = choose(life, life.answers(left))
        if not doubt:
            silent += 1
            assert life.held is None or (found is not None and found.version >= life.held.version), f"seed {seed}"
    assert silent > 50


def test_a_state_that_is_whole_in_both_layouts_is_found_after_the_promised_losses() -> None:
    for seed in range(600):
        life = Life.lived(seed, 2)
        lost = {
            (layout, column) for layout, q in life.quorums.items() for column in life.random.sample(range(q.n), q.f_min)
        }
        found, _ = choose(life, life.answers(life.stores.keys() - lost))
        assert life.held is None or (found is not None and found.version >= life.held.version), f"seed {seed}"


def ways(quorum: Quorum, missing: int, claims: int) -> Iterator[int]:
    """How many blocks an END may have in all, as those that do not answer may have it or not."""
    for theirs in product((0, 1), repeat=missing):
        yield claims + sum(theirs)


def test_an_end_may_have_been_held_iff_those_who_are_silent_can_make_it_so() -> None:
    """Against all that the silent stores of its layout can hold; what the stores of the other hold is all the same."""
    for seed in range(400):
        random = Random(seed)
        quorums = {OLD: random.choice(QUORUMS), NEW: random.choice(QUORUMS)}
        its, other = random.sample((OLD, NEW), 2)
        end = Place(9, 5)
        quorum = quorums[its]
        holders = [column for column in range(quorum.n) if random.random() < 0.5]
        torn = [column for column in range(quorum.n) if random.random() < 0.1]
        up = [column for column in range(quorum.n) if random.random() < 0.6]
        stores = {
            column: {5: 0} if column in torn else {5: 9} if column in holders else random.choice(({}, {5: 3}))
            for column in up
        }
        beside = {column: {5: random.choice((3, 8, 9))} for column in range(quorums[other].n)}
        answers = AllAnswers({its: answers_of(quorum, stores), other: answers_of(quorums[other], beside)})
        claims = sum(slots.get(5) == 9 for slots in stores.values())
        unknown = quorum.n - len(up) + sum(slots.get(5) == 0 for slots in stores.values())
        expected = any(blocks >= quorum.k + quorum.f_min for blocks in ways(quorum, unknown, claims))
        assert answers.layouts[its].may_have_been_held(end) == expected, f"seed {seed}"


def test_places_of_all_layouts_come_newest_first() -> None:
    for seed in range(200):
        life = Life.lived(seed, 2)
        expected = sorted(
            {(v, row, layout) for (layout, _), slots in life.stores.items() for row, v in slots.items()}, reverse=True
        )
        found = list(life.answers(life.stores).places())
        assert [(place.version, place.row, layout) for layout, place, _ in found] == expected
        for layout, place, holders in found:
            assert holders == [
                column
                for column in range(life.quorums[layout].n)
                if life.stores[layout, column].get(place.row) == place.version
            ]


def test_one_layout_among_all_is_that_layout_alone() -> None:
    for seed in range(200):
        life = Life.lived(seed, 1)
        left = [key for key in life.stores if life.random.random() < 0.7]
        all_ = life.answers(left)
        alone = answers_of(life.quorums[OLD], {column: life.stores[OLD, column] for _, column in left})
        assert list(all_.places()) == [(OLD, place, holders) for place, holders in alone.places()]
        for (_, end), state in life.states.items():
            lacking = next((made.place for made in state if not alone.can_have(made.place)), None)
            assert all_.lacks((made.layout, made.place) for made in state) == lacking
            assert all_.can_read(end) == alone.can_have(end)


def test_a_row_of_one_layout_is_not_that_of_another() -> None:
    """Blocks in the same row of the other layout's stores neither give a stripe its k blocks nor deny it."""
    old = answers_of(Quorum(2, 1), {0: {5: 9}, 1: {5: 7}, 2: {5: 7}})
    new = answers_of(Quorum(1, 2), {0: {5: 9}, 1: {5: 8}, 2: {}})
    answers = AllAnswers({OLD: old, NEW: new})
    assert answers.lacks([(OLD, Place(9, 5))]) == Place(9, 5)
    assert answers.lacks([(NEW, Place(9, 5)), (OLD, Place(7, 5))]) is None
    assert answers.lacks([(3, Place(9, 5))]) == Place(9, 5), "a layout that is in force no more"
    assert answers.layouts_of(Place(7, 5)) == [OLD]
    assert answers.layouts_of(Place(9, 5)) == [OLD, NEW]
    assert answers.layouts_of(Place(6, 5)) == []
