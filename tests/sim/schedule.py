"""One seed, one course of events: trio's scheduler is seeded, time jumps, and threads are run in the loop."""

import contextlib
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator
from math import inf
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import trio

from tests.sim.trace import Violation

internals: Any = trio._core._run
T = TypeVar("T")
TURNS_AT_ONCE = 100_000  # of the loop at one moment: a whole life takes some 6,000
THREAD_SECONDS = 0.02  # that work in a thread may take on either side of its effect


class Nap:
    """Somebody who sleeps."""

    __slots__ = ("_task",)

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self._task: trio.lowlevel.Task | None = task

    @property
    def is_over(self) -> bool:
        return self._task is None

    def forget(self) -> None:
        """Somebody else wakes the sleeper."""
        self._task = None

    def end(self) -> None:
        """Wake the sleeper, if nobody did."""
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None


class JumpingClock(trio.abc.Clock):
    """Time stands still while anything can be done, and jumps when nothing can: to the next deadline or end of a nap.

    As trio.testing.MockClock does with autojump_threshold=0, at half the price: nothing comes from outside, so that no
    turn of the loop is needed to find that out. And who sleeps needs no cancel scope: it is woken where time jumps.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._naps: list[tuple[float, int, Nap]] = []  # a heap
        self._count = itertools.count()

    def start_clock(self) -> None:
        """It has nothing to start."""

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """trio asks when no task can go on."""
        if internals.GLOBAL_RUN_CONTEXT.runner.waiting_for_idle:
            return inf  # that is what they wait for, and it comes before any jump
        while self._naps and self._naps[0][2].is_over:
            heapq.heappop(self._naps)
        moment = min(deadline, self._naps[0][0] if self._naps else inf)
        if moment == inf:
            return inf  # the last thing that happens in a run is that trio wakes itself through a socket
        self._now = max(self._now, moment)
        while self._naps and self._naps[0][0] <= self._now:
            heapq.heappop(self._naps)[2].end()
        return 0.0

    def _begin_nap(self, seconds: float) -> Nap:
        nap = Nap(trio.lowlevel.current_task())
        heapq.heappush(self._naps, (self._now + seconds, next(self._count), nap))
        return nap

    async def sleep(self, seconds: float, others: set[Nap] | None = None) -> None:
        """Stands in for trio.sleep. others: those whom somebody may wake together before their time."""
        if seconds <= 0:
            await trio.lowlevel.checkpoint()
            return
        nap = self._begin_nap(seconds)

        def be_cancelled(_: object) -> trio.lowlevel.Abort:
            nap.forget()
            return trio.lowlevel.Abort.SUCCEEDED

        if others is not None:
            others.add(nap)
        try:
            await trio.lowlevel.wait_task_rescheduled(be_cancelled)
        finally:
            if others is not None:
                others.discard(nap)

    async def sleep_through(self, seconds: float) -> None:
        """Who is cancelled meanwhile hears of it at the next checkpoint."""
        self._begin_nap(seconds)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)


class InlineThreads:
    """Stands in for trio.to_thread: the work is done in the loop, at a moment between two pauses."""

    def __init__(self, random: Random, clock: JumpingClock) -> None:
        self._random = random
        self._clock = clock

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
        await self._clock.sleep_through(self._random.uniform(0, THREAD_SECONDS))


@contextlib.contextmanager
def _seeded(random: Random, clock: JumpingClock) -> Iterator[None]:
    """trio shuffles tasks that are ready at the same time; with Hypothesis it has a switch to do that from a seed."""
    internals._r.seed(random.random())
    with (
        patch.object(internals, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        patch.object(trio.to_thread, "run_sync", InlineThreads(Random(random.random()), clock).run_sync),
        patch.object(trio, "sleep", clock.sleep),
    ):
        yield


class Watchman(trio.abc.Instrument):
    """Cancels `scope` when time stands still for so many turns of the loop: somebody goes round and round, and nothing
    else would ever happen."""

    def __init__(self, clock: JumpingClock) -> None:
        self.scope = trio.CancelScope()
        self._clock = clock
        self._seen = (-1.0, 0)  # time, turns since

    def after_io_wait(self, timeout: float) -> None:
        now, turns = self._clock.current_time(), self._seen[1]
        self._seen = (now, turns + 1 if now == self._seen[0] else 0)
        if turns > TURNS_AT_ONCE:
            self.scope.cancel()


def run(random: Random, main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end, on a clock that jumps. Violation: time stands still."""
    jumping = JumpingClock()
    watchman = Watchman(jumping)

    async def watched() -> T:
        with watchman.scope:
            return await main()
        raise Violation(f"time stands still at {jumping.current_time():.2f} s")

    with _seeded(random, jumping):
        return trio.run(watched, clock=jumping, instruments=[watchman])
