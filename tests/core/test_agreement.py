"""The agreement's one text, and its signatures."""

import math
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
AGREEMENT = Agreement(INVITER, NodeKey(b"b" * 32), 1 << 40, 3 << 30, 1_800_000_000, 99.5)
NUMBERS = st.integers(0, MAX_GIVEN)
KEYS = st.binary(min_size=32, max_size=32).map(NodeKey)


def test_golden_agreement() -> None:
    assert AGREEMENT.encode().hex() == (
        "636f6f7066732061677265656d656e740003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531"
        "b86262626262626262626262626262626262626262626262626262626262626262000001000000000000000000c00000"
        "004058e00000000000000000006b49d200"
    )
    assert sign(SEED, AGREEMENT).hex() == (
        "b39083f95282a6e0ea2d43f0ec3ced83cc144b0bac79e0792a755de55f172e0c48ec78830d5400c88a9726fac4a8f77b"
        "a2ddbd043f289b36e08b69feb84a510f"
    )


@given(st.builds(Agreement, KEYS, KEYS, NUMBERS, NUMBERS, NUMBERS, st.floats(0.0, 100.0).map(abs)))
def test_what_is_encoded_is_decoded(agreement: Agreement) -> None:
    assert decode(agreement.encode()) == agreement


@given(st.one_of(st.binary(max_size=200), st.binary(min_size=96, max_size=96).map(b"coopfs agreement\0".__add__)))
def test_bytes_from_outside_are_an_agreement_or_a_peers_error(text: bytes) -> None:
    try:
        agreement = decode(text)
    except PeerError:
        return
    assert agreement.encode() == text


@pytest.mark.parametrize(
    "wrong",
    [
        replace(AGREEMENT, uptime=math.nan),
        replace(AGREEMENT, uptime=-0.0),
        replace(AGREEMENT, uptime=100.1),
        replace(AGREEMENT, start=1 << 63),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: Agreement) -> None:
    with pytest.raises(ProtocolError):
        decode(wrong.encode())


def test_a_signature_is_one_nodes_under_one_text() -> None:
    signature = sign(SEED, AGREEMENT)
    verify(AGREEMENT, INVITER, signature)
    for agreement, signer, wrong in (
        (replace(AGREEMENT, start=1), INVITER, signature),
        (AGREEMENT, NodeKey(b"b" * 32), signature),
        (AGREEMENT, INVITER, bytes(64)),
        (AGREEMENT, INVITER, b""),
    ):
        with pytest.raises(NotAuthentic):
            verify(agreement, signer, wrong)


def test_a_proposal_is_seen_from_the_other_side() -> None:
    proposal = Proposal(bytes(16), 10, 20, "b", (), 5, bytes(64))
    assert of_proposal(INVITER, NodeKey(b"b" * 32), proposal) == Agreement(INVITER, NodeKey(b"b" * 32), 20, 10, 5)
    with pytest.raises(ProtocolError):
        of_proposal(INVITER, NodeKey(b"b" * 32), replace(proposal, given=1 << 64))
