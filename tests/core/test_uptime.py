"""The log of uptime: hours, windows, clocks that jump, and what is saved."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.uptime import DAY, DAY_BYTES, HOUR, UptimeLog
from coopfs.errors import ProtocolError
from coopfs.limits import UPTIME_DAYS

NOON = 20_000 * DAY + 12 * HOUR


def test_each_hour_gets_its_part() -> None:
    log = UptimeLog()
    log.note(NOON + 30 * 60, HOUR, up=True)
    log.note(NOON + 31 * 60, 60, up=False)
    assert list(log.hours(NOON + HOUR)) == [(NOON - HOUR, 1800, 1800), (NOON, 1800, 1860)]
    assert log.share(NOON + HOUR) == (3600 / 3660, 3660)


def test_nothing_seen_is_no_share() -> None:
    log = UptimeLog()
    assert log.share(NOON) is None


def test_time_that_nobody_noted_was_down() -> None:
    log = UptimeLog()
    log.note_all(NOON, HOUR, up=True)
    log.note_all(NOON + 3 * HOUR + 60, 60, up=True)
    assert log.share(NOON + 4 * HOUR) == ((HOUR + 60) / (4 * HOUR + 60), 4 * HOUR + 60)
    log.note_all(NOON + 3 * HOUR + 120, 60, up=False)
    assert log.share(NOON + 4 * HOUR) == ((HOUR + 60) / (4 * HOUR + 120), 4 * HOUR + 120)


def test_a_node_was_not_down_before_there_was_one() -> None:
    log = UptimeLog()
    for minute in range(40, 75):
        log.note_all(NOON + minute * 60, 60, up=True)
    assert log.share(NOON + 2 * HOUR) == (1.0, 35 * 60)


def test_an_hour_has_3600_seconds_whatever_the_clock_does() -> None:
    log = UptimeLog()
    for _ in range(3):
        log.note(NOON + 50 * 60, 50 * 60, up=True)
    assert list(log.hours(NOON + HOUR)) == [(NOON, HOUR, HOUR)]


def test_what_is_older_than_the_window_is_forgotten() -> None:
    log = UptimeLog()
    for day in range(UPTIME_DAYS + 40):
        log.note(NOON + day * DAY, HOUR, up=day >= 40)
    now = NOON + (UPTIME_DAYS + 40) * DAY
    share = log.share(now)
    assert share is not None
    assert share[0] == 1.0
    assert share[1] <= UPTIME_DAYS * HOUR
    kept = [day for day in range(20_000, 20_000 + UPTIME_DAYS + 40) if log.encode(day)]
    assert len(kept) == UPTIME_DAYS + 1
    assert kept[-1] == 20_000 + UPTIME_DAYS + 39
    assert log.changed == set(range(20_000, 20_000 + UPTIME_DAYS + 40)), "what is gone is to be removed too"


def test_a_clock_that_was_years_ahead_costs_nothing_of_what_was_seen_before() -> None:
    log = UptimeLog()
    for day in range(UPTIME_DAYS + 1):
        log.note(NOON + day * DAY, HOUR, up=True)
    log.note(NOON + 9_000 * DAY, 60, up=False)
    now = NOON + UPTIME_DAYS * DAY
    log.note(now, HOUR, up=True)
    log.note(now + DAY, HOUR, up=True)
    share = log.share(now + DAY)
    assert share is not None
    assert share[0] == 1.0
    assert share[1] >= (UPTIME_DAYS - 1) * HOUR
    assert log.encode(20_000 + 9_000) is None


def test_golden_day() -> None:
    log = UptimeLog()
    log.note(20_000 * DAY + 90 * 60, 90 * 60, up=True)
    log.note(21 * HOUR + 20_000 * DAY, 15 * 60, up=False)
    assert log.encode(20_000) == bytes.fromhex("0e100e1007080708") + bytes(72) + bytes.fromhex("00000384") + bytes(12)


@given(st.lists(st.tuples(st.integers(0, 5 * DAY), st.integers(0, 2 * DAY), st.booleans()), max_size=20))
def test_what_is_saved_is_taken_back(notes: list[tuple[int, int, bool]]) -> None:
    log, again = UptimeLog(), UptimeLog()
    for at, seconds, up in notes:
        log.note(NOON + at, seconds, up)
    for day in log.changed:
        data = log.encode(day)
        assert data is not None
        again.load(day, data)
    assert list(again.hours(NOON + 6 * DAY)) == list(log.hours(NOON + 6 * DAY))
    assert all(0 <= up <= seen <= HOUR for _, up, seen in log.hours(NOON + 6 * DAY))


@pytest.mark.parametrize(
    "damaged",
    [b"", bytes(DAY_BYTES - 1), struct.pack(">48H", 2, 1, *[0] * 46), struct.pack(">48H", 0, 3601, *[0] * 46)],
)
def test_damage_is_noticed(damaged: bytes) -> None:
    with pytest.raises(ProtocolError):
        UptimeLog().load(20_000, damaged)
