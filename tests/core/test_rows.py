"""Rows: none is given twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.rows import Rows
from coopfs.errors import OutOfSpace


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
