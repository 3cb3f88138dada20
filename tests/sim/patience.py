"""Time jumps when nothing can be done: what has not happened after this long never will."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tests.sim.trace import Violation

PATIENCE = 900.0  # seconds in which whatever can happen must have happened


@contextmanager
def not_stuck(what: str) -> Iterator[None]:
    """What takes longer is a Violation."""
    with trio.move_on_after(PATIENCE) as scope:
        yield
    if scope.cancelled_caught:
        raise Violation(f"{what} is stuck")
