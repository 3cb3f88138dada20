"""What partners tell each other of their addresses, between rosters on streams in memory and a fake clock."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.session import Standing
from coopfs.errors import HomeError, PartnerAway, Refused
from coopfs.limits import ADDRESSES_APART, HEAD_START, RECONNECT_MAX, STRANGER_TIMEOUT
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact, call
from coopfs.net.link import Link
from coopfs.net.roster import Roster
from coopfs.net.whereabouts import Whereabouts
from coopfs.types import NodeKey, Partner
from tests.memory import MemoryHost
from tests.net.nodes import Network, no_jitter, node

PORT = 7530
INTERVAL, LIFETIME = 120.0, 480.0  # seconds
ALICE, BOB, CAROL = node(1), node(2), node(3)


def a_host(key: NodeKey) -> Partner:
    host = MemoryHost()
    host.given[key] = 1 << 30
    return host.partner(key)


class Home:
    """A node; `saved`: what its partners said of themselves."""

    def __init__(self, network: Network, me: LocalNode, *configured: str, source: str = "203.0.113.1") -> None:
        self.me = me
        self.saved: list[tuple[NodeKey, tuple[str, ...]]] = []
        self.whereabouts = Whereabouts(configured, [], PORT, self.save)
        self.roster = Roster(me, self.stand, a_host, network.dial, no_jitter, self.whereabouts)
        self.standing = Standing.PARTNER
        for address in configured:
            network.listeners[address] = partial(self.roster.accept, source=source)

    def stand(self, key: NodeKey) -> Standing:
        return self.standing

    def save(self, key: NodeKey, addresses: tuple[str, ...]) -> None:
        self.saved.append((key, addresses))

    def knows(self, other: "Home", *addresses: str) -> None:
        self.roster.add(Contact(other.me.identity.key, addresses))

    async def link(self, other: "Home") -> Link:
        return await self.roster.link(other.me.identity.key)


class World:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.network = Network(nursery)
        self._nursery = nursery

    async def home(self, me: LocalNode, *configured: str, source: str = "203.0.113.1") -> Home:
        home = Home(self.network, me, *configured, source=source)
        await self._nursery.start(home.roster.run)
        return home


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours become minutes: a fake clock too takes its time for the pings in between."""
    monkeypatch.setattr("coopfs.net.whereabouts.ADDRESSES_INTERVAL", INTERVAL)
    monkeypatch.setattr("coopfs.core.sightings.SIGHTING_LIFETIME", LIFETIME)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery)
        nursery.cancel_scope.cancel()


async def test_a_partner_is_called_where_it_says_that_it_is(world: World, autojump_clock: MockClock) -> None:
    alice, bob = await world.home(ALICE), await world.home(BOB, "new:1", "newer:1")
    world.network.listeners["old:1"] = bob.roster.accept
    alice.knows(bob, "old:1")
    bob.knows(alice)
    link = await alice.link(bob)
    await trio.sleep(1)
    assert alice.saved == [(BOB.identity.key, ("new:1", "newer:1"))]
    del world.network.listeners["old:1"], world.network.listeners["new:1"]
    await link.close("moved")
    await trio.sleep(RECONNECT_MAX)
    assert (await alice.link(bob)).at == "newer:1"
    await trio.sleep(3 * INTERVAL)
    assert len(alice.saved) == 1  # what is known is not written again


async def test_who_is_seen_from_outside_tells_all_its_partners(world: World, autojump_clock: MockClock) -> None:
    """carol sees the outer address of alice's router; bob learns it from alice."""
    alice = await world.home(ALICE, "192.168.1.2:7530")
    carol, bob = await world.home(CAROL, "carol:1"), await world.home(BOB, "bob:1", source="192.168.1.7")
    alice.knows(bob, "bob:1")
    bob.knows(alice)
    await alice.link(bob)
    await trio.sleep(2 * ADDRESSES_APART)
    bob_s_word = ("192.168.1.2:7530", "192.168.1.7:7530")
    assert bob.saved[-1] == (ALICE.identity.key, bob_s_word)
    alice.knows(carol, "carol:1")
    carol.knows(alice)
    await alice.link(carol)
    await trio.sleep(2 * ADDRESSES_APART)
    assert alice.whereabouts.own() == ("192.168.1.2:7530", "203.0.113.1:7530", "192.168.1.7:7530")
    assert bob.saved[-1] == (ALICE.identity.key, alice.whereabouts.own())


async def test_where_nobody_sees_the_node_any_more_is_forgotten(world: World, autojump_clock: MockClock) -> None:
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    alice.knows(carol, "carol:1")
    link = await alice.link(carol)
    await trio.sleep(2 * LIFETIME)
    assert alice.whereabouts.own() == ("203.0.113.1:7530",)  # told again and again
    alice.roster.remove(CAROL.identity.key)
    await link.close("gone")
    await trio.sleep(LIFETIME)
    assert alice.whereabouts.own() == ()


async def test_who_called_does_not_believe_where_it_is_seen_by_who_was_called(
    world: World, autojump_clock: MockClock
) -> None:
    """Only the side that was called sees an outer address; the other one has no business to tell."""
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    alice.knows(carol, "carol:1")
    link = await alice.link(carol)
    await trio.sleep(1)
    await link.request(TellAddresses(("a:1",), "198.51.100.7"))
    assert carol.whereabouts.own() == ("carol:1",)


async def test_a_partner_that_changes_its_mind_all_the_time_is_refused(world: World, autojump_clock: MockClock) -> None:
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    alice.knows(carol, "carol:1")
    carol.knows(alice)
    link = await alice.link(carol)
    await trio.sleep(3 * ADDRESSES_APART)
    carol.saved.clear()  # where alice is seen
    await link.request(TellAddresses(("a:1",)))
    for number in range(20):
        with pytest.raises(Refused, match="once in"):
            await link.request(TellAddresses((f"a:{number + 2}",)))
    assert carol.saved == [(ALICE.identity.key, ("a:1",))]
    await trio.sleep(ADDRESSES_APART)
    await link.request(TellAddresses(("a:2",)))
    assert len(carol.saved) == 2


@pytest.mark.parametrize("nonsense", [(), ("a",), ("relay/relay/a:1",), ("ä:1",)])
async def test_nonsense_changes_nothing(world: World, nonsense: tuple[str, ...], autojump_clock: MockClock) -> None:
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    alice.knows(carol, "carol:1")
    carol.knows(alice, "alice:1")
    link = await alice.link(carol)
    await link.request(TellAddresses(nonsense, "nonsense"))
    assert carol.saved == []
    assert link.error is None


async def test_only_partners_may_tell(world: World, autojump_clock: MockClock) -> None:
    carol = await world.home(CAROL, "carol:1")
    carol.standing = Standing.READER
    link = await call(ALICE, world.network.dial, Contact(CAROL.identity.key, ("carol:1",)))
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run, None)
        with pytest.raises(Refused):
            await link.request(TellAddresses(("a:1",)))
        nursery.cancel_scope.cancel()
    assert carol.saved == []


async def test_who_is_no_partner_there_hears_of_it_once(world: World, autojump_clock: MockClock) -> None:
    """Where it is that it may remind of the agreement; it tells nothing more on this connection."""
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    carol.standing, forgotten = Standing.STRANGER, list[Link]()

    async def note(link: Link) -> None:
        forgotten.append(link)

    alice.whereabouts.on_forgotten = note
    alice.knows(carol, "carol:1")
    link = await alice.link(carol)
    await trio.sleep(STRANGER_TIMEOUT / 2)
    assert forgotten == [link]
    assert carol.saved == []


async def test_who_calls_and_has_forgotten_hears_of_it_too(world: World, autojump_clock: MockClock) -> None:
    """After a takeover a node calls the partners of its kit, and knows of no agreement with them: they remind it."""
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")
    alice.standing, forgotten = Standing.STRANGER, list[Link]()

    async def note(link: Link) -> None:
        forgotten.append(link)

    carol.whereabouts.on_forgotten = note
    alice.knows(carol, "carol:1")
    await alice.link(carol)
    await trio.sleep(1)
    assert [link.peer for link in forgotten] == [ALICE.identity.key]


async def test_what_cannot_be_saved_is_not_used(world: World, autojump_clock: MockClock) -> None:
    alice, carol = await world.home(ALICE), await world.home(CAROL, "carol:1")

    def full(key: NodeKey, addresses: tuple[str, ...]) -> None:
        raise HomeError("no room")

    carol.whereabouts._save = full
    alice.knows(carol, "carol:1")
    carol.knows(alice, "alice:1")
    link = await alice.link(carol)
    with pytest.raises(PartnerAway, match="no room"):
        await link.request(TellAddresses(("a:1",)))
    await link.close("again")
    assert all(address in ("alice:1", "carol:1") for _, address in world.network.dialled)


async def test_an_address_that_swallows_everything_does_not_hold_up_the_next(
    world: World, autojump_clock: MockClock
) -> None:
    await world.home(CAROL, "carol:1")

    async def swallow(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    world.network.listeners["hole:1"] = world.network.listeners["hole:2"] = swallow
    started = trio.current_time()
    link = await call(ALICE, world.network.dial, Contact(CAROL.identity.key, ("hole:1", "hole:2", "carol:1")))
    assert trio.current_time() - started == pytest.approx(2 * HEAD_START, abs=0.1)
    assert link.at == "carol:1"
