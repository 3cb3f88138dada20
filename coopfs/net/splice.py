"""Two connections joined by a relay: what comes on one goes out on the other, unread, for as long as both live."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from coopfs.errors import PartnerAway
from coopfs.limits import RELAY_IDLE, RELAY_PIECE
from coopfs.types import NodeKey


@dataclass(frozen=True, slots=True)
class End:
    """One of the two: the node that proved its key there, and the bare stream to it."""

    node: NodeKey
    stream: trio.abc.Stream


class Splice:
    """pay: waits until a node may send so many bytes; PartnerAway: it may not. passed: bytes so far, both ways."""

    def __init__(self, one: End, two: End, pay: Callable[[NodeKey, int], Awaitable[None]]) -> None:
        self.passed = 0
        self._ends = (one, two)
        self._pay = pay

    async def run(self) -> str:
        """Until either side ends, is silent for RELAY_IDLE, takes nothing for as long, or may send no more: why.
        Neither stream is closed."""
        one, two = self._ends
        reasons: list[str] = []
        async with trio.open_nursery() as nursery:

            async def pump(source: End, sink: End) -> None:
                reasons.append(await self._pump(source, sink))
                nursery.cancel_scope.cancel()

            nursery.start_soon(pump, one, two)
            nursery.start_soon(pump, two, one)
        return reasons[0]

    async def _pump(self, source: End, sink: End) -> str:
        try:
            while True:
                with trio.fail_after(RELAY_IDLE):
                    data = await source.stream.receive_some(RELAY_PIECE)
                if not data:
                    return "one side closed it"
                await self._pay(source.node, len(data))
                with trio.fail_after(RELAY_IDLE):
                    await sink.stream.send_all(data)
                self.passed += len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return "one side broke it"
        except trio.TooSlowError:
            return f"nothing passed for {RELAY_IDLE:.0f} s"
        except PartnerAway as spent:
            return str(spent)
