"""The agreement's one text, and its signatures."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.agreement import MAX_GIVEN, Agreement, decode, of_proposal, sign, verify
from coopfs.core.identity import Identity
from coopfs.errors import NotAuthentic, PeerError, ProtocolError
from coopfs.types import NodeKey, Proposal

SEED = bytes(range(32))
INVITER = Identity.from_seed(SEED).key
AGREEMENT = Agreement(INVITER, NodeKey(b"b" * 32), 1 << 40, 3 << 30, 1_800_000_000)
PROMISING = replace(AGREEMENT, uptime="mon-fri 08:00-18:00 Europe/Paris")
UPTIMES = st.sampled_from(["", "50%", "99%", PROMISING.uptime])
NUMBERS = st.integers(0, MAX_GIVEN)
KEYS = st.binary(min_size=32, max_size=32).map(NodeKey)


BARE_TEXT = (
    "636f6f7066732061677265656d656e740003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531"
    "b86262626262626262626262626262626262626262626262626262626262626262000001000000000000000000c00000"
    "000000000000000000000000006b49d200"
)


def test_golden_agreement() -> None:
    assert AGREEMENT.encode().hex() == BARE_TEXT
    assert sign(SEED, AGREEMENT).hex() == (
        "ac8c253cc5f16053dfe94cc061fc893f652277e3052f15b396cb6d47b3236f861ec1edf228554f9266764f19ae648f92"
        "83e804a22923a616c0b3e725a2de4308"
    )


def test_golden_agreement_with_a_promise() -> None:
    level = b"mon-fri 08:00-18:00 Europe/Paris"
    assert PROMISING.encode().hex() == BARE_TEXT[:32] + "01" + BARE_TEXT[34:] + "20" + level.hex()
    assert sign(SEED, PROMISING).hex() == (
        "2ccc364f23f37806b746fec7cf5e82ff69f1e1988f41a47d3478ea4da2f677610a13221b122d29741ff3911c4d69a415"
        "c64cee53582cdd34d55f0cd130295101"
    )


@given(st.builds(Agreement, KEYS, KEYS, NUMBERS, NUMBERS, NUMBERS, UPTIMES))
def test_what_is_encoded_is_decoded(agreement: Agreement) -> None:
    assert decode(agreement.encode()) == agreement


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(min_size=96, max_size=96).map(b"coopfs agreement\0".__add__),
        st.binary(min_size=97, max_size=230).map(b"coopfs agreement\1".__add__),
        st.binary(max_size=130).map((PROMISING.encode()[:113]).__add__),
    )
)
def test_bytes_from_outside_are_an_agreement_or_a_peers_error(text: bytes) -> None:
    try:
        agreement = decode(text)
    except PeerError:
        return
    assert agreement.encode() == text


@pytest.mark.parametrize(
    "wrong",
    [
        replace(AGREEMENT, start=1 << 63).encode(),
        AGREEMENT.encode() + b"\x0395%",
        AGREEMENT.encode()[:97] + bytes([64]) + AGREEMENT.encode()[98:],
        PROMISING.encode()[:113] + b"\0",
        PROMISING.encode()[:-1],
        PROMISING.encode() + b"x",
        replace(AGREEMENT, uptime="96%").encode(),
        replace(AGREEMENT, uptime="95").encode(),
        replace(AGREEMENT, uptime="mon-fri 08-18 Europe/Paris").encode(),
        PROMISING.encode()[:16] + b"\2" + PROMISING.encode()[17:],
    ],
)
def test_what_cannot_be_agreed_is_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(wrong)


def test_a_signature_is_one_nodes_under_one_text() -> None:
    signature = sign(SEED, AGREEMENT)
    verify(AGREEMENT, INVITER, signature)
    for agreement, signer, wrong in (
        (replace(AGREEMENT, start=1), INVITER, signature),
        (PROMISING, INVITER, signature),
        (AGREEMENT, NodeKey(b"b" * 32), signature),
        (AGREEMENT, INVITER, bytes(64)),
        (AGREEMENT, INVITER, b""),
    ):
        with pytest.raises(NotAuthentic):
            verify(agreement, signer, wrong)


def test_a_proposal_is_seen_from_the_other_side() -> None:
    proposal = Proposal(bytes(16), 10, 20, "b", (), 5, bytes(64))
    assert of_proposal(INVITER, NodeKey(b"b" * 32), proposal) == Agreement(INVITER, NodeKey(b"b" * 32), 20, 10, 5)
    promising = of_proposal(INVITER, NodeKey(b"b" * 32), replace(proposal, uptime="75%"))
    assert promising.uptime == "75%"
    for wrong in (replace(proposal, given=1 << 64), replace(proposal, uptime="75"), replace(proposal, uptime="always")):
        with pytest.raises(ProtocolError):
            of_proposal(INVITER, NodeKey(b"b" * 32), wrong)
