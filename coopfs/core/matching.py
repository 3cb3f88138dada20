"""Whom to propose as partners: not those who burn with the seeker's house, and as unlike each other as can be (paper,
section 2.1).

Two members are *near* when they name the same site or share a subnet: one fire, one thief, one broken line takes both.
The subnets are /24 of IPv4 and /48 of IPv6: the least that is routed by itself, so addresses within it end at one
organisation, and what a provider gives one site at the most. Addresses that mean something at home only (192.168.1.2)
tell of two members just that they bought routers of the same make; they count when a member has no other.

Among those that are left, each next one is of the site, then subnet, then operating system that fewest of those chosen
and of the seeker's partners have: what fails, fails by site, by provider and by the bug of a system.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from coopfs.core.announcement import Announcement
from coopfs.core.candidates import direct_hosts
from coopfs.types import NodeKey

IPV4_BITS = 24
IPV6_BITS = 48


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a member stands, as far as choosing goes. site: folded, its first subnet if it names none, or ""; subnets:
    texts such as "192.0.2.0/24"."""

    node: NodeKey
    site: str
    subnets: tuple[str, ...]
    system: str


Pair = tuple[Spot, Spot]  # two who are partners of each other


def spot_of(announcement: Announcement, observed: str | None) -> Spot:
    """observed: the IP address from which it was heard, None: not known."""
    hosts = direct_hosts(announcement.addresses)
    subnets = subnets_of(hosts if observed is None else [*hosts, observed])
    site = fold(announcement.site) or (subnets[0] if subnets else "")
    return Spot(announcement.node, site, subnets, fold(announcement.system))


def fold(text: str) -> str:
    """How sites are compared: "Paris 14e" is "paris  14E"."""
    return " ".join(text.casefold().split())


def subnets_of(hosts: Iterable[str]) -> tuple[str, ...]:
    """Of those hosts that are IP addresses, names are not looked up: of the public ones, or of all if none is public.
    In order, once each."""
    addresses = [address for host in hosts if (address := _parsed(host)) is not None]
    public = [address for address in addresses if address.is_global]
    return tuple(dict.fromkeys(subnet_of(address) for address in public or addresses))


def subnet_of(address: IPv4Address | IPv6Address) -> str:
    bits = IPV4_BITS if address.version == 4 else IPV6_BITS
    return str(ip_network((address, bits), strict=False))


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def near(one: Spot, two: Spot) -> bool:
    """Whether one mishap may take both."""
    same_site = one.site != "" and one.site == two.site
    return same_site or any(subnet in two.subnets for subnet in one.subnets)


def suits(one: Announcement, two: Announcement) -> bool:
    """Whether two nodes could swap: equal levels, and both lack partners."""
    levels = one.storage == two.storage and one.uptime == two.uptime
    return levels and min(one.needs, two.needs) > 0 and one.node != two.node


class _Spread:
    """How alike others would be to those taken so far."""

    def __init__(self, taken: Iterable[Spot]) -> None:
        self._sites, self._subnets, self._systems = Counter[str](), Counter[str](), Counter[str]()
        for spot in taken:
            self.take(spot)

    def take(self, spot: Spot) -> None:
        self._sites[spot.site] += spot.site != ""
        self._subnets.update(spot.subnets)
        self._systems[spot.system] += 1

    def likeness(self, spot: Spot) -> tuple[int, int, int]:
        # get, as a Counter's own way to say 0 takes five times as long
        shared = max([self._subnets.get(each, 0) for each in spot.subnets], default=0)
        return self._sites.get(spot.site, 0), shared, self._systems.get(spot.system, 0)

    def likeness_of_both(self, pair: Pair) -> tuple[int, int, int]:
        (site, subnet, system), other = self.likeness(pair[0]), self.likeness(pair[1])
        return site + other[0], subnet + other[1], system + other[2]


def choose(
    candidates: Sequence[Spot], partners: Iterable[Spot], count: int, lot: Callable[[], float]
) -> Sequence[Spot]:
    """At most `count` of the candidates, each as unlike the partners and those before it as can be.

    lot: numbers 0..1, which decide among equals. With 128 candidates and 8 wanted: 1,000 comparisons, 1 ms.
    """
    spread = _Spread(partners)
    left = sorted(candidates, key=lambda _: lot())  # min takes the first among equals
    chosen: list[Spot] = []
    while left and len(chosen) < count:
        best = min(left, key=spread.likeness)
        left.remove(best)
        spread.take(best)
        chosen.append(best)
    return chosen


def pairs_of(bonded: Iterable[tuple[bytes, Spot]]) -> Sequence[Pair]:
    """Those that stand next to each other with the same bond. Of more than two with one bond some lie, which is found
    out by asking them."""
    pairs, before = [], None
    for bond, spot in bonded:
        if before is not None and before[0] == bond and before[1].node != spot.node:
            pairs.append((before[1], spot))
        before = bond, spot
    return pairs


def choose_pairs(
    pairs: Sequence[Pair], partners: Iterable[Spot], count: int, lot: Callable[[], float]
) -> Sequence[Pair]:
    """At most `count` of them, those whose two are the most unlike the partners first, by lot among equals."""
    spread = _Spread(partners)
    return sorted(sorted(pairs, key=lambda _: lot()), key=spread.likeness_of_both)[:count]
