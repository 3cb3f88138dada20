"""Which addresses to give to partners, beside those that the owner has configured."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address

import trio

# Documentation addresses (RFC 5737, RFC 3849): connecting a datagram socket sends nothing, it only asks the routing
# table which of our own addresses would be used to go out.
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_WILDCARDS = frozenset({"0.0.0.0", "::"})


def own_addresses(listeners: Iterable[trio.SocketListener]) -> tuple[str, ...]:
    """HOST:PORT of each listener; for one that listens everywhere, the addresses by which this machine goes out."""
    addresses: dict[str, None] = {}  # in order, once each
    for listener in listeners:
        host, port, *_ = listener.socket.getsockname()
        for each in _outgoing() if host in _WILDCARDS else [host]:
            addresses[f"[{each}]:{port}" if ":" in each else f"{each}:{port}"] = None
    return tuple(addresses)


def open_port(listeners: Iterable[trio.SocketListener]) -> int | None:
    """The port on which other machines can connect to this one; None: only this machine can."""
    for listener in listeners:
        host, port, *_ = listener.socket.getsockname()
        if not ip_address(host.partition("%")[0]).is_loopback:
            return int(port)
    return None


def _outgoing() -> list[str]:
    found = []
    for family, far in _FAR:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((far, 9))
            except OSError:
                continue  # no route of this family
            found.append(str(probe.getsockname()[0]))
    return found or ["127.0.0.1"]
