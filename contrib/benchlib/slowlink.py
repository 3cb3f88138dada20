"""A slow line: a proxy before each daemon of a network, and between them one link that all share.

    python slowlink.py RATE DELAY PORT=PORT PORT=PORT ...

Each OUTER=INNER listens on one port of loopback and connects to the other; the first is the owner's daemon, whose line
it is. What goes from the owner to others leaves at RATE bytes per second, each byte DELAY seconds later than it was
sent, and so does what comes to it. Bytes wait for the line in the order in which they came, as at a router; what does
not fit into its buffer is left to TCP's own windows. It says "ready" when it listens, and ends with its input. For each
line of that it prints how many bytes the owner has sent and got; a number there is the RATE from then on.
"""

import sys
from collections.abc import Callable
from functools import partial

import trio

CHUNK = 16 * 1024  # bytes that go on the line together: 1.3 ms at 100 Mbit/s
BUFFER = 0.05  # seconds that a byte may wait at the router; more makes every answer late


class Line:
    """One direction of the link. rate: bytes per second; delay: seconds."""

    def __init__(self, rate: float, delay: float) -> None:
        self.rate = rate
        self._delay = delay
        self._free_at = 0.0  # when all that was accepted has left
        self._turn = trio.Lock()  # fair: connections take turns
        self.carried = 0

    async def accept(self, size: int) -> float:
        """Wait for room at the router. Returns the time at which so many bytes arrive at the other end."""
        async with self._turn:
            waiting = self._free_at - trio.current_time() - BUFFER
            if waiting > 0:
                await trio.sleep(waiting)
            self._free_at = max(self._free_at, trio.current_time()) + size / self.rate
            self.carried += size
            return self._free_at + self._delay

    async def carry(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        """All that comes from one socket, to the other one, until it ends."""
        send, receive = trio.open_memory_channel[tuple[float, bytes]](1 << 20)  # the delay times the rate bounds it
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_deliver, receive, target)
            async with send:
                while data := await source.receive_some(CHUNK):
                    await send.send((await self.accept(len(data)), bytes(data)))


async def _deliver(receive: trio.MemoryReceiveChannel[tuple[float, bytes]], target: trio.SocketStream) -> None:
    async for due, data in receive:
        await trio.sleep_until(due)
        await target.send_all(data)
    await target.send_eof()


async def _serve(inner: int, there: Line, back: Line, client: trio.SocketStream) -> None:
    try:
        async with client, await trio.open_tcp_stream("127.0.0.1", inner) as server, trio.open_nursery() as nursery:
            nursery.start_soon(there.carry, client, server)
            nursery.start_soon(back.carry, server, client)
    except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        pass  # one of the two ended: so does the other


async def main(rate: float, delay: float, ports: list[tuple[int, int]], say: Callable[[str], None]) -> None:
    """Serve until standard input ends."""
    up, down = Line(rate, delay), Line(rate, delay)
    async with trio.open_nursery() as nursery:
        for number, (outer, inner) in enumerate(ports):
            handler = partial(_serve, inner, *((down, up) if number == 0 else (up, down)))
            await nursery.start(partial(trio.serve_tcp, handler, outer, host="127.0.0.1"))
        say("ready")
        async for line in trio.wrap_file(sys.stdin):
            if line.strip():
                up.rate = down.rate = float(line)
            say(f"{up.carried} {down.carried}")
        nursery.cancel_scope.cancel()


def _pair(text: str) -> tuple[int, int]:
    outer, inner = text.split("=")
    return int(outer), int(inner)


if __name__ == "__main__":
    trio.run(main, float(sys.argv[1]), float(sys.argv[2]), [_pair(a) for a in sys.argv[3:]], partial(print, flush=True))
