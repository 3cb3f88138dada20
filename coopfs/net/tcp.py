"""Addresses and TCP: the only place that knows that streams are sockets."""

import errno
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn

import trio

from coopfs.config import parse_address
from coopfs.errors import PartnerAway, UsageError


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
        # `::` alone would leave IPv4 out: trio asks for IPv6 only; without a host it listens on both.
        return await trio.open_tcp_listeners(port, host=None if host == "::" else host)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"cannot listen on {address}: the port is in use; choose another one") from None
        if isinstance(error, socket.gaierror):
            raise UsageError(f"cannot listen on {address}: no such host here") from None
        raise UsageError(f"cannot listen on {address}: {error.strerror or error}") from None


async def serve_tcp(
    listeners: list[trio.SocketListener], accept: Callable[[trio.abc.Stream, str], Awaitable[None]]
) -> NoReturn:
    """Have each connection served, with the IP address that it comes from, for ever."""
    await trio.serve_listeners(partial(_accept, accept), listeners)


async def _accept(accept: Callable[[trio.abc.Stream, str], Awaitable[None]], stream: trio.SocketStream) -> None:
    try:
        source = str(stream.socket.getpeername()[0])
    except OSError:  # gone already
        await trio.aclose_forcefully(stream)
        return
    await accept(stream, source.removeprefix("::ffff:"))  # an IPv4 address, seen by a socket of both kinds
