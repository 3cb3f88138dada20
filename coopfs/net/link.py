"""One multiplexed connection: both sides ask, both answer (design R16).

    questions.Questions -> outbox -> writer task -> channel    one task sends, so a cancelled caller never cuts a frame
    channel -> reader task -> questions.Questions              answers, in any order
                           -> service.Service -> outbox        requests, at most MAX_REQUESTS at a time

The reader never waits for the writer, so two sides that both write cannot block each other for good.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from math import inf

import trio

from coopfs.core.candidates import Candidate
from coopfs.core.wire.answers import Answer
from coopfs.core.wire.frames import Flag, Frame
from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import Request, decode_request, encode_request
from coopfs.core.wire.node_requests import Goodbye, Ping
from coopfs.core.wire.session import Session
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import (
    GOODBYE_TIMEOUT,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT,
    KIB,
)
from coopfs.net.channel import Channel
from coopfs.net.questions import Questions
from coopfs.net.service import Handler, Service
from coopfs.types import NodeKey

BATCH_SIZE = 64 * KIB  # bytes of bodies up to which more is looked for to be sent together
BURST_SIZE = 1024 * KIB  # bytes of bodies that are encrypted together: more would take as much memory on each link


class Link:
    """A connection to `peer` that lives while `run` runs. at: by which address candidate it was dialled, or from which
    host or through which relay it came; error: why it ended, None before; ended: set then."""

    def __init__(self, channel: Channel, session: Session, at: str = "") -> None:
        self.session = session
        self.at = at
        self.error: PeerError | None = None
        self.ended = trio.Event()
        self._channel = channel
        self._outbox, self._outgoing = trio.open_memory_channel[Sequence[Frame]](0)
        self._questions = Questions(self._outbox.send)
        self._scope = trio.CancelScope()
        self._said_goodbye = trio.Event()
        self._silent_since = trio.current_time()  # inf: bytes are leaving just now

    @property
    def peer(self) -> NodeKey:
        return self._channel.peer

    @property
    def dialled(self) -> bool:
        return self._channel.dialled

    @property
    def relayed(self) -> bool:
        """Whether it goes through a relay."""
        return Candidate.of(self.at).relayed

    async def request(self, request: Request, awaited: int = 0) -> Answer:
        """The peer's answer; raises what it answered with if that is an error, PartnerAway if the link ends first.
        awaited: see request_all."""
        (outcome,) = await self.request_all((request,), awaited)
        if isinstance(outcome, PeerError):
            raise outcome
        return outcome

    async def request_all(self, requests: Sequence[Request], awaited: int = 0) -> list[Answer | PeerError]:
        """The answers, or the errors that the peer answered with, to at most MAX_REQUESTS requests that are sent
        together. awaited: bytes of content that each answer may have. PartnerAway if the link ends first.

        A peer that leaves a request open would hold its place for ever: the link is closed then.
        """
        try:
            return await self._questions.ask(requests, awaited)
        except trio.TooSlowError:
            self._fail(PartnerAway(f"the peer did not answer {requests[0].TYPE.name} in time"))
            raise PartnerAway(str(self.error)) from None

    async def run(self, handler: Handler, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the connection until it ends; `error` then says why. Raises nothing but what is our own bug."""
        service = Service(handler, self._outbox.send)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._guarded, self._write)
                    nursery.start_soon(self._guarded, self._stay_heard)
                    nursery.start_soon(self._guarded, self._until_dead)
                    nursery.start_soon(self._guarded, service.put_all)
                    nursery.start_soon(self._guarded, self._read, service, nursery)
                    task_status.started()
        finally:
            self._fail(PartnerAway("this node closed the connection"))
            self._questions.end(str(self.error))
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
                self._silent_since = inf
                await self._channel.send(*batch)
                self._silent_since = trio.current_time()
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

    async def _stay_heard(self) -> None:
        """Never be silent for long, also while the peer's block takes minutes to come: it has no other sign of life."""
        while True:
            await trio.sleep_until(min(self._silent_since, trio.current_time()) + KEEPALIVE_INTERVAL)
            if trio.current_time() >= self._silent_since + KEEPALIVE_INTERVAL:
                await self._outbox.send((encode_request(Ping(), 0),))

    async def _until_dead(self) -> None:
        while (dead_at := self._channel.heard + KEEPALIVE_TIMEOUT) > trio.current_time():
            await trio.sleep_until(dead_at)
        raise PartnerAway(f"nothing was heard of the peer for {KEEPALIVE_TIMEOUT:.0f} s")

    async def _read(self, service: Service, nursery: trio.Nursery) -> None:
        while True:
            frame = await self._channel.receive()
            if frame.flag is Flag.REQUEST:
                request = decode_request(frame)
                if isinstance(request, Goodbye):
                    raise PartnerAway(f"the peer closed the connection: {request.reason}")
                if isinstance(request, Ping):
                    continue  # that it was heard is all that it is for
                refusal = None if request is None else self.session.refusal(request)
                service.take(frame, request, refusal, nursery)
            else:
                self._questions.answered(frame)


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
