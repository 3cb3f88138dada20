"""A relay: joins connections of nodes that cannot reach each other, and sees ciphertext only (coopfs-relay(8)).

    accept: door (counts) -> handshake, which proves the node key -> WAIT: kept until somebody calls
                                                                  -> DIAL: found, called, joined (splice)

What the two nodes say passes as it came: they shake hands with each other through it. It keeps nothing: after a restart
nodes wait and call again.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from coopfs.core.allowance import Allowance
from coopfs.core.dayquota import DayQuota
from coopfs.core.door import Door, place_of
from coopfs.core.wire.answers import Done
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.messages import decode_request, encode_answer, encode_refusal
from coopfs.core.wire.relay_requests import DialNode, WaitForCall
from coopfs.core.wire.session import Standing
from coopfs.errors import PartnerAway, PeerError, ProtocolError, Refused
from coopfs.limits import (
    HANDSHAKE_TIMEOUT,
    MAX_PENDING_CONNECTIONS,
    RELAY_PATIENCE,
    RELAY_PIECE,
    RELAY_REPORT,
    RELAY_SHAKING,
)
from coopfs.net.channel import Channel, LocalNode, respond
from coopfs.net.splice import End, Splice
from coopfs.net.waiter import Waiter
from coopfs.net.wrappers import TokenBucket
from coopfs.types import NodeKey

_log = logging.getLogger(__name__)


class Relay:
    """node: the relay's own identity, of no meaning beyond this process."""

    def __init__(self, node: LocalNode, allowance: Allowance) -> None:
        self._node = node
        self._allowance = allowance
        self._door = Door()
        self._quota = DayQuota(lambda node: allowance.of(node).daily)
        self._all = _bucket(allowance.rate)
        self._buckets: dict[NodeKey, TokenBucket] = {}  # of nodes that are connected
        self._users: Counter[NodeKey] = Counter()
        self._waiting: dict[NodeKey, Waiter] = {}
        self._arrived = trio.Event()
        self._shaking: Counter[str] = Counter()  # handshakes under way, by place
        self._turned_away: Counter[str] = Counter()

    async def report(self) -> None:
        """Say from time to time how many connections were turned away, and why, for ever."""
        while True:
            await trio.sleep(RELAY_REPORT)
            for reason, count in self._turned_away.items():
                _log.warning("turned %d connections away in the last minute: %s", count, reason)
            self._turned_away.clear()

    async def accept(self, stream: trio.abc.Stream, source: str) -> None:
        """Serve one connection until it ends; source: the IP address that it comes from."""
        place = place_of(source)
        try:
            self._door.enter(place, trio.current_time())
        except Refused as full:
            self._turn_away(str(full))
            await trio.aclose_forcefully(stream)
            return
        try:
            await self._welcome(stream, place)
        finally:
            self._door.leave(place)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _welcome(self, stream: trio.abc.Stream, place: str) -> None:
        try:
            channel = await self._shake(stream, place)
        except PeerError as stranger:
            self._turn_away(f"{place}: {stranger}")
            return
        try:
            with self._admitted(channel.peer):
                await self._serve(channel, place)
        except PeerError as trouble:
            _log.info("the connection of node %s, from %s, ended: %s", _short(channel.peer), place, trouble)

    def _turn_away(self, reason: str) -> None:
        if reason in self._turned_away or len(self._turned_away) < MAX_PENDING_CONNECTIONS:
            self._turned_away[reason] += 1

    async def _shake(self, stream: trio.abc.Stream, place: str) -> Channel:
        if self._shaking.total() >= MAX_PENDING_CONNECTIONS or self._shaking[place] >= RELAY_SHAKING:
            raise Refused("too many connections are in the handshake")
        self._shaking[place] += 1
        try:
            channel, _ = await respond(stream, self._node, lambda key: Standing.STRANGER)
        finally:
            self._shaking[place] -= 1
            self._shaking += Counter()  # drops what is 0
        return channel

    @contextmanager
    def _admitted(self, node: NodeKey) -> Iterator[None]:
        self._door.admit(node)
        self._users[node] += 1
        try:
            yield
        finally:
            self._door.dismiss(node)
            self._users[node] -= 1
            if not self._users[node]:
                del self._users[node]
                self._buckets.pop(node, None)

    async def _serve(self, channel: Channel, place: str) -> None:
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT):
                frame = await channel.receive()
        except trio.TooSlowError:
            raise PartnerAway("it asks for nothing") from None
        request = decode_request(frame) if frame.flag is Flag.REQUEST else None
        match request:
            case WaitForCall():
                await self._wait(channel, frame, place)
            case DialNode(target):
                await self._dial(channel, frame, target, place)
            case _:
                await channel.dismiss("this is a relay: it joins connections, and stores nothing")
                raise ProtocolError(f"it asks a relay for a message of type {frame.type}")

    async def _wait(self, channel: Channel, frame: Frame, place: str) -> None:
        if not self._allowance.may_wait(channel.peer):
            self._turn_away(f"{place}: node {_short(channel.peer)} is not listed")
            await channel.send(encode_refusal(frame, Refused("only nodes that its operator has listed may wait here")))
            return
        waiter = Waiter(channel)
        await channel.send(encode_answer(frame, Done()))
        if (older := self._waiting.get(waiter.node)) is not None:
            older.replace()
        self._waiting[waiter.node] = waiter
        self._arrived.set()
        self._arrived = trio.Event()
        _log.info("node %s waits, from %s", _short(waiter.node), place)
        try:
            await waiter.wait()
        finally:
            if self._waiting.get(waiter.node) is waiter:
                del self._waiting[waiter.node]

    async def _dial(self, channel: Channel, frame: Frame, target: NodeKey, place: str) -> None:
        try:
            self._quota.check(channel.peer, trio.current_time())
            waiter = await self._find(target)
        except PartnerAway as absent:
            await channel.send(encode_refusal(frame, absent))
            return
        try:
            try:
                far = await waiter.call()
            except PeerError as gone:
                await channel.send(encode_refusal(frame, PartnerAway(str(gone))))
                return
            await channel.send(encode_answer(frame, Done()))
            _log.info("node %s, from %s, is joined with %s", _short(channel.peer), place, _short(target))
            splice = Splice(End(channel.peer, channel.bare()), End(target, far), self._pay)
            why = await splice.run()
        finally:
            waiter.left.set()
        _log.info("%s and %s are parted after %d bytes: %s", _short(channel.peer), _short(target), splice.passed, why)

    async def _find(self, target: NodeKey) -> Waiter:
        """A node that waits is called once: then it is on its way with a new connection."""
        with trio.move_on_after(RELAY_PATIENCE):
            while target not in self._waiting:
                await self._arrived.wait()
            return self._waiting.pop(target)
        raise PartnerAway("that node does not wait at this relay")

    async def _pay(self, node: NodeKey, size: int) -> None:
        self._quota.spend(node, size, trio.current_time())
        if rate := self._allowance.of(node).rate:
            if node not in self._buckets:
                self._buckets[node] = TokenBucket(lambda: rate, RELAY_PIECE)
            await self._buckets[node].take(size)
        if self._all is not None:
            await self._all.take(size)


def _bucket(rate: int) -> TokenBucket | None:
    return TokenBucket(lambda: rate, RELAY_PIECE) if rate else None


def _short(node: NodeKey) -> str:
    return node.hex()[:16]
