"""Sizes as people write them, read and printed in this one place.

A number may have a fraction and a suffix. `K`, `M`, `G`, `T`, `P` (or `KiB`, `MiB`, ...) are powers of 1024 bytes, as
in coreutils; `KB`, `MB`, ... are powers of 1000. Case and a space before the suffix do not matter. Without a suffix
the number is bytes.
"""

import re
from fractions import Fraction

from coopfs.errors import UsageError

_PREFIXES = "KMGTP"
_SIZE = re.compile(
    r"(?P<number>\d{1,30}(?:\.\d{1,30})?)\s?(?:(?P<prefix>[kmgtp])(?P<unit>ib|b)?|b)?", re.IGNORECASE | re.ASCII
)
_MAX = (1 << 63) - 1  # bytes: what fits in off_t


def parse_size(text: str) -> int:
    """Bytes, rounded down to a whole one. UsageError: not a size, or more than 2^63 - 1."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size; write for example 500M, 10G, 1.5TiB or 64GB")
    factor = 1
    if match["prefix"]:
        base = 1000 if (match["unit"] or "").lower() == "b" else 1024
        factor = base ** (_PREFIXES.index(match["prefix"].upper()) + 1)
    size = int(Fraction(match["number"]) * factor)
    if size > _MAX:
        raise UsageError(f"{text!r} is more than the 8 EiB that fit in one size")
    return size


def format_size(size: int) -> str:
    """Three or four digits and a binary unit: `999 B`, `1.5 GiB`, `300 MiB`."""
    if size < 0:
        return f"-{format_size(-size)}"
    if size < 1024:
        return f"{size} B"
    value = Fraction(size)
    unit = ""
    for prefix in _PREFIXES:
        value /= 1024
        unit = f"{prefix}iB"
        # From 1023.5 on it would be printed as 1024: the next unit says it better.
        if value < Fraction(10235, 10):
            break
    return f"{float(value):.1f} {unit}" if value < 100 else f"{float(value):.0f} {unit}"
