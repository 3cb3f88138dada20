"""Meta stripes: signed, bound to their place, and read strictly."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import meta
from coopfs.core.geometry import shard_capacity
from coopfs.core.keys import SIGNATURE, make_keys
from coopfs.core.meta import MetaHead
from coopfs.errors import NotAuthentic
from coopfs.limits import META_PREV
from coopfs.types import Kind, Place, make_version
from tests.core.samples import HEAD, KEYS, PLACE, SECRET, flipped

places = st.builds(Place, st.integers(2**48, 2**64 - 1), st.integers(0, 2**31 - 1))
counts = st.integers(0, 2**63 - 1)
heads = st.builds(
    MetaHead,
    place=places,
    group=counts,
    index=counts,
    head=st.none() | places,
    previous=st.lists(places, max_size=META_PREV).map(tuple),
    whole_chain=st.lists(places, max_size=30).map(tuple),
    chain=st.binary(min_size=32, max_size=32),
    time=st.integers(-(2**63), 2**63 - 1),
    held=counts,
    away=st.integers(0, 2**62 - 1),
    next_ino=st.integers(1, 2**63 - 1),
    next_stripe=counts,
)
END = meta.encode(KEYS, Kind.END, HEAD, b"\x93\x05\x07\x00")


def test_golden_vectors() -> None:
    assert meta.encode(KEYS, Kind.META, HEAD, b"\x93\x05\x07\x00").hex() == (
        "00000075000000048ba17792cf000100000000000705a1670ca16901a16892cf000100000000000200a1709292cf00010000"
        "000000060492cf000100000000000200a163c420000000000000000000000000000000000000000000000000000000000000"
        "0000a174cf17979cfe3d85cd15a1750aa16104a16e4da1732193050700"
    )
    assert END[-SIGNATURE:].hex() == (
        "b69a4ed68654bef1c585a3032996bb3c26e2a464978ce54ccc393234ce77dfcbe47dd6704c2c04b5c5ccdbe5e32dcaf34802"
        "8de237317e5f45926b9268c16203"
    )
    assert (
        meta.extend_chain(meta.FIRST_CHAIN, bytes(range(16))).hex()
        == "73edeecffd68861c735d95704f6c3688ebe28a94b919650c25c9162f782a2b77"
    )


@given(st.sampled_from([Kind.META, Kind.END]), heads, st.binary(max_size=100), st.integers(0, 20))
def test_round_trip_with_and_without_pad(kind: Kind, head: MetaHead, records: bytes, pad: int) -> None:
    payload = meta.encode(KEYS, kind, head, records)
    assert meta.decode(KEYS, kind, head.place, payload + bytes(pad)) == (head, records)


def test_no_bit_of_an_end_can_be_flipped() -> None:
    for bit in range(len(END) * 8):
        with pytest.raises(NotAuthentic):
            meta.decode(KEYS, Kind.END, PLACE, flipped(END, bit))


def test_an_end_of_another_disk_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(make_keys(SECRET, bytes(32)), Kind.END, PLACE, END)


def test_an_old_end_sealed_as_a_newer_one_is_not_authentic() -> None:
    """Who has the read key can seal any payload anywhere, but sign nothing."""
    for place in (replace(PLACE, version=make_version(1, 8)), replace(PLACE, row=6)):
        with pytest.raises(NotAuthentic):
            meta.decode(KEYS, Kind.END, place, END)


def test_a_meta_stripe_is_of_its_kind() -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, Kind.META, PLACE, END)
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, Kind.END, PLACE, meta.encode(KEYS, Kind.META, HEAD, b"") + bytes(SIGNATURE))


@given(st.binary(max_size=200), st.sampled_from([Kind.META, Kind.END]))
def test_arbitrary_bytes_are_not_authentic(data: bytes, kind: Kind) -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, kind, PLACE, data)


def with_map(fields: Any) -> bytes:
    encoded: bytes = msgpack.packb(fields)
    return len(encoded).to_bytes(4, "big") + bytes(4) + encoded


FIELDS = msgpack.unpackb(meta.encode(KEYS, Kind.META, HEAD, b"")[8:])


def test_keys_of_a_newer_writer_are_ignored() -> None:
    assert meta.decode(KEYS, Kind.META, PLACE, with_map(FIELDS | {"zz": [1, {}]}))[0] == HEAD


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"h"}))
def test_no_key_may_be_missing(name: str) -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, Kind.META, PLACE, with_map({k: v for k, v in FIELDS.items() if k != name}))


@pytest.mark.parametrize(
    "changed",
    [
        *({name: value} for name in "giunsa" for value in (-1, 2**64 - 1 if name != "a" else -2, "1", 1.0, True, [1])),
        *({"c": value} for value in (7, bytes(31), "0" * 32, 10**9)),
        *({"h": value} for value in (5, [1, 2], [2**48], [2**48, 2**31], [2**48, -1], ["a", 1])),
        *({"p": value} for value in (None, 5, [1], [[2**48, 0]] * 17)),
        *({"l": value} for value in (5, [1], [[2**48, 0]] * 5000)),
        {"t": "now"},
        {"n": 0},
        {"w": [2**48, 5]},
    ],
    ids=lambda changed: repr(changed)[:40],
)
def test_values_of_another_type_or_range_are_not_authentic(changed: dict[str, object]) -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, Kind.META, PLACE, with_map(FIELDS | changed))


@pytest.mark.parametrize("fields", [None, 7, [], [1, 2], "map", b"map"])
def test_what_is_no_map_is_not_authentic(fields: object) -> None:
    with pytest.raises(NotAuthentic):
        meta.decode(KEYS, Kind.META, PLACE, with_map(fields))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=60), st.integers(40, 100))
def test_runs_hold_all_records_in_order_and_none_is_too_long(many: list[bytes], capacity: int) -> None:
    runs = meta.split(many, capacity)
    assert [record for run in runs for record in run] == many
    assert all(sum(map(len, run)) <= capacity for run in runs)
    assert all(runs) or runs == [[]]


@given(st.integers(1, 62), st.integers(1, 64))
def test_a_full_meta_stripe_with_the_longest_list_fits(k: int, pages: int) -> None:
    capacity = k * shard_capacity(pages * 4096)
    room = meta.records_capacity(capacity)
    if room <= 0:
        return  # check_layout refuses such a layout
    far = Place(2**64 - 1, 2**31 - 1)
    listed = (far,) * meta.chain_room(capacity)
    largest = 2**63 - 1
    head = MetaHead(
        *(far, largest, largest, far, (far,) * META_PREV, listed, bytes(32), largest, largest, 2**62 - 1),
        *(largest, largest),
    )
    assert len(meta.encode(KEYS, Kind.END, head, bytes(room))) <= capacity


@given(st.binary(max_size=100), st.integers(1, 6))
def test_shards_are_the_payload_and_zeros(payload: bytes, k: int) -> None:
    shards = meta.shards_of(payload, k, 100)
    assert [len(shard) for shard in shards] == [100] * k
    assert b"".join(shards) == payload.ljust(100 * k, b"\0")


def test_the_chain_depends_on_every_tag_and_their_order() -> None:
    one, other = bytes(16), bytes([1]) * 16
    first = meta.extend_chain(meta.FIRST_CHAIN, one)
    assert first == blake3(bytes(32) + one).digest()
    both = {meta.extend_chain(first, other), meta.extend_chain(meta.extend_chain(meta.FIRST_CHAIN, other), one)}
    assert len({first, *both}) == 3
