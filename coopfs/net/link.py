"""One multiplexed connection: both sides ask, both answer (design R16).

    request() -> outbox -> writer task -> channel          one task sends, so a cancelled caller never cuts a frame
    channel -> reader task -> waiter of that id            answers, in any order
                           -> handler task -> outbox       requests, at most MAX_REQUESTS at a time
                           -> putter task -> outbox        puts: those that came while others were stored, together

The reader never waits for the writer, so two sides that both write cannot block each other for good.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

import trio

from coopfs.core.wire.answers import Answer, Done
from coopfs.core.wire.faults import Unsupported
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import (
    Request,
    decode_answer,
    decode_request,
    encode_answer,
    encode_refusal,
    encode_request,
)
from coopfs.core.wire.node_requests import Goodbye, Ping
from coopfs.core.wire.session import Session
from coopfs.core.wire.store_requests import Put
from coopfs.errors import CoopfsError, PartnerAway, PeerError, ProtocolError, Refused
from coopfs.limits import (
    DEFAULT_BLOCK_SIZE,
    GOODBYE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT,
    KIB,
    MAX_REQUESTS,
    PUT_GATHER,
    PUT_RUN,
    REQUEST_TIMEOUT,
)
from coopfs.net.channel import Channel
from coopfs.types import NodeKey

BATCH_SIZE = 64 * KIB  # bytes of bodies up to which more is looked for to be sent together
BURST_SIZE = PUT_RUN * DEFAULT_BLOCK_SIZE  # bytes of bodies that go out in one piece: a run of puts arrives as a run


class Handler(Protocol):
    """What answers the peer. A CoopfsError becomes an error answer; anything else that is raised is our bug."""

    async def handle(self, request: Request) -> Answer:
        """Any request but a put. Several run at a time."""

    async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
        """At most MAX_REQUESTS puts that came together, in their order; the next ones wait for the answers."""


class _Waiter:
    """One unanswered request. Stays after its caller was cancelled: the peer still owes the answer."""

    __slots__ = ("done", "outcome", "type")

    def __init__(self, kind: MessageType) -> None:
        self.type = kind
        self.done = trio.Event()
        self.outcome: Answer | PeerError | None = None

    def settle(self, outcome: Answer | PeerError) -> None:
        self.outcome = outcome
        self.done.set()

    async def settled(self) -> Answer | PeerError:
        if self.outcome is None:
            await self.done.wait()
        assert self.outcome is not None
        return self.outcome


class Link:
    """A connection to `peer` that lives while `run` runs. error: why it ended, None before; ended: set then."""

    def __init__(self, channel: Channel, session: Session) -> None:
        self.session = session
        self.error: PeerError | None = None
        self.ended = trio.Event()
        self._channel = channel
        self._waiters: dict[int, _Waiter] = {}
        self._room = trio.lowlevel.ParkingLot()
        self._number = 0
        self._serving = 0
        self._puts: list[tuple[Frame, Put]] = []
        self._put_came = trio.lowlevel.ParkingLot()
        self._outbox, self._outgoing = trio.open_memory_channel[Sequence[Frame]](0)
        self._scope = trio.CancelScope()
        self._said_goodbye = trio.Event()

    @property
    def peer(self) -> NodeKey:
        return self._channel.peer

    @property
    def dialled(self) -> bool:
        return self._channel.dialled

    async def request(self, request: Request) -> Answer:
        """The peer's answer; raises what it answered with if that is an error, PartnerAway if the link ends first."""
        (outcome,) = await self.request_all((request,))
        if isinstance(outcome, PeerError):
            raise outcome
        return outcome

    async def request_all(self, requests: Sequence[Request]) -> list[Answer | PeerError]:
        """The answers, or the errors that the peer answered with, to at most MAX_REQUESTS requests that are sent
        together. PartnerAway if the link ends first.

        Each unanswered request has REQUEST_TIMEOUT for itself, one after the other; when that is over the link is
        closed, since a peer that leaves a request open would hold its place for ever.
        """
        with trio.move_on_after(REQUEST_TIMEOUT * (len(self._waiters) + len(requests))) as patience:
            waiters = await self._ask(requests)
            outcomes = [await waiter.settled() for waiter in waiters]
        if patience.cancelled_caught:
            self._fail(PartnerAway(f"the peer did not answer {requests[0].TYPE.name} in time"))
            raise PartnerAway(str(self.error))
        return outcomes

    async def _ask(self, requests: Sequence[Request]) -> list[_Waiter]:
        while len(self._waiters) + len(requests) > MAX_REQUESTS and self.error is None:
            await self._room.park()
        if self.error is not None:
            raise PartnerAway(f"the connection has ended: {self.error}")
        numbers = [(self._number + index) & 0xFFFFFFFF for index in range(len(requests))]
        self._number = (self._number + len(requests)) & 0xFFFFFFFF
        waiters = [_Waiter(request.TYPE) for request in requests]
        self._waiters.update(zip(numbers, waiters, strict=True))
        try:
            await self._outbox.send([encode_request(*each) for each in zip(requests, numbers, strict=True)])
        except BaseException as error:
            for number in numbers:
                self._forget(number)  # the frames have not left: there will be no answer
            if isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError):
                raise PartnerAway(f"the connection has ended: {self.error}") from None
            raise
        return waiters

    def _forget(self, number: int) -> None:
        self._waiters.pop(number, None)
        self._room.unpark()

    async def run(self, handler: Handler, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the connection until it ends; `error` then says why. Raises nothing but what is our own bug."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._guarded, self._write)
                    nursery.start_soon(self._guarded, self._keep_alive, nursery)
                    nursery.start_soon(self._guarded, self._put_all, handler)
                    nursery.start_soon(self._guarded, self._read, handler, nursery)
                    task_status.started()
        finally:
            self._fail(PartnerAway("this node closed the connection"))
            for waiter in self._waiters.values():
                waiter.settle(PartnerAway(f"the connection ended before an answer came: {self.error}"))
            self._waiters.clear()
            self._room.unpark_all()
            self._outbox.close()
            self._outgoing.close()
            with trio.CancelScope(shield=True):
                await self._channel.close()
            self.ended.set()

    async def close(self, reason: str) -> None:
        """Say goodbye, if that is quick, and end the link."""
        await self._say_goodbye(reason)
        self._fail(PartnerAway(f"this node closed the connection: {reason}"))
        await self.ended.wait()

    async def turn_away(self, reason: str) -> None:
        """Close a link that was never run."""
        self._fail(PartnerAway(f"this node closed the connection: {reason}"))
        await self._channel.dismiss(reason)
        self.ended.set()

    def _fail(self, error: PeerError) -> None:
        if self.error is None:
            self.error = error
        self._scope.cancel()

    async def _say_goodbye(self, reason: str) -> None:
        with trio.move_on_after(GOODBYE_TIMEOUT), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._outbox.send((encode_request(Goodbye(reason), 0),))
            await self._said_goodbye.wait()

    async def _guarded(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a part of the link: a PeerError in it ends the link, and is told to the peer if it is its fault."""
        try:
            await task(*arguments)
        except ProtocolError as error:
            await self._say_goodbye(str(error))
            self._fail(error)
        except PeerError as error:
            self._fail(error)

    async def _write(self) -> None:
        async for frames in self._outgoing:
            for batch in _batches([*frames, *self._more(sum(len(frame.body) for frame in frames))]):
                await self._channel.send(*batch)
                if any(frame.type == MessageType.GOODBYE for frame in batch):
                    self._said_goodbye.set()
                    return

    def _more(self, size: int) -> Iterator[Frame]:
        """What else is waiting to be sent, as far as one system call should carry it: mostly acks and gets."""
        with suppress(trio.WouldBlock):
            while size < BATCH_SIZE:
                frames = self._outgoing.receive_nowait()
                size += sum(len(frame.body) for frame in frames)
                yield from frames

    async def _keep_alive(self, nursery: trio.Nursery) -> None:
        heard, intervals = self._channel.heard, 0
        while intervals * KEEPALIVE_INTERVAL < KEEPALIVE_TIMEOUT:
            if intervals > 0:
                nursery.start_soon(self._guarded, self._ping)
            await trio.sleep_until(heard + (intervals + 1) * KEEPALIVE_INTERVAL)
            if self._channel.heard == heard:
                intervals += 1
            else:
                heard, intervals = self._channel.heard, 0
        raise PartnerAway(f"nothing was heard of the peer for {KEEPALIVE_TIMEOUT:.0f} s")

    async def _ping(self) -> None:
        await self.request(Ping())

    async def _read(self, handler: Handler, nursery: trio.Nursery) -> None:
        while True:
            frame = await self._channel.receive()
            if frame.flag is not Flag.REQUEST:
                self._answered(frame)
                continue
            if self._serving >= MAX_REQUESTS:
                raise ProtocolError(f"the peer has more than {MAX_REQUESTS} unanswered requests")
            request = decode_request(frame)
            if isinstance(request, Goodbye):
                raise PartnerAway(f"the peer closed the connection: {request.reason}")
            if request is None:
                refusal: Refused | None = Unsupported(f"message type {frame.type} is not supported")
            else:
                refusal = self.session.refusal(request)
            self._serving += 1
            if isinstance(request, Put) and refusal is None:
                self._puts.append((frame, request))
                self._put_came.unpark()
                continue
            nursery.start_soon(self._serve, frame, refusal or request, handler)

    async def _put_all(self, handler: Handler) -> None:
        """One batch after the other: a task, a thread and a wake-up for each block would cost more than its bytes."""
        while True:
            while not self._puts:
                await self._put_came.park()
            with trio.move_on_after(PUT_GATHER):
                while self._channel.inside and len(self._puts) < PUT_RUN:
                    await self._put_came.park()
            came, self._puts = self._puts, []
            outcomes = await handler.put_all([put for _, put in came])
            replies = [_reply(frame, outcome) for (frame, _), outcome in zip(came, outcomes, strict=True)]
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._outbox.send(replies)
            self._serving -= len(came)

    def _answered(self, frame: Frame) -> None:
        waiter = self._waiters.get(frame.request)
        if waiter is None or waiter.type != frame.type:
            raise ProtocolError(f"the peer answered a request that was not made (type {frame.type})")
        self._forget(frame.request)
        try:
            waiter.settle(decode_answer(frame))
        except ProtocolError as error:
            waiter.settle(error)
            raise

    async def _serve(self, frame: Frame, request: Request | Refused | None, handler: Handler) -> None:
        try:
            if isinstance(request, Refused):
                raise request
            assert request is not None
            outcome: Answer | CoopfsError = Done() if isinstance(request, Ping) else await handler.handle(request)
        except CoopfsError as error:
            outcome = error
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._outbox.send((_reply(frame, outcome),))
        self._serving -= 1


def _reply(frame: Frame, outcome: Answer | CoopfsError) -> Frame:
    return encode_refusal(frame, outcome) if isinstance(outcome, CoopfsError) else encode_answer(frame, outcome)


def _batches(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """Runs of frames that are sent together: little is copied at once."""
    batch: list[Frame] = []
    size = 0
    for frame in frames:
        batch.append(frame)
        size += len(frame.body)
        if size >= BURST_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
