"""What the peer of a link has asked, until it is answered.

A request gets a task of its own. Blocks do not, since a task, a thread and a wake-up for each would cost more than its
bytes: puts that come while others are stored, or that are sent as a run, are stored together, and gets that come in one
piece are read together.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import trio

from coopfs.core.wire.answers import Answer
from coopfs.core.wire.faults import Unsupported
from coopfs.core.wire.frames import Frame
from coopfs.core.wire.messages import Request, encode_answer, encode_refusal
from coopfs.core.wire.store_requests import Get, Put
from coopfs.errors import CoopfsError, ProtocolError, Refused
from coopfs.limits import MAX_REQUESTS, PUT_GATHER


class Handler(Protocol):
    """What answers the peer. A CoopfsError becomes an error answer; anything else that is raised is our bug."""

    async def handle(self, request: Request) -> Answer:
        """Any request but for gets and puts. Several run at a time."""

    async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
        """At most MAX_REQUESTS gets that came together. Several such runs at a time."""

    async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
        """At most MAX_REQUESTS puts that came together, in their order; the next ones wait for the answers."""


class Service:
    """send: hands frames to the link."""

    def __init__(self, handler: Handler, send: Callable[[Sequence[Frame]], Awaitable[None]]) -> None:
        self._handler = handler
        self._send = send
        self._open = 0
        self._gets: list[tuple[Frame, Get]] = []
        self._puts: list[tuple[Frame, Put]] = []
        self._first_came = trio.lowlevel.ParkingLot()
        self._all_came = trio.lowlevel.ParkingLot()

    def take(self, frame: Frame, request: Request | None, refusal: Refused | None, nursery: trio.Nursery) -> None:
        """A request came, None: of an unknown type; refusal: why this session may not ask that. ProtocolError: too many
        are open."""
        if self._open >= MAX_REQUESTS:
            raise ProtocolError(f"the peer has more than {MAX_REQUESTS} unanswered requests")
        self._open += 1
        if request is None:
            refusal = Unsupported(f"message type {frame.type} is not supported")
        if refusal is not None:
            nursery.start_soon(self._answer, [(frame, refusal)])
        elif isinstance(request, Put):
            self._puts.append((frame, request))
            self._first_came.unpark()
            if not self._more_come():
                self._all_came.unpark()
        elif isinstance(request, Get):
            self._gets.append((frame, request))
            if len(self._gets) == 1:  # the task begins when the reader waits for more
                nursery.start_soon(self._get_all)
        else:
            assert request is not None
            nursery.start_soon(self._serve, frame, request)

    async def _get_all(self) -> None:
        came, self._gets = self._gets, []
        outcomes = await self._handler.get_all([get for _, get in came])
        await self._answer([(frame, outcome) for (frame, _), outcome in zip(came, outcomes, strict=True)])

    async def put_all(self) -> None:
        """Store what comes, one batch after the other, for ever."""
        while True:
            while not self._puts:
                await self._first_came.park()
            with trio.move_on_after(PUT_GATHER):
                while self._more_come():
                    await self._all_came.park()
            came, self._puts = self._puts, []
            outcomes = await self._handler.put_all([put for _, put in came])
            await self._answer([(frame, outcome) for (frame, _), outcome in zip(came, outcomes, strict=True)])

    def _more_come(self) -> bool:
        """Whether the newest put is not the last of its run."""
        return self._puts[-1][1].more > 0

    async def _serve(self, frame: Frame, request: Request) -> None:
        try:
            outcome: Answer | CoopfsError = await self._handler.handle(request)
        except CoopfsError as error:
            outcome = error
        await self._answer([(frame, outcome)])

    async def _answer(self, outcomes: Sequence[tuple[Frame, Answer | CoopfsError]]) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._send([_reply(frame, outcome) for frame, outcome in outcomes])
        self._open -= len(outcomes)


def _reply(frame: Frame, outcome: Answer | CoopfsError) -> Frame:
    return encode_refusal(frame, outcome) if isinstance(outcome, CoopfsError) else encode_answer(frame, outcome)
