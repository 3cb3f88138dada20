"""Master blocks: whole, signed, for one partner only, and read strictly."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import master
from coopfs.core.keys import SIGNATURE, DiskKeys, KeyAge, make_keys
from coopfs.core.master import INCOMING, PRIMARY, LayoutPlaces, Trustee, Wishes, open_master, seal_master
from coopfs.core.seal import NO_COLUMN, NO_STORE, Binding, seal, unseal
from coopfs.errors import NotAuthentic
from coopfs.limits import MAX_COLUMNS, MAX_KEY_ID, MAX_KEY_IDS, MAX_MASTER, MAX_RETURNS, MAX_ROWS, MAX_STORES
from coopfs.types import BlockKind, Layout, Master, NodeKey, StoreId
from tests.core.samples import KEYS, MASTER, PARTNER, SECRET, each, flipped, store_place

STORED = seal_master(KEYS, MASTER, PARTNER)
BINDING = Binding(BlockKind.MASTER, KEYS.disk, 0, NO_STORE, PARTNER, NO_COLUMN, 0, MASTER.counter)
BODY = unseal(KEYS.master_keys(1), BINDING, STORED.data)[SIGNATURE:]


def sealed(body: bytes, keys: DiskKeys = KEYS) -> Master:
    """A stored master with this body, signed and sealed as it should be."""
    signature = keys.sign(b"coopfs 0 master" + keys.disk + body)
    return Master(MASTER.counter, seal(KEYS.master_keys(1), BINDING, signature + body))


def changed(**values: object) -> Master:
    return sealed(msgpack.packb(msgpack.unpackb(BODY) | values))


def test_golden_vector() -> None:
    assert BODY.hex() == (
        "86a7636f756e746572cf0001000000000003a7636c61696d6572c410000102030405060708090a0b0c0d0e0fa46b65797391"
        "920100a8666561747572657390a76c61796f7574739186a2696403a16b02a16d01a5626c6f636bce00040000a4726f7773cd"
        "03e8a7636f6c756d6e73939196c41001010101010101010101010101010101c4200101010101010101010101010101010101"
        "010101010101010101010101010101c4200101010101010101010101010101010101010101010101010101010101010101a2"
        "703191ae3139322e302e322e313a34303030a77072696d6172799196c41002020202020202020202020202020202c4200202"
        "020202020202020202020202020202020202020202020202020202020202c420020202020202020202020202020202020202"
        "0202020202020202020202020202a2703291ae3139322e302e322e323a34303030a77072696d6172799196c4100303030303"
        "0303030303030303030303c4200303030303030303030303030303030303030303030303030303030303030303c420030303"
        "0303030303030303030303030303030303030303030303030303030303a2703391ae3139322e302e322e333a34303030a770"
        "72696d617279a5666c6f6f7292cf0001000000000002ce6553f100"
    )
    assert blake3(STORED.data).hexdigest() == "cb178322bb95f62621451f4f0922eff5a4e58726b2adaee9a9ceb8768b8816b5"


def test_round_trip() -> None:
    assert STORED.counter == MASTER.counter
    assert open_master(KEYS, STORED, PARTNER) == MASTER


def test_trustees_are_read_as_they_were_written_and_strictly() -> None:
    block = replace(MASTER, trustees=(Trustee(NodeKey(b"t" * 32), "tess", ("192.0.2.9:4000",)),))
    assert open_master(KEYS, seal_master(KEYS, block, PARTNER), PARTNER) == block
    for bad in ([[b"t" * 31, "tess", []]], [[b"t" * 32, "", []]], [[b"t" * 32, "tess", [1]]], [[b"t" * 32, "tess"]], 7):
        with pytest.raises(NotAuthentic):
            open_master(KEYS, changed(trustees=bad), PARTNER)


def test_wishes_are_read_as_they_were_written_and_strictly() -> None:
    returns = ((StoreId(b"s" * 16), NodeKey(b"n" * 32)), (StoreId(b"t" * 16), NodeKey(b"n" * 32)))
    for wishes in (Wishes(0, 0, returns), Wishes(2, 1500)):
        block = replace(MASTER, wishes=wishes)
        assert open_master(KEYS, seal_master(KEYS, block, PARTNER), PARTNER) == block
    newer = open_master(KEYS, changed(wishes={"key": 2, "rows": 1500, "colour": "blue"}), PARTNER)
    assert newer.wishes == block.wishes
    many = [[b"s" * 16, b"n" * 32]] * (MAX_RETURNS + 1)
    returning = ({"key": 0, "rows": 0, "returns": bad} for bad in ([7], [[b"s" * 16]], [[b"s", b"n" * 32]], many))
    others = {"key": 2}, {"key": 65536, "rows": 0}, {"key": 0, "rows": 2**32}, {"key": 0, "rows": "1"}
    for bad in ([2, 1500], *others, *returning):
        with pytest.raises(NotAuthentic):
            open_master(KEYS, changed(wishes=bad), PARTNER)


def test_a_master_follows_partners_that_move_as_far_as_they_fit() -> None:
    places = MASTER.layouts[0]
    first, second, third = places.primaries
    long = tuple(f"{'a' * 100}{number}.example:7530" for number in range(8))
    moved = places.at({first.node: ("new.example:1", "relay/r:1"), second.node: (), third.node: long})
    addresses = [store.addresses for store in moved.primaries]
    assert addresses == [("new.example:1", "relay/r:1"), second.addresses, long[:4]]
    assert moved.at({}) == moved


def test_the_largest_master_fits() -> None:
    layout = Layout(1, MAX_COLUMNS - 2, 2, 65536)
    roles = (PRIMARY, *(INCOMING,) * (MAX_STORES - 1))
    columns = tuple(tuple(replace(store_place(j), role=role) for role in roles) for j in range(1, MAX_COLUMNS + 1))
    ages = tuple(KeyAge(id_, id_ << 48) for id_ in range(1, MAX_KEY_IDS + 1))
    returns = ((StoreId(bytes(16)), NodeKey(bytes(32))),) * MAX_RETURNS
    places, wishes = LayoutPlaces(layout, 1000, columns), Wishes(MAX_KEY_ID, MAX_ROWS, returns)
    block = replace(MASTER, keys=ages, layouts=(places,), wishes=wishes)
    stored = seal_master(KEYS, block, PARTNER)
    assert len(stored.data) <= MAX_MASTER
    assert open_master(KEYS, stored, PARTNER) == block


def test_no_bit_can_be_flipped() -> None:
    for bit in range(len(STORED.data) * 8):
        with pytest.raises(NotAuthentic):
            open_master(KEYS, Master(STORED.counter, flipped(STORED.data, bit)), PARTNER)


def test_another_partners_copy_counter_or_disk_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        open_master(KEYS, STORED, NodeKey(bytes(32)))
    with pytest.raises(NotAuthentic):
        open_master(KEYS, Master(STORED.counter + 1, STORED.data), PARTNER)
    with pytest.raises(NotAuthentic):
        open_master(make_keys(bytes(32), bytes(32)), STORED, PARTNER)


def test_who_can_only_read_cannot_forge_one() -> None:
    with pytest.raises(NotAuthentic):
        open_master(KEYS, sealed(BODY, make_keys(SECRET, bytes(32))), PARTNER)


def test_one_that_is_sealed_under_a_counter_it_does_not_have_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        open_master(KEYS, changed(counter=MASTER.counter + 1), PARTNER)


def test_one_that_is_too_long_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        open_master(KEYS, Master(1, bytes(MAX_MASTER + 1)), PARTNER)


def test_features_that_are_not_known_are_named() -> None:
    with pytest.raises(NotAuthentic, match=r"newer version.*striped-names"):
        open_master(KEYS, changed(features=["striped-names"]), PARTNER)


def test_keys_of_a_newer_writer_are_ignored() -> None:
    assert open_master(KEYS, changed(colour="blue"), PARTNER) == MASTER


def layouts(**values: object) -> list[dict[str, Any]]:
    return [msgpack.unpackb(BODY)["layouts"][0] | values]


def store(at: int, value: object) -> list[dict[str, Any]]:
    columns = msgpack.unpackb(BODY)["layouts"][0]["columns"]
    columns[1][0][at] = value
    return layouts(columns=columns)


@pytest.mark.parametrize(
    "values",
    [
        *each("claimer", None, bytes(15), "0" * 16, 16),
        *each("keys", None, 1, [], [1], [[65536, 0]], [["1", 0]], [[True, 0]], [[1, -1]], [[1]]),
        *each("keys", [[id_, id_] for id_ in range(65)], [[1, 0], [1, 9]], [[2, 0], [1, 9]], [[1, 9], [2, 9]]),
        *each("features", None, "x", [1], [b"x"], [""]),
        *each("floor", None, 1, [1], [1, 2, 3], [-1, 0], [1, "now"]),
        *each("layouts", None, [], [1], [{}], {}, layouts() * 17),
        *(
            {"layouts": layouts(**change)}
            for name in ("id", "k", "m", "block", "rows")
            for change in each(name, -1, "1", 2**40)
        ),
        *({"layouts": layouts(k=k, m=m)} for k, m in ((0, 3), (2, 2), (62, 1))),
        *({"layouts": layouts(**change)} for change in each("columns", None, [], 3, [[]] * 3, [[1]] * 3, {})),
        *({"layouts": store(at, None)} for at in range(6)),
        *({"layouts": store(at, 7)} for at in range(6)),
        *({"layouts": store(at, b"x")} for at in range(6)),
        *({"layouts": store(4, addresses)} for addresses in ([1], ["a"] * 9, ["x" * 2000])),
        {"layouts": store(3, "\x1b[2J")},
        {"layouts": store(5, "boss")},
    ],
    ids=lambda values: repr(values)[:60],
)
def test_values_of_another_type_or_range_are_not_authentic(values: dict[str, object]) -> None:
    with pytest.raises(NotAuthentic):
        open_master(KEYS, changed(**values), PARTNER)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_not_authentic_signed_or_not(data: bytes) -> None:
    for stored in (Master(MASTER.counter, data), sealed(data)):
        with pytest.raises(NotAuthentic):
            open_master(KEYS, stored, PARTNER)


def test_roles_have_their_names_for_good() -> None:
    assert (master.PRIMARY, master.INCOMING, master.VAULT) == ("primary", "incoming", "vault")
