"""Many requests on one connection: pairing, bounds, silence, and a peer that misbehaves."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from coopfs.core.wire.answers import Answer, Done, Got, Slots
from coopfs.core.wire.frames import Flag, Frame, enveloped
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import Request, decode_answer, encode_answer, encode_request
from coopfs.core.wire.node_requests import Goodbye, Ping
from coopfs.core.wire.store_requests import Get, Inventory, Put
from coopfs.errors import BlockRefused, CoopfsError, HomeError, PartnerAway, ProtocolError, Refused
from coopfs.limits import (
    DEFAULT_BLOCK_SIZE,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT,
    MAX_BLOCK_SIZE,
    MAX_REQUESTS,
    PUT_GATHER,
    PUTS_IN_FLIGHT,
    REQUEST_TIMEOUT,
)
from coopfs.net.link import Link
from coopfs.types import Slot, StoredBlock
from tests.net.nodes import OneByOne, against, channels, everybody, handshake, linked, nobody, node, silent


async def never(request: Request) -> Answer:
    await trio.sleep_forever()
    raise AssertionError


def block(row: int) -> bytes:
    return bytes([row]) * DEFAULT_BLOCK_SIZE


async def test_requests_are_pipelined_and_may_be_answered_in_any_order(autojump_clock: MockClock) -> None:
    arrived: list[int] = []
    answered: list[int] = []

    async def slowest_first(request: Request) -> Answer:
        assert isinstance(request, Inventory)
        arrived.append(request.first_row)
        await trio.sleep(PUTS_IN_FLIGHT - request.first_row)
        return Slots((Slot(request.first_row, 1, 1),))

    async def ask(row: int) -> None:
        assert await left.request(Inventory(0, row, 1)) == Slots((Slot(row, 1, 1),))
        answered.append(row)

    async with linked(silent, slowest_first) as (left, _):
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for row in range(PUTS_IN_FLIGHT):
                nursery.start_soon(ask, row)
    assert sorted(arrived) == list(range(PUTS_IN_FLIGHT))
    assert answered == list(reversed(range(PUTS_IN_FLIGHT)))
    assert trio.current_time() - started == PUTS_IN_FLIGHT  # the slowest alone, not their sum


async def test_puts_that_come_while_others_are_stored_are_stored_together() -> None:
    batches: list[list[int]] = []
    go_on = trio.Event()

    class Disk:
        async def handle(self, request: Request) -> Answer:
            raise AssertionError

        async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
            return [Got(None) for _ in gets]

        async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
            assert all(put.data == block(put.row) for put in puts)
            batches.append([put.row for put in puts])
            await go_on.wait()
            return [BlockRefused("newer", 7) if put.row == 2 else Done() for put in puts]

    left, right = await channels(node(1), node(2))
    near, far = Link(*left), Link(*right)
    async with trio.open_nursery() as nursery:
        await nursery.start(near.run, OneByOne(silent))
        await nursery.start(far.run, Disk())
        async with trio.open_nursery() as asking:

            async def put(*rows: int) -> None:
                outcomes = await near.request_all([Put(0, row, 1, block(row)) for row in rows])
                assert [isinstance(outcome, BlockRefused) for outcome in outcomes] == [row == 2 for row in rows]

            asking.start_soon(put, 0)
            await wait_all_tasks_blocked()
            asking.start_soon(put, 1, 2)
            asking.start_soon(put, 3)
            await wait_all_tasks_blocked()
            assert await near.request(Get(0, 0)) == Got(None), "who waits for puts does not hold up others"
            go_on.set()
        nursery.cancel_scope.cancel()
    assert [sorted(batch) for batch in batches] == [[0], [1, 2, 3]]


async def test_a_run_of_puts_is_stored_as_one_if_it_arrives_in_time(autojump_clock: MockClock) -> None:
    batches: list[list[int]] = []

    class Disk:
        async def handle(self, request: Request) -> Answer:
            raise AssertionError

        async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
            raise AssertionError

        async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
            batches.append([put.row for put in puts])
            return [Done()] * len(puts)

    left, right = await channels(node(1), node(2))
    far = Link(*right)
    async with trio.open_nursery() as nursery:
        await nursery.start(far.run, Disk())
        for row, more in ((0, 2), (1, 1), (2, 0), (3, 2), (4, 1)):
            await left[0].send(encode_request(Put(0, row, 1, block(row), more), row))
            await trio.sleep(PUT_GATHER / 4)
        await trio.sleep(PUT_GATHER)
        nursery.cancel_scope.cancel()
    assert batches == [[0, 1, 2], [3, 4]], "who announces more than comes is not waited for"


async def test_gets_that_come_in_one_piece_are_read_together_and_hold_up_no_later_ones() -> None:
    runs: list[list[int]] = []
    go_on = trio.Event()

    class Disk:
        async def handle(self, request: Request) -> Answer:
            raise AssertionError

        async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
            runs.append([get.row for get in gets])
            if 0 in runs[-1]:
                await go_on.wait()
            return [Refused("no such row") if get.row == 2 else Got(StoredBlock(1, block(get.row))) for get in gets]

        async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
            raise AssertionError

    left, right = await channels(node(1), node(2))
    near, far = Link(*left), Link(*right)
    async with trio.open_nursery() as nursery:
        await nursery.start(near.run, OneByOne(silent))
        await nursery.start(far.run, Disk())
        async with trio.open_nursery() as asking:

            async def get(*rows: int) -> None:
                outcomes = await near.request_all([Get(0, row) for row in rows])
                assert [isinstance(outcome, Refused) for outcome in outcomes] == [row == 2 for row in rows]
                assert [o.block.data[0] for o in outcomes if isinstance(o, Got) and o.block] == [
                    row for row in rows if row != 2
                ]

            asking.start_soon(get, 0, 1, 2)
            await wait_all_tasks_blocked()
            await get(3, 4)
            go_on.set()
        nursery.cancel_scope.cancel()
    assert runs == [[0, 1, 2], [3, 4]]


async def test_both_sides_ask_at_once() -> None:
    async def echo(request: Request) -> Answer:
        assert isinstance(request, Get)
        return Got(StoredBlock(request.row, block(request.row % 256)))

    async def ask(link_number: int, row: int) -> None:
        answer = await links[link_number].request(Get(0, row))
        assert answer == Got(StoredBlock(row, block(row % 256)))

    async with linked(echo, echo) as links, trio.open_nursery() as nursery:
        for row in range(100):  # more than MAX_REQUESTS: the rest waits for room
            nursery.start_soon(ask, row % 2, row)


async def test_errors_come_back_as_themselves_and_the_link_lives_on() -> None:
    async def refuse(request: Request) -> Answer:
        assert isinstance(request, Get)
        raise [BlockRefused("newer", 7), HomeError("disk full"), Refused("no")][request.row]

    async with linked(silent, refuse) as (left, _):
        with pytest.raises(BlockRefused, match="newer") as refused:
            await left.request(Get(0, 0))
        assert refused.value.stored_version == 7
        with pytest.raises(PartnerAway, match="disk full"):
            await left.request(Get(0, 1))
        with pytest.raises(Refused, match="no"):
            await left.request(Get(0, 2))
        assert left.error is None


async def test_our_own_bug_is_not_answered_but_raised() -> None:
    async def bug(request: Request) -> Answer:
        raise AssertionError("bug")

    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True):
        async with linked(silent, bug) as (left, _):
            with pytest.raises(PartnerAway):
                await left.request(Get(0, 0))
            await trio.sleep_forever()


async def test_a_cancelled_request_costs_nothing_but_its_answer() -> None:
    release = trio.Event()

    async def when_released(request: Request) -> Answer:
        await release.wait()
        return Done()

    async with linked(silent, when_released) as (left, _):
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_REQUESTS):
                nursery.start_soon(left.request, Put(0, 1, 1, b""))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        release.set()
        for _ in range(MAX_REQUESTS):
            assert await left.request(Put(0, 1, 1, b"")) == Done()


async def test_an_unanswered_request_ends_the_link(autojump_clock: MockClock) -> None:
    async with linked(silent, never) as (left, right):
        started = trio.current_time()
        with pytest.raises(PartnerAway, match="did not answer GET"):
            await left.request(Get(0, 0))
        assert trio.current_time() - started == REQUEST_TIMEOUT
        await left.ended.wait()
        await right.ended.wait()
        with pytest.raises(PartnerAway, match="has ended"):
            await left.request(Get(0, 0))


async def test_the_end_of_a_link_wakes_every_waiter(autojump_clock: MockClock) -> None:
    away: list[bool] = []

    async def ask() -> None:
        with pytest.raises(PartnerAway):
            await left.request(Get(0, 0))
        away.append(True)

    async with linked(silent, never) as (left, right), trio.open_nursery() as nursery:
        for _ in range(MAX_REQUESTS + 10):  # ten wait for room
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await right.close("shutting down")
    assert len(away) == MAX_REQUESTS + 10
    assert "shutting down" in str(left.error)


async def test_a_silent_link_is_kept_alive_by_pings(autojump_clock: MockClock) -> None:
    async with linked(silent, silent) as (left, right):
        await trio.sleep(10 * KEEPALIVE_TIMEOUT)
        assert left.error is None
        assert right.error is None


async def test_a_dead_peer_is_noticed_and_every_waiter_told(autojump_clock: MockClock) -> None:
    async with against(silent) as (link, channel):
        started = trio.current_time()
        await trio.sleep(1)  # or the request would run out of time at the same moment
        with pytest.raises(PartnerAway, match="nothing was heard"):
            await link.request(Put(0, 1, 1, b"into the void"))
        assert trio.current_time() - started == KEEPALIVE_TIMEOUT
        await link.ended.wait()
        kinds = [(await channel.receive()).type for _ in range(3)]
        assert kinds == [MessageType.PUT, MessageType.PING, MessageType.PING]


async def test_a_slow_peer_that_is_heard_is_not_dead(autojump_clock: MockClock) -> None:
    async with against(silent) as (link, channel), trio.open_nursery() as nursery:
        nursery.start_soon(link.request, Get(0, 0))
        request = await channel.receive()
        for _ in range(5):
            await trio.sleep(KEEPALIVE_INTERVAL / 2)
            await channel.send(encode_request(Ping(), 0))
        await channel.send(encode_answer(request, Got(None)))
    assert str(link.error) == "this node closed the connection"


async def test_a_run_of_the_largest_blocks_gets_through_a_line_of_a_kilobyte_a_second(
    autojump_clock: MockClock,
) -> None:
    """Both ways: a block takes a quarter of an hour, and neither side thinks meanwhile that the other one is dead, or
    leaves its request open."""
    content = bytes(MAX_BLOCK_SIZE)

    async def drip(source: trio.abc.ReceiveStream, target: trio.abc.SendStream) -> None:
        async for data in source:
            for start in range(0, len(data), 10_000):
                some = bytes(data[start : start + 10_000])
                await trio.sleep(len(some) / 1000)
                await target.send_all(some)

    async def store(request: Request) -> Answer:
        return Got(StoredBlock(1, content)) if isinstance(request, Get) else Done()

    near, relay_near = memory_stream_pair()
    relay_far, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip, relay_near, relay_far)
        nursery.start_soon(drip, relay_far, relay_near)
        ends = await handshake(near, far, node(1), node(2), everybody)
        links = Link(*ends[0]), Link(*ends[1])
        await nursery.start(links[0].run, OneByOne(silent))
        await nursery.start(links[1].run, OneByOne(store))
        began = trio.current_time()
        assert await links[0].request_all([Put(0, row, 1, content) for row in range(PUTS_IN_FLIGHT)])
        assert trio.current_time() - began > PUTS_IN_FLIGHT * len(content) / 1000
        assert await links[0].request(Get(0, 0), len(content)) == Got(StoredBlock(1, content))
        assert links[0].error is None
        assert links[1].error is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(MessageType.GET, Flag.ANSWER, 77, b"\x80"), "request that was not made"),
        (Frame(MessageType.PUT, Flag.REQUEST, 0, b"\xc1"), "cannot be read"),
        (Frame(MessageType.PUT, Flag.REQUEST, 0, b"\x80"), "lacks 'store'"),
        (encode_request(node(2).hello, 0), "HELLO twice"),
    ],
)
async def test_garbage_ends_the_link_and_the_peer_is_told_why(
    frame: Frame, text: str, autojump_clock: MockClock
) -> None:
    async with against(silent) as (link, channel):
        await channel.send(frame)
        await link.ended.wait()
        assert isinstance(link.error, ProtocolError)
        assert text in str(link.error)
        goodbye = await channel.receive()
        assert goodbye.type == MessageType.GOODBYE
        assert text.encode() in goodbye.map


@pytest.mark.parametrize(("fields", "text"), [(b"\x80", "lacks 'version'"), (b"\xc1", "cannot be read")])
async def test_an_unreadable_answer_ends_the_link(fields: bytes, text: str, autojump_clock: MockClock) -> None:
    async def ask() -> None:
        with pytest.raises(ProtocolError, match=text):
            await link.request(Get(0, 0))

    async with against(silent) as (link, channel), trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        request = await channel.receive()
        await channel.send(Frame(request.type, Flag.ANSWER, request.request, fields))
        await link.ended.wait()


async def test_an_answer_of_another_type_ends_the_link(autojump_clock: MockClock) -> None:
    async def ask() -> None:
        with pytest.raises(PartnerAway, match="was not made"):
            await link.request(Get(0, 0))

    async with against(silent) as (link, channel), trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        request = await channel.receive()
        await channel.send(Frame(MessageType.PUT, Flag.ANSWER, request.request, b"\x80"))
        await link.ended.wait()


async def test_more_requests_than_allowed_end_the_link(autojump_clock: MockClock) -> None:
    async with against(never) as (link, channel):
        for number in range(MAX_REQUESTS):
            await channel.send(encode_request(Get(0, 0), number))
        await wait_all_tasks_blocked()
        assert link.error is None
        await channel.send(encode_request(Get(0, 0), MAX_REQUESTS))
        await link.ended.wait()
        assert "unanswered requests" in str(link.error)


async def test_unknown_messages_are_answered_and_the_link_lives_on(autojump_clock: MockClock) -> None:
    async with against(silent) as (link, channel):
        await channel.send(Frame(200, Flag.REQUEST, 5, b"\xc1", b"from the future"))
        refusal = decode_answer(await channel.receive())
        assert isinstance(refusal, Refused)
        assert "200 is not supported" in str(refusal)
        await channel.send(encode_request(Ping(), 6))
        with trio.move_on_after(KEEPALIVE_INTERVAL / 2) as listened:
            await channel.receive()
        assert listened.cancelled_caught, "nobody answers a ping"
        assert link.error is None


async def test_bytes_that_do_not_decrypt_end_the_link(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    left, _ = await handshake(near, far, node(1), node(2), everybody)
    link = Link(*left)
    await far.send_all(enveloped(bytes(40)))
    await link.run(OneByOne(silent))
    assert isinstance(link.error, ProtocolError)
    assert "does not authenticate" in str(link.error)


async def test_a_stranger_gets_refusals_until_it_is_none() -> None:
    async def agreed(request: Request) -> Answer:
        raise AssertionError(request)

    async with linked(silent, agreed, nobody) as (left, right):
        with pytest.raises(Refused, match="no agreement"):
            await left.request(Get(0, 0))
        assert right.error is None


async def test_goodbye_gives_its_reason(autojump_clock: MockClock) -> None:
    async with against(silent) as (link, channel):
        await channel.send(encode_request(Goodbye("maintenance until noon"), 0))
        await link.ended.wait()
        assert isinstance(link.error, PartnerAway)
        assert "maintenance until noon" in str(link.error)


async def test_a_peer_that_reads_nothing_cannot_hold_up_the_closing(autojump_clock: MockClock) -> None:
    async with linked(silent, never) as (left, _):
        started = trio.current_time()
        await left.close("enough")
        assert trio.current_time() - started <= 1
