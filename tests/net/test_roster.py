"""Who is connected: dialling, accepting, duplicates, back-off, bounds. All nodes in one process on a fake clock."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from coopfs.errors import PartnerAway, Refused
from coopfs.limits import (
    HANDSHAKE_TIMEOUT,
    MAX_LINKS_PER_PEER,
    MAX_PENDING_CONNECTIONS,
    RECONNECT_MAX,
    RECONNECT_MIN,
    STRANGER_TIMEOUT,
)
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact, call, visit
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.roster import Roster
from coopfs.types import Master, NodeKey, Partner
from tests.memory import MemoryHost
from tests.net.nodes import Network, by_key, everybody, no_jitter, nobody, node, silent
from tests.partners import Owner, propose


def a_host(key: NodeKey) -> Partner:
    host = MemoryHost()
    host.given[key] = 1 << 30
    return host.partner(key)


def contact(of: LocalNode, *addresses: str) -> Contact:
    return Contact(of.identity.key, addresses)


class World:
    """A network and its rosters."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.network = Network(nursery)
        self._nursery = nursery

    async def roster(self, me: LocalNode, address: str = "", authorize=everybody, partner_for=a_host) -> Roster:  # type: ignore[no-untyped-def]
        roster = Roster(me, authorize, partner_for, self.network.dial, no_jitter)
        if address:
            self.network.listeners[address] = roster.accept
        await self._nursery.start(roster.run)
        return roster

    async def link(self, me: LocalNode, to: Contact) -> Link:
        """A running link outside any roster."""
        link = await call(me, self.network.dial, to)
        await self._nursery.start(link.run, silent)
        return link


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery)
        nursery.cancel_scope.cancel()


async def test_a_contact_is_called_and_both_sides_can_ask(world: World, autojump_clock: MockClock) -> None:
    left, right = await world.roster(node(1), "left"), await world.roster(node(2), "right")
    left.add(contact(node(2), "right"))
    for roster, peer in ((left, node(2)), (right, node(1))):
        link = await roster.link(peer.identity.key)
        assert await RemotePartner(link).masters(Owner().disk) == ()
    assert left.trouble == {}


async def test_addresses_are_tried_in_order_and_a_wrong_node_is_passed_over(
    world: World, autojump_clock: MockClock
) -> None:
    left = await world.roster(node(1))
    await world.roster(node(2), "right")
    await world.roster(node(3), "stolen")
    left.add(contact(node(2), "gone", "stolen", "right"))
    await left.link(node(2).identity.key)
    assert [address for _, address in world.network.dialled] == ["gone", "stolen", "right"]


@pytest.mark.parametrize("lower_first", [True, False])
async def test_of_two_simultaneous_dials_both_sides_keep_that_of_the_lower_key(
    world: World, lower_first: bool, autojump_clock: MockClock
) -> None:
    lower, higher = by_key(node(1), node(2))
    world.network.latency = 0.01
    rosters = {
        me.identity.key: await world.roster(me, str(number))
        for number, me in enumerate((lower, higher) if lower_first else (higher, lower))
    }
    low, high = rosters[lower.identity.key], rosters[higher.identity.key]
    low.add(contact(higher, str(int(lower_first))))
    high.add(contact(lower, str(int(not lower_first))))
    await trio.sleep(RECONNECT_MAX)
    assert len(world.network.dialled) == 2
    kept = low.live(higher.identity.key), high.live(lower.identity.key)
    assert kept[0] is not None
    assert kept[1] is not None
    assert (kept[0].dialled, kept[1].dialled) == (True, False)
    assert await RemotePartner(kept[0]).masters(Owner().disk) == ()


async def test_a_second_call_of_the_same_side_replaces_the_first(world: World, autojump_clock: MockClock) -> None:
    right = await world.roster(node(2), "right")
    first = await world.link(node(1), contact(node(2), "right"))
    await wait_all_tasks_blocked()
    second = await world.link(node(1), contact(node(2), "right"))
    await first.ended.wait()
    assert "another connection" in str(first.error)
    assert right.live(node(1).identity.key) is not None
    assert second.error is None


async def test_a_second_machine_with_the_same_identity_coexists(world: World, autojump_clock: MockClock) -> None:
    right = await world.roster(node(2), "right")
    home = await world.link(node(1, incarnation=1), contact(node(2), "right"))
    await wait_all_tasks_blocked()
    view = await world.link(node(1, incarnation=2, serves=False), contact(node(2), "right"))
    await wait_all_tasks_blocked()
    for link in (home, view):
        assert await RemotePartner(link).masters(Owner().disk) == ()
    chosen = right.live(node(1).identity.key)
    assert chosen is not None
    assert chosen.session.remote == node(1, incarnation=1).hello  # a view is no way to the partner


async def test_one_identity_opens_a_bounded_number_of_connections(world: World, autojump_clock: MockClock) -> None:
    await world.roster(node(2), "right")
    links = [
        await world.link(node(1, incarnation=number), contact(node(2), "right"))
        for number in range(MAX_LINKS_PER_PEER + 1)
    ]
    await links[-1].ended.wait()
    assert "connections of this node are open" in str(links[-1].error)
    assert all(link.error is None for link in links[:-1])


async def test_reconnection_backs_off_and_starts_afresh_after_a_good_link(
    world: World, autojump_clock: MockClock
) -> None:
    left = await world.roster(node(1))
    left.add(contact(node(2), "right"))
    await trio.sleep(2000)
    times = [time for time, _ in world.network.dialled]
    waits = [round(later - earlier, 6) for earlier, later in pairwise(times)]
    assert waits == [min(RECONNECT_MIN * 2**step, RECONNECT_MAX) for step in range(len(waits))]
    assert waits[-1] == RECONNECT_MAX
    assert "nobody listens" in left.trouble[node(2).identity.key]

    right = await world.roster(node(2), "right")
    link = await left.link(node(2).identity.key)
    await trio.sleep(2 * RECONNECT_MAX)
    far = right.live(node(1).identity.key)
    assert far is not None
    await far.close("restart")
    await link.ended.wait()
    lost = trio.current_time()
    await left.link(node(2).identity.key)
    assert trio.current_time() - lost <= RECONNECT_MIN


async def test_a_peer_that_hangs_up_at_once_is_not_called_ever_faster(world: World, autojump_clock: MockClock) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.aclose()

    world.network.listeners["right"] = hang_up
    left = await world.roster(node(1))
    left.add(contact(node(2), "right"))
    await trio.sleep(RECONNECT_MAX)
    assert len(world.network.dialled) <= 10


async def test_a_lost_contact_is_seen_as_a_change(world: World, autojump_clock: MockClock) -> None:
    left, right = await world.roster(node(1)), await world.roster(node(2), "right")
    left.add(contact(node(2), "right"))
    await left.link(node(2).identity.key)
    far = right.live(node(1).identity.key)
    assert far is not None
    await far.close("gone")
    while left.live(node(2).identity.key) is not None:
        await left.changed()


async def test_removing_or_changing_a_contact_leaves_its_link_up(world: World, autojump_clock: MockClock) -> None:
    left = await world.roster(node(1))
    await world.roster(node(2), "right")
    left.add(contact(node(2), "right"))
    link = await left.link(node(2).identity.key)
    left.add(contact(node(2), "elsewhere"))
    left.remove(node(2).identity.key)
    await trio.sleep(RECONNECT_MAX)
    assert left.live(node(2).identity.key) is link
    assert len(world.network.dialled) == 1


async def test_a_contact_that_is_removed_at_once_is_not_called_again(world: World, autojump_clock: MockClock) -> None:
    left = await world.roster(node(1))
    left.add(contact(node(2), "old"))
    left.add(contact(node(2), "older"))
    left.remove(node(2).identity.key)
    await trio.sleep(RECONNECT_MAX)
    assert {address for _, address in world.network.dialled} <= {"old", "older"}  # cancelled while they dialled
    assert len(world.network.dialled) <= 2
    assert left.trouble == {}


async def test_who_is_added_while_it_stops_is_called_when_it_runs_again(
    world: World, autojump_clock: MockClock
) -> None:
    left = Roster(node(1), everybody, a_host, world.network.dial, no_jitter)
    await world.roster(node(2), "right")

    async def add_at_the_end() -> None:
        """Somebody takes up an invitation in that very moment."""
        try:
            await trio.sleep_forever()
        finally:
            left.add(contact(node(2), "right"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add_at_the_end)
        await nursery.start(left.run)
        nursery.cancel_scope.cancel()
    called = len(world.network.dialled)  # perhaps once: it was added before the other task had heard of the end
    left.add(contact(node(2), "right"))
    await trio.sleep(RECONNECT_MAX)
    assert len(world.network.dialled) == called <= 1
    async with trio.open_nursery() as nursery:
        await nursery.start(left.run)
        assert await left.link(node(2).identity.key)
        nursery.cancel_scope.cancel()


async def test_silent_connections_are_bounded_and_end(world: World, autojump_clock: MockClock) -> None:
    right = await world.roster(node(2), "right")
    near = []
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_PENDING_CONNECTIONS):
            here, there = memory_stream_pair()
            near.append(here)
            nursery.start_soon(right.accept, there)
        await wait_all_tasks_blocked()
        with pytest.raises(PartnerAway):
            await call(node(1), world.network.dial, contact(node(2), "right"))
        started = trio.current_time()
        assert await near[0].receive_some() == b""  # closed by the other side
        assert trio.current_time() - started <= HANDSHAKE_TIMEOUT
    await call(node(1), world.network.dial, contact(node(2), "right"))


async def test_a_stranger_may_agree_and_does_not_stay(world: World, autojump_clock: MockClock) -> None:
    host, owner = MemoryHost(bytes([2]) * 32), Owner(seed=bytes([1]) * 32)
    right = await world.roster(node(2), "right", nobody, host.partner)
    to = contact(node(2), "right")
    proposal = propose(host.invite(1 << 20, bytes(16), "host", ()), owner.seed)

    async def agree(partner: RemotePartner) -> bytes:
        return await partner.agree(proposal)

    async def put_master(partner: RemotePartner) -> None:
        await partner.put_master(owner.claim(1), Master(1, b"master"))

    signature = await visit(node(1), world.network.dial, to, a_host(owner.key), agree)
    assert len(signature) == 64
    assert host.given[owner.key] == 1 << 20
    with pytest.raises(Refused, match="a stranger"):
        await visit(node(1), world.network.dial, to, a_host(owner.key), put_master)

    link = await world.link(node(1), to)
    assert right.live(owner.key) is None
    started = trio.current_time()
    await link.ended.wait()
    assert trio.current_time() - started == pytest.approx(STRANGER_TIMEOUT)


async def test_a_visit_to_nobody_says_what_the_last_address_answered(world: World, autojump_clock: MockClock) -> None:
    async def nothing(partner: RemotePartner) -> None:
        raise AssertionError

    with pytest.raises(PartnerAway, match="gone: nobody listens"):
        await visit(node(1), world.network.dial, contact(node(2), "gone"), a_host(node(2).identity.key), nothing)
    with pytest.raises(PartnerAway, match="no address"):
        await visit(node(1), world.network.dial, contact(node(2)), a_host(node(2).identity.key), nothing)
