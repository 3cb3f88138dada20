"""The arithmetic of blocks and layouts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import meta
from coopfs.core.geometry import OVERHEAD, block_length, check_layout, shard_capacity, shard_lengths
from coopfs.errors import UsageError
from coopfs.limits import MAX_BLOCK_SIZE, MAX_COLUMNS, MAX_RECORD
from coopfs.types import Layout


@given(st.integers(1, MAX_BLOCK_SIZE - OVERHEAD))
def test_a_block_is_the_shortest_multiple_of_4_kib_that_holds_its_shard(shard: int) -> None:
    length = block_length(shard)
    assert length % 4096 == 0
    assert length - 4096 < shard + OVERHEAD <= length


def test_each_block_length_has_one_shard_length_that_fills_it() -> None:
    lengths = shard_lengths(64 * 1024)
    assert [block_length(each) for each in lengths] == [4096 * i for i in range(1, 17)]
    assert all(block_length(each) - each == OVERHEAD for each in lengths)
    assert lengths[-1] == shard_capacity(64 * 1024)


@pytest.mark.parametrize(
    ("k", "m", "block_size", "word"),
    [
        (0, 1, 262144, "at least 1 data partner"),
        (1, -1, 262144, "negative"),
        (60, 3, 262144, "62"),
        (6, 2, 0, "multiple"),
        (6, 2, 262145, "multiple"),
        (6, 2, 2 << 20, "multiple"),
        (1, 1, 65536, "at least 88K"),
    ],
)
def test_an_impossible_layout_is_refused_with_the_reason(k: int, m: int, block_size: int, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_layout(Layout(1, k, m, block_size))


@given(st.integers(1, MAX_COLUMNS), st.integers(1, 256))
def test_every_layout_that_is_accepted_has_room_for_the_longest_record_beside_the_longest_list(k: int, n: int) -> None:
    block_size = 4096 * n
    try:
        check_layout(Layout(1, k, 0, block_size))
    except UsageError:
        return
    assert meta.records_capacity(k * shard_capacity(block_size)) >= MAX_RECORD
