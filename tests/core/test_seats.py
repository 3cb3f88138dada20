"""Each column of each layout in force has a number of its own, which it keeps."""

import pytest

from coopfs.core.seats import ALL_SEATS, Span, seat
from coopfs.errors import UsageError
from coopfs.types import Layout


def layout(id_: int, k: int, m: int) -> Layout:
    return Layout(id_, k, m, 65536)


def test_layouts_sit_one_after_the_other() -> None:
    seats = seat([layout(1, 2, 1), layout(2, 3, 1)], {})
    assert [list(span.seats) for span in seats] == [[0, 1, 2], [3, 4, 5, 6]]
    assert seats.at(4) is seats.of(2)
    assert seats.of(2).column(4) == 1
    assert seats.of(2).own(0b0100110) == 0b0100
    assert seats.lacked_by(ALL_SEATS & ~0b1000) is seats.of(2)
    assert [span.layout.id for span in seats.until(1)] == [1]


def test_who_sits_stays_and_a_newcomer_takes_what_others_have_left() -> None:
    before = [layout(2, 3, 1)]
    seats = seat([*before, layout(3, 2, 1)], {2: 3})
    assert [span.base for span in seats] == [3, 0]
    assert [span.base for span in seat([*before, layout(3, 3, 1)], {2: 3})] == [3, 7]


def test_seats_are_bits_of_a_number_so_there_are_62() -> None:
    assert list(seat([layout(1, 30, 1), layout(2, 30, 1)], {}))[1] == Span(layout(2, 30, 1), 31)
    with pytest.raises(UsageError, match="more than the 62 stores"):
        seat([layout(1, 30, 1), layout(2, 31, 1)], {})
