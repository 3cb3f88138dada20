"""Addresses and TCP: the only place that knows that streams are sockets."""

import errno
import socket

import trio

from coopfs.config import DEFAULT_PORT
from coopfs.errors import PartnerAway, UsageError


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`. UsageError if it is none of these."""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        good = bracket == "]" and (rest == "" or rest.startswith(":"))
        port = rest[1:]
    else:
        host, colon, port = address.partition(":")
        good = ":" not in port
        rest = colon + port
    if not good or not host or (rest and not (port.isascii() and port.isdigit() and 0 <= int(port) < 65536)):
        raise UsageError(f"{address!r} is no address: write host:port, or [address]:port for IPv6")
    return host, int(port) if rest else DEFAULT_PORT


async def dial_tcp(address: str) -> trio.abc.Stream:
    """A connection to `address`; PartnerAway if nobody answers there."""
    try:
        host, port = parse_address(address)
        return await trio.open_tcp_stream(host, port)
    except UsageError as error:
        raise PartnerAway(str(error)) from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA cannot express
        raise PartnerAway(f"{address} cannot be reached: {error}") from None


async def listen_tcp(address: str) -> list[trio.SocketListener]:
    """Listening sockets for `address`; UsageError, one line, if the port is in use or the address not ours."""
    host, port = parse_address(address)
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"cannot listen on {address}: the port is in use; choose another one") from None
        if isinstance(error, socket.gaierror):
            raise UsageError(f"cannot listen on {address}: no such host here") from None
        raise UsageError(f"cannot listen on {address}: {error.strerror or error}") from None
