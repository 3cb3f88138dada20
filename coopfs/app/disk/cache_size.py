"""How much content the local disk may hold: what the owner says, as far as there is room for it."""

from coopfs.config import CacheSize
from coopfs.errors import UsageError
from coopfs.limits import DEFAULT_CACHE, DIRTY_SHARE, LOCAL_HEADROOM
from coopfs.local.stage import Stage, free_bytes
from coopfs.sizes import format_size
from coopfs.types import Layout


def set_cache_size(stage: Stage, layout: Layout, wanted: CacheSize) -> None:
    """Cap the cache, and let go what is over the cap. UsageError: it is too small.

    Without redundancy nothing is ever evicted: what is here is no cache but the only copy that counts, so there is a
    cap only if the owner asks for one. Waiting is of no use then: writers get ENOSPC at it.
    """
    if wanted.size is not None and wanted.size < stage.least_cache:
        least = format_size(stage.least_cache)
        raise UsageError(f"a cache of {format_size(wanted.size)} is too small for this disk: set {least} or more")
    if layout.m == 0:
        stage.cache.limit(wanted.size, None)
        return
    there = stage.cache.used + free_bytes(stage.contents.directory) - LOCAL_HEADROOM
    size = max(stage.least_cache, min(DEFAULT_CACHE if wanted.size is None else wanted.size, there))
    stage.cache.limit(size, int(size * DIRTY_SHARE))
    stage.make_room(0)
