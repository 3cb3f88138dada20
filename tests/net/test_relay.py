"""Two nodes that can only meet at a relay, and those who would misuse it or be misused by it. All in one process, on a
fake clock: streams in memory, as in the tests of the roster."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from coopfs.core.allowance import Allowance, Share
from coopfs.core.wire.answers import Done
from coopfs.core.wire.frames import Flag, Frame, enveloped
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import encode_answer, encode_request
from coopfs.core.wire.node_requests import Ping
from coopfs.core.wire.relay_requests import Call, DialNode, WaitForCall
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import (
    HANDSHAKE_TIMEOUT,
    KEEPALIVE_TIMEOUT,
    MAX_PENDING_CONNECTIONS,
    RECONNECT_MAX,
    RELAY_CALLS,
    RELAY_IDLE,
    RELAY_NEW,
    RELAY_PER_NODE,
    RELAY_PER_SOURCE,
    RELAY_SHAKING,
)
from coopfs.net.channel import Channel, LocalNode, initiate, respond
from coopfs.net.dialer import Contact, call
from coopfs.net.partner import RemotePartner
from coopfs.net.relay import Relay
from coopfs.net.relayed import Waiting, through
from coopfs.net.roster import Roster
from coopfs.types import NodeKey, Partner
from tests.memory import MemoryHost
from tests.net.nodes import Network, everybody, no_jitter, nobody, node
from tests.partners import Owner

AT = "r.example:7531"  # the relay
WAY = f"relay/{AT}"
GENEROUS = Allowance(0, Share(0, 0))
ALICE, BOB, MALLORY = node(1), node(2), node(3)


def a_host(key: NodeKey) -> Partner:
    host = MemoryHost()
    host.given[key] = 1 << 30
    return host.partner(key)


class World:
    """A network with a relay in it, and nodes that nobody can dial. passed: what went through the relay's streams."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.network = Network(nursery)
        self.nursery = nursery
        self.relay = self.put_relay(GENEROUS)

    def put_relay(self, allowance: Allowance) -> Relay:
        """A relay, in the place of the one before."""
        relay = Relay(node(9), allowance)
        self.network.listeners[AT] = partial(relay.accept, source="192.0.2.1")
        return relay

    def lie(self, behave: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        """Something else answers where the relay was."""
        self.network.listeners[AT] = behave

    async def roster(self, me: LocalNode) -> Roster:
        roster = Roster(me, everybody, a_host, self.network.dial, no_jitter)
        await self.nursery.start(roster.run)
        return roster

    async def wait_at_relay(self, me: LocalNode) -> tuple[Roster, Waiting]:
        roster = await self.roster(me)
        waiting = Waiting(me, self.network.dial, roster.accept, no_jitter)
        self.nursery.start_soon(waiting.run, [AT])
        await wait_all_tasks_blocked()
        return roster, waiting

    async def connect(self, me: LocalNode) -> Channel:
        """Somebody at the relay, after the handshake."""
        channel, _ = await initiate(await self.network.dial(AT), me, None)
        return channel


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery)
        nursery.cancel_scope.cancel()


async def answer(channel: Channel) -> Frame:
    with trio.fail_after(HANDSHAKE_TIMEOUT):
        return await channel.receive()


async def ended(channel: Channel) -> bool:
    """Whether the other side closes it in time."""
    with trio.move_on_after(2 * RELAY_IDLE):
        try:
            await channel.receive()
        except PeerError:
            return True
    return False


def tap(
    relay: Relay, coming: Callable[[bytes], bytes], going: Callable[[bytes], bytes]
) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """What comes to a relay, and what goes out of it, passes through these."""

    async def copy(source: trio.abc.Stream, sink: trio.abc.Stream, change: Callable[[bytes], bytes]) -> None:
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while data := await source.receive_some():
                await sink.send_all(change(bytes(data)))
            await sink.aclose()

    async def accept(stream: trio.abc.Stream) -> None:
        near, far = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy, stream, near, coming)
            nursery.start_soon(copy, near, stream, going)
            await relay.accept(far, "192.0.2.1")

    return accept


async def test_two_nodes_meet_at_a_relay_and_both_can_ask(world: World, autojump_clock: MockClock) -> None:
    bob, waiting = await world.wait_at_relay(BOB)
    assert waiting.up == {AT}
    alice = await world.roster(ALICE)
    alice.add(Contact(BOB.identity.key, (WAY,)))
    link = await alice.link(BOB.identity.key)
    back = await bob.link(ALICE.identity.key)
    for one in (link, back):
        assert one.relayed
        assert one.at == WAY
        assert await RemotePartner(one).masters(Owner().disk) == ()
    await trio.sleep(10 * RELAY_IDLE)  # their own pings keep it open
    assert alice.live(BOB.identity.key) is link


async def test_who_was_called_waits_again(world: World, autojump_clock: MockClock) -> None:
    bob, _ = await world.wait_at_relay(BOB)
    await trio.sleep(10 * KEEPALIVE_TIMEOUT)
    assert len(world.network.dialled) == 1  # on the same connection all the while
    for me in (ALICE, MALLORY, node(4)):
        roster = await world.roster(me)
        roster.add(Contact(BOB.identity.key, (WAY,)))
        await roster.link(BOB.identity.key)
    assert all(bob.live(me.identity.key) is not None for me in (ALICE, MALLORY, node(4)))


async def test_many_who_call_at_once_all_get_through(world: World, autojump_clock: MockClock) -> None:
    await world.wait_at_relay(BOB)
    rosters = [await world.roster(node(10 + number)) for number in range(8)]
    for roster in rosters:
        roster.add(Contact(BOB.identity.key, (WAY,)))
    started = trio.current_time()
    for roster in rosters:
        await roster.link(BOB.identity.key)
    assert trio.current_time() - started < 10


async def test_a_relay_sees_ciphertext_only(world: World, autojump_clock: MockClock) -> None:
    """What passes never holds what the two say, nor the node key of who calls."""
    seen = bytearray()

    def watch(data: bytes) -> bytes:
        seen.extend(data)
        return data

    world.lie(tap(world.relay, watch, watch))
    await world.wait_at_relay(BOB)
    link = await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))
    await world.nursery.start(link.run, None)
    assert await RemotePartner(link).masters(Owner().disk) == ()
    assert len(seen) > 1000
    for secret in (b"disk", Owner().disk, b"incarnation", ALICE.identity.key, BOB.identity.key):
        assert secret not in seen


async def test_a_direct_way_is_taken_before_a_relay(world: World, autojump_clock: MockClock) -> None:
    bob, _ = await world.wait_at_relay(BOB)
    world.network.listeners["bob"] = bob.accept
    link = await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY, "gone", "bob")))
    assert [address for _, address in world.network.dialled][1:] == ["gone", "bob"]
    assert (link.at, link.relayed) == ("bob", False)


async def test_a_direct_way_is_looked_for_while_a_relay_is_in_use(
    world: World, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coopfs.net.roster.DIRECT_AGAIN", seldom := 60.0)
    bob, _ = await world.wait_at_relay(BOB)
    alice = await world.roster(ALICE)
    alice.add(Contact(BOB.identity.key, ("bob", WAY)))
    link = await alice.link(BOB.identity.key)
    assert link.relayed
    await trio.sleep(10 * seldom)
    tried = [time for time, address in world.network.dialled if address == "bob"]
    assert tried[-1] - tried[-2] == pytest.approx(seldom, abs=1)
    assert alice.live(BOB.identity.key) is link
    world.network.listeners["bob"] = bob.accept
    await trio.sleep(2 * seldom)
    direct = alice.live(BOB.identity.key)
    assert direct is not None
    assert direct.at == "bob"
    assert link.error is not None
    dials = len(world.network.dialled)
    await trio.sleep(2 * seldom)
    assert len(world.network.dialled) == dials


async def test_nobody_waits(world: World, autojump_clock: MockClock) -> None:
    with pytest.raises(PartnerAway, match="does not wait at this relay"):
        await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


async def test_a_restarted_relay_is_found_again(world: World, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as first:
        relay = Relay(node(9), GENEROUS)

        async def accept(stream: trio.abc.Stream) -> None:
            async with trio.open_nursery() as connection:
                first.start_soon(relay.accept, stream, "192.0.2.1")
                await trio.sleep_forever()
                connection.cancel_scope.cancel()

        world.lie(accept)
        bob, waiting = await world.wait_at_relay(BOB)
        alice = await world.roster(ALICE)
        alice.add(Contact(BOB.identity.key, (WAY,)))
        link = await alice.link(BOB.identity.key)
        first.cancel_scope.cancel()
    await link.ended.wait()
    world.put_relay(GENEROUS)
    await trio.sleep(5)
    assert waiting.up == {AT}
    assert alice.live(BOB.identity.key) is not None
    assert bob.live(ALICE.identity.key) is not None


async def test_the_day_s_bytes_end_a_connection_and_refuse_the_next(world: World, autojump_clock: MockClock) -> None:
    world.put_relay(Allowance(0, Share(0, 2000)))
    await world.wait_at_relay(BOB)
    near = await through(await world.network.dial(AT), ALICE, BOB.identity.key)
    await near.send_all(bytes(3000))
    await near.send_all(b"one more")
    assert await near.receive_some() == b""
    with pytest.raises(PartnerAway, match="in a day"):
        await through(await world.network.dial(AT), ALICE, BOB.identity.key)
    await through(await world.network.dial(AT), MALLORY, BOB.identity.key)  # bob did not pay for alice


async def test_only_who_is_listed_can_be_called(world: World, autojump_clock: MockClock) -> None:
    """And each by its own share; who calls needs no leave."""
    bob = BOB.identity.key
    world.put_relay(Allowance(0, Share(0, 1000), {bob: Share(0, 5000)}))
    _, waiting = await world.wait_at_relay(BOB)
    _, refused = await world.wait_at_relay(ALICE)
    assert waiting.up == {AT}
    assert (refused.up, refused.trouble) == (set(), {AT: "only nodes that its operator has listed may wait here"})
    for caller, rest in ((MALLORY, bytes(900)), (ALICE, bytes(2000))):
        near = await through(await world.network.dial(AT), caller, bob)
        await near.send_all(rest)
        await near.aclose()
        await trio.sleep(5)
    await through(await world.network.dial(AT), MALLORY, bob)
    with pytest.raises(PartnerAway, match="the 1000 bytes"):
        await through(await world.network.dial(AT), ALICE, bob)
    with pytest.raises(PartnerAway, match="does not wait"):
        await through(await world.network.dial(AT), BOB, ALICE.identity.key)


async def test_the_rate_is_kept(world: World, autojump_clock: MockClock) -> None:
    world.put_relay(Allowance(0, Share(1 << 20, 0)))
    size, all_came = 10 << 20, trio.Event()

    async def count(stream: trio.abc.Stream, source: str) -> None:
        received = 0
        while received < size:
            received += len(await stream.receive_some())
        all_came.set()

    waiting = Waiting(BOB, world.network.dial, count, no_jitter)
    world.nursery.start_soon(waiting.run, [AT])
    await wait_all_tasks_blocked()
    near = await through(await world.network.dial(AT), ALICE, BOB.identity.key)
    started = trio.current_time()
    await near.send_all(bytes(size))
    await all_came.wait()
    assert trio.current_time() - started == pytest.approx(10, abs=0.1)


async def test_a_joined_connection_on_which_nothing_passes_ends(world: World, autojump_clock: MockClock) -> None:
    async def nothing(stream: trio.abc.Stream, source: str) -> None:
        await trio.sleep_forever()

    waiting = Waiting(BOB, world.network.dial, nothing, no_jitter)
    world.nursery.start_soon(waiting.run, [AT])
    await wait_all_tasks_blocked()
    near = await through(await world.network.dial(AT), ALICE, BOB.identity.key)
    started = trio.current_time()
    assert await near.receive_some() == b""
    assert trio.current_time() - started == pytest.approx(RELAY_IDLE)


# --- who would misuse it ----------------------------------------------------------------------------------------------


async def test_a_forged_registration_takes_nobody_s_place(world: World, autojump_clock: MockClock) -> None:
    """Mallory says that it is bob: the node key that it shows is not that of its handshake."""
    _, waiting = await world.wait_at_relay(BOB)

    class Forged:
        key = BOB.identity.key
        noise_private = MALLORY.identity.noise_private

    forged = LocalNode(Forged(), MALLORY.hello, MALLORY.random_bytes)  # type: ignore[arg-type]
    channel = None
    with suppress(PeerError):  # of this side, or of the relay when the channel is used
        channel = await world.connect(forged)
    assert channel is None or await ended(channel)
    assert waiting.up == {AT}
    link = await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))
    assert link.peer == BOB.identity.key


async def test_a_replayed_registration_is_none(world: World, autojump_clock: MockClock) -> None:
    """All that bob sent to the relay once, sent again."""
    sent: list[bytes] = []

    class Recorded(trio.abc.Stream):
        def __init__(self, stream: trio.abc.Stream) -> None:
            self.stream = stream

        async def send_all(self, data: bytes) -> None:
            sent.append(bytes(data))
            await self.stream.send_all(data)

        async def wait_send_all_might_not_block(self) -> None:
            await self.stream.wait_send_all_might_not_block()

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            return bytes(await self.stream.receive_some(max_bytes))

        async def aclose(self) -> None:
            await self.stream.aclose()

    channel, _ = await initiate(Recorded(await world.network.dial(AT)), BOB, None)
    await channel.send(encode_request(WaitForCall(), 0))
    await answer(channel)
    await channel.close()
    await wait_all_tasks_blocked()
    again = await world.network.dial(AT)
    for data in sent:
        try:
            await again.send_all(data)
        except trio.BrokenResourceError:
            break
        await wait_all_tasks_blocked()
    with pytest.raises(PartnerAway, match="does not wait at this relay"):
        await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


@pytest.mark.parametrize("garbage", [b"\0", b"GET / HTTP/1.1\r\n\r\n", enveloped(bytes(32)), b"\xff" * 70_000])
async def test_garbage_before_the_handshake_ends_only_itself(
    world: World, garbage: bytes, autojump_clock: MockClock
) -> None:
    await world.wait_at_relay(BOB)
    stream = await world.network.dial(AT)
    started = trio.current_time()
    await stream.send_all(garbage)
    while await stream.receive_some():
        pass
    assert trio.current_time() - started <= HANDSHAKE_TIMEOUT
    await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


@pytest.mark.parametrize(
    "frames",
    [
        [Frame(MessageType.PUT, Flag.REQUEST, 0, b"\x80", b"x" * 1000)],
        [Frame(MessageType.RELAY_DIAL, Flag.REQUEST, 0, b"\x80")],
        [Frame(MessageType.RELAY_DIAL, Flag.REQUEST, 0, b"\x81\xa4node\xc4\x03abc")],
        [Frame(MessageType.RELAY_CALL, Flag.ANSWER, 0, b"\x80")],
        [Frame(200, Flag.REQUEST, 0, b"\xc1")],
        [encode_request(WaitForCall(), 0), encode_request(WaitForCall(), 0)],
        [encode_request(WaitForCall(), 0), Frame(MessageType.RELAY_CALL, Flag.ANSWER, 0, b"\x80")],
        [encode_request(WaitForCall(), 0), Frame(MessageType.PING, Flag.ERROR, 0, b"\xc1")],
        [],
    ],
    ids=str,
)
async def test_whoever_breaks_the_rules_is_thrown_out(
    world: World, frames: list[Frame], autojump_clock: MockClock
) -> None:
    await world.wait_at_relay(BOB)
    channel = await world.connect(MALLORY)
    for frame in frames:
        await channel.send(frame)
    while not await ended(channel):
        pass
    await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


async def test_a_caller_that_does_not_wait_for_the_answer_is_thrown_out(
    world: World, autojump_clock: MockClock
) -> None:
    await world.wait_at_relay(BOB)
    channel = await world.connect(MALLORY)
    await channel.send(
        encode_request(DialNode(BOB.identity.key), 0), encode_request(Ping(), 1), encode_request(Ping(), 2)
    )
    assert (await answer(channel)).flag is Flag.ANSWER
    assert await ended(channel)
    await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


async def test_half_open_connections_are_bounded_and_end(world: World, autojump_clock: MockClock) -> None:
    streams = []
    for source in range(MAX_PENDING_CONNECTIONS // RELAY_SHAKING):
        world.network.listeners[AT] = partial(world.relay.accept, source=f"192.0.2.{source}")
        streams += [await world.network.dial(AT) for _ in range(RELAY_SHAKING)]
        await wait_all_tasks_blocked()
        with pytest.raises(PartnerAway):
            await world.connect(ALICE)  # from there no more
        if source == 0:
            world.network.listeners[AT] = partial(world.relay.accept, source="192.0.2.99")
            await world.connect(ALICE)
    world.network.listeners[AT] = partial(world.relay.accept, source="192.0.2.99")
    with pytest.raises(PartnerAway):
        await world.connect(ALICE)
    started = trio.current_time()
    assert await streams[0].receive_some() == b""
    assert trio.current_time() - started <= HANDSHAKE_TIMEOUT
    await wait_all_tasks_blocked()
    await world.connect(ALICE)


async def test_a_node_that_waits_and_is_gone_is_forgotten(world: World, autojump_clock: MockClock) -> None:
    """It answers no call, and then is silent for too long."""
    channel = await world.connect(BOB)
    await channel.send(encode_request(WaitForCall(), 0))
    await answer(channel)
    with pytest.raises(PartnerAway, match="does not answer"):
        await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))
    other = await world.connect(MALLORY)
    await other.send(encode_request(WaitForCall(), 0))
    await answer(other)
    await trio.sleep(KEEPALIVE_TIMEOUT + 1)
    with pytest.raises(PartnerAway, match="does not wait"):
        await call(ALICE, world.network.dial, Contact(MALLORY.identity.key, (WAY,)))


async def test_who_waits_a_second_time_takes_its_own_place(world: World, autojump_clock: MockClock) -> None:
    first = await world.connect(BOB)
    await first.send(encode_request(WaitForCall(), 0))
    await answer(first)
    await world.wait_at_relay(BOB)
    assert await ended(first)
    await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


async def test_connections_of_a_node_and_of_an_address_are_bounded(world: World, autojump_clock: MockClock) -> None:
    kept = [await world.connect(BOB) for _ in range(RELAY_PER_NODE)]
    one_more = await world.connect(BOB)
    assert await ended(one_more)
    for number in range(RELAY_PER_SOURCE - len(kept)):
        kept.append(await world.connect(node(10 + number)))
    with pytest.raises(PartnerAway):
        await world.connect(ALICE)
    world.network.listeners[AT] = partial(world.relay.accept, source="192.0.2.2")
    await world.connect(ALICE)


async def test_who_comes_too_often_is_turned_away_and_told_of_once(
    world: World, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    world.nursery.start_soon(world.relay.report)
    autojump_clock.jump(60 - trio.current_time() % 60)
    for _ in range(RELAY_NEW):
        await trio.aclose_forcefully(await world.network.dial(AT))
        await wait_all_tasks_blocked()
    for _ in range(100):
        with pytest.raises(PartnerAway):
            await world.connect(ALICE)
    await trio.sleep(121)
    lines = [record.message for record in caplog.records if "comes too often" in record.message]
    assert lines == ["turned 100 connections away in the last minute: 192.0.2.1 comes too often"]
    await world.connect(ALICE)


# --- whom it would misuse ---------------------------------------------------------------------------------------------


async def hang_up(stream: trio.abc.Stream) -> None:
    await stream.aclose()


async def be_silent(stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def babble(stream: trio.abc.Stream) -> None:
    while True:
        await stream.send_all(b"\0\1?")


async def answers(stream: trio.abc.Stream, *frames: Frame) -> None:
    """A relay up to the request, then one that says this."""
    channel, _ = await respond(stream, node(9), nobody)
    await channel.receive()
    for frame in frames:
        await channel.send(frame)
    await trio.sleep_forever()


YES = {
    "wait": encode_answer(encode_request(WaitForCall(), 0), Done()),
    "dial": encode_answer(encode_request(DialNode(NodeKey(bytes(32))), 0), Done()),
}
LIES: dict[str, Callable[[trio.abc.Stream], Awaitable[None]]] = {
    "hangs up": hang_up,
    "silent": be_silent,
    "babbles": babble,
    "no answer": partial(answers),
    "asks back": lambda stream: answers(stream, encode_request(Ping(), 0)),
    "other answer": lambda stream: answers(stream, Frame(MessageType.PUT, Flag.ANSWER, 0, b"\x80")),
    "bad answer": lambda stream: answers(stream, Frame(MessageType.RELAY_WAIT, Flag.ANSWER, 0, b"\xc1")),
    "says yes and nothing": lambda stream: answers(stream, YES["dial"]),
    "says yes and more": lambda stream: answers(stream, YES["dial"], YES["dial"]),
    "lets wait": lambda stream: answers(stream, YES["wait"]),
    "lets wait and babbles": lambda stream: answers(stream, YES["wait"], Frame(200, Flag.ANSWER, 7, b"\x80")),
    "calls and is silent": lambda stream: answers(stream, YES["wait"], encode_request(Call(), 0)),
    "calls and goes on": lambda stream: answers(stream, YES["wait"], encode_request(Call(), 0), YES["wait"]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_relay_that_lies_can_only_deny(
    world: World, lie: Callable[[trio.abc.Stream], Awaitable[None]], autojump_clock: MockClock
) -> None:
    """Who calls gets a PeerError in time; who waits goes on with a back-off, and is well when the relay is."""

    async def lying(stream: trio.abc.Stream) -> None:
        try:
            await lie(stream)
        except (PeerError, trio.BrokenResourceError):
            await stream.aclose()

    world.lie(lying)
    started = trio.current_time()
    with pytest.raises(PeerError):
        await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))
    assert trio.current_time() - started <= 2 * HANDSHAKE_TIMEOUT
    bob, waiting = await world.wait_at_relay(BOB)
    await trio.sleep(RECONNECT_MAX)
    assert len(world.network.dialled) < RECONNECT_MAX / 60 * 2 * RELAY_CALLS
    assert bob.live(ALICE.identity.key) is None
    world.put_relay(GENEROUS)
    await trio.sleep(2 * RECONNECT_MAX)
    assert waiting.up == {AT}
    assert waiting.trouble == {}
    await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))


async def test_a_relay_that_joins_with_somebody_else_is_found_out(world: World, autojump_clock: MockClock) -> None:
    """Mallory runs the relay, and takes the call itself."""
    relay = world.relay
    mallory = await world.roster(MALLORY)

    async def impostor(stream: trio.abc.Stream) -> None:
        await relay.accept(stream, "192.0.2.1")

    world.lie(impostor)
    waiting = Waiting(MALLORY, world.network.dial, mallory.accept, no_jitter)
    world.nursery.start_soon(waiting.run, [AT])
    await wait_all_tasks_blocked()
    relay._waiting[BOB.identity.key] = relay._waiting.pop(MALLORY.identity.key)
    with pytest.raises(ProtocolError, match="another node answers"):
        await call(ALICE, world.network.dial, Contact(BOB.identity.key, (WAY,)))
    assert mallory.live(ALICE.identity.key) is None


async def test_a_relay_that_garbles_ends_the_connection_only(world: World, autojump_clock: MockClock) -> None:
    garble = False

    def spoil(data: bytes) -> bytes:
        return bytes(byte ^ garble for byte in data)

    world.lie(tap(world.relay, spoil, bytes))
    await world.wait_at_relay(BOB)
    alice = await world.roster(ALICE)
    alice.add(Contact(BOB.identity.key, (WAY,)))
    link = await alice.link(BOB.identity.key)
    garble = True
    with pytest.raises(PeerError):
        await RemotePartner(link).masters(Owner().disk)
    await link.ended.wait()
    garble = False
    await trio.sleep(RECONNECT_MAX)
    again = await alice.link(BOB.identity.key)
    assert await RemotePartner(again).masters(Owner().disk) == ()


async def test_a_direct_link_takes_the_place_of_a_relayed_one(world: World, autojump_clock: MockClock) -> None:
    bob, _ = await world.wait_at_relay(BOB)
    alice = await world.roster(ALICE)
    alice.add(Contact(BOB.identity.key, (WAY,)))
    link = await alice.link(BOB.identity.key)
    world.network.listeners["bob"] = bob.accept
    near, far = memory_stream_pair()
    world.nursery.start_soon(bob.accept, far, "192.0.2.7")
    direct, _ = await initiate(near, ALICE, BOB.identity.key)
    await link.ended.wait()
    kept = bob.live(ALICE.identity.key)
    assert kept is not None
    assert (kept.at, kept.relayed) == ("192.0.2.7", False)
    await direct.close()
