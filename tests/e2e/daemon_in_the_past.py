"""`coopfs` with a wall clock that is a day behind. Run as: python -m tests.e2e.daemon_in_the_past ARGUMENTS"""

import time

DAY = 86400
now, now_ns = time.time, time.time_ns

time.time = lambda: now() - DAY
time.time_ns = lambda: now_ns() - DAY * 10**9

if __name__ == "__main__":
    from coopfs.cli.main import main

    main()
