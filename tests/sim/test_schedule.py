"""The simulator's scheduler."""

from random import Random

import pytest
import trio

from tests.sim import schedule
from tests.sim.trace import Violation


def test_a_run_in_which_somebody_goes_round_and_round_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "TURNS_AT_ONCE", 100)

    async def spin() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await trio.sleep(7)
            nursery.start_soon(spin)

    with pytest.raises(Violation, match=r"time stands still at 7\.00 s"):
        schedule.run(Random(1), main)


def test_many_turns_as_time_goes_by_are_none_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "TURNS_AT_ONCE", 100)

    async def main() -> int:
        for _ in range(1000):
            await trio.sleep(0.001)
        return 7

    assert schedule.run(Random(1), main) == 7
