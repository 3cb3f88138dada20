"""Rows: none is given twice, and what only deletes may use is left to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.rows import Rows, budget, reserve_rows, rows_for_images, stripe_payload
from coopfs.errors import OutOfSpace
from tests.core.samples import LAYOUT


@given(st.sets(st.integers(0, 19)), st.lists(st.integers(0, 19), max_size=80))
def test_a_row_is_taken_once_until_it_is_given_back(taken: set[int], steps: list[int]) -> None:
    rows = Rows(20, taken)
    model = set(taken)
    for step in steps:
        assert rows.free == 20 - len(model)
        if step in model:
            rows.give_back(step)
            model.remove(step)
        elif len(model) == 20:
            with pytest.raises(OutOfSpace):
                rows.take()
        else:
            row = rows.take()
            assert row == min(set(range(20)) - model)
            model.add(row)


def test_a_row_given_back_twice_is_our_bug() -> None:
    rows = Rows(20, [3])
    rows.give_back(3)
    with pytest.raises(AssertionError):
        rows.give_back(3)


def test_no_rows_are_left_when_all_are_taken() -> None:
    with pytest.raises(OutOfSpace, match="no row is left"):
        Rows(3, range(3)).take()


@pytest.mark.parametrize(("total", "reserve"), [(0, 16), (512, 16), (513, 16), (544, 17), (3_200_000, 100_000)])
def test_the_reserve(total: int, reserve: int) -> None:
    assert reserve_rows(total) == reserve


def test_images_take_rows_by_their_bytes() -> None:
    assert stripe_payload(LAYOUT) == 2 * (262144 - 128)
    per_row = stripe_payload(LAYOUT) // 256
    assert [rows_for_images(LAYOUT, n) for n in (0, 1, per_row, per_row + 1)] == [0, 1, 1, 2]


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, 10**6))
def test_what_the_budget_takes_leaves_the_reserve(total: int, free: int, images: int) -> None:
    free = min(free, total)
    size = budget(LAYOUT, total, free, images)
    if size >= 0:
        needed = -(-size // stripe_payload(LAYOUT)) + rows_for_images(LAYOUT, images) + reserve_rows(total)
        assert needed <= free
    assert budget(LAYOUT, total, free, 0) >= size
