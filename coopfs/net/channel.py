"""An encrypted, authenticated channel of frames over any trio stream (design R16).

    1. Noise XX: both prove their node keys; the Ed25519 key travels as payload of messages 2 and 3
    2. HELLO, one from each side, both sent without waiting
    3. frames, each a run of Noise messages

Steps 1 and 2 together have HANDSHAKE_TIMEOUT. Encryption stays in this thread: a 256 KiB frame is 5 AES-GCM calls of
together 130-150 us, and a hop to a worker thread and back costs 100-200 us (measured on 2 cores).
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import trio

from coopfs.core.identity import Identity, noise_public
from coopfs.core.wire.frames import EnvelopeDecoder, Envelopes, Flag, Frame, FrameDecoder, enveloped
from coopfs.core.wire.message_map import Fields
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import encode_request
from coopfs.core.wire.node_requests import Goodbye, Hello
from coopfs.core.wire.noise import TAG_SIZE, Handshake, Role, Transport
from coopfs.core.wire.session import Session, Standing, negotiate
from coopfs.errors import PartnerAway, ProtocolError, Refused
from coopfs.limits import GOODBYE_TIMEOUT, HANDSHAKE_TIMEOUT, KIB
from coopfs.types import NodeKey, Octets

RECEIVE_SIZE = 512 * KIB  # bytes asked of the stream at once: a whole block and more, if it is there


@dataclass(frozen=True, slots=True)
class LocalNode:
    """What this node brings to every connection. random_bytes gives ephemeral keys and must be unpredictable."""

    identity: Identity
    hello: Hello
    random_bytes: Callable[[int], bytes]


class _Stream:
    """Noise messages over a stream. Every way in which a stream can end is PartnerAway."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard = trio.current_time()
        self._decoder = EnvelopeDecoder()
        self._ready: deque[memoryview] = deque()

    async def send(self, data: Octets) -> None:
        """Messages behind their lengths."""
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise PartnerAway("the connection broke") from None

    async def receive(self) -> memoryview:
        while not self._ready:
            try:
                data = await self.stream.receive_some(RECEIVE_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise PartnerAway("the connection broke") from None
            if not data:
                raise PartnerAway("the peer closed the connection")
            self.heard = trio.current_time()
            self._ready.extend(self._decoder.feed(bytes(data)))
        return self._ready.popleft()

    @property
    def empty(self) -> bool:
        """Whether all that came was asked for."""
        return not self._ready and not self._decoder.held


class Channel:
    """Frames to and from one authenticated peer. One task sends, one receives.

    peer: its node key; dialled: whether this side opened the connection.
    """

    def __init__(self, envelopes: _Stream, transport: Transport, peer: NodeKey, dialled: bool) -> None:
        self.peer = peer
        self.dialled = dialled
        self._stream = envelopes
        self._transport = transport
        self._sealed = Envelopes()
        self._decoder = FrameDecoder()
        self._ready: deque[Frame] = deque()

    @property
    def heard(self) -> float:
        """trio time of the newest bytes from the peer."""
        return self._stream.heard

    async def send(self, *frames: Frame) -> None:
        """PartnerAway if the connection ended. A cancelled send leaves the channel unusable."""
        await self._stream.send(self._sealed.seal(frames, self._transport.send))

    async def receive(self) -> Frame:
        """The next frame. PartnerAway if the connection ended, ProtocolError for bytes that are no frame."""
        while not self._ready:
            message = await self._stream.receive()
            size = len(message) - TAG_SIZE
            body = self._decoder.space(size)
            if body is None:
                self._ready.extend(self._decoder.feed(self._transport.receive.decrypt(message)))
            else:
                self._transport.receive.decrypt_into(message, body)
                self._ready.extend(self._decoder.filled(size))
        return self._ready.popleft()

    def bare(self) -> trio.abc.Stream:
        """The stream below, which from here on carries something else: this channel is not used any more.
        ProtocolError: the peer sent more than it was asked for."""
        if self._ready or self._decoder.held or not self._stream.empty:
            raise ProtocolError("the peer did not wait until the connection was joined")
        return self._stream.stream

    async def close(self) -> None:
        """End the connection at once; idempotent."""
        await trio.aclose_forcefully(self._stream.stream)

    async def dismiss(self, reason: str) -> None:
        """Say goodbye, if that is quick, and close. Only while no other task sends."""
        with trio.move_on_after(GOODBYE_TIMEOUT), suppress(PartnerAway):  # the peer may have left first
            await self.send(encode_request(Goodbye(reason), 0))
        await self.close()


async def initiate(stream: trio.abc.Stream, node: LocalNode, expected: NodeKey | None) -> tuple[Channel, Session]:
    """The dialler's side. expected: who must answer; None: anybody, of whom nothing but service is wanted (a relay).
    PartnerAway, or ProtocolError: among others if another node answers."""

    async def shake(wire: _Stream) -> tuple[Channel, Session]:
        handshake = Handshake(Role.INITIATOR, node.identity.noise_private, node.random_bytes(32))
        await wire.send(enveloped(handshake.write()))
        payload = handshake.read(bytes(await wire.receive()))
        # Before message 3, so that a wrong node does not learn who called.
        peer = _proved(payload, handshake)
        if expected is not None and peer != expected:
            raise ProtocolError(
                f"another node answers at this address: {peer.hex()[:16]}..., expected {expected.hex()[:16]}..."
            )
        await wire.send(enveloped(handshake.write(node.identity.key)))
        channel = Channel(wire, handshake.finish(), peer, dialled=True)
        return channel, await _greet(channel, node.hello, Standing.PARTNER)

    return await _in_time(stream, shake)


async def respond(
    stream: trio.abc.Stream, node: LocalNode, authorize: Callable[[NodeKey], Standing]
) -> tuple[Channel, Session]:
    """The listener's side. authorize: the standing of a node by its key.
    PartnerAway, ProtocolError."""

    async def shake(wire: _Stream) -> tuple[Channel, Session]:
        handshake = Handshake(Role.RESPONDER, node.identity.noise_private, node.random_bytes(32))
        if handshake.read(bytes(await wire.receive())):
            raise ProtocolError("the first handshake message carries a payload")
        await wire.send(enveloped(handshake.write(node.identity.key)))
        peer = _proved(handshake.read(bytes(await wire.receive())), handshake)
        channel = Channel(wire, handshake.finish(), peer, dialled=False)
        return channel, await _greet(channel, node.hello, authorize(peer))

    return await _in_time(stream, shake)


async def _in_time(
    stream: trio.abc.Stream, shake: Callable[[_Stream], Awaitable[tuple[Channel, Session]]]
) -> tuple[Channel, Session]:
    try:
        with trio.fail_after(HANDSHAKE_TIMEOUT):
            return await shake(_Stream(stream))
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.TooSlowError):
            raise PartnerAway(f"no handshake within {HANDSHAKE_TIMEOUT:.0f} s") from None
        raise


def _proved(payload: bytes, handshake: Handshake) -> NodeKey:
    """The node key in `payload`, proved by the static key that took part in the handshake."""
    if noise_public(payload) != handshake.remote_static:
        raise ProtocolError("the peer's node key does not belong to its handshake key")
    return NodeKey(payload)


async def _greet(channel: Channel, mine: Hello, standing: Standing) -> Session:
    await channel.send(encode_request(mine, 0))
    frame = await channel.receive()
    if frame.flag is Flag.REQUEST and frame.type == MessageType.GOODBYE:
        raise Refused(f"the peer refused the connection: {Goodbye.parse(Fields.unpack(frame.map), frame.body).reason}")
    if frame.flag is not Flag.REQUEST or frame.type != MessageType.HELLO:
        raise ProtocolError(f"the peer began with a message of type {frame.type} instead of HELLO")
    try:
        return negotiate(mine, Hello.parse(Fields.unpack(frame.map), frame.body), standing)
    except ProtocolError as error:
        await channel.dismiss(str(error))
        raise
