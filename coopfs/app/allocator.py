"""The memory allocator of a daemon's process."""

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>
ARENAS = 2  # one for the loop, one for all threads that code, seal and wait for disks


def bound_arenas() -> None:
    """Let glibc keep at most ARENAS pools of freed memory (P6). By itself it makes up to eight for each core, one for
    each thread that allocates, and blocks of megabytes that were freed in one are of no use to the others.

    Done from within, as MALLOC_ARENA_MAX would be heeded only by a process that is started anew. Other C libraries have
    no arenas, and nothing is done. Call it before the first thread starts.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
