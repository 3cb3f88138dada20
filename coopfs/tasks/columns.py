"""All columns of a disk that is written: who is reached, and who is in A (design R7; core/columnstate has the table).

A column that has been unreachable for GRACE_PERIOD is lost by itself. When most are unreachable it is this machine that
is offline, and nobody is: nor before it has tried for as long as it takes to call anybody away.
"""

from collections.abc import Callable, Sequence

import trio

from coopfs.core.columnstate import ColumnState, Event
from coopfs.limits import AWAY_AFTER, AWAY_CHECK, GRACE_PERIOD
from coopfs.tasks.column import Column
from coopfs.tasks.ledger import Ledger


class Columns:
    """The columns by number. wall: seconds since 1970, to remember across restarts since when one is unreachable."""

    def __init__(self, columns: Sequence[Column], ledger: Ledger, wall: Callable[[], float]) -> None:
        self.columns = tuple(columns)
        self._ledger = ledger
        self._wall = wall
        self._began = 0.0
        self._states = ledger.log.columns()  # as the log has them: column -> (unreachable since, state)
        for column in self.columns:
            _, column.state = self._states.setdefault(column.number, (None, ColumnState.COUNTED))
        self._tell()

    async def run(self) -> None:
        """Run all columns. StateError: from any of them."""
        self._began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for column in self.columns:
                nursery.start_soon(column.run)
                nursery.start_soon(self._watch, column)
            while True:
                await trio.sleep(AWAY_CHECK)
                for column in self.columns:
                    self._judge(column)

    def lose(self, column: Column) -> None:
        """Its owner says that it is lost: it never counts again, and is not called any more. Durable with the next
        commit."""
        column.happen(Event.LOST)
        self._note(column, self._states[column.number][0])

    async def _watch(self, column: Column) -> None:
        while True:
            self._judge(column)
            self._ledger.changed.notify()  # the writer waits until somebody is reached
            await column.changed.wait()

    def _judge(self, column: Column) -> None:
        since, _ = self._states[column.number]
        if column.session is not None:
            since = None
            if column.state is ColumnState.AWAY:
                column.happen(Event.REACHED)
            if column.state is ColumnState.CATCHING_UP and self._ledger.progress.has_caught_up(column.number):
                column.happen(Event.CAUGHT_UP)
        elif column.state is not ColumnState.LOST:
            now = int(self._wall())
            since = min(since or now, now)  # a clock that was set back must not shorten the wait
            if now - since >= AWAY_AFTER and column.state in (ColumnState.COUNTED, ColumnState.CATCHING_UP):
                column.happen(Event.ABSENT)
            if now - since >= GRACE_PERIOD and self._may_judge():
                column.happen(Event.LOST)
        self._note(column, since)

    def _may_judge(self) -> bool:
        """Whether this machine is online, and has been for long enough to know."""
        return trio.current_time() - self._began >= AWAY_AFTER and 2 * self.reached > len(self.columns)

    def _note(self, column: Column, since: int | None) -> None:
        if (since, column.state) != self._states[column.number]:
            self._states[column.number] = since, column.state
            self._ledger.log.set_column(column.number, since, column.state)
            self._tell()

    def _tell(self) -> None:
        self._ledger.set_away(sum(1 << column.number for column in self.columns if column.away))

    @property
    def reached(self) -> int:
        """How many columns are open now."""
        return sum(column.session is not None for column in self.columns)
