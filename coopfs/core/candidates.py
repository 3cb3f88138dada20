"""Address candidates: by which ways a node may be reached, in the order in which they are tried.

    HOST:PORT          direct: first what its owner configured, then at what its partners saw it
    relay/HOST:PORT    through the relay that listens there: the last resort

They stand as such texts in invitations, agreements, announcements, master blocks and kits. Whoever gave them, they are
only tried: who answers must prove the node key that was called.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from coopfs.config import parse_address
from coopfs.errors import UsageError
from coopfs.limits import MAX_ADDRESS, MAX_ADDRESSES

RELAY = "relay/"


@dataclass(frozen=True, slots=True)
class Candidate:
    """address: HOST:PORT to connect to, of the node itself, or, if relayed, of a relay that it waits at."""

    address: str
    relayed: bool

    @classmethod
    def of(cls, text: str) -> "Candidate":
        """The candidate that a text names; whether the address can be one is seen when it is tried."""
        return cls(text.removeprefix(RELAY), text.startswith(RELAY))

    def __str__(self) -> str:
        return f"{RELAY}{self.address}" if self.relayed else self.address


def check_candidate(text: str) -> Candidate:
    """UsageError: the text is no candidate."""
    candidate = Candidate.of(text)
    parse_address(candidate.address)
    if not text.isascii() or len(text) > MAX_ADDRESS:
        raise UsageError(f"{text!r} is not an address for others; use an ASCII name of up to {MAX_ADDRESS} bytes")
    return candidate


def is_candidate(text: str) -> bool:
    try:
        check_candidate(text)
    except UsageError:
        return False
    return True


def in_order(texts: Iterable[str]) -> tuple[Candidate, ...]:
    """The first MAX_ADDRESSES of them, each once, as they are tried: relays last, else in the order given."""
    candidates = list(dict.fromkeys(map(Candidate.of, texts)))[:MAX_ADDRESSES]
    return tuple(sorted(candidates, key=lambda candidate: candidate.relayed))


def own_candidates(configured: Iterable[str], relays: Iterable[str]) -> tuple[str, ...]:
    """What a node gives to others; what cannot be given is left out. Relays are never crowded out: who has one needs
    it."""
    last = tuple(filter(is_candidate, (str(Candidate(address, relayed=True)) for address in relays)))
    first = tuple(dict.fromkeys(filter(is_candidate, configured)))[: MAX_ADDRESSES - len(last)]
    return first + last


def direct_hosts(texts: Iterable[str]) -> list[str]:
    """The hosts of those that lead to the node itself: a relay stands elsewhere. UsageError: one is no candidate."""
    candidates = map(check_candidate, texts)
    return [parse_address(candidate.address)[0] for candidate in candidates if not candidate.relayed]
