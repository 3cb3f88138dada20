"""Progress of long steps on stderr: bars on a terminal, now and then a plain line anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.progress

PLAIN_INTERVAL = 10.0  # seconds between two plain lines of one step: a log stays readable


class Shown(Protocol):
    """A Watch (step, done, total) that can make room for other output."""

    def __call__(self, step: str, done: int, total: int) -> None: ...

    def pause(self) -> None:
        """Leave the terminal alone until the next call."""


class PlainLines:
    """One line when a step starts and ends, and every PLAIN_INTERVAL seconds in between."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._step = ""
        self._printed = 0.0
        self._ended = False

    def __call__(self, step: str, done: int, total: int) -> None:
        ended = 0 < total <= done
        new = step != self._step
        if not new and self._ended:
            return
        if not (new or ended or self._clock() - self._printed >= PLAIN_INTERVAL):
            return
        self._step, self._ended, self._printed = step, ended, self._clock()
        share = f": {100 * done // total} %" if total > 0 else ""
        self._write(f"{step}{share}\n")

    def pause(self) -> None:
        """Lines are never in the way."""


class Bars:
    """A rich bar per step; a step is over when the next begins."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars
        self._step = ""
        self._task: rich.progress.TaskID | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        self._bars.start()
        known = total if total > 0 else None
        if self._task is None or step != self._step:
            self._step, self._task = step, self._bars.add_task(step, total=known)
        self._bars.update(self._task, completed=done, total=known)

    def pause(self) -> None:
        """Stop refreshing; what is drawn stays."""
        self._bars.stop()


@contextmanager
def show() -> Iterator[Shown]:
    """Shows steps on stderr until the block ends."""
    if not sys.stderr.isatty():
        yield PlainLines(_to_stderr, time.monotonic)
        return
    # rich takes longer to import than most commands take to run
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
