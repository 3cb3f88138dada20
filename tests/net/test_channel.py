"""The handshake over a stream: identities, versions, strangers, and bytes that are no handshake."""

import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock, memory_stream_pair

from coopfs.core.wire.frames import Flag, Frame, enveloped
from coopfs.core.wire.noise import Handshake, Role
from coopfs.core.wire.session import Standing
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import DEFAULT_BLOCK_SIZE, HANDSHAKE_TIMEOUT
from coopfs.net.channel import initiate, respond
from tests.net.nodes import channels, everybody, nobody, node, readers

Stream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


async def respond_to(script: Callable[[Stream], Awaitable[None]]) -> PeerError:
    """What `respond` makes of a dialler that follows the script."""
    near, far = memory_stream_pair()
    caught: list[PeerError] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(script, far)
        try:
            await respond(near, node(1), everybody)
        except PeerError as error:
            caught.append(error)
        nursery.cancel_scope.cancel()
    return caught[0]


async def test_both_sides_learn_who_the_other_is() -> None:
    (left, from_right), (right, from_left) = await channels(node(1), node(2))
    assert left.peer == node(2).identity.key
    assert right.peer == node(1).identity.key
    assert (left.dialled, right.dialled) == (True, False)
    assert from_right.remote == node(2).hello
    assert from_left.remote == node(1).hello


@pytest.mark.parametrize("size", [0, 1, 65_535, DEFAULT_BLOCK_SIZE])
async def test_frames_pass_in_both_directions(size: int) -> None:
    (left, _), (right, _) = await channels(node(1), node(2))
    frame = Frame(4, Flag.REQUEST, 1, b"\x80", bytes(size))
    for sender, receiver in ((left, right), (right, left)):
        await sender.send(frame)
        assert await receiver.receive() == frame


async def test_another_node_than_expected_is_refused_before_it_learns_who_called() -> None:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect, PartnerAway, "closed", lambda: respond(far, node(2), everybody))
        nursery.start_soon(
            _expect, ProtocolError, "another node", lambda: initiate(near, node(1), node(3).identity.key)
        )


async def _expect(kind: type[PeerError], text: str, run: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(kind, match=text):
        await run()


async def test_a_stranger_is_let_in_as_such() -> None:
    (_, dialler), (_, listener) = await channels(node(1), node(2), nobody)
    assert dialler.standing is Standing.PARTNER
    assert listener.standing is Standing.STRANGER


async def test_a_reader_is_let_in_to_read() -> None:
    (_, dialler), (_, listener) = await channels(node(1), node(2), readers)
    assert (dialler.standing, listener.standing) == (Standing.PARTNER, Standing.READER)


async def test_without_a_common_version_both_sides_say_so() -> None:
    near, far = memory_stream_pair()
    newer = node(2, versions=(2, 3))
    here, there = r"speaks 0\.\.0, the peer 2\.\.3", r"speaks 2\.\.3, the peer 0\.\.0"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect, ProtocolError, there, lambda: respond(far, newer, everybody))
        nursery.start_soon(_expect, ProtocolError, here, lambda: initiate(near, node(1), newer.identity.key))


async def test_a_slow_drip_ends_at_the_handshake_timeout(autojump_clock: MockClock) -> None:
    async def drip(stream: Stream) -> None:
        for byte in enveloped(Handshake(Role.INITIATOR, b"s" * 32, b"e" * 32).write()):
            await stream.send_all(bytes([byte]))
            await trio.sleep(HANDSHAKE_TIMEOUT / 9.5)

    started = trio.current_time()
    error = await respond_to(drip)
    assert isinstance(error, PartnerAway)
    assert trio.current_time() - started == HANDSHAKE_TIMEOUT


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff" + bytes(65_535), b"\x00\x00", b"\x00\x20" + bytes(32)]
)
async def test_bytes_that_are_no_handshake(data: bytes) -> None:
    async def send(stream: Stream) -> None:
        await stream.send_all(data)
        await stream.aclose()

    assert isinstance(await respond_to(send), ProtocolError | PartnerAway)


async def test_a_payload_in_the_first_message_is_refused() -> None:
    async def send(stream: Stream) -> None:
        await stream.send_all(enveloped(Handshake(Role.INITIATOR, b"s" * 32, b"e" * 32).write(b"payload")))

    assert isinstance(await respond_to(send), ProtocolError)


async def as_dialler(stream: Stream, claimed: bytes, first_frame: bytes) -> None:
    """A dialler that speaks Noise well, and then says what it likes."""
    handshake = Handshake(Role.INITIATOR, node(2).identity.noise_private, b"e" * 32)
    await stream.send_all(enveloped(handshake.write()))
    handshake.read(bytes(await stream.receive_some(1 << 16))[2:])
    await stream.send_all(enveloped(handshake.write(claimed)))
    await stream.send_all(enveloped(handshake.finish().send.encrypt(first_frame)))


async def test_a_node_key_of_somebody_else_is_refused() -> None:
    error = await respond_to(lambda stream: as_dialler(stream, node(3).identity.key, b""))
    assert isinstance(error, ProtocolError)
    assert "does not belong" in str(error)


@pytest.mark.parametrize(
    ("first_frame", "text"),
    [
        (struct.pack(">IBBII", 0xFFFFFFFF, 1, 0, 0, 1), "a frame of 4294967295 bytes"),
        (struct.pack(">IBBII", 11, 19, 0, 0, 1) + b"\x80", "type 19 instead of HELLO"),
        (struct.pack(">IBBII", 11, 1, 0, 0, 1) + b"\x80", "lacks 'incarnation'"),
        (struct.pack(">IBBII", 11, 1, 0, 0, 1) + b"\xc1", "cannot be read"),
    ],
)
async def test_a_bad_first_frame_is_refused(first_frame: bytes, text: str) -> None:
    error = await respond_to(lambda stream: as_dialler(stream, node(2).identity.key, first_frame))
    assert isinstance(error, ProtocolError)
    assert text in str(error)
