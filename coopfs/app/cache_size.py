"""How much content the local disk may hold: what the owner says, as far as there is room for it."""

from coopfs.errors import UsageError
from coopfs.limits import DIRTY_SHARE, LOCAL_HEADROOM
from coopfs.local.stage import Stage, free_bytes
from coopfs.sizes import format_size
from coopfs.types import Layout


def set_cache_size(stage: Stage, layout: Layout, wanted: int) -> None:
    """Cap the cache at so many bytes, and let go what is over it. UsageError: it is too small.

    Without redundancy nothing is ever evicted, so that waiting is of no use: writers get ENOSPC at the cap.
    """
    if wanted < stage.least_cache:
        least = format_size(stage.least_cache)
        raise UsageError(f"a cache of {format_size(wanted)} is too small for this disk: set {least} or more")
    if layout.m == 0:
        stage.cache.limit(wanted, None)
        return
    there = stage.cache.used + free_bytes(stage.contents.directory) - LOCAL_HEADROOM
    size = max(stage.least_cache, min(wanted, there))
    stage.cache.limit(size, int(size * DIRTY_SHARE))
    stage.make_room(0)
