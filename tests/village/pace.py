"""What a season does less often than a daemon, so that 2,000 days of nodes fit into minutes: what goes on by the
minute goes on by the hour. Nothing of it is about who loses what."""

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

from coopfs.app.partners import bidding, finding, promises, stepping, succession
from coopfs.limits import MIB
from coopfs.local import database
from coopfs.match import register
from coopfs.net import link, roster, whereabouts
from coopfs.tasks import attendant
from coopfs.tasks.checking import scrubber
from coopfs.tasks.reshaping import growing, replacing
from coopfs.tasks.writing import columns, keeper

HOUR = 3600.0
PACE = [
    (finding, "ANNOUNCE_INTERVAL", 12 * HOUR),  # of 10 minutes
    (register, "MATCH_EXPIRY", 36 * 3600),  # three announcements, as ever
    (whereabouts, "ADDRESSES_INTERVAL", 24 * HOUR),  # of 6 hours
    (attendant, "LAST_SEEN_INTERVAL", 3 * HOUR),  # of a minute: uptime is kept by the hour
    (bidding, "BID_CHECK", HOUR),  # of 5 minutes
    (bidding, "STEP_AFTER", 36 * HOUR),  # of one: three searches, too
    (bidding, "STEP_CHECK", 300.0),  # of 10 seconds
    (stepping, "STEP_CHECK", 300.0),
    (growing, "AWAY_CHECK", 300.0),  # of 5 seconds: how soon a disk has the size that it may have
    (replacing, "AWAY_CHECK", 300.0),  # of 5 seconds: how soon a column that may be given away is
    (promises, "PROMISE_CHECK", 6 * HOUR),  # of 10 minutes
    (succession, "SUCCESSION_CHECK", 6 * HOUR),  # of 10 minutes
    (link, "KEEPALIVE_INTERVAL", 12 * HOUR),  # of 20 seconds: streams in memory tell when they end
    (link, "KEEPALIVE_TIMEOUT", 36 * HOUR),  # of a minute
    (roster, "RECONNECT_MAX", HOUR),  # of 5 minutes
    (keeper, "FLOOR_CHECK", 6 * HOUR),  # of a minute
    (keeper, "FOLLOW_INTERVAL", 6 * HOUR),  # of an hour
    (scrubber, "SCRUB_NOTE", 12 * HOUR),  # of 10 minutes: how long one naps
    (columns, "AWAY_CHECK", 600.0),  # of 5 seconds: how soon one that has caught up counts
    (columns, "LOST_CHECK", HOUR),  # of 10 minutes
    (database, "WAL_ROOM", MIB),  # of 64, allocated at each start in the memory of this machine
    (database, "DATABASE_GROWTH", MIB),  # of 16
]


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    with contextlib.ExitStack() as patches:
        for module, name, value in PACE:
            patches.enter_context(patch.object(module, name, value))
        yield
