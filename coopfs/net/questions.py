"""What this side of a link has asked, and the peer owes an answer to."""

from collections.abc import Awaitable, Callable, Sequence

import trio

from coopfs.core.wire.answers import Answer
from coopfs.core.wire.frames import Frame
from coopfs.core.wire.messages import Request, decode_answer, encode_request
from coopfs.errors import PartnerAway, PeerError, ProtocolError
from coopfs.limits import MAX_REQUESTS, REQUEST_TIMEOUT, SLOWEST_LINE


class _Run:
    """Requests that were sent together. Stays after its caller was cancelled: the peer still owes the answers."""

    __slots__ = ("_open", "done", "outcomes", "patience", "types")

    def __init__(self, requests: Sequence[Request], awaited: int) -> None:
        content = (len(request.wire()[1]) + awaited for request in requests)
        self.patience = [REQUEST_TIMEOUT + size / SLOWEST_LINE for size in content]
        self.types = [request.TYPE for request in requests]
        self.outcomes: list[Answer | PeerError] = [PartnerAway("no answer yet")] * len(requests)
        self.done = trio.Event()
        self._open = len(requests)

    def settle(self, index: int, outcome: Answer | PeerError) -> None:
        self.outcomes[index] = outcome
        self._open -= 1
        if not self._open:
            self.done.set()


class Questions:
    """send: hands frames to the link; a trio.BrokenResourceError or ClosedResourceError of it means that the link has
    ended."""

    def __init__(self, send: Callable[[Sequence[Frame]], Awaitable[None]]) -> None:
        self._send = send
        self._open: dict[int, tuple[_Run, int]] = {}  # request id -> its run, and its place there
        self._room = trio.lowlevel.ParkingLot()
        self._number = 0
        self._ended: str | None = None  # why the link did

    async def ask(self, requests: Sequence[Request], awaited: int) -> list[Answer | PeerError]:
        """The answers, or the errors that the peer answered with, to at most MAX_REQUESTS requests that are sent
        together. awaited: bytes of content that each answer may have. PartnerAway: the link ended first.
        trio.TooSlowError: the peer leaves a request open.

        Each unanswered request has REQUEST_TIMEOUT for itself, one after the other, and its content the time that it
        takes on the slowest of lines.
        """
        run = _Run(requests, awaited)
        with trio.fail_after(sum(other.patience[index] for other, index in self._open.values()) + sum(run.patience)):
            await self._start(run, requests)
            await run.done.wait()
        return run.outcomes

    async def _start(self, run: _Run, requests: Sequence[Request]) -> None:
        while len(self._open) + len(requests) > MAX_REQUESTS and self._ended is None:
            await self._room.park()
        if self._ended is not None:
            raise PartnerAway(f"the connection has ended: {self._ended}")
        numbers = [(self._number + index) & 0xFFFFFFFF for index in range(len(requests))]
        self._number = (self._number + len(requests)) & 0xFFFFFFFF
        self._open.update((number, (run, index)) for index, number in enumerate(numbers))
        try:
            await self._send([encode_request(*each) for each in zip(requests, numbers, strict=True)])
        except BaseException as error:
            for number in numbers:
                self._forget(number)  # the frames have not left: there will be no answer
            if isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError):
                raise PartnerAway(f"the connection has ended: {self._ended}") from None
            raise

    def answered(self, frame: Frame) -> None:
        """An answer came. ProtocolError: it cannot be read, or nobody asked."""
        run, index = self._open.get(frame.request, (None, 0))
        if run is None or run.types[index] != frame.type:
            raise ProtocolError(f"the peer answered a request that was not made (type {frame.type})")
        self._forget(frame.request)
        try:
            run.settle(index, decode_answer(frame))
        except ProtocolError as error:
            run.settle(index, error)
            raise

    def end(self, why: str) -> None:
        """The link has ended: nobody will be answered any more."""
        self._ended = why
        for run, index in self._open.values():
            run.settle(index, PartnerAway(f"the connection ended before an answer came: {why}"))
        self._open.clear()
        self._room.unpark_all()

    def _forget(self, number: int) -> None:
        self._open.pop(number, None)
        self._room.unpark()
