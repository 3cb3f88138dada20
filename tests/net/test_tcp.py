"""Addresses, and two nodes over real sockets of this machine."""

import pytest
import trio

from coopfs.errors import PartnerAway, ProtocolError, UsageError
from coopfs.limits import DEFAULT_BLOCK_SIZE, PUTS_IN_FLIGHT
from coopfs.net.addresses import open_port
from coopfs.net.dialer import Contact, call
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.net.serve import serve
from coopfs.net.tcp import dial_tcp, listen_tcp
from coopfs.types import NodeKey, Opening, Partner, StoredBlock, StoreId, StoreSpec, make_version
from tests.memory import MemoryHost
from tests.net.nodes import everybody, no_jitter, node
from tests.partners import Owner

OWNER = Owner(seed=bytes([1]) * 32)  # node(1)
STORE = StoreId(bytes(16))


def a_host(key: NodeKey) -> Partner:
    host = MemoryHost()
    host.given[key] = 1 << 30
    return host.partner(key)


def port_of(listeners: list[trio.SocketListener]) -> int:
    port: int = listeners[0].socket.getsockname()[1]
    return port


@pytest.mark.parametrize(("listen", "for_others"), [("127.0.0.1:0", False), ("[::1]:0", False), ("[::]:0", True)])
async def test_a_port_is_open_to_other_machines_unless_it_is_on_loopback(listen: str, for_others: bool) -> None:
    listeners = await listen_tcp(listen)
    assert open_port(listeners) == (port_of(listeners) if for_others else None)
    for listener in listeners:
        await listener.aclose()


async def test_two_nodes_over_sockets() -> None:
    listeners = await listen_tcp("127.0.0.1:0")
    roster = Roster(node(2), everybody, a_host, dial_tcp, no_jitter)
    contact = Contact(node(2).identity.key, (f"127.0.0.1:{port_of(listeners)}",))
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        nursery.start_soon(trio.serve_listeners, roster.accept, listeners)
        link = await call(node(1), dial_tcp, contact)
        await nursery.start(serve, link, a_host(node(2).identity.key))
        spec = StoreSpec(100, DEFAULT_BLOCK_SIZE)
        store = await RemotePartner(link).open(Opening(OWNER.disk, STORE, OWNER.claim(1), spec))
        version = make_version(1, 1)
        async with trio.open_nursery() as puts:
            for row in range(PUTS_IN_FLIGHT):
                puts.start_soon(store.put, row, version, bytes([row]) * DEFAULT_BLOCK_SIZE)
        for row in range(PUTS_IN_FLIGHT):
            assert await store.get(row) == StoredBlock(version, bytes([row]) * DEFAULT_BLOCK_SIZE)
        assert [slot.row for slot in await store.inventory(0, 100)] == list(range(PUTS_IN_FLIGHT))
        nursery.cancel_scope.cancel()


async def test_the_wrong_node_at_an_address_is_a_protocol_error() -> None:
    listeners = await listen_tcp("127.0.0.1:0")
    roster = Roster(node(2), everybody, a_host, dial_tcp, no_jitter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, roster.accept, listeners)
        with pytest.raises(ProtocolError, match="another node answers"):
            await call(node(1), dial_tcp, Contact(node(3).identity.key, (f"127.0.0.1:{port_of(listeners)}",)))
        nursery.cancel_scope.cancel()


async def test_a_port_in_use_is_one_clear_line() -> None:
    listeners = await listen_tcp("127.0.0.1:0")
    address = f"127.0.0.1:{port_of(listeners)}"
    with pytest.raises(UsageError, match="the port is in use"):
        await listen_tcp(address)
    for listener in listeners:
        await listener.aclose()


async def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1:7000"):
        await listen_tcp("192.0.2.1:7000")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no address:", "a" * 70 + ".invalid"])
async def test_nobody_at_an_address_is_away(address: str) -> None:
    with pytest.raises(PartnerAway):
        await dial_tcp(address)
