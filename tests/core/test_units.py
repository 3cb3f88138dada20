"""Units: what is decoded is what was compressed, within the memory that the record tells, or nothing."""

from itertools import pairwise

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.units import FASTEST, PLAIN, STRONGEST, ZSTD, Run, compress, decode, is_won
from coopfs.errors import NotAuthentic
from coopfs.limits import UNIT_GAIN, UNIT_MAX, UNIT_SHARE

UNIT = b"the same again " * 1000
STORED = zstandard.ZstdCompressor().compress(UNIT)


def test_a_unit_and_a_run_in_it_come_back() -> None:
    assert decode(ZSTD, STORED, len(UNIT)) == UNIT
    run = Run(5000, 100, 3, 0, len(STORED), len(UNIT), 777, ZSTD)
    assert run.decode(STORED) == UNIT[777:877]
    assert run.part(5010, 5020).decode(STORED) == UNIT[787:797]


@pytest.mark.parametrize(
    ("codec", "stored", "raw"),
    [
        (2, STORED, len(UNIT)),
        (ZSTD, STORED, len(UNIT) - 1),
        (ZSTD, STORED[:-1], len(UNIT)),
        (ZSTD, STORED + b"x", len(UNIT)),
        (ZSTD, b"", 1),
        (ZSTD, zstandard.ZstdCompressor().compress(bytes(1 << 26)), UNIT_MAX),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress(UNIT), len(UNIT)),
        (ZSTD, zstandard.ZstdCompressor().compress(bytes(UNIT_MAX + 1)), UNIT_MAX + 1),
    ],
)
def test_what_is_no_unit_of_that_length_is_not_authentic(codec: int, stored: bytes, raw: int) -> None:
    with pytest.raises(NotAuthentic):
        decode(codec, stored, raw)


@given(st.binary(max_size=100), st.integers(1, UNIT_MAX))
def test_arbitrary_bytes_are_not_authentic_or_of_that_length(stored: bytes, raw: int) -> None:
    try:
        assert len(decode(ZSTD, stored, raw)) == raw
    except NotAuthentic:
        return


@given(st.integers(1, UNIT_MAX), st.data())
def test_shares_of_a_unit_add_up_to_at_most_it_and_one_for_each_run(raw: int, data: st.DataObject) -> None:
    stored = data.draw(st.integers(1, raw))
    cuts = sorted({0, raw, *data.draw(st.lists(st.integers(0, raw), max_size=20))})
    whole = Run(0, raw, 1, 0, stored, raw, 0, ZSTD)
    parts = [whole.part(low, high) for low, high in pairwise(cuts)]
    assert whole.charge == stored
    assert min(part.charge for part in parts) >= 1
    assert stored <= sum(part.charge for part in parts) <= stored + len(parts)


# Content in stretches that shrink and stretches that do not.
stretches = st.lists(st.tuples(st.booleans(), st.integers(1, 9000)), max_size=8)


def content_of(parts: list[tuple[bool, int]]) -> bytes:
    noise = blake3(b"noise").digest(sum(length for _, length in parts))
    found = b""
    for shrinks, length in parts:
        found += b"ab" * (length // 2) if shrinks else noise[len(found) : len(found) + length]
    return found


@given(stretches, st.integers(600, 5000))
def test_what_is_compressed_comes_back_and_takes_no_more_than_before(parts: list[tuple[bool, int]], unit: int) -> None:
    data = content_of(parts)
    portions = compress(data, unit, FASTEST)
    assert b"".join(portion.raw for portion in portions) == data
    for portion in portions:
        raw, stored = len(portion.raw), len(portion.stored)
        if portion.codec == PLAIN:
            assert portion.stored == portion.raw
        else:
            assert decode(portion.codec, portion.stored, raw) == portion.raw
            assert raw <= unit
            assert raw - stored >= max(UNIT_GAIN, raw // UNIT_SHARE)
    for one, other in pairwise(portions):
        assert (one.codec, other.codec) != (PLAIN, PLAIN)


def test_what_shrinks_too_little_is_no_unit() -> None:
    noise = blake3(b"noise").digest(UNIT_MAX)
    (portion,) = compress(noise + b"x" * 4000, UNIT_MAX + 4000, STRONGEST)  # 4000 of 135,072 bytes are less than 1/16
    assert portion.codec == PLAIN
    assert not compress(b"", UNIT_MAX, FASTEST)


@pytest.mark.parametrize("raw", [1000, 8192, UNIT_MAX])
def test_what_is_lost_beside_a_unit_counts(raw: int) -> None:
    least = max(UNIT_GAIN, raw // UNIT_SHARE)
    assert is_won(raw, raw - least)
    assert not is_won(raw, raw - least, 1)
    assert is_won(raw, raw - least - 100, 100)
