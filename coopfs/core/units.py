"""Units: content that is compressed by itself, and the runs of a file that lie in one (design section 4).

A unit is at most UNIT_MAX bytes when decoded; it lies in one stripe. A run names a part of it: overwriting the middle
of a unit leaves two runs in it. What is not compressed (PLAIN) needs no unit: each run names just its own bytes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from coopfs.errors import NotAuthentic
from coopfs.limits import UNIT_GAIN, UNIT_MAX, UNIT_SHARE

PLAIN, ZSTD = 0, 1  # codecs
FASTEST, STRONGEST = 1, 19  # levels of zstd; those above need more memory to decode than a reader grants


@dataclass(frozen=True, slots=True)
class Portion:
    """Content on its way into a stripe: bytes of a file, and what is stored for them. codec PLAIN: the same bytes, of
    any length; else both are one unit."""

    raw: memoryview
    stored: bytes | memoryview
    codec: int


def plain(data: bytes | memoryview) -> Portion:
    """Content that is stored as it is."""
    view = memoryview(data)
    return Portion(view, view, PLAIN)


def is_won(raw: int, stored: int, lost: int = 0) -> bool:
    """Whether it is worth storing `raw` bytes as a unit of `stored`, if so many are lost beside that.

    So whatever becomes of content, it never takes more of the stripes than its plain bytes would.
    """
    return stored + lost + max(UNIT_GAIN, raw // UNIT_SHARE) <= raw


def split(unit: Portion, room: int) -> list[Portion]:
    """A unit in two, or none: the first fits into so many bytes; what it leaves empty is less than they win."""
    cut = len(unit.raw) * room // len(unit.stored) * 7 // 8  # an eighth less: content does not shrink evenly
    parts = [part for raw in (unit.raw[:cut], unit.raw[cut:]) for part in compress(raw, UNIT_MAX, FASTEST)]
    if len(parts) != 2 or parts[0].codec == PLAIN:
        return []
    first, second = (len(part.stored) for part in parts)
    return parts if first <= room and is_won(len(unit.raw), first + second, room - first) else []


def compress(data: bytes | memoryview, unit: int, level: int) -> list[Portion]:
    """Content in units of `unit` bytes each, and plain where that is not worth it; adjacent plain bytes are one."""
    view = memoryview(data)
    compressor = zstandard.ZstdCompressor(level=level)
    portions: list[Portion] = []
    plain_from = 0
    for start in range(0, len(view), unit):
        raw = view[start : start + unit]
        stored = compressor.compress(raw)
        if not is_won(len(raw), len(stored)):
            continue
        if plain_from < start:
            portions.append(plain(view[plain_from:start]))
        portions.append(Portion(raw, stored, ZSTD))
        plain_from = start + len(raw)
    if plain_from < len(view):
        portions.append(plain(view[plain_from:]))
    return portions


class Run(NamedTuple):
    """A run of one file's bytes: records.Extent without the inode."""

    offset: int
    length: int
    stripe: int
    at: int
    stored: int
    raw: int
    skip: int
    codec: int

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def charge(self) -> int:
        """Bytes of the stripe that this run keeps alive: its share of the unit, 1 at least.

        It depends on this run alone, so that their sum never falls below 0, and is 0 only when nothing is named.
        """
        if self.codec == PLAIN:
            return self.length
        share = self.stored * (self.skip + self.length) // self.raw - self.stored * self.skip // self.raw
        return max(1, share)

    def part(self, low: int, high: int) -> "Run":
        """Bytes low..high-1 of the file, which lie in it."""
        length = high - low
        if self.codec == PLAIN:
            return Run(low, length, self.stripe, self.at + low - self.offset, length, length, 0, PLAIN)
        return self._replace(offset=low, length=length, skip=self.skip + low - self.offset)

    def decode(self, stored: bytes | memoryview) -> bytes:
        """The bytes of the run from those stored at `at`. NotAuthentic: see `decode`."""
        return decode(self.codec, stored, self.raw)[self.skip : self.skip + self.length]

    def joined(self, after: "Run") -> "Run | None":
        """This run and the one after it as one, if they go on in the same stripe or unit."""
        if self.codec != after.codec or self.stripe != after.stripe:
            return None
        length = self.length + after.length
        if self.codec == PLAIN:
            return self._replace(length=length, stored=length, raw=length) if self.at + self.raw == after.at else None
        same = self.at == after.at and self.skip + self.length == after.skip
        return self._replace(length=length) if same else None


# `charge` in SQL: replay adds up what the tables of a living disk add up step by step
CHARGE = f"CASE codec WHEN {PLAIN} THEN length ELSE max(1, stored * (skip + length) / raw - stored * skip / raw) END"


def decode(codec: int, stored: bytes | bytearray | memoryview, raw: int) -> bytes:
    """The `raw` bytes of a unit. NotAuthentic: it is damaged, or not of this length, which bounds the memory."""
    if codec != ZSTD or raw > UNIT_MAX:
        raise NotAuthentic("a unit of content that this version cannot decode")
    try:
        if zstandard.frame_content_size(stored) != raw:  # looked at first: the library believes what stands there
            raise NotAuthentic("a unit of content is not as long as its record says")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=raw, allow_extra_data=False)
    except zstandard.ZstdError as bad:
        raise NotAuthentic(f"a unit of content is damaged: {bad}") from None
