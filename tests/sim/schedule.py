"""One seed, one course of events: trio's scheduler is seeded, time jumps, and threads are run in the loop."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import trio
from trio.testing import MockClock

T = TypeVar("T")
THREAD_SECONDS = 0.02  # that work in a thread may take on either side of its effect


class InlineThreads:
    """Stands in for trio.to_thread: the work is done in the loop, at a moment between two pauses."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def run_sync(
        self, work: Callable[..., T], *args: Any, limiter: trio.CapacityLimiter | None = None, **_: object
    ) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        async with limiter or contextlib.nullcontext():
            await self._pause()
            try:
                return work(*args)
            finally:
                await self._pause()

    async def _pause(self) -> None:
        """A thread that has begun cannot be stopped."""
        with trio.CancelScope(shield=True):
            await trio.sleep(self._random.uniform(0, THREAD_SECONDS))


@contextlib.contextmanager
def _seeded(random: Random) -> Iterator[None]:
    """trio shuffles tasks that are ready at the same time; with Hypothesis it has a switch to do that from a seed."""
    internals: Any = trio._core._run
    internals._r.seed(random.random())
    with (
        patch.object(internals, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        patch.object(trio.to_thread, "run_sync", InlineThreads(Random(random.random())).run_sync),
    ):
        yield


def run(random: Random, main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end. Time stands still while anything can be done, and jumps when nothing can."""
    with _seeded(random):
        return trio.run(main, clock=MockClock(autojump_threshold=0))
