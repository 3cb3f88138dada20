"""A node that waits at a relay to be called: the relay's end of that connection."""

import trio

from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import decode_answer, decode_request, encode_request
from coopfs.core.wire.node_requests import Goodbye, Ping
from coopfs.core.wire.relay_requests import Call
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, RELAY_ANSWER
from coopfs.net.channel import Channel
from coopfs.types import NodeKey


class Waiter:
    """Lives while `wait` runs. Both sides ping, until CALL: then the relay says nothing more on it, so that the node
    knows what is the caller's."""

    def __init__(self, channel: Channel) -> None:
        self.left = trio.Event()  # set by the caller when the joined connection is over
        self._channel = channel
        self._sending = trio.Lock()
        self._called = False
        self._settled = trio.Event()  # the node has taken the call, or is gone
        self._taken = False
        self._scope = trio.CancelScope()

    @property
    def node(self) -> NodeKey:
        return self._channel.peer

    def replace(self) -> None:
        """The node waits on a newer connection: this one ends, unless somebody has called on it."""
        if not self._called:
            self._scope.cancel()

    async def wait(self) -> None:
        """Until the node has taken a call and that is over, or it is replaced. PeerError: it went wrong."""
        try:
            with self._scope:
                await self._until_taken()
                self._settled.set()
                await self.left.wait()
        finally:
            self._settled.set()

    async def call(self) -> trio.abc.Stream:
        """The stream to the node, once it has taken the call. PeerError: it does not, or not in time. Once only."""
        self._called = True
        with trio.move_on_after(RELAY_ANSWER):
            async with self._sending:
                await self._channel.send(encode_request(Call(), 0))
            await self._settled.wait()
        if not self._taken:
            raise PartnerAway("the node that waits here does not answer")
        return self._channel.bare()

    async def _until_taken(self) -> None:
        """Read and ping."""
        ping_at = trio.current_time() + KEEPALIVE_INTERVAL
        while not self._taken:
            with trio.move_on_at(ping_at):
                self._read(await self._channel.receive())
                continue
            if trio.current_time() >= self._channel.heard + KEEPALIVE_TIMEOUT:
                raise PartnerAway(f"nothing was heard of a node that waits for {KEEPALIVE_TIMEOUT:.0f} s")
            async with self._sending:
                if not self._called:
                    await self._channel.send(encode_request(Ping(), 0))
            ping_at = trio.current_time() + KEEPALIVE_INTERVAL

    def _read(self, frame: Frame) -> None:
        if frame.flag is Flag.REQUEST:
            request = decode_request(frame)
            if isinstance(request, Goodbye):
                raise PartnerAway(f"the node closed the connection: {request.reason}")
            if not isinstance(request, Ping):
                raise ProtocolError(f"a node that waits sent a request of type {frame.type}")
        elif self._called and (frame.type, frame.flag) == (MessageType.RELAY_CALL, Flag.ANSWER):
            outcome = decode_answer(frame)
            assert not isinstance(outcome, PeerError)  # the flag says so
            self._taken = True
        else:
            raise ProtocolError(f"a node that waits sent an answer of type {frame.type} that nobody asked for")
