"""Which splits of partners are proposed."""

import pytest

from coopfs.core.choice import Hopes, choices, expected, nearest, split, weigh
from coopfs.limits import DEFAULT_PARTNER_UP, UPTIME_KNOWN

HOPES = Hopes(0.1, 21.0)


def test_each_stores_less_than_those_with_fewer_partners_and_reaches_the_target() -> None:
    found = list(choices(0.9999, 0.9, 20, HOPES))
    assert [(c.k, c.m) for c in found] == [(6, 6), (7, 6), (9, 7), (11, 8), (12, 8)]
    assert [c.overhead for c in found] == sorted((c.overhead for c in found), reverse=True)
    assert all(c.failure <= c.unsure <= 1e-4 for c in found)
    assert list(choices(0.9999, 0.9, 11, HOPES)) == []


def test_a_target_that_is_just_reached_counts() -> None:
    assert [(c.k, c.m) for c in choices(0.81, 0.9, 2, HOPES)] == [(1, 1)], "both of two, for 1+1 to be sure"


@pytest.mark.parametrize(
    ("partners", "expected"),
    [(2, (1, 1)), (3, (1, 2)), (4, (2, 2)), (6, (3, 3)), (8, (4, 4)), (9, (5, 4)), (12, (7, 5))],
)
def test_so_many_partners_are_split(partners: int, expected: tuple[int, int]) -> None:
    choice = split(0.999, [0.9] * partners, HOPES)
    assert (choice.k, choice.m) == expected
    assert choice.reaches(0.999) == (partners >= 8)


@pytest.mark.parametrize(("up", "n"), [(0.5, 4), (0.4, 4), (0.6, 20), (0.9, 20)])
def test_the_nearest_split_uses_as_many_partners_as_help(up: float, n: int) -> None:
    best = nearest(up, 20, HOPES)
    assert best.n == n
    assert all(best.unsure <= split(0.9999999, [up] * few, HOPES).unsure for few in range(2, 21))


def test_good_partners_leave_more_room_for_data() -> None:
    good, poor = split(0.999, [0.99] * 8, HOPES), split(0.999, [0.99] * 5 + [0.75] * 3, HOPES)
    assert (good.k, good.m) == (6, 2)
    assert poor.k < good.k
    assert poor.reaches(0.999)


def test_redundancy_above_k_helps_only_who_may_be_asked() -> None:
    more, equal = weigh(1, [0.9] * 4, HOPES), weigh(2, [0.9] * 4, HOPES)
    assert more.failure < equal.failure < equal.unsure + 1e-15
    assert more.unsure > equal.unsure == equal.failure


def test_what_is_expected_of_a_partner() -> None:
    assert expected(None) == DEFAULT_PARTNER_UP
    assert expected((0.2, UPTIME_KNOWN - 1)) == DEFAULT_PARTNER_UP
    assert expected((0.2, UPTIME_KNOWN)) == 0.2
    assert expected((0.2, UPTIME_KNOWN - 1), 0.75) == expected(None, 0.75) == 0.75
    assert expected((0.2, UPTIME_KNOWN), 0.75) == 0.2
    assert expected((1.0, 10 * UPTIME_KNOWN)) == 0.999
