"""Sealing: what a box is bound to, and what a bit flip does."""

from dataclasses import replace

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.geometry import AUTHENTICATOR, CLEAR
from coopfs.core.seal import derive_keys, derive_tag_key, seal, unseal, version_of
from coopfs.errors import NotAuthentic
from tests.core.samples import BINDING, KEYS, OTHER_BINDINGS, PLACE, SECRET, STORE, flipped

BOX_KEYS = KEYS.box_keys(STORE, 0)
BOX = seal(BOX_KEYS, BINDING, b"some plaintext")


def test_golden_vectors() -> None:
    assert KEYS.disk.hex() == "c5d551ac40eed3c02621e4d77cfc003a"
    assert BOX_KEYS.box.hex() == "603fddfa411f7b21034ce980ae3b9d9c38eb183c0bcf735250e5a4251294e696"
    assert BOX_KEYS.nonce.hex() == "a706f92d61366e92ef921bc4e27726a0de38774876d006be1892d1e9efcac74c"
    assert derive_tag_key(SECRET, 1).hex() == "56e7551b325b73bbfd4d8717ce03333a8f23bb587c53352927b5693fb018e4a7"
    assert BINDING.encode(1).hex() == (
        "01010001c5d551ac40eed3c02621e4d77cfc003a0003404142434445464748494a4b4c4d4e4f505152535455565758595a5b"
        "5c5d5e5f606162636465666768696a6b6c6d6e6f0002000000050001000000000007"
    )
    assert BOX.hex() == (
        "010000010000002e0001000000000007b51d381361a76dadd1592a01939585e654ce6aef1edbad1ea2a7c1f0d96302940b4f"
        "b9cfd98b4c35337551a59d806c288cc46bdbde119d198421b33aa0c9a6a10d0e9aab68c7f11449b694092ab5"
    )
    assert (
        blake3(seal(BOX_KEYS, BINDING, bytes(range(256)) * 1000)).hexdigest()
        == "ce33068b34b8ce6cf6aeacb8607e27be6894d0565e45aab0ce49d88a5bfe81ac"
    )


@given(st.binary(max_size=300))
def test_round_trip(plaintext: bytes) -> None:
    box = seal(BOX_KEYS, BINDING, plaintext)
    assert len(box) == CLEAR + len(plaintext) + AUTHENTICATOR
    assert version_of(box) == PLACE.version
    assert unseal(BOX_KEYS, BINDING, box) == plaintext


def test_no_bit_of_a_box_can_be_flipped() -> None:
    for bit in range(len(BOX) * 8):
        with pytest.raises(NotAuthentic):
            unseal(BOX_KEYS, BINDING, flipped(BOX, bit))


@pytest.mark.parametrize("name", OTHER_BINDINGS)
def test_a_box_is_bound_to_each_part_of_its_binding(name: str) -> None:
    with pytest.raises(NotAuthentic):
        unseal(BOX_KEYS, replace(BINDING, **{name: OTHER_BINDINGS[name]}), BOX)


def test_a_box_opens_under_no_other_key_and_key_id() -> None:
    for other in (derive_keys(bytes(32), 1, STORE), derive_keys(SECRET, 2, STORE)):
        with pytest.raises(NotAuthentic):
            unseal(other, BINDING, BOX)


@given(st.integers(0, len(BOX) - 1))
def test_a_box_that_was_cut_or_grown_is_not_authentic(length: int) -> None:
    for box in (BOX[:length], BOX + BOX[:1]):
        with pytest.raises(NotAuthentic):
            unseal(BOX_KEYS, BINDING, box)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_not_authentic(data: bytes) -> None:
    with pytest.raises(NotAuthentic):
        unseal(BOX_KEYS, BINDING, data)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_same_content_same_bytes_and_other_content_other_nonce(one: bytes, other: bytes) -> None:
    nonce = slice(CLEAR - 32, CLEAR)
    first, second = seal(BOX_KEYS, BINDING, one), seal(BOX_KEYS, BINDING, other)
    assert seal(BOX_KEYS, BINDING, one) == first
    assert (first[nonce] == second[nonce]) == (one == other)


@pytest.mark.parametrize("name", sorted(OTHER_BINDINGS))
def test_the_same_content_elsewhere_has_another_nonce(name: str) -> None:
    elsewhere = seal(BOX_KEYS, replace(BINDING, **{name: OTHER_BINDINGS[name]}), b"some plaintext")
    assert elsewhere[CLEAR - 32 : CLEAR] != BOX[CLEAR - 32 : CLEAR]


def test_a_key_is_shown_in_no_log() -> None:
    for secret in (SECRET, KEYS.signing_seed, BOX_KEYS.box, BOX_KEYS.nonce):
        assert repr(secret) not in repr(KEYS) + repr(BOX_KEYS)
