"""Levels: what nodes swap, in steps coarse enough that many others want the very same (paper, section 2.1).

Storage comes in powers of two of a unit, so that any two offers of one level are equal; uptime as a share of all time,
or as hours of the week. Two nodes suit each other when their levels are equal: who is up at other hours than I am, or
less often, could hold my blocks but not when I need them; who is up more often would give more than it gets.
"""

import re
from dataclasses import dataclass

from coopfs.errors import UsageError
from coopfs.limits import MIB
from coopfs.schedule import Window, format_when, parse_when
from coopfs.sizes import format_size

STORAGE_UNIT = MIB  # bytes of level 0: below it no disk can be made
STORAGE_LEVELS = 43  # 0..42: 2^42 MiB = 4 EiB is the last that fits in a signed 64-bit number of bytes
SHARES = (50, 75, 90, 95, 99)  # per cent of the time; 90 and above is a machine that is meant to run all day
MAX_UPTIME_TEXT = 128  # letters of an uptime level: seven days, two spans and a zone take 80

_ZONE = re.compile(r"[A-Za-z]{2,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


def storage_level(size: int) -> int:
    """The highest level that so many bytes fill, 0..42. UsageError: they do not fill even the first."""
    if size < STORAGE_UNIT:
        raise UsageError(f"{format_size(size)} are too little to swap; {format_size(STORAGE_UNIT)} is the least")
    return min(STORAGE_LEVELS, (size // STORAGE_UNIT).bit_length()) - 1


def storage_level_of(size: int) -> int:
    """The lowest level with room for so many bytes, 0..42; the last one for any that are more."""
    units = -(-size // STORAGE_UNIT)
    return min(STORAGE_LEVELS - 1, max(0, units - 1).bit_length())


def storage_size(level: int) -> int:
    """Bytes of a storage level, 0..42."""
    assert 0 <= level < STORAGE_LEVELS
    return STORAGE_UNIT << level


@dataclass(frozen=True, slots=True)
class Share:
    """Up for so many per cent of the time, at any hours; one of SHARES."""

    percent: int

    def __str__(self) -> str:
        return f"{self.percent}%"


@dataclass(frozen=True, slots=True)
class Weekly:
    """Up at these hours of the week, by the wall clocks of a time zone ("Europe/Paris")."""

    window: Window
    zone: str

    def __str__(self) -> str:
        return f"{format_when(self.window)} {self.zone}"


Uptime = Share | Weekly


def parse_uptime(text: str) -> Uptime:
    """The level that "95%", "95" or "mon-fri 08-18 Europe/Paris" names; `str` of it is the one text that levels are
    compared by. Whether there is such a zone is for a reader with a table of zones. UsageError: it is no level."""
    if len(text) > MAX_UPTIME_TEXT:
        raise UsageError(f"an uptime level of {len(text)} letters is longer than the {MAX_UPTIME_TEXT} possible")
    words = text.split()
    share = words[0].removesuffix("%") if len(words) == 1 else ""
    if share.isascii() and share.isdigit():
        if int(share) not in SHARES:
            raise UsageError(f"{text!r} is no uptime level; there are {', '.join(f'{each}%' for each in SHARES)}")
        return Share(int(share))
    if len(words) < 2 or not _ZONE.fullmatch(words[-1]):
        raise UsageError(
            f'{text!r} is no uptime level; write for example "95%", or hours with their zone: '
            '"mon-fri 08-18 Europe/Paris"'
        )
    return Weekly(parse_when(" ".join(words[:-1])), words[-1])
