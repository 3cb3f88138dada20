"""The keys of one disk."""

import pytest

from coopfs.core.keys import KeyAge, ReadKey, keys_of, make_keys
from coopfs.core.master import open_master, seal_master
from coopfs.core.seal import derive_keys, derive_tag_key
from coopfs.errors import NotAuthentic
from coopfs.types import Master
from tests.core.samples import KEYS, MASTER, PARTNER, SECRET, STORE, flipped

SEED = bytes(range(32, 64))
OTHER = b"2" * 32
AGES = (KeyAge(1, 0), KeyAge(2, 1000))
BOTH = keys_of((ReadKey(1, SECRET), ReadKey(2, OTHER)), SEED)
BOTH.age(AGES)


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
    KEYS.readers().verify(b"message", signature)
    others = [(b"massage", signature), (b"message", flipped(signature, 7)), (b"message", b""), (b"message", bytes(64))]
    for message, other in others:
        with pytest.raises(NotAuthentic):
            KEYS.verify(message, other)
    with pytest.raises(NotAuthentic):
        make_keys(SECRET, bytes(32)).verify(b"message", signature)


def test_who_can_only_read_has_the_same_disk_and_box_keys_and_cannot_sign() -> None:
    reader = KEYS.readers()
    assert (reader.disk, reader.tag_key(7), reader.box_keys(STORE, 7)) == (
        *(KEYS.disk, KEYS.tag_key(7)),
        KEYS.box_keys(STORE, 7),
    )
    with pytest.raises(AssertionError):
        reader.sign(b"message")


@pytest.mark.parametrize(("version", "id_", "secret"), [(0, 1, SECRET), (999, 1, SECRET), (1000, 2, OTHER)])
def test_the_key_of_a_stripe_follows_from_its_version(version: int, id_: int, secret: bytes) -> None:
    assert BOTH.id_at(version) == id_
    assert BOTH.box_keys(STORE, version) == derive_keys(secret, id_, STORE)
    assert BOTH.tag_key(version) == derive_tag_key(secret, id_)


def test_an_older_kit_opens_what_is_older_and_says_which_key_it_lacks() -> None:
    old = keys_of((ReadKey(1, SECRET),), SEED)
    assert old.lacking() == ()
    with pytest.raises(NotAuthentic):
        old.tag_key(999)  # no master block was read yet
    old.age(AGES)
    assert old.lacking() == (2,)
    assert old.box_keys(STORE, 999) == BOTH.box_keys(STORE, 999)
    for ask in (old.tag_key, lambda version: old.box_keys(STORE, version)):
        with pytest.raises(NotAuthentic, match="sealed with key 2 of the disk, which is newer than this kit"):
            ask(1000)


def test_what_is_older_than_all_keys_in_use_is_of_none_of_them() -> None:
    keys = keys_of((ReadKey(2, OTHER),), SEED)
    keys.age((KeyAge(2, 1000),))
    assert keys.tag_key(1000) == BOTH.tag_key(1000)
    with pytest.raises(NotAuthentic):
        keys.tag_key(999)


def test_master_blocks_are_sealed_with_the_oldest_key_in_use_and_opened_with_whichever_they_name() -> None:
    block = MASTER
    for ages, ids in ((AGES, (1, 2)), (AGES[1:], (2,))):
        block = type(block)(*(block.counter, block.claimer, ages, (), block.layouts, block.floor))
        stored = seal_master(BOTH, block, PARTNER)
        for id_, secret in ((1, SECRET), (2, OTHER)):
            alone = keys_of((ReadKey(id_, secret),), SEED)
            if id_ == ids[0]:
                assert open_master(alone, stored, PARTNER).keys == ages
            else:
                with pytest.raises(NotAuthentic):
                    open_master(alone, stored, PARTNER)
        assert open_master(BOTH, stored, PARTNER) == block
    with pytest.raises(NotAuthentic):
        open_master(BOTH, Master(block.counter, b"short"), PARTNER)


def test_who_was_given_the_keys_sees_a_new_one() -> None:
    keys = make_keys(SECRET, SEED)
    keys.know((*keys.secrets, ReadKey(2, OTHER)))
    assert (keys.newest, keys.id_at(5000), keys.lacking()) == (2, 1, ())
    keys.age(AGES)
    assert keys.tag_key(5000) == BOTH.tag_key(5000)
