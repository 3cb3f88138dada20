"""Promises of uptime: what may be missed, and when it is nearly too much."""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from coopfs.core.promise import Keeping, judge, promised_share
from coopfs.core.uptime import DAY, HOUR
from coopfs.levels import parse_uptime
from coopfs.limits import WEEKLY_KEPT

PARIS = partial(datetime.fromtimestamp, tz=ZoneInfo("Europe/Paris"))


def hours(days: int, down: int) -> list[tuple[int, int, int]]:
    """So many days, of which the last hours were down."""
    total = days * 24
    return [(20_000 * DAY + at * HOUR, HOUR if at < total - down else 0, HOUR) for at in range(total)]


@pytest.mark.parametrize(
    ("days", "down", "state", "left"),
    [
        (2, 0, Keeping.KEPT, 36),
        (2, 20, Keeping.KEPT, 16),
        (10, 28, Keeping.NEAR, 8),
        (10, 37, Keeping.BROKEN, -1),
        (60, 37, Keeping.KEPT, 35),
        (90, 108, Keeping.NEAR, 0),
    ],
)
def test_a_share_may_be_missed(days: int, down: int, state: Keeping, left: int) -> None:
    kept = judge(parse_uptime("95%"), hours(days, down), PARIS)
    assert kept is not None
    assert (kept.state, kept.wanted, kept.seen) == (state, 0.95, days * DAY)
    assert kept.left == pytest.approx(left * HOUR, abs=1)
    assert kept.share == pytest.approx(1 - down / (days * 24))


def test_hours_that_are_not_promised_may_be_missed() -> None:
    level = parse_uptime("mon-fri 08-18 Europe/Paris")
    at_work = {(began, PARIS(began).weekday() < 5 and 8 <= PARIS(began).hour < 18) for began, _, _ in hours(28, 0)}
    kept = judge(level, ((began, HOUR * here, HOUR) for began, here in sorted(at_work)), PARIS)
    assert kept is not None
    assert (kept.share, kept.wanted, kept.state) == (1.0, WEEKLY_KEPT, Keeping.KEPT)
    assert kept.seen == 20 * 10 * HOUR, "four weeks of five days of ten hours"
    assert kept.left == pytest.approx((1 - WEEKLY_KEPT) * 200 * HOUR * 30 / 28, abs=1)
    never = judge(level, ((began, HOUR * (not here), HOUR) for began, here in sorted(at_work)), PARIS)
    assert never is not None
    assert (never.share, never.state) == (0.0, Keeping.BROKEN)


def test_the_share_that_a_level_promises() -> None:
    assert promised_share("") is None
    assert promised_share("90%") == 0.9
    assert promised_share("mon-fri 08:00-18:00 Europe/Paris") == pytest.approx(WEEKLY_KEPT * 50 / 168)


def test_part_of_an_hour_may_be_promised() -> None:
    began = next(at for at, _, _ in hours(2, 0) if PARIS(at).hour == 8)
    kept = judge(parse_uptime("08:30-09:00 Europe/Paris"), [(began, HOUR, HOUR)], PARIS)
    assert kept is not None
    assert kept.seen == HOUR // 2


def test_of_nothing_seen_nothing_is_said() -> None:
    assert judge(parse_uptime("95%"), [], PARIS) is None
    night = next(at for at, _, _ in hours(2, 0) if PARIS(at).hour == 3)
    assert judge(parse_uptime("08-18 Europe/Paris"), [(night, HOUR, HOUR)], PARIS) is None
