"""What cannot be repaired is left alone for ever longer, until something happens that may bring it."""

from math import inf

from coopfs.core.aside import Aside
from coopfs.limits import CLEANER_AGAIN, MEND_REST_MAX


def test_the_rest_doubles_up_to_the_longest() -> None:
    aside, now, rests = Aside(), 1000.0, []
    for _ in range(12):
        aside.put(7, now)
        aside.put(8, now + 1)
        assert (7 in aside.ids, 8 in aside.ids, 9 in aside.ids) == (True, True, False)
        aside.look(aside.until - 0.1)
        assert 7 in aside.ids
        rests.append(aside.until - now)
        now = aside.until
        aside.look(now)
        assert not aside.ids
        assert aside.until == inf
    assert rests == [min(CLEANER_AGAIN * 2**tries, MEND_REST_MAX) for tries in range(12)]


def test_hope_takes_them_up_at_once_and_begins_anew() -> None:
    aside = Aside()
    aside.put(7, 0.0)
    aside.look(CLEANER_AGAIN)
    aside.put(7, 100.0)
    aside.hope()
    assert not aside.ids
    aside.put(7, 200.0)
    assert aside.until == 200.0 + CLEANER_AGAIN


def test_another_trouble_begins_with_a_short_rest() -> None:
    aside, now = Aside(), 0.0
    for _ in range(5):
        aside.put(7, now)
        now = aside.until
        aside.look(now)
    later = now + 86_400
    aside.put(8, later)
    assert aside.until == later + CLEANER_AGAIN
