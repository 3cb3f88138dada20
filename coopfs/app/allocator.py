"""The memory allocator of a daemon's process."""

import ctypes

from coopfs.limits import MIB

ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1  # M_... of <malloc.h>
ARENAS = 2  # one for the loop, one for all threads that code, seal and wait for disks
KEPT = 8 * MIB  # bytes of freed memory at the end of an arena that are kept: four stripes of 6+2, and most are reused
MAPPED = 8 * MIB  # bytes from which on memory is the kernel's each time: nothing in the pipeline is as large


def bound_arenas() -> None:
    """Let glibc keep at most ARENAS pools of freed memory (P6). By itself it makes up to eight for each core, one for
    each thread that allocates, and blocks of megabytes that were freed in one are of no use to the others.

    And let it keep what a few stripes took for the next ones. By itself it gives freed memory back from twice the
    size of a block on, and the kernel clears and maps the same pages again for every stripe: 3 us for each of 4 KiB.

    Done from within, as MALLOC_ARENA_MAX would be heeded only by a process that is started anew. Other C libraries have
    no arenas, and nothing is done. Call it before the first thread starts.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
        mallopt(MMAP_THRESHOLD, MAPPED)
        mallopt(TRIM_THRESHOLD, KEPT)
