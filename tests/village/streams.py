"""Connections in memory between machines, each of which has an address: who is up, who is cut off, and what went where.

A machine that stops ends its connections, as a system does whose program dies. One that is cut off ends them too, on
both sides: what a keepalive finds out within a minute is known at once here.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random

import trio

HERE: ContextVar[str] = ContextVar("HERE")  # IP address of the machine on which a task runs
LEAST, MOST = 0.005, 0.1  # seconds of one way
Accept = Callable[[trio.abc.Stream, str], Awaitable[None]]


class End(trio.abc.Stream):
    """One end of a connection. delay: seconds of one way."""

    peer: "End"

    def __init__(self, streams: "Streams", here: str, there: str, delay: float) -> None:
        self.here = here
        self._streams = streams
        self._there = there
        self._delay = delay
        self._came: deque[tuple[float, bytes]] = deque()  # when it is here, and what
        self._changed = trio.Event()
        self._over = False  # the peer sends no more
        self._closed = False
        self._broken = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this end is closed")
        if self._broken or self.peer._closed:
            raise trio.BrokenResourceError("the other end is gone")
        self._streams.note(self.here, self._there, bytes(data))
        self.peer._came.append((trio.current_time() + self._delay, bytes(data)))
        self.peer._stir()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            if self._closed:
                raise trio.ClosedResourceError("this end is closed")
            if self._broken:
                raise trio.BrokenResourceError("the connection broke")
            if self._came:
                due, data = self._came[0]
                if due <= trio.current_time():
                    self._came.popleft()
                    if max_bytes is not None and len(data) > max_bytes:
                        self._came.appendleft((due, data[max_bytes:]))
                    return data[:max_bytes]
                await trio.sleep(due - trio.current_time())
            elif self._over:
                return b""
            else:
                await self._changed.wait()

    async def aclose(self) -> None:
        self._closed = self.peer._over = True
        self._stir()
        self.peer._stir()
        self._streams.forget(self)
        await trio.lowlevel.checkpoint()

    def cut(self) -> None:
        """What travels is lost, on both sides."""
        for end in (self, self.peer):
            end._broken = True
            end._came.clear()
            end._stir()
            end._streams.forget(end)

    def _stir(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Streams:
    """All of them. note: told of all that is sent: from where, to where, what."""

    def __init__(self, random: Random, note: Callable[[str, str, bytes], None]) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()  # bytes, from and to
        self._random = random
        self._note = note
        self._listeners: dict[str, tuple[trio.Nursery, Accept]] = {}
        self._ends: dict[str, dict[End, None]] = {}  # by machine, in order
        self._parted: set[str] = set()
        self._strangers = 0
        self._hidden: dict[str, frozenset[str]] = {}  # whom they do not reach

    def listen(self, at: str, nursery: trio.Nursery, accept: Accept) -> None:
        """Connections to this address are served in the nursery from now on."""
        self._listeners[at] = nursery, accept

    def stop(self, at: str) -> None:
        """The machine does nothing any more."""
        self._listeners.pop(at, None)
        self._cut(at)

    def part(self, at: str) -> None:
        """Its line is down."""
        self._parted.add(at)
        self._cut(at)

    def join(self, at: str) -> None:
        """Its line is up again."""
        self._parted.discard(at)

    @contextmanager
    def elsewhere(self, hidden: Iterable[str]) -> Iterator[None]:
        """What is done within is done on a machine that nobody has seen before, and that does not reach these."""
        self._strangers += 1
        here = f"30.{self._strangers >> 8}.{self._strangers & 255}.1"
        self._hidden[here] = frozenset(hidden)
        token = HERE.set(here)
        try:
            yield
        finally:
            HERE.reset(token)
            del self._hidden[here]

    def _cut(self, at: str) -> None:
        for end in list(self._ends.get(at, ())):
            end.cut()

    async def open(self, host: str, port: int, **_: object) -> trio.abc.Stream:
        """Stands in for trio.open_tcp_stream. OSError: nobody answers there."""
        here, delay = HERE.get(), self._random.uniform(LEAST, MOST)
        await trio.sleep(delay)
        if host not in self._listeners or self._parted & {here, host} or host in self._hidden.get(here, ()):
            raise OSError(f"nobody answers at {host}:{port}")
        nursery, accept = self._listeners[host]
        near, far = End(self, here, host, delay), End(self, host, here, delay)
        near.peer, far.peer = far, near
        for end in (near, far):
            self._ends.setdefault(end.here, {})[end] = None

        async def serve() -> None:
            HERE.set(host)
            await accept(far, here)

        nursery.start_soon(serve)
        return near

    def note(self, here: str, there: str, data: bytes) -> None:
        self.sent[here, there] += len(data)
        self._note(here, there, data)

    def forget(self, end: End) -> None:
        self._ends.get(end.here, {}).pop(end, None)
