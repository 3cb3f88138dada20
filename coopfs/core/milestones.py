"""Since when which group is held: a short list of moments, the older the coarser.

Each time the barrier moves, (group, time) is added; when there are too many, every second one of the older half goes.
So what is asked of a group is answered with the first moment known at which it was held: never too early, late by as
much as the list is thin there.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable

from coopfs.limits import MILESTONES

_ENTRY = struct.Struct(">QQ")  # group, seconds since 1970


class Milestones:
    """Groups ascend, times as the wall clock had them."""

    def __init__(self, moments: Iterable[tuple[int, int]] = ()) -> None:
        self._moments = list(moments)

    @classmethod
    def decode(cls, data: bytes) -> "Milestones":
        """What `encode` made."""
        return cls(_ENTRY.iter_unpack(data))

    def encode(self) -> bytes:
        """At most MILESTONES x 16 bytes."""
        return b"".join(_ENTRY.pack(*moment) for moment in self._moments)

    @property
    def newest(self) -> int:
        """The newest group noted; 0: none."""
        return self._moments[-1][0] if self._moments else 0

    def note(self, group: int, now: int) -> None:
        """All groups up to this one are held. now: wall seconds."""
        assert group > self.newest
        self._moments.append((group, now))
        if len(self._moments) > MILESTONES:
            half = MILESTONES // 2
            self._moments[:half] = self._moments[1:half:2]

    def since(self, group: int) -> int | None:
        """Wall seconds at which the group was held at the latest; None: that was never noted."""
        at = bisect_left(self._moments, (group, 0))
        return self._moments[at][1] if at < len(self._moments) else None
