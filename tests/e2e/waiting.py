"""Waiting for other processes: looks often, gives up late. Nothing is asserted about how long it took."""

import time
from collections.abc import Callable

PATIENCE = 90.0  # seconds: a loaded machine, and back-off after a partner was away
POLL = 0.05  # seconds between two looks


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return when the condition holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not reached within {patience:g} seconds"
        time.sleep(POLL)
