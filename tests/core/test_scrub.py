"""When the next block of a pass is due, and when a pass ends."""

import pytest

from coopfs.core.scrub import Pass, Scrub
from coopfs.limits import SCRUB_HASTE

PERIOD = 1000.0


def test_a_pass_takes_its_period_at_an_even_pace() -> None:
    one, now = Pass(begun=100, until=50), 100.0
    for id_ in range(50):
        now += max(0.0, one.pause(50 - id_, PERIOD, now))
        assert now == pytest.approx(100 + PERIOD / 50 * id_)
        one = one.over(id_, now, looked=1)
    assert (one.done, one.looked, one.after) == (50, 50, 49)


def test_who_is_behind_goes_faster_but_not_at_once() -> None:
    late = Pass(begun=100, at=900.0, done=10)
    assert late.pause(40, PERIOD, 900.0) == PERIOD / 50 / SCRUB_HASTE
    assert late.pause(40, PERIOD, 901.0) == PERIOD / 50 / SCRUB_HASTE - 1, "a restart does not begin that anew"


def test_passes_follow_each_other() -> None:
    first = Scrub().begin(until=7, now=100)
    assert first.now.is_under_way
    assert first.finished == Pass()
    assert not first.is_due(PERIOD, 5000.0), "one at a time"
    ended = first.end(600)
    assert ended.finished.ended == 600
    assert not ended.is_due(PERIOD, 1099.0)
    assert ended.is_due(PERIOD, 1100.0)
    second = ended.begin(until=9, now=1100)
    assert (second.finished.ended, second.now.until, second.now.done) == (600, 9, 0)


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert Scrub().begin(7, now=5000).not_before(100).now.begun == 100
    assert Scrub().begin(7, now=50).not_before(100).now.begun == 50
    under_way = Scrub(Pass(begun=50, at=900.0, until=7, done=3))
    assert under_way.not_before(100.0).now.pause(7, PERIOD, 100.0) <= 350.0, "not until it is as late as it was"
    assert under_way.not_before(901.0) == under_way
