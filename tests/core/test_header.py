"""The block header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import header
from coopfs.core.geometry import HEADER
from coopfs.core.header import Header
from coopfs.errors import NotAuthentic
from coopfs.types import Kind, Place, make_version
from tests.core.samples import PLACE

GOLDEN = "020000030000138800000f80000000050001000000000007000000000000000c000102030405060708090a0b0c0d0e0f"
SAMPLE = Header(Kind.META, 3, 5000, 3968, PLACE, 12, bytes(range(16)))

headers = st.builds(
    Header,
    kind=st.sampled_from(Kind),
    layout=st.integers(0, 65535),
    payload_length=st.integers(0, 2**32 - 1),
    shard_length=st.integers(1, 5000),
    end=st.builds(Place, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)),
    group=st.integers(0, 2**64 - 1),
    tag=st.binary(min_size=16, max_size=16),
)


def test_golden_vector() -> None:
    assert SAMPLE.encode().hex() == GOLDEN
    assert header.decode(bytes.fromhex(GOLDEN) + bytes(3968)) == SAMPLE


@given(headers)
def test_round_trip(head: Header) -> None:
    assert len(head.encode()) == HEADER
    assert header.decode(head.encode() + bytes(head.shard_length)) == head


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_a_header_or_not_authentic(data: bytes) -> None:
    try:
        decoded = header.decode(data)
    except NotAuthentic:
        return
    assert decoded.encode() == data[:HEADER]


@pytest.mark.parametrize(
    "data",
    [
        SAMPLE.encode() + bytes(3967),  # a shard that is longer than what follows
        bytes([4]) + SAMPLE.encode()[1:] + bytes(3968),  # an unknown kind
        SAMPLE.encode()[:1] + b"\1" + SAMPLE.encode()[2:] + bytes(3968),  # a newer format
        Header(Kind.DATA, 3, 0, 0, Place(make_version(1, 1), 0), 1, bytes(16)).encode(),  # an empty shard
    ],
)
def test_what_is_no_header_of_this_format_is_not_authentic(data: bytes) -> None:
    with pytest.raises(NotAuthentic):
        header.decode(data)
