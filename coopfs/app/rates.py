"""The limits of coopfs.toml at work: a schedule, read off this machine's wall clock, as a bucket for content."""

from collections.abc import Callable
from datetime import datetime
from math import inf

from coopfs.config import Config
from coopfs.limits import MAX_BLOCK_SIZE, PARTNER_PATIENCE
from coopfs.net.wrappers import TokenBucket, Toll
from coopfs.schedule import Schedule, constant


class Rates:
    """One bucket for all content that leaves this machine, one for all that comes, whosever it is."""

    def __init__(self, config: Config, wall: Callable[[], float]) -> None:
        """wall: seconds since 1970; the hours of a schedule are those of this machine's time zone."""
        self._up = bucket(config.upload_limit, wall)
        self._down = bucket(config.download_limit, wall)

    def own(self) -> Toll | None:
        """What content of this node's own disk pays to; None: nothing."""
        return Toll(self._up, self._down) if self._up or self._down else None

    def hosted(self) -> Toll | None:
        """What content of partners pays to, which is stored here. Their requests must not run into their timeouts."""
        return Toll(self._down, self._up, PARTNER_PATIENCE) if self._up or self._down else None


def bucket(schedule: Schedule, wall: Callable[[], float]) -> TokenBucket | None:
    """None: there is never a limit."""
    if not schedule.limits:
        return None
    return TokenBucket(lambda: schedule.rate(datetime.fromtimestamp(wall())) or inf, MAX_BLOCK_SIZE)


def download_toll(limit: int, wall: Callable[[], float]) -> Toll | None:
    """What a restore pays to. limit: bytes per second, 0 for none."""
    down = bucket(constant(limit), wall)
    return Toll(None, down) if down else None
