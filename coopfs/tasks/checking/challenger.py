"""Who is reached and gives no block back is asked again until it does (paper, section 2.5; design R7).

1. a fetch or the scrub meets a partner that is reached, and answers with an error or hangs up;
2. it is asked for a block that it acked, chosen by lot: at once, soon again, since a connection may just have ended,
   and then less and less often, up to every CHALLENGE_AGAIN seconds;
3. an answer ends that. Whether the block is the right one is the mender's business, and the scrub's.

Meanwhile it is as good as unreachable (columns.py). After a restart whoever was unreachable is asked too: it may have
been one of these.
"""

from collections.abc import Callable
from math import inf

import trio

from coopfs.errors import PeerError
from coopfs.limits import CHALLENGE_AGAIN, CHECK_SLICE, RECONNECT_MIN
from coopfs.local.log import Sealed
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.hunt import Source
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger


class Challenger:
    """Give `note` to whoever fetches. draw: random bytes."""

    def __init__(self, columns: Columns, ledger: Ledger, fetcher: Fetcher, draw: Callable[[int], bytes]) -> None:
        self._columns = columns
        self._ledger = ledger
        self._fetcher = fetcher
        self._draw = draw

    def note(self, source: Source) -> None:
        """This store gave an error instead of its blocks."""
        column = next((column for column in self._columns.columns if column is source), None)
        if column is not None and not column.gives_nothing:
            column.gives_nothing = True
            column.changed.notify()

    async def run(self, column: Column) -> None:
        """Challenge one store for ever, when there is a reason."""
        pause = RECONNECT_MIN
        while True:
            await column.changed.wait_until(lambda: column.gives_nothing and column.session is not None)
            if await self._answers(column):
                pause = RECONNECT_MIN
                column.gives_nothing = False
                column.changed.notify()
            else:
                await trio.sleep(pause)
                pause = min(2 * pause, CHALLENGE_AGAIN)

    async def _answers(self, column: Column) -> bool:
        """Whether it has an answer, or nothing that it could be asked for."""
        stripe = await self._choose(column)
        if stripe is None:
            return True
        try:
            await self._fetcher.ask(column, stripe.place)
        except PeerError:
            return False
        return True

    async def _choose(self, column: Column) -> Sealed | None:
        """A stripe that it acked: the first from a point chosen by lot on, or else of all."""
        lot = int.from_bytes(self._draw(8), "big") % self._ledger.log.next_stripe
        for after, end in ((lot, inf), (0, lot)):
            while after < end and (page := self._ledger.places_at(column.number, after, CHECK_SLICE)):
                for id_, _, _, acks in page:
                    if acks >> column.number & 1:
                        return self._ledger.log.get(id_)
                after = page[-1][0]
                await trio.lowlevel.checkpoint()
        return None
