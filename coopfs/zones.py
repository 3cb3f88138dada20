"""The time zones that this machine knows, for levels of uptime that are hours of the week (coopfs/levels)."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from coopfs.errors import UsageError
from coopfs.levels import Uptime, Weekly


def zone_of(level: Uptime) -> tzinfo:
    """By whose clocks its hours are meant. UsageError: this machine knows no such time zone."""
    if not isinstance(level, Weekly):
        return UTC
    try:
        return ZoneInfo(level.zone)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            f"{level.zone!r} is no time zone that this machine knows; write for example Europe/Paris, or UTC"
        ) from None


def check_zone(level: Uptime) -> Uptime:
    """The level itself. UsageError: this machine knows no such time zone."""
    zone_of(level)
    return level
