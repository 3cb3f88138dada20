"""The log of a daemon, on stderr: a line for each thing that happens, with its time.

trio tells of each try to accept a connection while no descriptor is left: ten times a second, with a traceback, which
would be 900 MB a day on the disk of a machine that is in trouble already. Once in SELDOM seconds says the same.
"""

import logging
import time
from collections.abc import Callable

SELDOM = 60.0  # seconds


class Seldom(logging.Filter):
    """Lets one record through in SELDOM seconds, without its traceback. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._next = -SELDOM

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is logged."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + SELDOM
        record.exc_info = record.exc_text = None
        return True


def log_to_stderr() -> None:
    """Begin a daemon's log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trio.serve_listeners").addFilter(Seldom(time.monotonic))
