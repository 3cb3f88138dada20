"""Slices of a disk that moves: no store and no slice is larger than what there is room for."""

from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.slicing import first_to_go, rows_beside, slices
from coopfs.core.storeformat import PAGE, slots_offset, store_size
from coopfs.limits import MAX_GROWTHS, SLICES
from coopfs.types import Layout

BLOCK = 65536


@given(size=st.integers(0, 1 << 32), other=st.integers(0, 1 << 16))
def test_both_stores_fit_into_the_agreement_however_often_they_have_grown(size: int, other: int) -> None:
    rows = rows_beside(size, BLOCK, other)
    worst = [
        store_size(count, BLOCK) + MAX_GROWTHS * PAGE + slots_offset(rows + other) - slots_offset(count)
        for count in (rows, other)
        if count
    ]
    assert rows == 0 or sum(worst) <= size


def test_little_is_lost_to_that() -> None:
    assert 2 * rows_beside(1 << 30, BLOCK, 8000) > 0.96 * 2 * ((1 << 30) // BLOCK - 8000)


@given(end=st.integers(48, 1 << 20), k=st.integers(1, 8), then=st.integers(1, 8))
def test_a_store_grows_half_as_often_as_it_can(end: int, k: int, then: int) -> None:
    planned = slices(Layout(1, k, 1, BLOCK), Layout(2, then, 1, BLOCK), end)
    assert -(-end // planned.rows) <= SLICES <= MAX_GROWTHS // 2
    assert planned.kept * then >= planned.rows * k > (planned.kept - 1) * then


def test_as_much_goes_as_there_is_room_for_but_a_slice_at_least() -> None:
    assert first_to_go(100, 8, 30) == 70
    assert first_to_go(100, 8, 0) == 92
    assert first_to_go(5, 8, 0) == 0
    assert first_to_go(100, 8, 1000) == 0
