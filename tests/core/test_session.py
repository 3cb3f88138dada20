"""What two HELLOs make of each other, and what each standing allows."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.node_requests import Agree, GetMasters, Goodbye, GrantReading, Hello, Leave, Ping
from coopfs.core.wire.session import ALLOWED, Session, Standing, negotiate
from coopfs.core.wire.store_requests import Get, Open, Put
from coopfs.errors import ProtocolError
from coopfs.types import Claim, DiskId, Grant, NodeKey, Opening, Proposal, StoreId, StoreSpec

DISK, STORE = DiskId(bytes(16)), StoreId(bytes(16))
CLAIM = Claim(DISK, 1, bytes(16), 0, bytes(32), bytes(64))
PROPOSAL = Proposal(bytes(16), 1, 1, "name", (), 0, bytes(64))


def hello(lowest: int = 0, highest: int = 0) -> Hello:
    return Hello(bytes(16), lowest, highest, True)


@pytest.mark.parametrize(
    ("mine", "theirs", "version"), [((0, 0), (0, 0), 0), ((0, 2), (1, 5), 2), ((1, 5), (0, 2), 2), ((3, 4), (4, 9), 4)]
)
def test_the_highest_common_version_is_spoken(mine: tuple[int, int], theirs: tuple[int, int], version: int) -> None:
    assert negotiate(hello(*mine), hello(*theirs), Standing.PARTNER).version == version


def test_no_common_version_names_both_ranges() -> None:
    with pytest.raises(ProtocolError, match=r"this node speaks 0\.\.1, the peer 2\.\.3"):
        negotiate(hello(0, 1), hello(2, 3), Standing.PARTNER)
    with pytest.raises(ProtocolError, match="no range"):
        negotiate(hello(0, 1), hello(3, 0), Standing.PARTNER)


@pytest.mark.parametrize(
    ("features", "standing"),
    [
        ({"compatible": ("new",)}, Standing.PARTNER),
        ({"read_compatible": ("new",)}, Standing.READER),
        ({"incompatible": ("new",)}, None),
        ({"incompatible": ("known",)}, Standing.PARTNER),
        ({"read_compatible": ("known",)}, Standing.PARTNER),
    ],
)
def test_unknown_features_count_by_their_kind_and_alike_on_both_sides(
    features: dict[str, Any], standing: Standing | None
) -> None:
    old, new = replace(hello(), compatible=("known",)), replace(hello(), **features)
    for mine, theirs in ((old, new), (new, old)):
        if standing is None:
            with pytest.raises(ProtocolError, match=r"features .* new"):
                negotiate(mine, theirs, Standing.PARTNER)
        else:
            assert negotiate(mine, theirs, Standing.PARTNER).standing is standing


names = st.lists(st.sampled_from("abcd"), max_size=3).map(tuple)
hellos = st.builds(Hello, st.just(bytes(16)), st.integers(0, 3), st.integers(0, 3), st.just(True), names, names, names)


@given(hellos, hellos)
def test_both_sides_come_to_the_same_result(one: Hello, two: Hello) -> None:
    def outcome(mine: Hello, theirs: Hello) -> object:
        try:
            session = negotiate(mine, theirs, Standing.PARTNER)
        except ProtocolError:
            return None
        return session.version, session.standing

    if one.lowest <= one.highest and two.lowest <= two.highest:  # an empty range is noticed by the other side only
        assert outcome(one, two) == outcome(two, one)


def test_a_stranger_may_only_agree() -> None:
    session = Session(0, Standing.STRANGER, hello())
    for request in (Agree(PROPOSAL), Leave(bytes(113)), Ping(), Goodbye("")):
        assert session.refusal(request) is None
    for forbidden in (Open(Opening(DISK, STORE)), Get(1, 1), GetMasters(DISK)):
        assert "no agreement" in str(session.refusal(forbidden))


def test_a_reader_may_not_change_anything() -> None:
    session = Session(0, Standing.READER, hello())
    for request in (Open(Opening(DISK, STORE)), Get(1, 1), GetMasters(DISK)):
        assert session.refusal(request) is None
    for forbidden in (
        Put(1, 1, 1, b""),
        GrantReading(Grant(DISK, STORE, NodeKey(bytes(32)), 1)),
        Open(Opening(DISK, STORE, claim=CLAIM)),
        Open(Opening(DISK, STORE, create=StoreSpec(1, 4096))),
    ):
        assert "only reading" in str(session.refusal(forbidden))


def test_hello_comes_once() -> None:
    with pytest.raises(ProtocolError, match="twice"):
        Session(0, Standing.PARTNER, hello()).refusal(hello())
    assert all(MessageType.HELLO not in allowed for allowed in ALLOWED.values())
