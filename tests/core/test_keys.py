"""The keys of one disk."""

import pytest

from coopfs.core.keys import DiskKeys, make_keys
from coopfs.errors import NotAuthentic
from tests.core.samples import KEYS, STORE, flipped


def test_golden_vectors() -> None:
    assert KEYS.signing_key.hex() == "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7"
    assert KEYS.disk.hex() == "c5d551ac40eed3c02621e4d77cfc003a"
    assert KEYS.sign(b"message").hex() == (
        "a410db41b96b06c9c66abb9ec27b1759bb2af922b72e896c6b2a72c05cd2d7f145ebf22125115d5c785c737b69cc8ccfebd4"
        "cc44224b5be7785af1815ffead00"
    )


def test_what_is_signed_verifies_and_nothing_else_does() -> None:
    signature = KEYS.sign(b"message")
    KEYS.verify(b"message", signature)
    DiskKeys(KEYS.read_key, None, KEYS.signing_key).verify(b"message", signature)
    others = [(b"massage", signature), (b"message", flipped(signature, 7)), (b"message", b""), (b"message", bytes(64))]
    for message, other in others:
        with pytest.raises(NotAuthentic):
            KEYS.verify(message, other)
    with pytest.raises(NotAuthentic):
        make_keys(KEYS.read_key, bytes(32)).verify(b"message", signature)


def test_who_can_only_read_has_the_same_disk_and_box_keys_and_cannot_sign() -> None:
    reader = DiskKeys(KEYS.read_key, None, KEYS.signing_key)
    assert (reader.disk, reader.tag_key, reader.box_keys(STORE)) == (KEYS.disk, KEYS.tag_key, KEYS.box_keys(STORE))
    with pytest.raises(AssertionError):
        reader.sign(b"message")
