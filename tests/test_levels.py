"""Levels of storage and uptime: rounded down, one text each, and nothing else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.errors import UsageError
from coopfs.levels import (
    MAX_UPTIME_TEXT,
    SHARES,
    STORAGE_LEVELS,
    STORAGE_UNIT,
    Share,
    Weekly,
    parse_uptime,
    storage_level,
    storage_level_of,
    storage_size,
)
from coopfs.limits import MIB
from coopfs.schedule import Window, format_when, parse_when

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("size", "level"),
    [(MIB, 0), (2 * MIB - 1, 0), (2 * MIB, 1), (100 * GIB, 16), (64 * GIB, 16), ((1 << 63) - 1, STORAGE_LEVELS - 1)],
)
def test_storage_is_rounded_down_to_a_power_of_two(size: int, level: int) -> None:
    assert storage_level(size) == level
    assert storage_size(level) <= size


@given(st.integers(0, STORAGE_LEVELS - 1))
def test_a_level_is_its_own(level: int) -> None:
    assert storage_level(storage_size(level)) == level


@pytest.mark.parametrize(
    ("size", "level"),
    [(0, 0), (MIB, 0), (MIB + 1, 1), (2 * MIB, 1), (64 * GIB, 16), (64 * GIB + 1, 17), (1 << 63, STORAGE_LEVELS - 1)],
)
def test_what_needs_room_is_rounded_up(size: int, level: int) -> None:
    assert storage_level_of(size) == level
    assert storage_size(level) >= min(size, storage_size(STORAGE_LEVELS - 1))


def test_less_than_the_unit_is_no_level() -> None:
    with pytest.raises(UsageError, match="too little to swap"):
        storage_level(STORAGE_UNIT - 1)


@pytest.mark.parametrize("percent", SHARES)
def test_shares_read_with_and_without_their_sign(percent: int) -> None:
    assert parse_uptime(f"{percent}%") == parse_uptime(str(percent)) == Share(percent)
    assert str(Share(percent)) == f"{percent}%"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mon-fri 08-18 Europe/Paris", "mon-fri 08:00-18:00 Europe/Paris"),
        ("fri,THU,wed,tue,mon 08:00-18 Europe/Paris", "mon-fri 08:00-18:00 Europe/Paris"),
        ("sat-sun UTC", "sat,sun 00:00-24:00 UTC"),
        ("20-23,06-08:30 America/Argentina/Ushuaia", "06:00-08:30,20:00-23:00 America/Argentina/Ushuaia"),
        ("mon-sun 22:00-06:00 Etc/GMT+5", "22:00-06:00 Etc/GMT+5"),
        ("fri-mon 01-02 UTC", "mon,fri-sun 01:00-02:00 UTC"),
    ],
)
def test_hours_of_the_week_have_one_text(text: str, canonical: str) -> None:
    level = parse_uptime(text)
    assert isinstance(level, Weekly)
    assert str(level) == canonical
    assert parse_uptime(canonical) == parse_uptime(str(level))


@pytest.mark.parametrize(
    "text",
    [
        *("", "97%", "0", "95 %", "²", "always", "9" * (MAX_UPTIME_TEXT + 1)),
        *("mon-fri 08-18", "8-18 UTC", "mon 1/2 UTC", "mon-fri 08-18 Paris!", "mon-fri 08-18 Europe/Paris/x/y"),
    ],
)
def test_what_is_no_uptime_level_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_uptime(text)


@given(
    st.frozensets(st.integers(0, 6), min_size=1),
    st.lists(
        st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda span: span[0] != span[1]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
)
def test_a_window_survives_its_text(days: frozenset[int], hours: list[tuple[int, int]]) -> None:
    window = Window(days, tuple(sorted(hours)))
    assert parse_when(format_when(window)) == window
