"""Who asks: what a request tells of the calling process, and what it does not."""

import pyfuse3
from pyfuse3 import RequestContext

ROOT_UID = 0


def is_member(caller: RequestContext, gid: int) -> bool:
    """Whether the caller is in this group, or is root. A request names one group only; the others stand in /proc, but
    not for a process that is not seen from here."""
    if gid == caller.gid or caller.uid == ROOT_UID:
        return True
    try:
        return gid in pyfuse3.get_sup_groups(caller.pid)
    except (OSError, RuntimeError, ValueError):  # gone, or nothing that can be read
        return False
