"""The present figure, and what would help most."""

import pytest

from coopfs.core.outlook import ALWAYS, Holder, look_out
from coopfs.core.quorum import Quorum
from coopfs.core.reliability import mixed_failure, restore_failure
from coopfs.limits import OUTLOOK_KINDS

WHOLE = 0b1111
QUORUM = Quorum(2, 2)


def holders(*ups: float) -> list[Holder]:
    return [Holder(f"p{column}", up, 0.99 if up else 0.0) for column, up in enumerate(ups)]


def test_with_everything_everywhere_it_is_the_formula() -> None:
    seen = look_out(QUORUM, [WHOLE], holders(0.9, 0.9, 0.9, 0.9))
    assert seen.now == pytest.approx(restore_failure(2, 4, 0.9))
    assert seen.within == pytest.approx(restore_failure(2, 4, 0.99))


def test_the_weakest_stripes_count_and_sending_them_helps_most() -> None:
    seen = look_out(QUORUM, [WHOLE, 0b0011], holders(0.9, 0.9, 0.9, 0.9))
    assert seen.now == pytest.approx(1 - 0.81)
    assert seen.help is not None
    assert seen.help.partner is None
    assert seen.help.failure == pytest.approx(restore_failure(2, 4, 0.9))


def test_the_partner_that_is_up_least_would_help_most() -> None:
    seen = look_out(QUORUM, [WHOLE], holders(0.9, 0.3, 0.9, 0.8))
    assert seen.help is not None
    assert seen.help.partner == "p1"
    assert seen.help.failure == pytest.approx(mixed_failure(2, [0.9, ALWAYS, 0.9, 0.8]))


def test_who_is_lost_helps_nobody_and_nothing_helps_what_is_good() -> None:
    seen = look_out(QUORUM, [0b1011], holders(0.9, 0.3, 0.0, 0.8))
    assert seen.help is not None
    assert seen.help.partner == "p1"
    assert look_out(QUORUM, [WHOLE], holders(*[ALWAYS] * 4)).help is None


def test_a_restore_that_must_ask_counts_as_one_that_fails() -> None:
    seen = look_out(Quorum(1, 1), [0b11], holders(0.9, 0.9))
    assert seen.now == pytest.approx(0.19)
    assert seen.within == pytest.approx(1e-4), "within the window, one is enough to read"


def test_of_very_many_kinds_the_weakest_are_looked_at() -> None:
    quorum = Quorum(4, 8)
    kinds = [kind for kind in range(1 << 12) if kind.bit_count() >= 11 or kind == 0b1111]
    assert len(kinds) < OUTLOOK_KINDS
    more = [*kinds, *(kind for kind in range(1 << 12) if kind.bit_count() == 10)]
    seen = look_out(quorum, more, holders(*[0.9] * 12))
    assert seen.now >= 1 - 0.9**4
