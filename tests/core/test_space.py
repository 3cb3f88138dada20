"""What writers may take, and what is kept for those that free."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.meta import records_capacity, split
from coopfs.core.space import (
    Usage,
    budget,
    content_rows,
    images_worth,
    log_slack,
    packed,
    reserve_rows,
    rows_for_images,
    rows_of_group,
    spare_rows,
    stripe_payload,
)
from coopfs.limits import LARGE_IMAGE, MAX_RECORD, MIN_ROWS
from tests.core.samples import LAYOUT

PAYLOAD = stripe_payload(LAYOUT)


@pytest.mark.parametrize(
    ("total", "reserve", "spare"), [(48, 24, 8), (768, 24, 248), (1600, 50, 248), (5120, 160, 248), (10**6, 160, 49992)]
)
def test_the_reserve_and_what_is_never_promised(total: int, reserve: int, spare: int) -> None:
    assert (reserve_rows(total), spare_rows(total)) == (reserve, spare)


def test_the_smallest_disk_holds_something() -> None:
    assert content_rows(MIN_ROWS) >= 10
    assert content_rows(10**6) > 0.94 * 10**6


@given(st.integers(MIN_ROWS, 10_000), st.integers(0, 10_000), st.integers(1, 10_000), st.integers(0, 10**9))
def test_what_the_budget_gives_leaves_the_reserve_and_the_log_its_rows(
    total: int, data: int, log: int, images: int
) -> None:
    usage = Usage(LAYOUT, total, data, log, images, 0)
    left = budget(usage)
    if left >= 0:
        rows = -(-left // PAYLOAD)
        assert rows + data + log + rows_for_images(LAYOUT, 2 * images) + reserve_rows(total) <= total
        assert rows + data + rows_for_images(LAYOUT, 4 * images) + log_slack(total) - 1 + reserve_rows(total) <= total


def test_what_lives_counts_even_where_rows_are_free() -> None:
    """Rows would be there, but not enough to clean in."""
    total = 1000
    usage = Usage(LAYOUT, total, 100, 1, 0, 100 * PAYLOAD)
    assert budget(usage) == (content_rows(total) - 100) * PAYLOAD
    assert budget(replace(usage, content=content_rows(total) * PAYLOAD)) == 0


@given(st.lists(st.integers(1, MAX_RECORD), max_size=60))
def test_the_rows_of_a_group_are_counted_as_they_are_filled(sizes: list[int]) -> None:
    capacity = records_capacity(PAYLOAD)
    assert rows_of_group(LAYOUT, sizes) == len(split([bytes(size) for size in sizes], capacity))
    assert rows_of_group(LAYOUT, sizes) <= 1 + sum(map(packed, sizes)) * 16 // 15 // capacity + 1


def test_large_images_count_for_what_they_may_leave_empty() -> None:
    assert (packed(LARGE_IMAGE), packed(LARGE_IMAGE + 1)) == (LARGE_IMAGE, 2 * LARGE_IMAGE + 2)
    assert images_worth(0) == 0
    assert images_worth(1024) == 20
