"""When repair will be done, as far as can be known."""

import pytest

from coopfs.core.pacing import Rate, seconds_left
from coopfs.limits import RATE_NOTES, RATE_WINDOW


def test_the_rate_is_that_of_the_last_minutes() -> None:
    rate = Rate()
    assert rate.per_second(5.0) == 0
    rate.note(10.0, 100)
    assert rate.per_second(10.0) == 0, "one look tells no time"
    rate.note(20.0, 8)
    rate.note(30.0, 8)
    assert rate.per_second(30.0) == 0.8
    assert rate.per_second(50.0) == 0.4, "who stands still becomes slower"
    assert rate.per_second(30.0 + RATE_WINDOW + 1) == 0


def test_a_pause_does_not_count() -> None:
    rate = Rate()
    rate.note(0.0, 8)
    rate.rest()
    rate.note(100.0, 8)
    rate.note(104.0, 8)
    assert rate.per_second(104.0) == 2.0


def test_it_remembers_a_bounded_number() -> None:
    rate = Rate()
    for second in range(10 * RATE_NOTES):
        rate.note(second / 100, 1)
    assert rate.per_second(10 * RATE_NOTES / 100) == pytest.approx(100, rel=0.01)
    assert len(rate._notes) == RATE_NOTES


@pytest.mark.parametrize(
    ("columns", "left"),
    [
        ([], None),
        ([(0, 0.0), (0, 3.0)], None),
        ([(10, 2.0)], 5),
        ([(10, 2.0), (300, 4.0), (0, 0.0)], 75),
        ([(10, 2.0), (300, 0.0)], None),
        ([(54_000, 5.0)], 3 * 3600),
    ],
)
def test_the_slowest_column_says_when(columns: list[tuple[int, float]], left: int | None) -> None:
    assert seconds_left(columns) == left
