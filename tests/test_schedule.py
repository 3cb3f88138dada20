"""Limits by the hour of the week: which rate holds when, also where clocks are put forward and back."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trio
from trio.testing import MockClock

from coopfs.app.rates import bucket
from coopfs.errors import UsageError
from coopfs.limits import RATE_CHECK
from coopfs.schedule import ALWAYS, Schedule, constant, parse_when

MONDAY = datetime(2026, 11, 16)


def at(day: int, clock: str) -> datetime:
    """day: 0 for Monday."""
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("when", "inside", "outside"),
    [
        ("mon-fri 08:00-18:00", [(0, "08:00"), (4, "17:59")], [(0, "07:59"), (4, "18:00"), (5, "12:00")]),
        ("sat,sun", [(5, "00:00"), (6, "23:59")], [(4, "23:59"), (0, "00:00")]),
        ("22:00-06:00", [(0, "22:00"), (3, "00:00"), (6, "05:59")], [(0, "06:00"), (2, "21:59")]),
        ("fri 22:00-06:00", [(4, "22:00"), (5, "05:59")], [(4, "05:00"), (5, "06:00"), (5, "22:00")]),
        ("sun 23:00-01:00", [(6, "23:30"), (0, "00:30")], [(6, "00:30"), (0, "23:30")]),
        ("fri-mon", [(4, "12:00"), (6, "12:00"), (0, "12:00")], [(1, "12:00"), (3, "12:00")]),
        ("Mon,Wed-Thu 00:00-24:00", [(0, "00:00"), (2, "23:59"), (3, "12:00")], [(1, "12:00"), (4, "00:00")]),
        ("mon 08:00-12:00,13:00-18:00", [(0, "11:59"), (0, "13:00")], [(0, "12:00"), (0, "12:59")]),
    ],
)
def test_a_window_holds_at_its_hours(when: str, inside: list[tuple[int, str]], outside: list[tuple[int, str]]) -> None:
    schedule = Schedule(((parse_when(when), 7),))
    assert [schedule.rate(at(*moment)) for moment in inside] == [7] * len(inside)
    assert [schedule.rate(at(*moment)) for moment in outside] == [0] * len(outside)


@pytest.mark.parametrize(
    "when",
    [
        *("", "noon", "mon-", "-fri", "mon fri", "mon-xyz", "mon-tue-wed", "mon,,tue"),
        *(
            "8:00-9:00",
            "08:00",
            "08:00-25:00",
            "24:00-01:00",
            "08:60-09:00",
            "08:00-08:00",
            "24:01-02:00",
            "00:00-24:01",
        ),
        *("08:00-18:00 mon", "mon 08:00-18:00 x"),
    ],
)
def test_what_is_no_time_of_the_week_is_refused(when: str) -> None:
    with pytest.raises(UsageError, match="is no time of the week"):
        parse_when(when)


def test_the_first_entry_that_holds_counts() -> None:
    schedule = Schedule(((parse_when("mon"), 1), (parse_when("mon-tue"), 2), (ALWAYS, 3)))
    assert [schedule.rate(at(day, "12:00")) for day in (0, 1, 2)] == [1, 2, 3]
    assert constant(0) == Schedule()
    assert not Schedule(((parse_when("mon"), 0),)).limits


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rules of central Europe, without asking for a database of time zones."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Wall:
    """A wall clock that runs with trio's."""

    def __init__(self, start: datetime) -> None:
        self._start = start.timestamp()

    def __call__(self) -> float:
        return self._start + trio.current_time()


MIB = 1 << 20
NIGHTS = Schedule(((parse_when("02:00-04:00"), MIB), (ALWAYS, 4 * MIB)))


@pytest.mark.parametrize(
    ("midnight", "seconds"),
    [
        (datetime(2026, 6, 15, 0, 0), 2 * 3600),
        (datetime(2026, 3, 29, 0, 0), 1 * 3600),  # 02:00 is 03:00: an hour of the night does not exist
        (datetime(2026, 10, 25, 0, 0), 3 * 3600),  # from 03:00 back to 02:00: one comes twice
    ],
    ids=["summer", "clocks forward", "clocks back"],
)
async def test_a_bucket_follows_the_wall_clock(
    midnight: datetime, seconds: int, berlin: None, autojump_clock: MockClock
) -> None:
    """Pieces of 40 MiB one after the other, from midnight to 06:00: how long do they take 40 s each, how long 10 s?"""
    wall = Wall(midnight)
    limit = bucket(NIGHTS, wall)
    assert limit is not None
    slow = 0.0
    end = datetime(midnight.year, midnight.month, midnight.day, 6).timestamp() - midnight.timestamp()
    while trio.current_time() < end:
        before = trio.current_time()
        await limit.take(40 * MIB)
        spent = trio.current_time() - before
        slow += spent if spent > 20 else 0
    assert slow == pytest.approx(seconds, abs=40 + 2 * RATE_CHECK)


async def test_who_waits_is_let_go_when_the_slow_hours_end(berlin: None, autojump_clock: MockClock) -> None:
    """A block at one byte per second would wait for days."""
    wall = Wall(datetime(2026, 11, 16, 17, 59, tzinfo=UTC).astimezone())
    limit = bucket(Schedule(((parse_when("18:00-19:00"), 1),)), wall)
    assert limit is not None
    await limit.take(MIB)
    await limit.take(MIB)
    assert trio.current_time() <= 60 + RATE_CHECK


async def test_no_limit_costs_nothing() -> None:
    assert bucket(Schedule(), time.time) is None
    assert bucket(constant(0), time.time) is None
