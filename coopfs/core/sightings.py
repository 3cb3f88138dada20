"""Where partners see this node: from which IP address its connections come. The outer address of a router that nobody
has told it, and that may change every night.

What a partner says is not believed, it makes a candidate that others try: at most one host of each partner, for a day,
and of all of them the MAX_OBSERVED that most partners name.
"""

from collections import Counter
from ipaddress import ip_address

from coopfs.limits import MAX_OBSERVED, MAX_SIGHTINGS, SIGHTING_LIFETIME
from coopfs.types import NodeKey


class Sightings:
    """Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._seen: dict[NodeKey, tuple[str, float]] = {}  # who -> host, when; oldest first

    def note(self, witness: NodeKey, host: str, now: float) -> None:
        """This partner sees the node at `host`. What nobody elsewhere could call is ignored."""
        if not _is_callable(host):
            return
        self._seen.pop(witness, None)
        if len(self._seen) >= MAX_SIGHTINGS:
            del self._seen[next(iter(self._seen))]
        self._seen[witness] = host, now

    def addresses(self, port: int, now: float) -> tuple[str, ...]:
        """HOST:PORT of where the node is seen: first what most partners name, of equals the newer."""
        fresh = [host for host, when in self._seen.values() if now - when < SIGHTING_LIFETIME]
        counted = Counter(reversed(fresh)).most_common(MAX_OBSERVED)  # which keeps the order among equals
        return tuple(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, _ in counted)


def _is_callable(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    nowhere = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return not nowhere and str(address) == host
