"""Who asks: what a request tells of the calling process, and what it does not."""

import stat
from dataclasses import dataclass

import pyfuse3
from pyfuse3 import RequestContext


@dataclass(frozen=True, slots=True)
class Caller:
    """The process behind a request. Root stands for whoever has CAP_FSETID, which a request does not tell."""

    uid: int
    gid: int
    pid: int

    @classmethod
    def of(cls, request: RequestContext) -> "Caller":
        return cls(request.uid, request.gid, request.pid)

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    def is_member(self, gid: int) -> bool:
        """Whether it is in this group, or is root. A request names one group only; the others stand in /proc, but not
        for a process that is not seen from here."""
        if gid == self.gid or self.is_root:
            return True
        try:
            return gid in pyfuse3.get_sup_groups(self.pid)
        except (OSError, RuntimeError, ValueError):  # gone, or nothing that can be read
            return False

    def strips(self, mode: int, gid: int) -> int:
        """The mode of a file of this group after the caller has changed the owner, or content without being root
        (`man 2 chown`). Members may keep a set-group-ID bit that lets nothing run."""
        if not mode & (stat.S_ISUID | stat.S_ISGID):
            return mode
        mode &= ~stat.S_ISUID
        runs = mode & stat.S_IXGRP
        return mode if not runs and self.is_member(gid) else mode & ~stat.S_ISGID


ROOT = Caller(0, 0, 0)
