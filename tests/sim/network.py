"""The way to partners (tasks.network.Network) as the weather is: delays, outages, lost requests and lost answers.

A link is one connection to one site. When it breaks, everything that travels on it is lost: a request before it was
carried out, or its answer. A request that was lost may still arrive, late.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import trio

from coopfs.errors import PartnerAway, PeerError
from coopfs.tasks.signal import Signal
from coopfs.types import (
    Amendment,
    BlockStore,
    Claim,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Opening,
    Partner,
    Proposal,
    Renewal,
    Settlement,
    Slot,
    StepAnswer,
    StepWord,
    StoredBlock,
    StoreId,
    Welcome,
    Write,
)
from tests.memory import MemoryHost, MemoryPartner
from tests.sim.schedule import JumpingClock, Nap
from tests.sim.trace import Trace

T = TypeVar("T")


@dataclass(slots=True)
class Weather:
    """delay: seconds of one way at the most; loss: share of journeys that break the link; late: share of lost requests
    that arrive all the same."""

    delay: float = 0.05
    loss: float = 0.0
    late: float = 0.0


CALM = Weather()


class Link:
    """A connection, which breaks once."""

    def __init__(self) -> None:
        self.broken = trio.Event()
        self._travellers: set[Nap] = set()

    async def travel(self, seconds: float) -> None:
        """PartnerAway: it breaks meanwhile, or is broken."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, JumpingClock)
        await clock.sleep(0 if self.broken.is_set() else seconds, self._travellers)
        if self.broken.is_set():
            raise PartnerAway("the connection broke")

    def end(self) -> None:
        """Whatever travels on it is lost."""
        self.broken.set()
        for traveller in self._travellers:
            traveller.end()


@dataclass(eq=False)
class Site:
    """A partner and the way to it. number: of its column; life: no other site has this number; slowness multiplies its
    delays; vanished: it never comes back; full: nothing more can be stored there; mute: it gives
    back no block; starts: how often it has started again after a power loss."""

    number: int
    host: MemoryHost
    life: int
    vanished: bool = False
    up: bool = True
    full: bool = False
    mute: bool = False
    slowness: float = 1.0
    starts: int = 0
    link: Link = field(default_factory=Link)
    changed: Signal = field(default_factory=Signal)
    stores: list[StoreId] = field(default_factory=list)  # that were ever opened here

    def name(self, store: StoreId) -> int:
        """A number that no other store of any site has; that of a site's first store is the site's."""
        if store not in self.stores:
            self.stores.append(store)
        return self.life + 1000 * self.stores.index(store)

    def check_room(self) -> None:
        """PartnerAway, as net/serve answers when the disk below fails."""
        if self.full:
            raise PartnerAway("its disk is full")

    def recover(self) -> None:
        """It is as fast and as well as can be."""
        self.slowness = 1.0
        self.full = self.mute = False

    def cut(self) -> None:
        """The connection breaks; a new one can be made at once, if the site is up."""
        self.link.end()
        self.link = Link()

    def go(self, up: bool) -> None:
        self.up = up and not self.vanished
        if not self.up:
            self.cut()
        self.changed.notify()


class SimNetwork:
    """Who is up, for one peer. late: nursery in which stragglers travel on."""

    def __init__(
        self,
        sites: Mapping[NodeKey, Site],
        peer: NodeKey,
        weather: Weather,
        random: Random,
        trace: Trace,
        late: trio.Nursery,
    ) -> None:
        self._sites = sites
        self._peer = peer
        self.weather = weather
        self._random = random
        self.trace = trace
        self._late = late

    async def reach(self, node: NodeKey) -> Partner:
        site = self._sites[node]
        await trio.sleep(self.delay(site))
        await site.changed.wait_until(lambda: site.up)
        return SimPartner(self, site, site.host.partner(self._peer))

    async def try_reach(self, node: NodeKey) -> Partner | None:
        site = self._sites[node]
        await trio.sleep(self.delay(site))
        return SimPartner(self, site, site.host.partner(self._peer)) if site.up else None

    async def gone(self, partner: Partner) -> None:
        assert isinstance(partner, SimPartner)
        await partner.link.broken.wait()

    def delay(self, site: Site) -> float:
        return self._random.uniform(0, self.weather.delay) * site.slowness

    async def call(self, site: Site, link: Link, request: Callable[[], Awaitable[T]], lasting: bool) -> T:
        """There and back. PartnerAway: the link broke. lasting: a request that may arrive late."""
        started = site.starts
        try:
            await self._travel(site, link)
        except (PartnerAway, trio.Cancelled):
            if lasting and self._random.random() < self.weather.late:
                self._late.start_soon(self._arrive_late, site, started, request)
            raise
        answer = await request()
        await self._travel(site, link)
        return answer

    async def _travel(self, site: Site, link: Link) -> None:
        await link.travel(self.delay(site))
        if self._random.random() < self.weather.loss:
            self.trace.counts["loss"] += 1
            site.cut()
            raise PartnerAway("the connection broke")

    async def _arrive_late(self, site: Site, started: int, request: Callable[[], Awaitable[object]]) -> None:
        """started: how often the site had been when it left."""
        await trio.sleep(self._random.uniform(0, 3))
        if site.up and site.starts == started:  # else it would reach the files as they were before
            self.trace.counts["late"] += 1
            with contextlib.suppress(PeerError):  # nobody hears the refusal
                await request()


class SimPartner:
    """types.Partner over one link."""

    def __init__(self, network: SimNetwork, site: Site, partner: MemoryPartner) -> None:
        self._network = network
        self._site = site
        self._partner = partner
        self.link = site.link

    async def _call(self, request: Callable[[], Awaitable[T]]) -> T:
        return await self._network.call(self._site, self.link, request, lasting=False)

    async def open(self, opening: Opening) -> "SimStore":
        store = await self._call(lambda: self._partner.open(opening))
        return SimStore(self._network, self._site, self.link, store, self._site.name(opening.store))

    async def claim(self, claim: Claim) -> None:
        await self._call(lambda: self._partner.claim(claim))

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        return await self._call(lambda: self._partner.masters(disk))

    async def put_master(self, claim: Claim, master: Master) -> None:
        async def store() -> None:
            self._site.check_room()
            await self._partner.put_master(claim, master)

        await self._call(store)

    async def grant(self, grant: Grant) -> None:
        await self._call(lambda: self._partner.grant(grant))

    async def agree(self, proposal: Proposal) -> bytes:
        return await self._call(lambda: self._partner.agree(proposal))

    async def offer(self, announcement: bytes) -> Welcome:
        return await self._call(lambda: self._partner.offer(announcement))

    async def step(self, word: StepWord) -> StepAnswer:
        return await self._call(lambda: self._partner.step(word))

    async def renew(self, renewal: Renewal) -> None:
        await self._call(lambda: self._partner.renew(renewal))

    async def amend(self, amendment: Amendment) -> Settlement:
        return await self._call(lambda: self._partner.amend(amendment))

    async def leave(self, text: bytes) -> None:
        await self._call(lambda: self._partner.leave(text))


class SimStore:
    """types.BlockStore over one link."""

    def __init__(self, network: SimNetwork, site: Site, link: Link, store: BlockStore, name: int) -> None:
        self.opened = store.opened
        self._name = name
        self._network = network
        self._site = site
        self._link = link
        self._store = store

    async def _call(self, request: Callable[[], Awaitable[T]], lasting: bool = False) -> T:
        return await self._network.call(self._site, self._link, request, lasting)

    async def put(self, row: int, version: int, data: bytes) -> None:
        async def store() -> None:
            self._site.check_room()
            await self._store.put(row, version, data)
            self._network.trace.put(trio.current_time(), self._name, row, StoredBlock(version, bytes(data)))

        await self._call(store, lasting=True)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        async def store() -> Sequence[PeerError | None]:
            self._site.check_room()
            outcomes = await self._store.put_many(writes)
            for write, refusal in zip(writes, outcomes, strict=True):
                if refusal is None:
                    block = StoredBlock(write.version, bytes(write.data))
                    self._network.trace.put(trio.current_time(), self._name, write.row, block)
            return outcomes

        return await self._call(store, lasting=True)

    async def get(self, row: int) -> StoredBlock | None:
        return await self._call(lambda: self._store.get(row))

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        if self._site.mute:
            raise PartnerAway("it has an error for every request")
        self._network.trace.counts["get"] += len(rows)
        return await self._call(lambda: self._store.get_many(rows))

    async def resize(self, rows: int) -> None:
        await self._call(lambda: self._store.resize(rows))
        self.opened = self._store.opened

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        self._network.trace.counts["inventory"] += 1
        return await self._call(lambda: self._store.inventory(first_row, limit))

    async def close(self) -> None:
        await self._store.close()
