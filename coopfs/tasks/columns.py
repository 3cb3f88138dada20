"""All columns of a disk that is written: who is reached, and who is in A (design R7).

A column enters A when it has been unreachable for AWAY_AFTER, or lacks what it had acked; it leaves A when it is
reached and caught up: it has acked every live stripe up to the barrier. Both survive a restart.
"""

from collections.abc import Callable, Sequence

import trio

from coopfs.limits import AWAY_AFTER, AWAY_CHECK
from coopfs.tasks.column import Column
from coopfs.tasks.ledger import Ledger


class Columns:
    """The columns by number. wall: seconds since 1970, to remember across restarts since when one is unreachable."""

    def __init__(self, columns: Sequence[Column], ledger: Ledger, wall: Callable[[], float]) -> None:
        self.columns = tuple(columns)
        self._ledger = ledger
        self._wall = wall
        self._states = ledger.log.columns()  # as the log has them: column -> (unreachable since, in A)
        for column in self.columns:
            _, column.away = self._states.setdefault(column.number, (None, False))
        self._tell()

    async def run(self) -> None:
        """Run all columns. StateError: from any of them."""
        async with trio.open_nursery() as nursery:
            for column in self.columns:
                nursery.start_soon(column.run)
                nursery.start_soon(self._watch, column)
            while True:
                await trio.sleep(AWAY_CHECK)
                for column in self.columns:
                    self._judge(column)

    async def _watch(self, column: Column) -> None:
        while True:
            self._judge(column)
            self._ledger.changed.notify()  # the writer waits until somebody is reached
            await column.changed.wait()

    def _judge(self, column: Column) -> None:
        number, (since, _), away = column.number, self._states[column.number], column.away
        if column.session is not None:
            since = None
            if away and self._ledger.progress.has_caught_up(number):
                away = False
        else:
            now = int(self._wall())
            since = min(since or now, now)  # a clock that was set back must not shorten the wait
            away = away or now - since >= AWAY_AFTER
        if (since, away) != self._states[number]:
            self._states[number], column.away = (since, away), away
            self._ledger.log.set_column(number, since, away)
            self._tell()

    def _tell(self) -> None:
        self._ledger.set_away(sum(1 << column.number for column in self.columns if column.away))

    @property
    def reached(self) -> int:
        """How many columns are open now."""
        return sum(column.session is not None for column in self.columns)
