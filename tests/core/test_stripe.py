"""Data stripes: what goes into the shards comes out of them, of one alone as of all together."""

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import stripe
from coopfs.core.directory import read_directory
from coopfs.core.geometry import OVERHEAD, shard_lengths
from coopfs.core.stripe import Fragment, Packer, Plan
from coopfs.core.units import ZSTD
from coopfs.errors import NotAuthentic
from tests.core.samples import flipped

FRAGMENTS = [
    Fragment(7, 0, 3000, 1, b"letter.txt"),
    Fragment(7, 3000, 2000, 1, b"letter.txt"),
    Fragment(8, 0, 10, 2, b"note"),
    Fragment(9, 1 << 40, 500, 0, b""),
    Fragment(7, 0, 1, 1, b"letter.txt"),
]

NAMES = {1: b"", 2: b"a", 3: b"n" * 255, 4: b"file"}

fragments = st.lists(
    st.builds(
        lambda ino, offset, length: Fragment(ino, offset * 1000, length, ino + 1000, NAMES[ino]),
        ino=st.sampled_from(sorted(NAMES)),
        offset=st.integers(0, 3),
        length=st.integers(1, 3000),
    )
    | st.builds(
        lambda ino, offset, packed: Fragment(ino, offset * 1000, packed + 600, ino + 1000, NAMES[ino], ZSTD, packed),
        ino=st.sampled_from(sorted(NAMES)),
        offset=st.integers(0, 3),
        packed=st.integers(1, 3000),
    ),
    min_size=1,
    max_size=40,
)


def content(pieces: list[Fragment]) -> bytes:
    return blake3(b"content").digest(sum(f.stored for f in pieces))


def bytes_told(f: Fragment, start: int, length: int) -> list[tuple[int, ...]]:
    """What a directory says of each of these stored bytes: of plain ones the byte of the file, of others the unit."""
    if f.codec:
        return [(f.ino, f.offset, f.codec, f.length, f.packed, start + i) for i in range(length)]
    return [(f.ino, f.offset + i) for i in range(length)]


def build(whole: bytes, how: Plan) -> list[bytes]:
    """The shards of that content."""
    shards = [memoryview(bytearray(how.shard_length)) for _ in how.slices]
    for shard, length in zip(shards, how.slices, strict=True):
        shard[:length], whole = whole[:length], whole[length:]
    assert not whole
    stripe.finish(how, shards)
    return [bytes(shard) for shard in shards]


def admitted(pieces: list[Fragment], k: int, block_size: int) -> list[Fragment]:
    """As many of them, from the first, as a full-length stripe takes."""
    packer = Packer(k, shard_lengths(block_size)[-1])
    taken = []
    for f in pieces:
        if packer.room(f.ino, f.offset, f.name, f.codec) < f.stored:
            break
        packer.add(f)
        taken.append(f)
    return taken


def test_golden_vector() -> None:
    how = stripe.plan(FRAGMENTS, 2, 16384)
    shards = build(content(FRAGMENTS), how)
    assert (how.shard_length, how.slices) == (3968, (3913, 1598))
    assert [blake3(shard).hexdigest() for shard in shards] == [
        "cee8fd1658e7be155744eb06e12fae236520afe404292734a40fb7f02f78d4a8",
        "f9bf39abaa2232b7fa04bea9965286729f12567af5e5d3bd162e8c5ee6354d66",
    ]
    small = build(b"hello", stripe.plan([Fragment(7, 3, 5, 1, b"hi")], 1, 4096))[0]
    assert small[:5] == b"hello"
    assert small[5:-47] == bytes(3968 - 52)
    assert small[-47:].hex() == (
        "0000000000000007000000000000000300000005ea8f163db386829202000000000000000168690000002700000005"
    )


def test_golden_vector_of_a_unit() -> None:
    """It lies in two shards, behind 100 plain bytes of the same file; each shard tells its part."""
    pieces = [Fragment(7, 0, 100, 1, b"hi"), Fragment(7, 100, 9000, 1, b"hi", ZSTD, 4000)]
    how = stripe.plan(pieces, 2, 4096)
    shards = build(content(pieces), how)
    assert how.slices == (3880, 220)
    told = [(e.offset, e.codec, e.raw, e.stored, e.start, len(e.content)) for s in shards for e in read_directory(s)]
    assert told == [(0, 0, 0, 0, 0, 100), (100, 1, 9000, 4000, 0, 3780), (100, 1, 9000, 4000, 3780, 220)]
    assert shards[1][-49:].hex() == (
        "00000000000000070000000000000064010000dcd69ba1b7ec2e027a000000232800000fa000000ec400000029000000dc"
    )


@given(fragments, st.integers(1, 5), st.sampled_from([4096, 8192, 16384]))
def test_content_comes_back_from_all_shards_and_entries_from_each(
    pieces: list[Fragment], k: int, block_size: int
) -> None:
    pieces = admitted(pieces, k, block_size)
    how = stripe.plan(pieces, k, block_size)
    whole = content(pieces)
    shards = build(whole, how)
    assert {len(shard) for shard in shards} == {how.shard_length}
    assert stripe.Content(shards, how.slices).whole() == whole
    entries = [entry for shard in shards for entry in read_directory(shard)]
    assert b"".join(entry.content for entry in entries) == whole
    assert [told for f in pieces for told in bytes_told(f, 0, f.stored)] == [
        told
        for e in entries
        for told in bytes_told(Fragment(e.ino, e.offset, e.raw, 0, b"", e.codec, e.stored), e.start, len(e.content))
    ]
    named = [(e.ino, e.parent, e.name) for e in entries if e.name]  # once for each inode
    assert sorted(named) == sorted({(f.ino, f.parent, f.name) for f in pieces if f.name})


@given(fragments, st.integers(1, 5))
def test_no_shorter_shards_would_do(pieces: list[Fragment], k: int) -> None:
    pieces = admitted(pieces, k, 16384)
    how = stripe.plan(pieces, k, 16384)
    for length in shard_lengths(16384):
        if length < how.shard_length:
            assert len(admitted(pieces, k, length + OVERHEAD)) < len(pieces)


@given(fragments, st.integers(1, 5))
def test_what_does_not_fit_is_told(pieces: list[Fragment], k: int) -> None:
    taken = admitted(pieces, k, 4096)
    assert (stripe.plan_if_fits(pieces, k, 4096) is None) == (len(taken) < len(pieces))


@given(fragments, st.integers(1, 5))
def test_what_there_is_room_for_fits_exactly(pieces: list[Fragment], k: int) -> None:
    packer = Packer(k, 3968)
    for f in admitted(pieces, k, 4096):
        packer.add(f)
    room = packer.room(99, 0, b"last")
    if room:
        packer.add(Fragment(99, 0, room, 1, b"last"))
        assert packer.room(99, room, b"last") == 0


@given(st.data())
def test_a_run_of_content_is_found_in_the_shards(data: st.DataObject) -> None:
    slices = data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=6))
    total = sum(slices)
    at = data.draw(st.integers(0, total))
    length = data.draw(st.integers(0, total - at))
    whole = bytes(range(total))
    starts = [sum(slices[:j]) for j in range(len(slices))]
    found = b"".join(whole[starts[j] :][low : low + n] for j, low, n in stripe.locate(slices, at, length))
    assert found == whole[at : at + length]


@pytest.mark.parametrize("slices", [(5000,), (5000, 511, 0), (4000, 4001)])
def test_shards_that_are_cut_otherwise_than_the_record_says_are_not_authentic(slices: tuple[int, ...]) -> None:
    with pytest.raises(NotAuthentic):
        stripe.Content([bytes(4000)] * 2, slices)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_shard_or_not_authentic(data: bytes) -> None:
    try:
        entries = read_directory(data)
    except NotAuthentic:
        return
    assert sum(len(entry.content) for entry in entries) <= len(data)


def test_a_shard_with_a_bit_flipped_tells_nothing_false_of_its_content() -> None:
    shard = build(b"hello", stripe.plan([Fragment(7, 3, 5, 1, b"hi")], 1, 4096))[0]
    for bit in (*range(40), *range(8 * (len(shard) - 8), 8 * len(shard))):  # the content, and the footer
        with pytest.raises(NotAuthentic):
            read_directory(flipped(shard, bit))
