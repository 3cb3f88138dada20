"""Records: one encoding, one strict decoding."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import records
from coopfs.core.records import Extent, Inode, Name, Record, Stripe, Tombstone, Truncate, Type, Xattr
from coopfs.core.units import ZSTD
from coopfs.errors import NotAuthentic
from coopfs.limits import FILE_SIZE_MAX, MAX_RECORD, UNIT_MAX, XATTR_NAME_MAX, XATTR_VALUE_MAX
from coopfs.types import Place
from tests.core.samples import RECORDS

GOLDEN = [
    "9f0101cd41ed0000030000010203c0c0c0c0",
    "9f0107cd81a4cd03e8cd03e80200cd1388ffcf17979cfe362a00000301c407636166c3a920ffc097cd10000964cd1000cd10000000",
    "9f0108cda1ff000001000601020301c4046c696e6bc406746172676574c0",
    "940201c4067365636f6e6407",
    "9a0307cd1000cd038809cd1064cd0388cd03880000",
    "940407c409757365722e6e6f7465c40200ff",
    "930507cd1388",
    "99060905cf000100000000000703cd138892cd0fa0cd03e8c410000102030405060708090a0b0c0d0e0f0c",
    "920106",
    "930201c404676f6e65",
    "930307cd2000",
    "930407c408757365722e6f6c64",
    "920604",
]

inos = st.integers(1, 2**63 - 1)
u32 = st.integers(0, 2**32 - 1)
times = st.integers(-(2**63), 2**63 - 1)
names = st.binary(min_size=1, max_size=255).filter(lambda n: n not in (b".", b"..") and not set(n) & {0, 47})


@st.composite
def extents(draw: st.DrawFn, ino: int, offset: int) -> Extent:
    length = draw(st.integers(1, min(2**31, FILE_SIZE_MAX - offset)))
    at, stripe = draw(u32), draw(st.integers(0, 2**63 - 1))
    if draw(st.booleans()):
        return Extent(ino, offset, length, stripe, at, length, length)
    raw = draw(st.integers(1, min(UNIT_MAX, FILE_SIZE_MAX - offset)))
    skip = draw(st.integers(0, raw - 1))
    part = draw(st.integers(1, raw - skip))
    return Extent(ino, offset, part, stripe, at, draw(st.integers(1, raw)), raw, skip, ZSTD)


@st.composite
def inodes(draw: st.DrawFn) -> Inode:
    ino = draw(inos)
    name = draw(st.none() | names)
    return Inode(
        *(ino, draw(u32), draw(u32), draw(u32), draw(u32), draw(u32), draw(st.integers(0, FILE_SIZE_MAX))),
        *(draw(times), draw(times), draw(times)),
        parent=None if name is None else draw(inos),
        name=name,
        target=draw(st.none() | st.binary(min_size=1, max_size=4095)),
        extent=draw(st.none() | extents(ino, 0)),
    )


@st.composite
def stripes(draw: st.DrawFn) -> Stripe:
    slices = tuple(draw(st.lists(st.integers(0, 2**20), min_size=1, max_size=62)))
    place = Place(draw(st.integers(2**48, 2**64 - 1)), draw(st.integers(0, 2**31 - 1)))
    tag = draw(st.binary(min_size=16, max_size=16))
    return Stripe(draw(inos), place, draw(st.integers(0, 65535)), sum(slices), slices, tag, draw(inos))


any_record = st.one_of(
    inodes(),
    st.builds(Name, inos, names, inos),
    st.tuples(inos, st.integers(1, 2**62)).flatmap(lambda key: extents(*key)),
    st.builds(Xattr, inos, st.binary(min_size=1, max_size=255), st.binary(max_size=1000)),
    st.builds(Truncate, inos, st.integers(0, FILE_SIZE_MAX)),
    stripes(),
)
any_tombstone = any_record.filter(lambda r: not isinstance(r, Truncate)).map(lambda r: Tombstone(records.key_of(r)))


def test_golden_vectors() -> None:
    assert [records.encode(record).hex() for record in RECORDS] == GOLDEN


@given(st.lists(any_record | any_tombstone, max_size=8))
def test_round_trip(many: list[Record]) -> None:
    encoded = [records.encode(record) for record in many]
    assert list(records.decode_all(records.join(encoded))) == many


def test_the_key_of_an_image_is_that_of_its_tombstone() -> None:
    for record in RECORDS:
        if not isinstance(record, Truncate):
            assert records.key_of(Tombstone(records.key_of(record))) == records.key_of(record)
    assert len({records.key_of(record) for record in RECORDS}) == len(RECORDS)


def test_no_record_is_longer_than_the_bound() -> None:
    longest = Xattr(2**63 - 1, bytes(XATTR_NAME_MAX), bytes(XATTR_VALUE_MAX))
    assert len(records.encode(longest)) <= MAX_RECORD


@given(st.lists(any_record, min_size=1, max_size=3), st.integers(1, 10**6))
def test_records_cut_anywhere_else_than_between_two_are_not_authentic(many: list[Record], cut: int) -> None:
    encoded = [records.encode(record) for record in many]
    data = records.join(encoded)[: -(cut % len(encoded[-1])) or None]
    if data != records.join(encoded):
        with pytest.raises(NotAuthentic):
            list(records.decode_all(data))


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_records_or_not_authentic(data: bytes) -> None:
    try:
        list(records.decode_all(data))
    except NotAuthentic:
        return


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=20,
)


@given(st.lists(values, max_size=16) | values)
def test_arbitrary_objects_are_records_or_not_authentic(value: object) -> None:
    try:
        list(records.decode_all(msgpack.packb(value)))
    except NotAuthentic:
        return


@given(any_record, st.integers(0, 15), values)
def test_a_record_with_one_other_value_is_read_as_such_or_not_authentic(record: Record, at: int, value: object) -> None:
    fields = msgpack.unpackb(records.encode(record))
    fields[at % len(fields)] = value
    data = msgpack.packb(fields)
    try:
        decoded = list(records.decode_all(data))
    except NotAuthentic:
        return
    assert msgpack.unpackb(records.join(map(records.encode, decoded))) == msgpack.unpackb(data)


INODE = msgpack.unpackb(records.encode(RECORDS[1]))
RUN = [4096, 9, 100, 4096, 4096, 0, 0]


def inode(**changed: object) -> list[object]:
    places = {"mode": 2, "nlink": 5, "parent": 11, "name": 12, "extent": 14}
    fields = list(INODE)
    for name, value in changed.items():
        fields[places[name]] = value
    return fields


@pytest.mark.parametrize(
    "fields",
    [
        *(inode(name=name) for name in (b".", b"..", b"a/b", b"/etc/passwd", b"a\0", b"", b"n" * 256, "text", 7)),
        *([2, 1, name, 7] for name in (b".", b"..", b"../x", b"")),
        *(inode(mode=-1), inode(mode=2**32), inode(nlink=True), inode(nlink=1.0), inode(parent=None), inode(name=None)),
        *(inode(parent=0), inode(extent=RUN[:-1]), inode(extent=[0, *RUN[1:]]), inode(extent={})),
        [3, 7, 0, *RUN],  # the extent at offset 0 belongs into the inode
        [3, 7, 4096, *RUN[:3], 4095, 4096, 0, 0],
        [3, 7, 4096, *RUN[:3], 4096, 4096, 1, 0],
        [3, 7, FILE_SIZE_MAX - 4095, *RUN],
        [4, 7, b"user.x", bytes(65537)],
        [5, 7],  # a truncate has no tombstone
        [5, 7, -1],
        *([6, 9, 5, version, 3, 10, [10], bytes(16), 1] for version in (0, 2**48 - 1, 2**64)),
        [6, 9, 2**31, 2**48, 3, 10, [10], bytes(16), 1],
        [6, 9, 5, 2**48, 3, 10, [9], bytes(16), 1],
        [6, 9, 5, 2**48, 3, 10, [10, True], bytes(16), 1],
        [6, 9, 5, 2**48, 3, 0, [], bytes(16), 1],
        [6, 9, 5, 2**48, 3, 10, [10], bytes(15), 1],
        *([7, 1], [0, 1], [-1], [], [True, 6], [1.0, 6], ["1", 6], [[1], 6], {1: 6}, {}, 1, None, [1], [1, 6, 7]),
        *([1, 0], [1, -1], [2, 1, "text"], [3, 7, 0], [6, 2**63]),  # tombstones
    ],
    ids=repr,
)
def test_what_no_writer_of_this_version_makes_is_not_authentic(fields: object) -> None:
    try:
        data = msgpack.packb(fields)
    except OverflowError:  # 2^64 has no encoding to begin with
        return
    with pytest.raises(NotAuthentic):
        list(records.decode_all(data))


def test_a_list_that_claims_to_be_long_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(NotAuthentic):
        list(records.decode_all(b"\xdd\xff\xff\xff\xff" * 1000))


def test_types_have_their_numbers_for_good() -> None:
    assert [kind.value for kind in Type] == [1, 2, 3, 4, 5, 6]
