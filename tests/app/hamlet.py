"""Neighbours between whom others step: real homes, disks and databases, connections in memory, on a clock that jumps.
One may be killed at any moment and started again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import trio

from coopfs.app.disk import changing, formatting
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.app.disk.syncing import sync
from coopfs.app.partners import leaving
from coopfs.app.partners.bidding import Bidding
from coopfs.app.partners.handover import Handover
from coopfs.app.partners.leaving import Farewells
from coopfs.app.partners.stepping import Stepping, Ties
from coopfs.core.bond import bond_of
from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.core.terms import Terms
from coopfs.errors import NoAgreement, StoreGone
from coopfs.local import partners
from coopfs.local.partners import PartnerEntry
from coopfs.match.client import MatchClient
from coopfs.net.dialer import Contact
from coopfs.net.partner import RemotePartner
from coopfs.tasks.reach import RosterNetwork
from coopfs.types import Layout, NodeKey, Opening, Partner, Renewal, StepAnswer, StepWord
from tests.app.village import Village, Villager
from tests.fs.operations import OurSide
from tests.match.members import START

LIVE = "SELECT row, version FROM stripes WHERE length > 0 AND died IS NULL"
LAYOUT = Layout(1, 1, 1, 96 * 1024)


def wall() -> float:
    return START + trio.current_time()


class Neighbour(Villager):
    """A villager that runs, with a disk if it made one."""

    own: OwnDisk | None = None

    def __init__(
        self, village: Village, number: int, directory: Path, servers: Sequence[MatchClient], terms: Terms
    ) -> None:
        super().__init__(number, directory, village.network, servers, wall, terms)
        del village.network.listeners[self.address]  # until it runs
        self.told: list[str] = []
        self.lost: set[NodeKey] = set()
        self.farewells = Farewells(self.hosting, self.roster)
        self.handover = Handover(lambda: self.own, lambda: any(self.home.disks.iterdir()), self.entries)
        ties = Ties(self.live, self.lost.__contains__, self._end, self._name, self._tell)
        parts = self.database, self.hosting, self.door, lambda: self.terms, self.handover, ties
        self.stepping = Stepping(*parts, wall, willing=True)
        self.membership.bonds = lambda: [
            bond_of(made, self.key)
            for key in self.openings.partners()
            if self.stepping.lets_ask(key) and (made := self.made(key)) is not None
        ]
        bidders = (
            self.key,
            self.database,
            self.membership,
            self.openings,
            lambda: self.terms,
            self._ask_step,
            self.agreeing.accept,
        )
        self.bidding = Bidding(*bidders, self.made, wall, Random(number).randbytes)
        self._network = village.network
        self._ended = trio.Event()

    def entries(self) -> list[PartnerEntry]:
        return list(partners.all_partners(self.database))

    def made(self, key: NodeKey) -> Renewal | None:
        return self.hosting.renewal(key, self.name, (self.address,))

    def live(self, key: NodeKey) -> Partner | None:
        link = self.roster.live(key)
        return None if link is None else RemotePartner(link)

    def _name(self, key: NodeKey) -> str:
        return next((entry.name for entry in self.entries() if entry.key == key), "?")

    async def _tell(self, title: str, text: str) -> None:
        self.told.append(text)

    async def _end(self, key: NodeKey) -> None:
        for entry in self.entries():
            if entry.key == key:
                await leaving.end(entry, self.own, self.hosting, self.farewells)

    def _know(self, entry: PartnerEntry) -> None:
        super()._know(entry)
        self.roster.add(Contact(entry.key, entry.addresses))
        self.stepping.changed.notify()
        self.bidding.changed.notify()

    async def _left(self, key: NodeKey) -> None:
        self.farewells.look()
        self.roster.remove(key)
        self.stepping.changed.notify()
        if self.own is not None:
            await changing.part(self.own, key)

    async def _hear_step(self, peer: NodeKey, word: StepWord) -> StepAnswer:
        return await self.stepping.hear(peer, word)

    async def _ask_step(self, contact: Contact, word: StepWord) -> StepAnswer:
        partner = self.live(contact.key)
        return await (self.agreeing.step(contact, word) if partner is None else partner.step(word))

    # --- its process ----------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._network.listeners[self.address] = self._accept
                for entry in self.entries():
                    self.roster.add(Contact(entry.key, entry.addresses))
                await nursery.start(self.roster.run)
                for task in (self.farewells.run, self.stepping.run, self.bidding.run, self.finding.run):
                    nursery.start_soon(task)
                for directory in self.home.disks.iterdir():
                    self.open(directory)
                task_status.started()
        finally:
            self._network.listeners.pop(self.address, None)
            if self.own is not None:
                self.own.close()
            self.close()
            self._ended.set()

    async def _accept(self, stream: trio.abc.Stream) -> None:
        self._nursery.start_soon(self.roster.accept, stream)

    def open(self, directory: Path) -> None:
        network = RosterNetwork(self.roster, None, self.made)
        self.own = OwnDisk(directory, self.key, network, self._nursery, wall)
        self._nursery.start_soon(self.own.run)
        self._nursery.start_soon(leaving.note_parted, self.own, self.hosting)

    async def die(self) -> None:
        """At once: what is not committed is gone."""
        self._nursery.cancel_scope.cancel()
        await self._ended.wait()

    # --- its disk -------------------------------------------------------------------------------------------------

    async def make_disk(self) -> None:
        """1+1 on all its partners, with some content that is complete."""
        places = formatting.plan(LAYOUT, self.entries())
        directory = formatting.draft(self.home, self.key, places)
        network = RosterNetwork(self.roster, None, self.made)
        self.open(await formatting.form(self.home, directory, self.key, network, lambda step, done, total: None))
        assert self.own is not None
        side, data = OurSide(self.own.disk), Random(self.name).randbytes(200_000)
        for operation in (
            ("create", ((b"file",), 0o644)),
            ("open", (0, (b"file",), True)),
            ("write", (0, 0, data)),
            ("close", (0,)),
        ):
            side.apply(operation)
        await sync(self.own, None, True, lambda step, done, total: None)

    def live_stripes(self) -> set[tuple[int, int]]:
        """(row, version)"""
        assert self.own is not None
        return set(self.own.local.database.read(LIVE).fetchall())

    async def check(self, hamlet: "Hamlet") -> None:
        """Every block of what was complete is there, in one of the stores that the master block names, whose holder has
        an agreement with this node."""
        if self.own is None:
            return
        places, rows = self.own.places, self.live_stripes() & hamlet.complete[self.name]
        assert rows
        for stores in places.columns:
            there: set[tuple[int, int]] = set()
            for store in stores:
                host = hamlet.by_key(store.node)
                try:
                    session = await host.hosting.partner(self.key).open(Opening(self.own.disk_id, store.store))
                except (NoAgreement, StoreGone):
                    continue
                there |= {(slot.row, slot.version) for slot in await session.inventory(0, 8192)}
                await session.close()
            if self.own.places != places:
                return  # it has changed meanwhile
            assert rows <= there

    @property
    def barred(self) -> set[NodeKey]:
        return self.bidding.barred()

    @property
    def holders(self) -> set[NodeKey]:
        assert self.own is not None
        return {column.place.node for column in self.own.columns.columns if column.state not in GONE_FOR_GOOD}


class Hamlet:
    """village: its network; terms: of all."""

    def __init__(self, village: Village, directory: Path, servers: Sequence[MatchClient], terms: Terms) -> None:
        self.village = village
        self.neighbours: list[Neighbour] = []
        self.complete: dict[str, set[tuple[int, int]]] = {}  # stripes of a neighbour's disk that were on all partners
        self._directory = directory
        self._servers = servers
        self._terms = terms

    def by_key(self, key: NodeKey) -> Neighbour:
        return next(each for each in self.neighbours if each.key == key)

    async def settle(self, nursery: trio.Nursery, **terms: object) -> Neighbour:
        """One more."""
        number = len(self.neighbours) + 1
        mine = replace(self._terms, **terms)  # type: ignore[arg-type]
        self.neighbours.append(Neighbour(self.village, number, self._directory, self._servers, mine))
        await nursery.start(self.neighbours[-1].run)
        return self.neighbours[-1]

    async def restart(self, nursery: trio.Nursery, old: Neighbour) -> Neighbour:
        """Kill one, and start it again from what it had saved."""
        await old.die()
        at = self.neighbours.index(old)
        self.neighbours[at] = Neighbour(self.village, at + 1, self._directory, self._servers, old.terms)
        await nursery.start(self.neighbours[at].run)
        return self.neighbours[at]


@asynccontextmanager
async def ending() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks end with the block."""
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()
