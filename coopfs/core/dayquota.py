"""Bytes that each node may send in a day. The sender pays: else whoever calls a node could use its day up."""

from collections import defaultdict
from collections.abc import Callable

from coopfs.errors import PartnerAway
from coopfs.limits import RELAY_NODES
from coopfs.types import NodeKey

DAY = 86_400.0  # seconds


class DayQuota:
    """daily: bytes of a node in one day of the clock that `now` comes from; 0: no limit."""

    def __init__(self, daily: Callable[[NodeKey], int]) -> None:
        self._daily = daily
        self._day = 0
        self._sent: defaultdict[NodeKey, int] = defaultdict(int)

    def check(self, node: NodeKey, now: float) -> None:
        """PartnerAway: the node has sent all that it may today, or too many nodes have sent something."""
        day = int(now / DAY)
        if day != self._day:
            self._day = day
            self._sent.clear()
        daily = self._daily(node)
        if not daily:
            return
        if node not in self._sent:
            if len(self._sent) >= RELAY_NODES:
                raise PartnerAway("too many nodes use this relay today")
        elif self._sent[node] >= daily:
            raise PartnerAway(f"a node has sent the {daily} bytes through this relay that it may send in a day")

    def spend(self, node: NodeKey, size: int, now: float) -> None:
        """The node sends so many bytes. PartnerAway: it has sent all that it may; these do not pass."""
        self.check(node, now)
        if self._daily(node):
            self._sent[node] += size
