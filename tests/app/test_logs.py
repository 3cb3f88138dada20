"""What a daemon logs, and how often."""

import logging
import subprocess
import sys

from coopfs.app.logs import SELDOM, Seldom

# A listener of trio that meets a lack of descriptors for twenty tries; then what stderr shows.
PROGRAM = """
import errno, trio
from coopfs.app.logs import log_to_stderr

class Starved(trio.abc.Listener):
    tries = 0
    async def accept(self):
        self.tries += 1
        if self.tries > 20:
            raise ConnectionError("enough")
        raise OSError(errno.EMFILE, "none left")
    async def aclose(self):
        pass

class NoTime(trio.abc.Clock):
    now = 0.0
    def start_clock(self): pass
    def current_time(self): return self.now
    def deadline_to_sleep_time(self, deadline):
        self.now = max(self.now, deadline)
        return 0

log_to_stderr()
try:
    trio.run(trio.serve_listeners, None, [Starved()], clock=NoTime())
except* ConnectionError:
    pass
"""


def test_what_would_fill_the_disk_is_told_seldom_and_without_its_traceback() -> None:
    now = 100.0
    seldom = Seldom(lambda: now)
    record = logging.makeLogRecord({"msg": "accept returned EMFILE", "exc_info": (OSError, OSError(24), None)})
    assert seldom.filter(record)
    assert record.exc_info is None
    assert not seldom.filter(record)
    now += SELDOM
    assert seldom.filter(record)


def test_a_listener_without_descriptors_is_told_of_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stderr.count("accept returned EMFILE") == 1
    assert "Traceback" not in done.stderr
