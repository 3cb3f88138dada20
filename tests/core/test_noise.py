"""The handshake and transport ciphers: against a published vector, an independent implementation and bad bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection  # type: ignore[import-untyped]

from coopfs.core.identity import Identity, noise_public
from coopfs.core.wire.noise import KEY_SIZE, MAX_PLAINTEXT, PROLOGUE, TAG_SIZE, Handshake, Role, Transport
from coopfs.errors import ProtocolError

# Noise_XX_25519_AESGCM_SHA256 of the "cacophony" vectors, as published with rweather/noise-c and mcginty/snow.
PUBLISHED_KEYS = {
    (Role.INITIATOR, "static"): "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
    (Role.INITIATOR, "ephemeral"): "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
    (Role.RESPONDER, "static"): "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    (Role.RESPONDER, "ephemeral"): "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
}
PUBLISHED_MESSAGES = [  # payload, ciphertext: two of the handshake, the first of the transport
    (b"Ludwig von Mises", None),
    (
        b"Murray Rothbard",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843757117acceb05bd7a45733bc22015c97a9d0cbaf41b804"
        "46d5988ff5127235d76b79eade70f473d6a4ef521fdcbeda5340d01e028ba793fc059f2724a83af05f12dda0448a7621a926b379a92477fd",
    ),
    (
        b"F. A. Hayek",
        "c90f1cf77eba4e50edb038991565e36c9758943a989229b6051244dc4fbecb6946744b401af2ee1a5881b65fbb87fd07cb6a328ececc9c"
        "e6ce84c399dc332d4fd521fa4bb7f467ce909395",
    ),
    (b"Carl Menger", "bc3fa77f6aca3e8466d7dc6bea10013e88a6a29add5132b461806c"),
]

STATICS = {Role.INITIATOR: bytes([1]) * 32, Role.RESPONDER: bytes([2]) * 32}
EPHEMERALS = {Role.INITIATOR: bytes([3]) * 32, Role.RESPONDER: bytes([4]) * 32}


def side(role: Role, prologue: bytes = PROLOGUE) -> Handshake:
    return Handshake(role, STATICS[role], EPHEMERALS[role], prologue)


def shake(initiator: Handshake, responder: Handshake) -> tuple[Transport, Transport]:
    responder.read(initiator.write())
    initiator.read(responder.write())
    responder.read(initiator.write())
    return initiator.finish(), responder.finish()


def other(role: Role) -> NoiseConnection:
    connection = NoiseConnection.from_name(b"Noise_XX_25519_AESGCM_SHA256")
    connection.set_prologue(PROLOGUE)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, STATICS[role])
    connection.set_keypair_from_private_bytes(Keypair.EPHEMERAL, EPHEMERALS[role])
    if role is Role.INITIATOR:
        connection.set_as_initiator()
    else:
        connection.set_as_responder()
    with pytest.warns(UserWarning, match="OK for testing"):
        connection.start_handshake()  # warns that its ephemeral key was given
    return connection


def test_published_vector() -> None:
    sides = {
        role: Handshake(
            role,
            bytes.fromhex(PUBLISHED_KEYS[role, "static"]),
            bytes.fromhex(PUBLISHED_KEYS[role, "ephemeral"]),
            b"John Galt",
        )
        for role in Role
    }
    for step, (payload, ciphertext) in enumerate(PUBLISHED_MESSAGES[:3]):
        message = sides[Role(step % 2)].write(payload)
        assert ciphertext is None or message.hex() == ciphertext
        assert sides[Role((step + 1) % 2)].read(message) == payload
    payload, ciphertext = PUBLISHED_MESSAGES[3]
    message = sides[Role.RESPONDER].finish().send.encrypt(payload)
    assert message.hex() == ciphertext
    assert sides[Role.INITIATOR].finish().receive.decrypt(message) == payload


@pytest.mark.parametrize("role", list(Role))
def test_agrees_with_an_independent_implementation(role: Role) -> None:
    ours = side(role)
    theirs = other(Role(1 - role.value))
    for step in range(3):
        payload = bytes([step]) * 40
        if step % 2 == role.value:
            assert bytes(theirs.read_message(ours.write(payload))) == payload
        else:
            assert ours.read(bytes(theirs.write_message(payload))) == payload
    transport = ours.finish()
    assert transport.handshake_hash == theirs.get_handshake_hash()
    for message in (b"", b"one", bytes(MAX_PLAINTEXT)):
        assert bytes(theirs.decrypt(transport.send.encrypt(message))) == message
        assert transport.receive.decrypt(bytes(theirs.encrypt(message))) == message


def test_both_sides_learn_the_static_key_of_the_other() -> None:
    one, two = Identity.from_seed(b"1" * 32), Identity.from_seed(b"2" * 32)
    initiator = Handshake(Role.INITIATOR, one.noise_private, EPHEMERALS[Role.INITIATOR])
    responder = Handshake(Role.RESPONDER, two.noise_private, EPHEMERALS[Role.RESPONDER])
    shake(initiator, responder)
    assert initiator.remote_static == noise_public(two.key)
    assert responder.remote_static == noise_public(one.key)


def test_another_prologue_is_refused() -> None:
    initiator, responder = side(Role.INITIATOR, b"coopfs 1"), side(Role.RESPONDER)
    responder.read(initiator.write())
    with pytest.raises(ProtocolError):
        initiator.read(responder.write())


def test_a_replayed_reordered_or_cut_message_is_refused() -> None:
    initiator, responder = shake(side(Role.INITIATOR), side(Role.RESPONDER))
    first, second = initiator.send.encrypt(b"first"), initiator.send.encrypt(b"second")
    with pytest.raises(ProtocolError):
        responder.receive.decrypt(second)
    initiator, responder = shake(side(Role.INITIATOR), side(Role.RESPONDER))
    assert responder.receive.decrypt(first) == b"first"
    with pytest.raises(ProtocolError):
        responder.receive.decrypt(first)
    for size in range(16):
        with pytest.raises(ProtocolError):
            responder.receive.decrypt(first[:size])


@given(st.binary(max_size=300))
def test_messages_in_given_buffers_are_the_same(payload: bytes) -> None:
    initiator, responder = shake(side(Role.INITIATOR), side(Role.RESPONDER))
    other, _ = shake(side(Role.INITIATOR), side(Role.RESPONDER))
    sealed = memoryview(bytearray(len(payload) + TAG_SIZE))
    initiator.send.encrypt_into(payload, sealed)
    assert sealed == other.send.encrypt(payload)
    opened = memoryview(bytearray(len(payload)))
    responder.receive.decrypt_into(sealed, opened)
    assert opened == payload
    with pytest.raises(ProtocolError):
        responder.receive.decrypt_into(sealed, opened)
    with pytest.raises(ProtocolError):
        responder.receive.decrypt_into(sealed[: TAG_SIZE - 1], opened[:0])


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_a_key_of_small_order_is_refused(point: bytes) -> None:
    responder = side(Role.RESPONDER)
    responder.read(point)
    with pytest.raises(ProtocolError, match="small order"):
        responder.write()


@given(st.integers(0, 2), st.integers(0, 400), st.integers(1, 255))
def test_every_changed_byte_of_the_handshake_is_noticed(step: int, position: int, change: int) -> None:
    sides = {Role.INITIATOR: side(Role.INITIATOR), Role.RESPONDER: side(Role.RESPONDER)}
    with pytest.raises(ProtocolError):  # noqa: PT012 - any of the steps may notice
        for now in range(3):
            message = bytearray(sides[Role(now % 2)].write(b"payload"))
            if now == step:
                message[position % len(message)] ^= change
            sides[Role(1 - now % 2)].read(bytes(message))
        pytest.fail("nobody noticed")


@given(st.binary(max_size=300), st.integers(0, 2))
def test_arbitrary_bytes_cause_protocol_errors_only(data: bytes, step: int) -> None:
    initiator, responder = side(Role.INITIATOR), side(Role.RESPONDER)
    if step == 0 and len(data) >= KEY_SIZE:
        responder.read(data)
        return
    if step:
        responder.read(initiator.write())
    if step == 2:
        initiator.read(responder.write())
    with pytest.raises(ProtocolError):
        (initiator if step == 1 else responder).read(data)


@given(st.binary(max_size=64))
def test_arbitrary_node_keys_cause_protocol_errors_only(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert len(noise_public(data)) == KEY_SIZE
