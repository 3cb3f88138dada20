"""`coopfs` with a wall clock that is off by the seconds in a file, which may change at any time.

Run as: python -m tests.e2e.daemon_with_clock FILE ARGUMENTS
"""

import sys
import time
from pathlib import Path

now, now_ns = time.time, time.time_ns


def off() -> int:
    """A file that is just being written is empty: then as it was."""
    global before
    text = OFFSET.read_text()
    before = int(text) if text else before
    return before


if __name__ == "__main__":
    OFFSET, before = Path(sys.argv.pop(1)), 0
    time.time = lambda: now() + off()
    time.time_ns = lambda: now_ns() + off() * 10**9

    from coopfs.cli.main import main

    main()
