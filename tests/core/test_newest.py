"""Which states a restore tries, takes, and doubts (design R7, R11)."""

from collections.abc import Mapping
from itertools import combinations

import pytest

from coopfs.core import newest
from coopfs.core.inventory import Inventory
from coopfs.core.newest import AllAnswers, Answers
from coopfs.core.quorum import Quorum
from coopfs.types import Place, Slot


def claims(quorum: Quorum, slots: Mapping[int, Mapping[int, int]]) -> Answers:
    """Column -> row -> version; version 0: torn."""
    found = {column: Inventory(10) for column in slots}
    for column, rows in slots.items():
        found[column].add(Slot(row, version, 1) for row, version in sorted(rows.items()))
    return Answers(quorum, found)


def test_places_come_newest_first_with_who_claims_them() -> None:
    answers = claims(Quorum(1, 2), {0: {5: 9, 7: 3}, 2: {5: 9, 6: 11}})
    assert list(answers.places()) == [(Place(11, 6), [2]), (Place(9, 5), [0, 2]), (Place(3, 7), [0])]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_places_are_all_there_however_few_are_sorted_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "CANDIDATES", at_once)
    answers = claims(Quorum(1, 2), {0: {1: 9, 2: 5, 3: 9, 4: 0}, 1: {1: 8, 2: 5, 3: 9}, 2: {}})
    expected = [(Place(9, 3), [0, 1]), (Place(9, 1), [0]), (Place(8, 1), [1]), (Place(5, 2), [0, 1])]
    assert list(answers.places()) == expected


def test_the_same_version_in_two_rows_is_two_places() -> None:
    """A partner may say anything: only what authenticates is believed later."""
    answers = claims(Quorum(1, 1), {0: {5: 9}, 1: {6: 9}})
    assert [place for place, _ in answers.places()] == [Place(9, 6), Place(9, 5)]


def test_a_state_lacks_the_first_stripe_with_less_than_k_blocks_of_exactly_its_version() -> None:
    answers = AllAnswers({1: claims(Quorum(2, 1), {0: {1: 4, 2: 5}, 1: {1: 4, 2: 6}, 2: {2: 6}})})
    assert answers.lacks([(1, Place(4, 1)), (1, Place(6, 2))]) is None
    assert answers.lacks([(1, Place(4, 1)), (1, Place(5, 2))]) == Place(5, 2)
    assert answers.lacks([]) is None


@pytest.mark.parametrize(("k", "m", "needed"), [(1, 1, 2), (1, 3, 3), (6, 2, 2), (6, 6, 6)])
def test_fewer_than_a_min_answers_leave_room_for_an_end_that_nobody_saw(k: int, m: int, needed: int) -> None:
    for count in range(k + m + 1):
        answers = claims(Quorum(k, m), {column: {} for column in range(count)})
        assert answers.may_have_been_held(None) == (count < needed)


@pytest.mark.parametrize("quorum", [Quorum(1, 1), Quorum(1, 2), Quorum(2, 2), Quorum(3, 2), Quorum(1, 3)], ids=str)
def test_what_was_held_is_never_taken_for_something_that_was_not(quorum: Quorum) -> None:
    """Every set of k + f_min blocks, every set of answers: the END that was held may have been held."""
    columns = range(quorum.n)
    end = Place(9, 5)
    for holders in combinations(columns, quorum.k + quorum.f_min):
        for count in range(quorum.n + 1):
            for answering in combinations(columns, count):
                slots = {column: {end.row: end.version} if column in holders else {end.row: 3} for column in answering}
                answers = claims(quorum, slots)
                seen = answers.holders(end) > 0
                assert answers.may_have_been_held(end if seen else None)


def test_an_unfinished_tail_disturbs_nobody_when_enough_deny_it() -> None:
    six_two = claims(Quorum(6, 2), {column: {1: 9} if column < 6 else {1: 2} for column in range(8)})
    assert not six_two.may_have_been_held(Place(9, 1))
