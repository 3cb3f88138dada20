"""The bytes of a store file, the digest, and what fits into an agreement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs import limits
from coopfs.core import digest
from coopfs.core.storeformat import (
    ENTRY,
    PAGE,
    Entry,
    RowMap,
    StoreHeader,
    decode_entry,
    decode_header,
    rows_within,
    slots_offset,
    store_size,
)
from coopfs.errors import HomeError
from coopfs.types import DiskId, StoreId

STORE = StoreId(bytes(range(16, 32)))
HEADER = StoreHeader(DiskId(bytes(range(16))), STORE, 1_000_000, 262_144)
ENTRY_5 = Entry((1 << 48) | 7, 9, 5, 4096, bytes(range(32, 48)))


def test_golden_header() -> None:
    page = HEADER.encode()
    assert len(page) == PAGE
    assert page[:72].hex() == (
        "636f6f7066732073746f726520300000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "000f4240000400001b4d5fa8bd971886d9b202f53f1f7a9c"
    )
    assert page[72:] == bytes(PAGE - 72)
    assert decode_header(page) == HEADER


def test_golden_header_of_a_store_that_has_grown() -> None:
    header = HEADER.grown(1_000_010).grown(1_000_011)
    page = header.encode()
    assert page[:72] == HEADER.encode()[:72]
    assert page[72:100].hex() == "0000000a0000000100000000505453a85ce3ac546308877dfeb3d25f"
    assert page[100:] == bytes(PAGE - 100)
    assert decode_header(page) == header
    for at in (72, 79, 83, 90):
        with pytest.raises(HomeError):
            decode_header(page[:at] + bytes([page[at] ^ 1]) + page[at + 1 :])


def test_golden_header_of_a_store_that_was_cut() -> None:
    header = HEADER.grown(1_000_010).shrunk(1_000_003)
    page = header.encode()
    assert (header.added, header.cut, header.made) == ((10,), 7, 1_000_000)
    assert page[:72] == HEADER.encode()[:72]
    assert page[72:84].hex() == "0000000a8000000700000000"
    assert page[100:] == bytes(PAGE - 100)
    assert decode_header(page) == header
    assert header.shrunk(1_000_000) == HEADER
    assert header.grown(1_000_010) == HEADER.grown(1_000_010)
    assert HEADER.shrunk(999_999).grown(1_000_010) == HEADER.grown(1_000_010)


@given(st.integers(1, 200), st.lists(st.integers(1, 400), max_size=6))
def test_rows_lie_one_after_the_other_and_never_over_each_other(made: int, sizes: list[int]) -> None:
    header = StoreHeader(HEADER.disk, STORE, made, limits.MIN_BLOCK_SIZE)
    most = made
    for size in sizes:
        before = {row: RowMap(header).run_of(row).slot_at(row) for row in range(min(header.rows, size))}
        if size != header.rows:
            header = header.grown(size) if size > header.rows else header.shrunk(size)
        assert header.rows == size
        assert decode_header(header.encode()) == header
        assert before == {row: RowMap(header).run_of(row).slot_at(row) for row in before}
        most = max(most, size)
    places = RowMap(header)
    taken = [(0, PAGE)]
    for row in range(header.rows):
        run = places.run_of(row)
        taken += [(run.entry_at(row), ENTRY), (run.slot_at(row), header.block_size)]
    ends = [offset + size for offset, size in sorted(taken)]
    assert all(end <= start for end, (start, _) in zip(ends, sorted(taken)[1:], strict=False))
    assert max(ends) == header.size
    unused = most * ENTRY  # of the index of what was cut
    assert header.size - store_size(header.rows, header.block_size) < PAGE * (len(sizes) + 1) + unused


def test_golden_entry() -> None:
    data = ENTRY_5.encode(STORE)
    assert data.hex() == (
        "000100000000000700000000000000090000000500001000202122232425262728292a2b2c2d2e2f0000000000000000"
        "5e99b8a2b86170b86c3ae77b5e5217ed"
    )
    assert decode_entry(data, STORE, 5) == ENTRY_5


def test_golden_digest() -> None:
    total = digest.replace(0, 5, 0, ENTRY_5.version)
    assert digest.to_bytes(total).hex() == "62522779b2b5a29f1c4aa20a0e24cf0c"
    assert digest.replace(total, 5, ENTRY_5.version, 0) == 0


def test_an_entry_is_bound_to_its_store_and_row() -> None:
    data = ENTRY_5.encode(STORE)
    assert decode_entry(data, STORE, 6) is None
    assert decode_entry(data, StoreId(bytes(16)), 5) is None
    assert decode_entry(bytes(ENTRY), STORE, 0) is None


@given(st.binary(min_size=72, max_size=72))
def test_any_bytes_are_a_header_or_a_home_error(data: bytes) -> None:
    with pytest.raises(HomeError):
        decode_header(b"coopfs store 0\0\0" + data)


@given(
    st.integers(1, 5000),
    st.integers(limits.MIN_BLOCK_SIZE // PAGE, limits.MAX_BLOCK_SIZE // PAGE).map(PAGE.__mul__),
    st.integers(0, PAGE),
)
def test_rows_within_is_the_most_that_fit(rows: int, block_size: int, spare: int) -> None:
    size = store_size(rows, block_size) + min(spare, block_size - 1)
    assert rows_within(size, block_size) == rows
    assert store_size(rows_within(size - spare, block_size) or 1, block_size) <= max(size, store_size(1, block_size))
    assert slots_offset(rows) % PAGE == 0


def test_nothing_fits_into_nothing() -> None:
    assert rows_within(0, limits.MIN_BLOCK_SIZE) == 0
    assert rows_within(store_size(1, limits.MIN_BLOCK_SIZE) - 1, limits.MIN_BLOCK_SIZE) == 0
