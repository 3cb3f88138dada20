"""A node's side of relays: calling another one through a relay, and waiting at relays to be called.

Nothing is expected of a relay but service. Whatever it does, the two nodes authenticate each other through it, so it
can only deny or delay; what it sends wrong is a PeerError like anybody's.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from math import inf

import trio

from coopfs.core.candidates import Candidate
from coopfs.core.wire.answers import Done
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.messages import Request, decode_answer, decode_request, encode_answer, encode_request
from coopfs.core.wire.node_requests import Goodbye, Ping
from coopfs.core.wire.relay_requests import Call, DialNode, WaitForCall
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import (
    HANDSHAKE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT,
    RECONNECT_MAX,
    RECONNECT_MIN,
    RELAY_CALLS,
    RELAY_CALLS_APART,
    RELAY_CALLS_SLOW,
)
from coopfs.net.channel import Channel, LocalNode, initiate
from coopfs.types import NodeKey

_log = logging.getLogger(__name__)

Dial = Callable[[str], Awaitable[trio.abc.Stream]]  # opens a stream to an address, or raises PartnerAway


async def through(stream: trio.abc.Stream, node: LocalNode, target: NodeKey) -> trio.abc.Stream:
    """`stream` leads to a relay: the same, once it leads to `target`. PeerError: it does not come to that."""
    channel = await _ask(stream, node, DialNode(target))
    try:
        return channel.bare()
    except ProtocolError:
        await channel.close()
        raise


async def _ask(stream: trio.abc.Stream, node: LocalNode, request: Request) -> Channel:
    """A connection to a relay that said yes to this. It is closed if it does not."""
    channel, _ = await initiate(stream, node, None)
    try:
        with trio.fail_after(HANDSHAKE_TIMEOUT):
            await channel.send(encode_request(request, 0))
            await _agreed(await channel.receive(), request)
    except BaseException as error:
        await channel.close()
        if isinstance(error, trio.TooSlowError):
            raise PartnerAway(f"the relay did not answer within {HANDSHAKE_TIMEOUT:.0f} s") from None
        raise
    return channel


async def _agreed(frame: Frame, request: Request) -> None:
    """PeerError: it is no answer to this request, or no."""
    if frame.flag is Flag.REQUEST:
        asked = decode_request(frame)
        if isinstance(asked, Goodbye):
            raise PartnerAway(f"the relay closed the connection: {asked.reason}")
        raise ProtocolError(f"a relay sent a request of type {frame.type} instead of an answer")
    if frame.type != request.TYPE:
        raise ProtocolError(f"a relay answered a request that was not made (type {frame.type})")
    answer = decode_answer(frame)
    if isinstance(answer, PeerError):
        raise answer


class Waiting:
    """Keeps one connection that waits at each of this node's relays.

    accept: serves a stream on which somebody calls, until it ends, and is told the relay; jitter: numbers 0..1 that
    spread reconnections. up: relays at which this node waits now; trouble: why not at another one, for status.
    """

    def __init__(
        self,
        node: LocalNode,
        dial: Dial,
        accept: Callable[[trio.abc.Stream, str], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self.up: set[str] = set()
        self.trouble: dict[str, str] = {}
        self._node = node
        self._dial = dial
        self._accept = accept
        self._jitter = jitter

    async def run(self, relays: Iterable[str]) -> None:
        """For ever. relays: HOST:PORT each."""
        async with trio.open_nursery() as nursery:
            for address in relays:
                nursery.start_soon(self._keep_waiting, address, nursery)

    async def _keep_waiting(self, address: str, nursery: trio.Nursery) -> None:
        delay = RECONNECT_MIN
        calls = deque([-inf] * RELAY_CALLS, RELAY_CALLS)  # trio time of the newest
        while True:
            began = trio.current_time()
            try:
                stream = await self._wait_once(address)
            except PeerError as error:
                if address not in self.trouble:
                    _log.info("the relay at %s: %s", address, error)
                self.trouble[address] = str(error)
                if trio.current_time() - began > KEEPALIVE_TIMEOUT:  # it was good for a while
                    delay = RECONNECT_MIN
                await trio.sleep(delay * (1 + self._jitter()) / 2)
                delay = min(2 * delay, RECONNECT_MAX)
            else:
                delay = RECONNECT_MIN
                nursery.start_soon(self._accept, stream, str(Candidate(address, relayed=True)))
                calls.append(trio.current_time())
                is_flood = calls[-1] - calls[0] < 60
                await trio.sleep(RELAY_CALLS_SLOW if is_flood else RELAY_CALLS_APART)
            finally:
                self.up.discard(address)

    async def _wait_once(self, address: str) -> trio.abc.Stream:
        """The stream of the next call. PeerError."""
        channel = None
        with trio.move_on_after(2 * HANDSHAKE_TIMEOUT):
            channel = await _ask(await self._dial(address), self._node, WaitForCall())
        if channel is None:
            raise PartnerAway(f"{address} did not answer within {2 * HANDSHAKE_TIMEOUT:.0f} s")
        self.up.add(address)
        self.trouble.pop(address, None)
        _log.info("this node waits at the relay at %s", address)
        try:
            await _called(channel)
            return channel.bare()
        except BaseException:
            with trio.CancelScope(shield=True):
                await channel.close()
            raise


async def _called(channel: Channel) -> None:
    """Ping until the relay says that somebody calls, and take the call. PeerError."""
    ping_at = trio.current_time() + KEEPALIVE_INTERVAL
    while trio.current_time() < channel.heard + KEEPALIVE_TIMEOUT:
        frame = None
        with trio.move_on_at(ping_at):
            frame = await channel.receive()
        if frame is None:
            await channel.send(encode_request(Ping(), 0))
            ping_at = trio.current_time() + KEEPALIVE_INTERVAL
            continue
        request = decode_request(frame) if frame.flag is Flag.REQUEST else None
        if isinstance(request, Call):
            await channel.send(encode_answer(frame, Done()))
            return
        if not isinstance(request, Ping):
            raise ProtocolError(f"a relay sent a message of type {frame.type} to a node that waits")
    raise PartnerAway(f"nothing was heard of the relay for {KEEPALIVE_TIMEOUT:.0f} s")
