"""What a partner tells of its slots is kept in little memory, and what makes no sense is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import digest
from coopfs.core.inventory import Inventory
from coopfs.errors import NotAuthentic
from coopfs.types import Slot

ROWS = 40


@given(st.dictionaries(st.integers(0, ROWS - 1), st.integers(0, 1 << 60)), st.integers(1, 10))
def test_it_is_what_was_told_page_by_page(slots: dict[int, int], page: int) -> None:
    inventory, told = Inventory(ROWS), [Slot(row, version, 1) for row, version in sorted(slots.items())]
    for first in range(0, len(told), page):
        inventory.add(told[first : first + page])
    assert dict(inventory.items()) == slots
    assert [inventory.get(row) for row in range(2 * ROWS)] == [slots.get(row) for row in range(2 * ROWS)]
    assert inventory.spoiled() == [row for row, version in sorted(slots.items()) if not version]
    assert inventory.next_row == max(slots, default=-1) + 1
    total = 0
    for row, version in slots.items():
        total = digest.replace(total, row, 0, version)
    assert inventory.digest == total


@pytest.mark.parametrize("row", [2, 3])
def test_pages_that_go_backwards_are_refused(row: int) -> None:
    inventory = Inventory(ROWS)
    inventory.add([Slot(3, 7, 1)])
    with pytest.raises(NotAuthentic, match="backwards"):
        inventory.add([Slot(row, 7, 1)])


@pytest.mark.parametrize("row", [ROWS, 1 << 31])
def test_what_lies_beyond_the_disk_means_nothing(row: int) -> None:
    inventory, same = Inventory(ROWS), Inventory(ROWS)
    inventory.add([Slot(3, 7, 1), Slot(row, 8, 1)])
    same.add([Slot(3, 7, 1)])
    assert list(inventory.items()) == [(3, 7)]
    assert (inventory.digest, inventory.next_row) == (same.digest, 4)


def test_what_it_has_is_compared_with_what_was_acked() -> None:
    inventory = Inventory(ROWS)
    inventory.add([Slot(0, 7, 1), Slot(2, 8, 1), Slot(3, 0, 1)])
    stripes = [(10, 0, 7, 0b10), (11, 0, 6, 0b10), (12, 1, 5, 0b01), (13, 2, 8, 0b01), (14, 3, 9, 0b11)]
    gained, lost = inventory.differing(stripes, 1)
    assert (list(gained), list(lost)) == ([13], [11, 14])
