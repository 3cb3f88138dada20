"""The door of a relay: how many connections there are, of whom and from where. Counts only what is open, and what came
in the running minute, so it is as small as what comes in, and nothing is remembered for long.
"""

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

from coopfs import limits
from coopfs.errors import Refused
from coopfs.types import NodeKey

_MINUTE = 60.0  # seconds
Key = TypeVar("Key")


def place_of(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address, which is what one line gets."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host  # not of the internet: a stream in memory
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


class Door:
    """Every `enter` that returns has its `leave`, every `admit` its `dismiss`."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()  # by place
        self._nodes: Counter[NodeKey] = Counter()
        self._new: Counter[str] = Counter()  # of this minute, by place
        self._minute = 0

    def enter(self, place: str, now: float) -> None:
        """A connection came from there, at `now` seconds of any clock. Refused: too many."""
        minute = int(now / _MINUTE)
        if minute != self._minute:
            self._minute = minute
            self._new.clear()
        if self._open.total() >= limits.RELAY_CONNECTIONS:
            raise Refused("the relay has no connection left")
        if self._open[place] >= limits.RELAY_PER_SOURCE:
            raise Refused(f"{place} has {limits.RELAY_PER_SOURCE} connections already")
        full = place not in self._new and len(self._new) >= limits.RELAY_SOURCES
        if full or self._new[place] >= limits.RELAY_NEW:
            raise Refused(f"{place} comes too often")
        self._new[place] += 1
        self._open[place] += 1

    def leave(self, place: str) -> None:
        _less(self._open, place)

    def admit(self, node: NodeKey) -> None:
        """A connection has proved this key. Refused: too many."""
        if self._nodes[node] >= limits.RELAY_PER_NODE:
            raise Refused(f"this node has {limits.RELAY_PER_NODE} connections already")
        self._nodes[node] += 1

    def dismiss(self, node: NodeKey) -> None:
        _less(self._nodes, node)


def _less(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
